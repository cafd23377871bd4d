/** Packets of gdb's remote serial protocol (GDB manual, appendix E): `$data#sum`, acknowledged. */

/** A client that sends more has lost its way; memory transfers of gdb are smaller. */
export const packetBytesMax = 0x4000;
const interruptByte = 0x03;

export type Received = { readonly kind: "packet"; readonly text: string }
  | { readonly kind: "interrupt" } | { readonly kind: "damaged" };

const sumOf = (text: string) => Buffer.from(text, "latin1").reduce((sum, byte) => sum + byte, 0)
  & 0xff;

export function encodePacket(text: string): string {
  return `$${text}#${sumOf(text).toString(16).padStart(2, "0")}`;
}

/** Bytes in, packets out. Acknowledgements are passed over: a stream loses nothing. */
export class PacketReader {
  #text: string | undefined;
  #sum = "";
  #atSum = false;

  take(byte: number): Received | undefined {
    const character = String.fromCharCode(byte);
    if (character === "$") {
      this.#text = "";
      this.#sum = "";
      this.#atSum = false;
      return undefined;
    }
    if (this.#text === undefined) {
      return byte === interruptByte ? { kind: "interrupt" } : undefined;
    }
    if (!this.#atSum) {
      this.#takeText(character);
      return undefined;
    }
    this.#sum += character;
    return this.#sum.length < 2 ? undefined : this.#finish(this.#text);
  }

  #takeText(character: string): void {
    if (character === "#") {
      this.#atSum = true;
    } else if ((this.#text ?? "").length >= packetBytesMax) {
      this.#text = undefined;
    } else {
      this.#text += character;
    }
  }

  #finish(text: string): Received {
    this.#text = undefined;
    return parseInt(this.#sum, 16) === sumOf(text) ? { kind: "packet", text } : { kind: "damaged" };
  }
}
