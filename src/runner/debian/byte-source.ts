/** Bytes that arrive in pieces, taken in the portions that a reader of a format wants. */

export class ByteSource {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #piece: Uint8Array = new Uint8Array(0);
  #at = 0;

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]();
  }

  /** The next `count` bytes; fewer only at the end. */
  async take(count: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    await this.#pass(count, (part) => parts.push(part));
    return parts.length === 1 ? parts[0] ?? new Uint8Array(0) : Buffer.concat(parts);
  }

  /** Passes over bytes without keeping them; returns how many there were. */
  skip(count: number): Promise<number> {
    return this.#pass(count, () => {});
  }

  async #pass(count: number, onPart: (part: Uint8Array) => void): Promise<number> {
    let left = count;
    while (left > 0) {
      if (this.#at === this.#piece.length && !(await this.#next())) {
        break;
      }
      const part = this.#piece.subarray(this.#at, this.#at + left);
      this.#at += part.length;
      left -= part.length;
      onPart(part);
    }
    return count - left;
  }

  async #next(): Promise<boolean> {
    const { value, done } = await this.#pieces.next();
    this.#piece = done === true ? new Uint8Array(0) : value;
    this.#at = 0;
    return done !== true;
  }
}
