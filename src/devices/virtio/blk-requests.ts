/**
 * Requests of virtio-blk as they lie in a chain (VIRTIO 1.2 §5.2.6): a header, data, and a status
 * byte. Drivers may split or join these as they like, so header and status are cut off bytewise
 * and neighbouring pieces of data are joined. Nothing is allocated per request.
 */
import type { HostError } from "../../base/errors.ts";
import {
  blockOperation, type BlockOperation, type BlockRequest,
} from "../../fabric/block-queue.ts";
import type { BufferParts } from "../../fabric/device.ts";
import type { Virtqueue } from "./virtqueue.ts";

export const sectorBytes = 512;
export const headerBytes = 16;
const statusBytes = 1;
/** Beyond this sector a byte offset would no longer be exact; no disk is that large. */
const sectorsMax = 2 ** 44;

/** Called when the disk is done with a request. */
export type BlkDone = (request: BlkRequest, error: HostError | undefined) => void;

export class BlkRequest implements BlockRequest {
  readonly queue: Virtqueue;
  readonly row: number;
  readonly #done: BlkDone;
  operation: BlockOperation = blockOperation.read;
  /** In bytes. */
  offset = 0;
  length = 0;
  parts: BufferParts;
  /** The driver has taken the queue away meanwhile. */
  abandoned = false;
  readonly #header = new Uint8Array(headerBytes);
  readonly #view = new DataView(this.#header.buffer);
  /** Where the data begins, after the header. */
  readonly #data = { piece: 0, skip: 0 };
  #statusAt = -1;
  /** A header is there; without it nothing else means anything. */
  hasHeader = false;
  type = 0;
  /** In units of 512 bytes; beyond any disk when the guest's number is not exact. */
  sector = 0;
  /** Data from the guest, or room for data to the guest. */
  readonly out: BufferParts;
  readonly in: BufferParts;

  constructor(queue: Virtqueue, row: number, done: BlkDone) {
    this.queue = queue;
    this.row = row;
    this.#done = done;
    const parts = (): BufferParts => ({
      bytes: queue.memoryBytes,
      starts: new Float64Array(queue.table.stride), lengths: new Float64Array(queue.table.stride),
      count: 0, totalBytes: 0,
    });
    this.out = parts();
    this.in = parts();
    this.parts = this.in;
  }

  /** Says what the disk is to do. */
  ask(operation: BlockOperation, offset: number, length: number): this {
    this.operation = operation;
    this.offset = offset;
    this.length = length;
    this.parts = operation === blockOperation.write ? this.out : this.in;
    return this;
  }

  complete(error: HostError | undefined): void {
    if (!this.abandoned) {
      this.#done(this, error);
    }
  }

  /** Reads the request from its row. False if there is no room for a status byte. */
  parse(): boolean {
    const { row } = this;
    const { table } = this.queue;
    const first = row * table.stride;
    const readableEnd = first + (table.readable[row] ?? 0);
    const end = first + (table.pieces[row] ?? 0);
    const data = this.#readHeader(first, readableEnd);
    this.#gather(this.out, data.piece, readableEnd, data.skip, 0);
    const last = end - 1;
    this.#statusAt = last < readableEnd ? -1
      : (table.starts[last] ?? 0) + (table.lengths[last] ?? 0) - statusBytes;
    this.#gather(this.in, readableEnd, end, 0, statusBytes);
    return this.#statusAt >= 0;
  }

  setStatus(status: number): void {
    this.queue.memoryBytes[this.#statusAt] = status;
    this.queue.memory.noteWriteAt(this.#statusAt, statusBytes);
  }

  /** Says that the data to the guest has been written. */
  noteIn(): void {
    const { starts, lengths, count } = this.in;
    for (let index = 0; index < count; index += 1) {
      this.queue.memory.noteWriteAt(starts[index] ?? 0, lengths[index] ?? 0);
    }
  }

  #readHeader(first: number, end: number): { piece: number; skip: number } {
    const { table, memoryBytes } = this.queue;
    const at = this.#data;
    at.piece = first;
    at.skip = 0;
    let done = 0;
    while (done < headerBytes && at.piece < end) {
      const start = table.starts[at.piece] ?? 0;
      const length = table.lengths[at.piece] ?? 0;
      while (done < headerBytes && at.skip < length) {
        this.#header[done] = memoryBytes[start + at.skip] ?? 0;
        done += 1;
        at.skip += 1;
      }
      if (at.skip === length) {
        at.piece += 1;
        at.skip = 0;
      }
    }
    this.hasHeader = done === headerBytes;
    this.type = this.#view.getUint32(0, true);
    const sector = this.#view.getUint32(12, true) * 2 ** 32 + this.#view.getUint32(8, true);
    this.sector = Math.min(sector, sectorsMax);
    return at;
  }

  /** Lists pieces [from, to) without `skip` bytes at the start and `cut` at the end. */
  #gather(parts: BufferParts, from: number, to: number, skip: number, cut: number): void {
    const { table } = this.queue;
    let count = 0;
    let total = 0;
    let nextStart = -1;
    for (let piece = from; piece < to; piece += 1) {
      const before = piece === from ? skip : 0;
      const after = piece === to - 1 ? cut : 0;
      const start = (table.starts[piece] ?? 0) + before;
      const length = (table.lengths[piece] ?? 0) - before - after;
      if (length > 0 && start === nextStart) {
        parts.lengths[count - 1] = (parts.lengths[count - 1] ?? 0) + length;
      } else if (length > 0) {
        parts.starts[count] = start;
        parts.lengths[count] = length;
        count += 1;
      }
      total += length;
      nextStart = start + length;
    }
    parts.count = count;
    parts.totalBytes = total;
  }
}
