/** The bytes of an instruction, read from the first to the last. */

/** Reads bytes in order and remembers having run out of them. */
export class Cursor {
  readonly bytes: Uint8Array;
  at = 0;
  short = false;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  u8(): number {
    const value = this.bytes[this.at];
    this.at += 1;
    if (value === undefined) {
      this.short = true;
      return 0;
    }
    return value;
  }

  peek(): number {
    const value = this.bytes[this.at];
    this.short ||= value === undefined;
    return value ?? 0;
  }

  /** A little-endian number of `count` bytes, sign-extended. */
  signed(count: number): bigint {
    if (count === 8) {
      const low = this.unsigned(4);
      return BigInt.asIntN(64, BigInt(low) | BigInt(this.unsigned(4)) << 32n);
    }
    const unused = 32 - 8 * count;
    return BigInt((this.unsigned(count) << unused) >> unused);
  }

  unsigned(count: number): number {
    let value = 0;
    for (let index = 0; index < count; index += 1) {
      value += this.u8() * 2 ** (8 * index);
    }
    return value;
  }
}
