/**
 * Guest RAM: one buffer, seen at guest-physical addresses below 3 GiB and from 4 GiB on
 * (bhyve's split). Every access that a guest's numbers steer goes through here and is checked:
 * outside RAM, reads give ones and writes vanish, as on a bus where nothing answers.
 */
import { assert } from "../base/assert.ts";
import { GiB, type Gpa } from "../base/units.ts";

/** RAM below this address; the rest starts at 4 GiB (bhyve's lowmem_limit). */
export const lowMemoryLimit = 3 * GiB;
export const highMemoryBase = 4 * GiB;

const pageShift = 12;

/** Told when RAM changes behind the vCPU's back, so that code read from there is forgotten. */
export type WriteObserver = (offset: number, length: number) => void;

export class GuestMemory {
  readonly buffer: ArrayBufferLike;
  /** Where RAM starts in `buffer`. */
  readonly base: number;
  readonly lowBytes: number;
  readonly highBytes: number;
  /** Non-zero for RAM pages (by index from `base`) whose writes `onCodeWrite` must hear of. */
  readonly watchedPages: Uint8Array;
  onWatchedWrite: WriteObserver = () => {};
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  /** `buffer` holds at least `base + sizeBytes` bytes; `sizeBytes` is a multiple of 4 KiB. */
  constructor(buffer: ArrayBufferLike, base: number, sizeBytes: number, watched?: Uint8Array) {
    assert(sizeBytes % 4096 === 0, "RAM is made of whole pages");
    assert(base + sizeBytes <= buffer.byteLength, "RAM lies within its buffer");
    this.buffer = buffer;
    this.base = base;
    this.lowBytes = Math.min(sizeBytes, lowMemoryLimit);
    this.highBytes = sizeBytes - this.lowBytes;
    this.watchedPages = watched ?? new Uint8Array(sizeBytes >>> pageShift);
    this.#bytes = new Uint8Array(buffer, base, sizeBytes);
    this.#view = new DataView(buffer, base, sizeBytes);
  }

  /** The offset from `base` of `length` bytes at `address`, or -1 unless all of them are RAM. */
  offsetOf(address: Gpa, length: number): number {
    if (address >= 0 && length >= 0 && address + length <= this.lowBytes) {
      return address;
    }
    const high = address - highMemoryBase;
    return high >= 0 && length >= 0 && high + length <= this.highBytes ? this.lowBytes + high : -1;
  }

  contains(address: Gpa, length: number): boolean {
    return this.offsetOf(address, length) >= 0;
  }

  u8(address: Gpa): number {
    const at = this.offsetOf(address, 1);
    return at < 0 ? 0xff : this.#view.getUint8(at);
  }

  u16(address: Gpa): number {
    const at = this.offsetOf(address, 2);
    return at < 0 ? 0xffff : this.#view.getUint16(at, true);
  }

  u32(address: Gpa): number {
    const at = this.offsetOf(address, 4);
    return at < 0 ? 0xffff_ffff : this.#view.getUint32(at, true);
  }

  /** A 64-bit field as a double: for addresses and lengths, where values from 2^53 on are wrong
   * anyway and come out as a number no RAM contains. */
  u64(address: Gpa): number {
    const at = this.offsetOf(address, 8);
    if (at < 0) {
      return Number.MAX_SAFE_INTEGER;
    }
    return this.#view.getUint32(at + 4, true) * 2 ** 32 + this.#view.getUint32(at, true);
  }

  setU8(address: Gpa, value: number): void {
    const at = this.offsetOf(address, 1);
    if (at >= 0) {
      this.#view.setUint8(at, value);
      this.#wrote(at, 1);
    }
  }

  setU16(address: Gpa, value: number): void {
    const at = this.offsetOf(address, 2);
    if (at >= 0) {
      this.#view.setUint16(at, value, true);
      this.#wrote(at, 2);
    }
  }

  setU32(address: Gpa, value: number): void {
    const at = this.offsetOf(address, 4);
    if (at >= 0) {
      this.#view.setUint32(at, value, true);
      this.#wrote(at, 4);
    }
  }

  /** Stores an integer below 2^53. */
  setU64(address: Gpa, value: number): void {
    const at = this.offsetOf(address, 8);
    if (at >= 0) {
      this.#view.setUint32(at, value >>> 0, true);
      this.#view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
      this.#wrote(at, 8);
    }
  }

  /** Copies `length` bytes out; bytes outside RAM read as ones. */
  read(address: Gpa, length: number): Uint8Array {
    const at = this.offsetOf(address, length);
    return at < 0 ? new Uint8Array(length).fill(0xff) : this.#bytes.slice(at, at + length);
  }

  /** Copies `bytes` in; all of them or, outside RAM, none. */
  write(address: Gpa, bytes: Uint8Array): void {
    const at = this.offsetOf(address, bytes.length);
    if (at >= 0) {
      this.#bytes.set(bytes, at);
      this.#wrote(at, bytes.length);
    }
  }

  /** A window for a host call that fills or drains RAM; undefined outside RAM. After filling it
   * the caller says so with `noteWrite`. Allocates: not for paths that run per request. */
  window(address: Gpa, length: number): Uint8Array | undefined {
    const at = this.offsetOf(address, length);
    return at < 0 ? undefined : this.#bytes.subarray(at, at + length);
  }

  /** Says that a host call has filled RAM (see `window`). */
  noteWrite(address: Gpa, length: number): void {
    const at = this.offsetOf(address, length);
    if (at >= 0) {
      this.#wrote(at, length);
    }
  }

  /** The same for a caller that holds an offset from `offsetOf`. */
  noteWriteAt(offset: number, length: number): void {
    if (length > 0) {
      this.#wrote(offset, length);
    }
  }

  #wrote(at: number, length: number): void {
    const last = (at + length - 1) >>> pageShift;
    for (let page = at >>> pageShift; page <= last; page += 1) {
      if (this.watchedPages[page] !== 0) {
        this.onWatchedWrite(at, length);
        return;
      }
    }
  }
}
