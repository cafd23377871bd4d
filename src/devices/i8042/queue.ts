/** Bytes on their way from a PS/2 device; a full queue drops what comes, as the devices do. */
export class ByteQueue {
  readonly #bytes: () => number[];
  readonly #max: number;

  /** `bytes` gives the array in the device's state. */
  constructor(bytes: () => number[], max: number) {
    this.#bytes = bytes;
    this.#max = max;
  }

  get room(): number {
    return this.#max - this.#bytes().length;
  }

  put(...bytes: readonly number[]): void {
    if (bytes.length <= this.room) {
      this.#bytes().push(...bytes);
    }
  }

  take(): number {
    return this.#bytes().shift() ?? -1;
  }
}
