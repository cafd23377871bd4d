/** A disk that is served in the machine's own thread: each request is one call of its image. */
import { assert } from "../../base/assert.ts";
import type { BlockQueue } from "../../fabric/block-queue.ts";
import { eachPart } from "../../fabric/block-queue.ts";
import type { BlockBackend, BufferParts } from "../../fabric/device.ts";
import { isPromise, sectorBytesDefault, type BlockImage, type Eventually } from "./image.ts";

/** How often the size is looked at; a guest that sleeps wakes about as often. */
const sizeCheckMs = 1000;

export class InlineDisk implements BlockBackend {
  readonly readOnly: boolean;
  readonly sectorBytes: number;
  readonly physicalSectorBytes: number;
  readonly canDiscard: boolean;
  readonly writeZeroes?: (offset: number, length: number) => void;
  readonly queue?: BlockQueue;
  readonly #image: BlockImage;
  #onResized: () => void = () => {};
  #checkedMs = 0;

  constructor(image: BlockImage, queue?: BlockQueue) {
    this.#image = image;
    this.readOnly = image.readOnly;
    this.sectorBytes = image.sectorBytes ?? sectorBytesDefault;
    this.physicalSectorBytes = Math.max(this.sectorBytes, image.physicalSectorBytes ?? 0);
    this.canDiscard = image.discard !== undefined && !image.readOnly;
    if (image.writeZeroes !== undefined && !image.readOnly) {
      this.writeZeroes = (offset, length) => {
        this.#checkRange(offset, length);
        over(image.writeZeroes?.(offset, length));
      };
    }
    if (queue !== undefined) {
      this.queue = queue;
    }
  }

  get sizeBytes(): number {
    return this.#image.sizeBytes;
  }

  read(offset: number, into: Uint8Array): void {
    this.#checkRange(offset, into.length);
    over(this.#image.read(offset, into));
  }

  write(offset: number, from: Uint8Array): void {
    this.#checkWrite(offset, from.length);
    over(this.#image.write?.(offset, from));
  }

  readParts(offset: number, parts: BufferParts): void {
    this.#checkRange(offset, parts.totalBytes);
    if (this.#image.readParts !== undefined) {
      this.#image.readParts(offset, parts);
    } else {
      eachPart(parts, (part, at) => over(this.#image.read(offset + at, part)));
    }
  }

  writeParts(offset: number, parts: BufferParts): void {
    this.#checkWrite(offset, parts.totalBytes);
    if (this.#image.writeParts !== undefined) {
      this.#image.writeParts(offset, parts);
    } else {
      eachPart(parts, (part, at) => over(this.#image.write?.(offset + at, part)));
    }
  }

  flush(): void {
    over(this.#image.flush?.());
  }

  discard(offset: number, length: number): boolean {
    this.#checkWrite(offset, length);
    over(this.#image.discard?.(offset, length));
    return this.canDiscard;
  }

  onResized(listener: () => void): void {
    this.#onResized = listener;
  }

  /** Called by whoever runs the machine, between time slices. */
  poll(nowMs: number): void {
    if (nowMs - this.#checkedMs >= sizeCheckMs) {
      this.#checkedMs = nowMs;
      if (this.#image.refreshSize?.() === true) {
        this.#onResized();
      }
    }
  }

  close(): void {
    over(this.#image.close?.());
  }

  #checkWrite(offset: number, length: number): void {
    assert(!this.readOnly, "nothing writes to a disk that was opened for reading");
    this.#checkRange(offset, length);
  }

  /** The device model has checked the guest's numbers; a write here would grow the file. */
  #checkRange(offset: number, length: number): void {
    assert(offset >= 0, "a disk request starts inside the disk");
    assert(offset + length <= this.sizeBytes, "a disk request ends inside the disk");
  }
}

function over(result: Eventually): void {
  assert(!isPromise(result), "an image in the machine's own thread is done when it returns");
}
