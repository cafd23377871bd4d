/** A disk in the host's memory: gone with the machine. Pages are taken as they are written. */
import { ConfigError } from "../../base/errors.ts";
import { readSize, sizeHelp } from "../../config/values.ts";
import { sectorBytesDefault } from "./image.ts";
import type { Layer } from "./layers.ts";

const chunkBytes = 256 * 1024;

const zeros = new Uint8Array(chunkBytes);

export class RamImage implements Layer {
  readonly sizeBytes: number;
  readonly readOnly = false;
  readonly clusterBytes = chunkBytes;
  /** By number; a chunk that is missing is zero. */
  readonly #chunks = new Map<number, Uint8Array>();

  constructor(sizeBytes: number) {
    this.sizeBytes = sizeBytes;
  }

  read(offset: number, into: Uint8Array): void {
    eachChunk(offset, into.length, (number, start, length, done) => {
      const chunk = this.#chunks.get(number);
      const target = into.subarray(done, done + length);
      if (chunk === undefined) {
        target.fill(0);
      } else {
        target.set(chunk.subarray(start, start + length));
      }
    });
  }

  write(offset: number, from: Uint8Array): void {
    eachChunk(offset, from.length, (number, start, length, done) => {
      const there = this.#chunks.get(number);
      const chunk = there === undefined || there === zeros ? new Uint8Array(chunkBytes) : there;
      this.#chunks.set(number, chunk);
      chunk.set(from.subarray(done, done + length), start);
    });
  }

  has(offset: number): boolean {
    return this.#chunks.has(Math.floor(offset / chunkBytes));
  }

  /** As a layer it must keep the zeros; they are one chunk for all. */
  writeZeroes(offset: number, length: number): void {
    eachChunk(offset, length, (number, start, count) => {
      const chunk = this.#chunks.get(number);
      if (count === chunkBytes) {
        this.#chunks.set(number, zeros);
      } else if (chunk !== zeros) {
        chunk?.fill(0, start, start + count);
      }
    });
  }

  discard(offset: number, length: number): void {
    this.writeZeroes(offset, length);
  }
}

function eachChunk(
  offset: number, length: number,
  use: (number: number, start: number, length: number, done: number) => void,
): void {
  for (let done = 0; done < length;) {
    const number = Math.floor((offset + done) / chunkBytes);
    const start = (offset + done) % chunkBytes;
    const count = Math.min(length - done, chunkBytes - start);
    use(number, start, count, done);
    done += count;
  }
}

/** `ram:64M`: a disk of this size. */
export function openRam(key: string, path: string): RamImage {
  const reading = readSize(path.replace(/^ram:/, ""));
  const sizeBytes = "wrong" in reading ? 0 : Number(reading.value);
  if (sizeBytes <= 0 || sizeBytes % sectorBytesDefault !== 0 || !Number.isSafeInteger(sizeBytes)) {
    throw new ConfigError({
      key: `${key}.path`, value: path,
      message: `allowed: ram: and a size in whole sectors of ${sectorBytesDefault} bytes; `
        + sizeHelp,
    });
  }
  return new RamImage(sizeBytes);
}
