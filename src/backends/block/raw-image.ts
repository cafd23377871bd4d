/** A raw image: the disk's bytes as they are, in a file or a block device. One call a request. */
import { MiB } from "../../base/units.ts";
import { eachPart } from "../../fabric/block-queue.ts";
import type { BufferParts } from "../../fabric/device.ts";
import { systemErrorCode, type HostFile } from "../../host/files.ts";
import type { Holes } from "../../host/holes.ts";
import type { BlockImage } from "./image.ts";
import type { SectorSize } from "./sector-size.ts";

const bounceBytes = 1 * MiB; // Large requests pass in pieces of this size.
const wasmPageBytes = 64 * 1024;

export class RawImage implements BlockImage {
  readonly readOnly: boolean;
  readonly sectorBytes: number;
  readonly physicalSectorBytes: number;
  readonly discard?: (offset: number, length: number) => void;
  readonly writeZeroes?: (offset: number, length: number) => void;
  readonly file: HostFile;
  readonly #holes: Holes | undefined;
  #sizeBytes: number;
  /** A page-aligned buffer for O_DIRECT, which refuses others; made when first needed. */
  #bounce: Uint8Array | undefined;

  constructor(file: HostFile, readOnly: boolean, sectors: SectorSize) {
    this.file = file;
    this.#sizeBytes = file.sizeBytes;
    this.readOnly = readOnly;
    this.sectorBytes = sectors.sectorBytes;
    this.physicalSectorBytes = sectors.physicalSectorBytes;
    const holes = readOnly ? undefined : file.holes();
    this.#holes = holes;
    if (holes !== undefined) {
      this.discard = (offset, length) => holes.punch(offset, length);
      this.writeZeroes = (offset, length) => holes.zero(offset, length);
    }
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  refreshSize(): boolean {
    const now = this.file.currentSizeBytes();
    const changed = now !== this.#sizeBytes;
    this.#sizeBytes = now;
    return changed;
  }

  read(offset: number, into: Uint8Array): void {
    let count = 0;
    try {
      count = this.file.read(offset, into);
    } catch (error) {
      if (systemErrorCode(error) !== "EINVAL") {
        throw error;
      }
      count = this.#readBounced(offset, into);
    }
    // The file may have been cut since it was opened: what is missing reads as zeros.
    into.fill(0, count);
  }

  write(offset: number, from: Uint8Array): void {
    try {
      this.file.write(offset, from);
    } catch (error) {
      if (systemErrorCode(error) !== "EINVAL") {
        throw error;
      }
      this.#writeBounced(offset, from);
    }
  }

  readParts(offset: number, parts: BufferParts): void {
    try {
      const views = viewsOf(parts);
      const count = views === undefined
        ? this.file.read(offset, parts.bytes, parts.starts[0], parts.lengths[0])
        : this.file.readParts(offset, views);
      clearFrom(parts, count);
    } catch (error) {
      if (systemErrorCode(error) !== "EINVAL") {
        throw error;
      }
      eachPart(parts, (part, at) => this.read(offset + at, part));
    }
  }

  writeParts(offset: number, parts: BufferParts): void {
    try {
      const views = viewsOf(parts);
      if (views === undefined) {
        this.file.write(offset, parts.bytes, parts.starts[0], parts.lengths[0]);
      } else {
        this.file.writeParts(offset, views);
      }
    } catch (error) {
      if (systemErrorCode(error) !== "EINVAL") {
        throw error;
      }
      eachPart(parts, (part, at) => this.write(offset + at, part));
    }
  }

  flush(): void {
    this.file.sync();
  }

  close(): void {
    this.#holes?.close();
    this.file.close();
  }

  #aligned(): Uint8Array {
    // WebAssembly memories are page aligned, which no ordinary buffer promises.
    this.#bounce ??= new Uint8Array(
      new WebAssembly.Memory({ initial: bounceBytes / wasmPageBytes }).buffer);
    return this.#bounce;
  }

  #readBounced(offset: number, into: Uint8Array): number {
    const bounce = this.#aligned();
    let done = 0;
    while (done < into.length) {
      const wanted = Math.min(bounce.length, into.length - done);
      const count = this.file.read(offset + done, bounce.subarray(0, wanted));
      into.set(bounce.subarray(0, count), done);
      done += count;
      if (count < wanted) {
        break;
      }
    }
    return done;
  }

  #writeBounced(offset: number, from: Uint8Array): void {
    const bounce = this.#aligned();
    for (let done = 0; done < from.length; done += bounce.length) {
      const piece = from.subarray(done, done + bounce.length);
      bounce.set(piece);
      this.file.write(offset + done, bounce.subarray(0, piece.length));
    }
  }
}

/** A vectored call wants objects; a single part, which is most of them, needs none. */
function viewsOf(parts: BufferParts): Uint8Array[] | undefined {
  if (parts.count === 1) {
    return undefined;
  }
  const views: Uint8Array[] = [];
  eachPart(parts, (part) => views.push(part));
  return views;
}

/** What a cut file no longer has reads as zeros. */
function clearFrom(parts: BufferParts, count: number): void {
  if (count < parts.totalBytes) {
    eachPart(parts, (part, at) => part.fill(0, Math.max(0, count - at)));
  }
}
