/** Reads a file that the user named but nobody vouches for: every read is checked, and whatever
 * is wrong becomes an error that names key and file. */
import { ConfigError } from "../base/errors.ts";
import type { BootFile } from "./boot-file.ts";

/** The error for a file that cannot be used. */
export function fileError(file: BootFile, message: string): ConfigError {
  return new ConfigError({ key: file.key, value: file.path, message });
}

export class ImageReader {
  readonly file: BootFile;
  readonly length: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  /** `bytes` where they are not the file's own, as after unpacking. */
  constructor(file: BootFile, bytes: Uint8Array = file.bytes) {
    this.file = file;
    this.length = bytes.length;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  error(message: string): ConfigError {
    return fileError(this.file, message);
  }

  has(offset: number, length: number): boolean {
    return offset >= 0 && length >= 0 && offset + length <= this.length;
  }

  u8(offset: number): number {
    this.#demand(offset, 1);
    return this.#view.getUint8(offset);
  }

  u16(offset: number): number {
    this.#demand(offset, 2);
    return this.#view.getUint16(offset, true);
  }

  u32(offset: number): number {
    this.#demand(offset, 4);
    return this.#view.getUint32(offset, true);
  }

  /** A double: what is too large for it is too large for any file or memory. */
  u64(offset: number): number {
    return this.u32(offset + 4) * 2 ** 32 + this.u32(offset);
  }

  /** A view of part of the file. */
  part(offset: number, length: number): Uint8Array {
    this.#demand(offset, length);
    return this.#bytes.subarray(offset, offset + length);
  }

  /** The text up to a zero byte, at most `max` bytes of it. */
  text(offset: number, max: number): string {
    const end = Math.min(offset + max, this.length);
    const bytes = this.#bytes.subarray(offset, end);
    const zero = bytes.indexOf(0);
    return Buffer.from(zero < 0 ? bytes : bytes.subarray(0, zero)).toString("latin1");
  }

  #demand(offset: number, length: number): void {
    if (!this.has(offset, length)) {
      throw this.error("the image is truncated or damaged: it refers to bytes "
        + `${offset} to ${offset + length}, and has ${this.length}; allowed: complete images`);
    }
  }
}
