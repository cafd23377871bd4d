/**
 * Requests to a disk, many at a time: a device submits all that its guest has put into a queue,
 * kicks once, and hears of each when it is done. Objects are the device's and are reused.
 */
import { HostError } from "../base/errors.ts";
import type { BlockBackend, BufferParts } from "./device.ts";

export const blockOperation = { read: 0, write: 1, flush: 2, discard: 3, writeZeroes: 4 } as const;
export type BlockOperation = (typeof blockOperation)[keyof typeof blockOperation];

export interface BlockRequest {
  readonly operation: BlockOperation;
  /** In bytes, as all lengths here; the device has checked that the range lies on the disk. */
  readonly offset: number;
  /** Of a discard or of zeros to write; data says itself how much it is. */
  readonly length: number;
  /** What is read into or written from. */
  readonly parts: BufferParts;
  /** The guest has taken its memory back: no part may be touched any more, and nobody wants to
   * hear. What was to be written may still get written. */
  readonly abandoned: boolean;
  /** The request is done, or has failed. Comes once, perhaps before `submit` returns. */
  complete(error: HostError | undefined): void;
}

export interface BlockQueue {
  submit(request: BlockRequest): void;
  /** Nothing more is submitted for now. */
  kick(): void;
  /** Called after a batch of completions that came on their own, outside `submit` and `kick`. */
  onBatch(listener: () => void): void;
  /** Nothing that is submitted later overtakes what is under way. */
  barrier(): void;
  /** Returns once nothing is under way. */
  drain(): void;
}

/** The queue of a disk that has none of its own: each request runs when it is submitted. */
export class DirectBlockQueue implements BlockQueue {
  readonly #disk: BlockBackend;

  constructor(disk: BlockBackend) {
    this.#disk = disk;
  }

  submit(request: BlockRequest): void {
    let failure: HostError | undefined;
    try {
      this.#run(request);
    } catch (error) {
      if (!(error instanceof HostError)) {
        throw error;
      }
      failure = error;
    }
    request.complete(failure);
  }

  kick(): void {}

  onBatch(): void {}

  barrier(): void {}

  drain(): void {}

  #run({ operation, offset, length, parts }: BlockRequest): void {
    const disk = this.#disk;
    switch (operation) {
      case blockOperation.read: readParts(disk, offset, parts); break;
      case blockOperation.write: writeParts(disk, offset, parts); break;
      case blockOperation.flush: disk.flush(); break;
      case blockOperation.discard:
        if (!disk.discard(offset, length)) {
          throw new HostError("cannot discard", "the back end refuses");
        }
        break;
      case blockOperation.writeZeroes: disk.writeZeroes?.(offset, length); break;
    }
  }
}

function readParts(disk: BlockBackend, offset: number, parts: BufferParts): void {
  if (disk.readParts !== undefined) {
    disk.readParts(offset, parts);
  } else {
    eachPart(parts, (part, at) => disk.read(offset + at, part));
  }
}

function writeParts(disk: BlockBackend, offset: number, parts: BufferParts): void {
  if (disk.writeParts !== undefined) {
    disk.writeParts(offset, parts);
  } else {
    eachPart(parts, (part, at) => disk.write(offset + at, part));
  }
}

/** Each part as an array of its own, with its place in the whole: for what is rare, or for back
 * ends that take one part at a time. */
export function eachPart(
  parts: BufferParts, use: (part: Uint8Array, at: number) => void,
): void {
  let done = 0;
  for (let index = 0; index < parts.count; index += 1) {
    const start = parts.starts[index] ?? 0;
    const length = parts.lengths[index] ?? 0;
    use(parts.bytes.subarray(start, start + length), done);
    done += length;
  }
}
