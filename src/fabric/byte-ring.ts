/**
 * A ring of bytes between two threads, one producer and one consumer, and the wake-up that goes
 * with it. Serial input and output cross between the control plane and the machine this way:
 * bounded, in order, and without a message per byte.
 */
import { assert } from "../base/assert.ts";
import { isPowerOfTwo } from "../base/bits.ts";
import { cellChanged } from "../base/wait-async.ts";

/**
 * A counter that threads sleep on. The sleeper reads `count`, looks whether there is work, and
 * only then waits for the count to move on: a wake-up in between is not lost.
 */
export class WakeWord {
  readonly cells: Int32Array;
  /** Called by `signal` in this thread: wakes who sleeps elsewhere than on the word. */
  onSignal: () => void = () => {};

  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(4)) {
    this.cells = new Int32Array(shared, 0, 1);
  }

  get shared(): SharedArrayBuffer {
    const buffer = this.cells.buffer;
    assert(buffer instanceof SharedArrayBuffer, "threads share a wake word");
    return buffer;
  }

  count(): number {
    return Atomics.load(this.cells, 0);
  }

  /** Wakes every sleeper; costs no system call while nobody sleeps. */
  signal(): void {
    Atomics.add(this.cells, 0, 1);
    Atomics.notify(this.cells, 0);
    this.onSignal();
  }

  /** Blocks this thread until the count is no longer `seen`, at most `timeoutMs`. */
  wait(seen: number, timeoutMs = Infinity): void {
    Atomics.wait(this.cells, 0, seen, timeoutMs);
  }

  /** The same for a thread that must not block. */
  changed(seen: number): Promise<void> {
    return cellChanged(this.cells, 0, seen);
  }
}

/** What is handed to the other thread. */
export interface SharedRingParts {
  readonly memory: SharedArrayBuffer;
  readonly dataWake: SharedArrayBuffer;
  readonly spaceWake: SharedArrayBuffer;
}

/** Cells at the start of the ring's memory; the indexes run freely and wrap at 2^32. */
const readIndex = 0;
const writeIndex = 1;
const closedFlag = 2;
const headerBytes = 16;

export class SharedByteRing {
  /** Signalled when bytes arrive, and when the producer closes. Several rings may share it. */
  readonly dataWake: WakeWord;
  /** Signalled when the consumer has made room. */
  readonly spaceWake: WakeWord;
  readonly capacity: number;
  readonly #memory: SharedArrayBuffer;
  readonly #cells: Int32Array;
  readonly #bytes: Uint8Array;

  private constructor(memory: SharedArrayBuffer, dataWake: WakeWord, spaceWake: WakeWord) {
    this.#memory = memory;
    this.capacity = memory.byteLength - headerBytes;
    assert(isPowerOfTwo(this.capacity), "the capacity of a ring is a power of two");
    this.#cells = new Int32Array(memory, 0, headerBytes / 4);
    this.#bytes = new Uint8Array(memory, headerBytes);
    this.dataWake = dataWake;
    this.spaceWake = spaceWake;
  }

  static create(capacity: number, dataWake = new WakeWord(), spaceWake = new WakeWord()) {
    return new SharedByteRing(new SharedArrayBuffer(headerBytes + capacity), dataWake, spaceWake);
  }

  /** The same ring, in the thread that was sent its parts. */
  static from(parts: SharedRingParts): SharedByteRing {
    return new SharedByteRing(
      parts.memory, new WakeWord(parts.dataWake), new WakeWord(parts.spaceWake));
  }

  get parts(): SharedRingParts {
    return {
      memory: this.#memory, dataWake: this.dataWake.shared, spaceWake: this.spaceWake.shared,
    };
  }

  /** Bytes waiting for the consumer. */
  available(): number {
    return (Atomics.load(this.#cells, writeIndex) - Atomics.load(this.#cells, readIndex)) >>> 0;
  }

  space(): number {
    return this.capacity - this.available();
  }

  /** Producer: one byte; false when the ring is full. Allocates nothing. */
  put(byte: number): boolean {
    const at = Atomics.load(this.#cells, writeIndex);
    if (((at - Atomics.load(this.#cells, readIndex)) >>> 0) === this.capacity) {
      return false;
    }
    this.#bytes[at & (this.capacity - 1)] = byte;
    // The store of the index publishes the byte: atomics are sequentially consistent.
    Atomics.store(this.#cells, writeIndex, (at + 1) | 0);
    this.dataWake.signal();
    return true;
  }

  /** Producer: as many of the bytes as there is room for; returns how many. */
  write(from: Uint8Array): number {
    const at = Atomics.load(this.#cells, writeIndex);
    const count = Math.min(from.length, this.space());
    if (count > 0) {
      const start = at & (this.capacity - 1);
      const first = Math.min(count, this.capacity - start);
      this.#bytes.set(from.subarray(0, first), start);
      this.#bytes.set(from.subarray(first, count), 0);
      Atomics.store(this.#cells, writeIndex, (at + count) | 0);
      this.dataWake.signal();
    }
    return count;
  }

  /** Consumer: the next byte, or -1. Allocates nothing. */
  get(): number {
    const at = Atomics.load(this.#cells, readIndex);
    if (at === Atomics.load(this.#cells, writeIndex)) {
      return -1;
    }
    const byte = this.#bytes[at & (this.capacity - 1)] ?? -1;
    this.#freed(at, 1);
    return byte;
  }

  /** Consumer: up to `into.length` bytes; returns how many. */
  read(into: Uint8Array): number {
    const at = Atomics.load(this.#cells, readIndex);
    const count = Math.min(into.length, this.available());
    if (count > 0) {
      const start = at & (this.capacity - 1);
      const first = Math.min(count, this.capacity - start);
      into.set(this.#bytes.subarray(start, start + first), 0);
      into.set(this.#bytes.subarray(0, count - first), first);
      this.#freed(at, count);
    }
    return count;
  }

  /** Producer: nothing more will come. What is in the ring can still be read. */
  close(): void {
    Atomics.store(this.#cells, closedFlag, 1);
    this.dataWake.signal();
  }

  get closed(): boolean {
    return Atomics.load(this.#cells, closedFlag) !== 0;
  }

  #freed(at: number, count: number): void {
    Atomics.store(this.#cells, readIndex, (at + count) | 0);
    this.spaceWake.signal();
  }
}
