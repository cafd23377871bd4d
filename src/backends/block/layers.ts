/** A disk of two layers: what was written lies in the upper one, all else is the lower one's. */
import { isPromise, type BlockImage, type Eventually } from "./image.ts";

/** An image that knows what it has. Its own calls never answer with a promise. */
export interface Layer extends BlockImage {
  /** What is written for the first time is taken in pieces of this size. */
  readonly clusterBytes: number;
  /** Whether the cluster around `offset` is this layer's. */
  has(offset: number): boolean;
  write(offset: number, from: Uint8Array): void;
  /** Zeros of its own, not what the lower layer has. */
  writeZeroes(offset: number, length: number): void;
}

export class LayeredImage implements BlockImage {
  readonly #top: Layer;
  readonly #base: BlockImage;
  readonly #cluster: Uint8Array;
  /** Writes that wait for the lower layer, one after the other. */
  #last: Promise<void> | undefined;

  constructor(top: Layer, base: BlockImage) {
    this.#top = top;
    this.#base = base;
    this.#cluster = new Uint8Array(top.clusterBytes);
  }

  get sizeBytes(): number {
    return this.#top.sizeBytes;
  }

  get readOnly(): boolean {
    return this.#top.readOnly;
  }

  read(offset: number, into: Uint8Array): Eventually {
    let waiting: Promise<void>[] | undefined;
    for (const [at, length] of this.#runs(offset, into.length)) {
      const part = into.subarray(at, at + length);
      const result = this.#top.has(offset + at) ? this.#top.read(offset + at, part)
        : this.#readBase(offset + at, part);
      if (isPromise(result)) {
        waiting = [...waiting ?? [], result];
      }
    }
    return waiting === undefined ? undefined : Promise.all(waiting).then(() => {});
  }

  write(offset: number, from: Uint8Array): Eventually {
    return this.#inOrder(() => this.#writeFrom(offset, from, 0));
  }

  writeZeroes(offset: number, length: number): Eventually {
    return this.#inOrder(() => {
      const unit = this.#top.clusterBytes;
      const head = Math.min(length, (unit - offset % unit) % unit);
      const whole = Math.floor((length - head) / unit) * unit;
      if (whole > 0) {
        this.#top.writeZeroes(offset + head, whole);
      }
      const tailAt = offset + head + whole;
      const first = head === 0 ? undefined : this.#writeFrom(offset, new Uint8Array(head), 0);
      const tail = () => this.#writeFrom(tailAt, new Uint8Array(length - head - whole), 0);
      return isPromise(first) ? first.then(tail) : tail();
    });
  }

  /** The upper layer's clusters are given back, and read as zeros. */
  discard(offset: number, length: number): Eventually {
    const unit = this.#top.clusterBytes;
    const start = Math.ceil(offset / unit) * unit;
    const end = Math.floor((offset + length) / unit) * unit;
    return start < end ? this.#inOrder(() => this.#top.writeZeroes(start, end - start)) : undefined;
  }

  flush(): Eventually {
    return this.#last === undefined ? this.#top.flush?.()
      : this.#last.then(() => this.#top.flush?.());
  }

  close(): Eventually {
    const closeBase = () => this.#base.close?.();
    const top = this.#top.close?.();
    return isPromise(top) ? top.then(closeBase) : closeBase();
  }

  /** A lower layer that answers at once is never waited for; else writes queue up here, since two
   * of them may want to fill the same cluster. */
  #inOrder(work: () => Eventually): Eventually {
    if (this.#last === undefined) {
      const result = work();
      if (!isPromise(result)) {
        return undefined;
      }
      return this.#remember(result);
    }
    return this.#remember(this.#last.catch(() => {}).then(work));
  }

  #remember(result: Promise<void>): Promise<void> {
    const last = result.finally(() => {
      if (this.#last === last) {
        this.#last = undefined;
      }
    });
    this.#last = last;
    return last;
  }

  /** From byte `at` of the data on: clusters that are not there yet are filled from below. */
  #writeFrom(offset: number, from: Uint8Array, at: number): Eventually {
    const unit = this.#top.clusterBytes;
    for (let done = at; done < from.length;) {
      const position = offset + done;
      const inCluster = position % unit;
      const length = Math.min(from.length - done, unit - inCluster);
      const piece = from.subarray(done, done + length);
      done += length;
      const start = position - inCluster;
      const clusterEnd = Math.min(unit, this.sizeBytes - start);
      if (this.#top.has(position) || length === clusterEnd) {
        this.#top.write(position, piece);
        continue;
      }
      const cluster = this.#cluster.subarray(0, clusterEnd);
      const fill = () => {
        cluster.set(piece, inCluster);
        this.#top.write(start, cluster);
      };
      const filled = this.#readBase(start, cluster);
      if (isPromise(filled)) {
        const next = done;
        return filled.then(() => {
          fill();
          return this.#writeFrom(offset, from, next);
        });
      }
      fill();
    }
    return undefined;
  }

  #readBase(offset: number, into: Uint8Array): Eventually {
    const there = Math.max(0, Math.min(into.length, this.#base.sizeBytes - offset));
    into.fill(0, there);
    return there === 0 ? undefined : this.#base.read(offset, into.subarray(0, there));
  }

  /** Pieces of a range that lie in one layer each: start in the range, length. */
  *#runs(offset: number, length: number): Generator<readonly [number, number]> {
    const unit = this.#top.clusterBytes;
    let start = 0;
    let mine = this.#top.has(offset);
    for (let at = unit - offset % unit; at < length; at += unit) {
      const here = this.#top.has(offset + at);
      if (here !== mine) {
        yield [start, at - start];
        start = at;
        mine = here;
      }
    }
    yield [start, length - start];
  }
}
