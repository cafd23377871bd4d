/**
 * Keys that a person at the terminal has for tsbhyve itself: `~.` at the start of a line and
 * Ctrl-A x leave. `~~` sends one tilde, Ctrl-A Ctrl-A one Ctrl-A; Ctrl-A c is kept for later.
 */
const carriageReturn = 0x0d;
const lineFeed = 0x0a;
const tilde = 0x7e;
const ctrlA = 0x01;
const dot = 0x2e;
const letterC = 0x63;
const letterX = 0x78;

export const escapeKeysHelp = "~. after Enter, or Ctrl-A x";

export interface Escaped {
  /** What the guest gets. */
  readonly bytes: Uint8Array;
  readonly quit: boolean;
}

type State = "lineStart" | "inLine" | "afterTilde" | "afterCtrlA";

/** A filter with memory: a key's two characters may come in two pieces. */
export class EscapeFilter {
  #state: State = "lineStart";

  /** Splits typed bytes into the guest's and ours; nothing passes after the wish to leave. */
  feed(typed: Uint8Array): Escaped {
    const out: number[] = [];
    for (const byte of typed) {
      if (this.#isQuit(byte)) {
        this.#state = "lineStart";
        return { bytes: Uint8Array.from(out), quit: true };
      }
      this.#step(byte, out);
    }
    return { bytes: Uint8Array.from(out), quit: false };
  }

  #isQuit(byte: number): boolean {
    return (this.#state === "afterTilde" && byte === dot)
      || (this.#state === "afterCtrlA" && byte === letterX);
  }

  #step(byte: number, out: number[]): void {
    if (this.#state === "afterCtrlA") {
      this.#state = "inLine";
      if (byte === letterC) {
        return;
      }
      if (byte !== ctrlA) {
        out.push(ctrlA); // No key of ours, so both were meant for the guest.
      }
      this.#pass(byte, out);
    } else if (this.#state === "afterTilde") {
      this.#state = "inLine";
      if (byte !== tilde) {
        out.push(tilde);
        this.#plain(byte, out);
      } else {
        this.#pass(byte, out);
      }
    } else {
      this.#plain(byte, out);
    }
  }

  #plain(byte: number, out: number[]): void {
    if (byte === ctrlA) {
      this.#state = "afterCtrlA";
    } else if (byte === tilde && this.#state === "lineStart") {
      this.#state = "afterTilde";
    } else {
      this.#pass(byte, out);
    }
  }

  #pass(byte: number, out: number[]): void {
    out.push(byte);
    this.#state = byte === carriageReturn || byte === lineFeed ? "lineStart" : "inLine";
  }
}
