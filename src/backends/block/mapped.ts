/** Images for reading whose blocks lie anywhere in a file: common to VMDK, VHD and VHDX. */
import { HostError } from "../../base/errors.ts";
import type { HostFile } from "../../host/files.ts";
import type { BlockImage } from "./image.ts";

export interface BlockMap {
  readonly sizeBytes: number;
  readonly blockBytes: number;
  /** Where a block's bytes begin in the file; -1 for a block of zeros. */
  locate(block: number): number;
  /** For blocks that are packed: the bytes of the block at this place. */
  unpack?(offset: number): Uint8Array;
}

export class MappedImage implements BlockImage {
  readonly readOnly = true;
  readonly sizeBytes: number;
  readonly sectorBytes: number;
  readonly #file: HostFile;
  readonly #map: BlockMap;
  #unpacked: { readonly block: number; readonly bytes: Uint8Array } | undefined;

  constructor(file: HostFile, map: BlockMap, sectorBytes = 512) {
    this.#file = file;
    this.#map = map;
    this.sectorBytes = sectorBytes;
    this.sizeBytes = map.sizeBytes - map.sizeBytes % sectorBytes;
  }

  read(offset: number, into: Uint8Array): void {
    const { blockBytes } = this.#map;
    for (let done = 0; done < into.length;) {
      const position = offset + done;
      const inBlock = position % blockBytes;
      const count = Math.min(into.length - done, blockBytes - inBlock);
      this.#readBlock(Math.floor(position / blockBytes), inBlock,
        into.subarray(done, done + count));
      done += count;
    }
  }

  close(): void {
    this.#file.close();
  }

  #readBlock(block: number, start: number, into: Uint8Array): void {
    const at = this.#map.locate(block);
    if (at < 0) {
      into.fill(0);
    } else if (this.#map.unpack === undefined) {
      into.fill(0, this.#file.read(at + start, into));
    } else {
      const bytes = this.#unpacked?.block === block ? this.#unpacked.bytes
        : this.#map.unpack(at);
      this.#unpacked = { block, bytes };
      const part = bytes.subarray(start, start + into.length);
      into.set(part);
      into.fill(0, part.length);
    }
  }
}

export function unusable(path: string, format: string, why: string): HostError {
  return new HostError(`cannot use ${path} as ${format}`, why);
}

/** Exactly `length` bytes; throws HostError where the file has fewer. */
export function readExactly(
  file: HostFile, offset: number, length: number, format: string,
): DataView {
  const bytes = new Uint8Array(length);
  if (!Number.isSafeInteger(offset) || offset < 0 || offset + length > file.sizeBytes) {
    throw unusable(file.path, format, "it is cut short");
  }
  file.read(offset, bytes);
  return new DataView(bytes.buffer);
}

/** A 64-bit little-endian number as a double. */
export function u64le(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
}
