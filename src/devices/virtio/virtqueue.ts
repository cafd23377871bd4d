/**
 * A virtqueue as a device model sees it: chains of buffers come out, used lengths go in, and one
 * interrupt follows a batch. Hot paths call `drain` and read the table; others loop over `take`.
 */
import { assert } from "../../base/assert.ts";
import type { GuestMemory } from "../../fabric/memory.ts";
import { PackedRing, packedStart } from "./packed-ring.ts";
import { ChainTable, type QueueState, type Ring } from "./ring.ts";
import { SplitRing } from "./split-ring.ts";

export interface QueueDescription {
  readonly name: string;
  /** Largest number of descriptors, a power of two; at most 2^15. */
  readonly size: number;
  /** Longest chain accepted; the size of the queue when absent. */
  readonly piecesMax?: number;
}

export interface RingFeatures {
  readonly packed: boolean;
  readonly indirect: boolean;
  readonly eventIndex: boolean;
}

/** What a queue asks of its device. */
export interface QueueOwner {
  interrupt(queue: Virtqueue): void;
  /** The guest broke the rules of the ring. */
  fault(queue: Virtqueue, reason: string): void;
}

/** A doorbell serves no more than this many rings full of chains: another vCPU that refills the
 * ring as fast as we empty it must not hold the machine. */
const roundsMax = 16;

function newQueueState(size: number): QueueState {
  return {
    size, ready: false, broken: false, addresses: new Uint32Array(6), nextAvailable: 0,
    nextUsed: 0,
  };
}

/** A chain taken from a queue. Objects are reused once completed. */
export class Chain {
  readonly #queue: Virtqueue;
  readonly #row: number;
  readonly #read = { piece: 0, skip: 0 };
  readonly #written = { piece: 0, skip: 0 };

  constructor(queue: Virtqueue, row: number) {
    this.#queue = queue;
    this.#row = row;
  }

  /** Bytes the guest offers in all, as it claims: up to gigabytes. */
  get readableBytes(): number {
    return this.#queue.table.readableBytes[this.#row] ?? 0;
  }

  get writableBytes(): number {
    return this.#queue.table.writableBytes[this.#row] ?? 0;
  }

  /** Starts again at the first byte of both directions. */
  rewind(): void {
    Object.assign(this.#read, { piece: 0, skip: 0 });
    Object.assign(this.#written, { piece: this.#queue.table.readable[this.#row] ?? 0, skip: 0 });
  }

  /** Takes the next bytes from the guest's buffers; returns how many there were. */
  read(into: Uint8Array): number {
    const { memoryBytes, table } = this.#queue;
    const end = table.readable[this.#row] ?? 0;
    return this.#move(this.#read, end, into.length, (start, length, done) => {
      into.set(memoryBytes.subarray(start, start + length), done);
    });
  }

  /** Puts bytes into the guest's buffers, behind those written before; returns how many fitted. */
  write(bytes: Uint8Array): number {
    const { memoryBytes, memory, table } = this.#queue;
    const end = table.pieces[this.#row] ?? 0;
    return this.#move(this.#written, end, bytes.length, (start, length, done) => {
      memoryBytes.set(bytes.subarray(done, done + length), start);
      memory.noteWriteAt(start, length);
    });
  }

  /** Returns the chain to the guest, with this many bytes written. */
  complete(writtenBytes: number): void {
    this.#queue.complete(this.#row, writtenBytes);
  }

  #move(
    at: { piece: number; skip: number }, end: number, wanted: number,
    copy: (start: number, length: number, done: number) => void,
  ): number {
    const { table } = this.#queue;
    let done = 0;
    while (done < wanted && at.piece < end) {
      const index = this.#row * table.stride + at.piece;
      const left = (table.lengths[index] ?? 0) - at.skip;
      const length = Math.min(left, wanted - done);
      copy((table.starts[index] ?? 0) + at.skip, length, done);
      done += length;
      at.skip += length;
      if (length === left) {
        at.piece += 1;
        at.skip = 0;
      }
    }
    return done;
  }
}

export class Virtqueue {
  readonly index: number;
  readonly name: string;
  readonly sizeMax: number;
  readonly memory: GuestMemory;
  /** All of RAM; the table's offsets count from its start. */
  readonly memoryBytes: Uint8Array;
  readonly table: ChainTable;
  readonly #owner: QueueOwner;
  readonly #split: SplitRing;
  readonly #packed: PackedRing;
  #ring: Ring;
  readonly #chains: (Chain | undefined)[] = [];
  /** Stack of free rows. */
  readonly #freeRows: Uint16Array;
  #freeCount: number;
  readonly state: QueueState;

  constructor(
    index: number, description: QueueDescription, memory: GuestMemory, owner: QueueOwner,
  ) {
    const { name, size, piecesMax = size } = description;
    this.index = index;
    this.name = name;
    this.sizeMax = size;
    this.memory = memory;
    this.memoryBytes = new Uint8Array(
      memory.buffer, memory.base, memory.lowBytes + memory.highBytes);
    this.table = new ChainTable(size, piecesMax);
    this.#owner = owner;
    this.state = newQueueState(size);
    this.#split = new SplitRing(memory, this.state);
    this.#packed = new PackedRing(memory, this.state);
    this.#ring = this.#split;
    this.#freeRows = new Uint16Array(size).map((_zero, row) => size - 1 - row);
    this.#freeCount = size;
  }

  get ready(): boolean {
    return this.state.ready && !this.state.broken;
  }

  get isPacked(): boolean {
    return this.#ring === this.#packed;
  }

  /** Features that change how the rings are read. */
  negotiate(features: RingFeatures): void {
    this.#ring = features.packed ? this.#packed : this.#split;
    this.#ring.indirect = features.indirect;
    this.#ring.eventIndex = features.eventIndex;
  }

  /** Starts with the addresses in `state`. */
  enable(): void {
    this.state.ready = true;
    this.state.nextAvailable = this.isPacked ? packedStart : 0;
    this.state.nextUsed = this.state.nextAvailable;
    this.sync();
  }

  reset(): void {
    const { state } = this;
    Object.assign(state, {
      size: this.sizeMax, ready: false, broken: false, nextAvailable: 0, nextUsed: 0,
    });
    state.addresses.fill(0);
    this.#freeRows.set(new Uint16Array(this.sizeMax).map((_zero, row) => this.sizeMax - 1 - row));
    this.#freeCount = this.sizeMax;
  }

  /** Finds the rings again, after `state` was loaded. */
  sync(): void {
    if (this.ready) {
      const wrong = this.#ring.locate(this.state);
      if (wrong !== undefined) {
        this.#break(wrong);
      }
    }
  }

  /** Takes the next chain; returns its row in `table`, or -1. Allocates nothing. */
  pop(): number {
    if (!this.ready || this.#freeCount === 0) {
      return -1;
    }
    const row = this.#freeRows[this.#freeCount - 1] ?? 0;
    if (this.#ring.pop(this.table, row)) {
      this.#freeCount -= 1;
      return row;
    }
    if (this.#ring.fault !== undefined) {
      this.#break(this.#ring.fault);
    }
    return -1;
  }

  /** Gives a row back with the number of bytes written to it. The guest sees it at `publish`. */
  complete(row: number, writtenBytes: number): void {
    assert(this.#freeCount < this.sizeMax, "a chain is completed once");
    this.#ring.give(this.table, row, writtenBytes);
    this.#freeRows[this.#freeCount] = row;
    this.#freeCount += 1;
  }

  /** Shows the guest what was completed; at most one interrupt. */
  publish(): void {
    if (this.state.ready && this.#ring.publish()) {
      this.#owner.interrupt(this);
    }
  }

  /** Asks to be told of the next chain; true if there is one already. */
  rearm(): boolean {
    return this.ready && this.#freeCount > 0 && this.#ring.rearm();
  }

  /** Serves every waiting chain, then interrupts once. `serve` completes rows or keeps them;
   * `settle` follows when none is waiting, and may complete what was kept. */
  drain(serve: (row: number) => void, settle?: () => void): void {
    let left = this.state.size * roundsMax;
    do {
      for (let row = this.pop(); row >= 0; row = left > 0 ? this.pop() : -1) {
        left -= 1;
        serve(row);
      }
      settle?.();
    } while (this.rearm() && left > 0);
    this.publish();
  }

  /** The waiting chains, one after the other; one interrupt once the loop is left. */
  *take(): Generator<Chain, void, void> {
    try {
      let left = this.state.size * roundsMax;
      do {
        for (let row = this.pop(); row >= 0; row = left > 0 ? this.pop() : -1) {
          left -= 1;
          yield this.chain(row);
        }
      } while (this.rearm() && left > 0);
    } finally {
      this.publish();
    }
  }

  /** A row as an object, at its first byte. */
  chain(row: number): Chain {
    const chain = this.#chains[row] ?? new Chain(this, row);
    this.#chains[row] = chain;
    chain.rewind();
    return chain;
  }

  #break(reason: string): void {
    this.state.broken = true;
    this.#owner.fault(this, reason);
  }
}
