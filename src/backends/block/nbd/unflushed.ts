/** Writes that a server has answered and no flush has made stable: kept until one does. */

export interface UnflushedWrite {
  readonly offset: number;
  readonly length: number;
  /** Absent for zeros. */
  readonly data: Uint8Array | undefined;
}

/** Beyond this the client flushes of its own accord. */
const bytesMax = 32 * 1024 * 1024;
const countMax = 4096;

export class UnflushedWrites {
  #writes: UnflushedWrite[] = [];
  #bytes = 0;
  /** How many were ever added. */
  #added = 0;

  get full(): boolean {
    return this.#bytes > bytesMax || this.#writes.length > countMax;
  }

  add(offset: number, length: number, data: Uint8Array | undefined): void {
    this.#writes.push({ offset, length, data: data === undefined ? undefined : data.slice() });
    this.#bytes += data?.length ?? 0;
    this.#added += 1;
  }

  /** What is here now; `forget` drops it and leaves what came later. */
  mark(): number {
    return this.#added;
  }

  forget(mark: number): void {
    const later = this.#added - mark;
    const dropped = this.#writes.splice(0, Math.max(0, this.#writes.length - later));
    for (const { data } of dropped) {
      this.#bytes -= data?.length ?? 0;
    }
  }

  /** In the order in which they were answered. */
  writes(): readonly UnflushedWrite[] {
    return this.#writes;
  }
}
