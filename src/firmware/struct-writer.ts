/** Builds the bytes of structures that are copied into guest memory as a whole. */

/** Little-endian structures, piece by piece. */
export class StructWriter {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.#view = new DataView(this.bytes.buffer);
  }

  u8(offset: number, value: number): this {
    this.#view.setUint8(offset, value);
    return this;
  }

  u16(offset: number, value: number): this {
    this.#view.setUint16(offset, value, true);
    return this;
  }

  u32(offset: number, value: number): this {
    this.#view.setUint32(offset, value, true);
    return this;
  }

  /** An integer below 2^53. */
  u64(offset: number, value: number): this {
    return this.u32(offset, value % 2 ** 32).u32(offset + 4, Math.floor(value / 2 ** 32));
  }

  copy(offset: number, bytes: Uint8Array): this {
    this.bytes.set(bytes, offset);
    return this;
  }

  text(offset: number, value: string): this {
    return this.copy(offset, Buffer.from(value, "latin1"));
  }
}

/** A text with its zero byte. */
export function zeroTerminated(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(`${text}\0`, "utf8"));
}
