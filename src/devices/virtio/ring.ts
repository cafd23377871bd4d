/**
 * What a virtqueue asks of its rings, and the table that chains are unpacked into. One row a
 * chain, typed arrays by column: a request allocates nothing (`bench/virtqueue.ts`).
 */

import { assert } from "../../base/assert.ts";
import type { GuestMemory } from "../../fabric/memory.ts";

/** Where a guest put the three parts of a queue, and how far both sides have come. */
export interface QueueState {
  [key: string]: unknown;
  size: number;
  ready: boolean;
  /** The guest broke the rules of the ring; nothing moves until a reset. */
  broken: boolean;
  /** Low and high words of the addresses: descriptors, driver area, device area. */
  readonly addresses: Uint32Array;
  /** Where the next chain is taken, and where the next one is given back. In split rings both run
   * on to 2^16; in packed ones they are slots with the wrap counter in bit 15. */
  nextAvailable: number;
  nextUsed: number;
}

/** Address of the descriptors (0), the driver's area (1) or the device's (2). */
export function areaAddress({ addresses }: QueueState, index: number): number {
  return (addresses[index * 2 + 1] ?? 0) * 2 ** 32 + (addresses[index * 2] ?? 0);
}

/** RAM as rings are read: by bytes, and by words for indexes that both sides write. */
export function ringViews(memory: GuestMemory): { view: DataView; words: Uint16Array } {
  assert(memory.base % 8 === 0, "RAM is aligned");
  const bytes = memory.lowBytes + memory.highBytes;
  return {
    view: new DataView(memory.buffer, memory.base, bytes),
    words: new Uint16Array(memory.buffer, memory.base, bytes / 2),
  };
}

export interface Ring {
  /** Finds the rings in memory; says what is wrong with them. */
  locate(state: QueueState): string | undefined;
  /** Unpacks the next chain into a row. Returns false when there is none; what breaks the
   * rules is told by `fault`. */
  pop(table: ChainTable, row: number): boolean;
  fault: string | undefined;
  /** Queues the chain of a row for return to the guest. */
  give(table: ChainTable, row: number, writtenBytes: number): void;
  /** Asks to be notified of the next chain; true if there is one already. */
  rearm(): boolean;
  /** Shows the guest what was given since the last call; true if it wants an interrupt. */
  publish(): boolean;
  indirect: boolean;
  eventIndex: boolean;
}

/** Rows of chains taken from a queue and not yet returned. */
export class ChainTable {
  readonly rows: number;
  /** Pieces a row has room for. */
  readonly stride: number;
  /** The guest's name for the chain. */
  readonly id: Uint16Array;
  /** Slots of a packed ring that the chain took. */
  readonly slots: Uint16Array;
  /** Pieces, of which the first `readable` are for the device to read, the rest to write. */
  readonly pieces: Uint16Array;
  readonly readable: Uint16Array;
  readonly readableBytes: Float64Array;
  readonly writableBytes: Float64Array;
  /** Offset in RAM and length of piece `row * stride + n`. */
  readonly starts: Float64Array;
  readonly lengths: Float64Array;

  constructor(rows: number, stride: number) {
    this.rows = rows;
    this.stride = stride;
    this.id = new Uint16Array(rows);
    this.slots = new Uint16Array(rows);
    this.pieces = new Uint16Array(rows);
    this.readable = new Uint16Array(rows);
    this.readableBytes = new Float64Array(rows);
    this.writableBytes = new Float64Array(rows);
    this.starts = new Float64Array(rows * stride);
    this.lengths = new Float64Array(rows * stride);
  }

  begin(row: number, id: number): void {
    this.id[row] = id;
    this.pieces[row] = 0;
    this.readable[row] = 0;
    this.readableBytes[row] = 0;
    this.writableBytes[row] = 0;
  }

  /** Appends a piece of RAM; says what is wrong if it cannot follow those before it. */
  add(row: number, start: number, length: number, writable: boolean): string | undefined {
    const count = this.pieces[row] ?? 0;
    const readable = this.readable[row] ?? 0;
    if (count >= this.stride) {
      return "a chain has too many descriptors";
    }
    if (writable) {
      this.writableBytes[row] = (this.writableBytes[row] ?? 0) + length;
    } else if (readable === count) {
      this.readable[row] = readable + 1;
      this.readableBytes[row] = (this.readableBytes[row] ?? 0) + length;
    } else {
      return "a readable descriptor follows a writable one";
    }
    const at = row * this.stride + count;
    this.starts[at] = start;
    this.lengths[at] = length;
    this.pieces[row] = count + 1;
    return undefined;
  }
}
