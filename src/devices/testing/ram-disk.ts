/** A disk in memory that remembers what was asked of it, and fails on demand. */
import { HostError } from "../../base/errors.ts";
import type { BlockBackend } from "../../fabric/device.ts";

export interface RamDiskOptions {
  readonly readOnly?: boolean;
  readonly sectorBytes?: number;
  readonly physicalSectorBytes?: number;
  readonly canDiscard?: boolean;
}

export class RamDisk implements BlockBackend {
  bytes: Uint8Array;
  readonly readOnly: boolean;
  readonly sectorBytes: number;
  readonly physicalSectorBytes: number;
  readonly canDiscard: boolean;
  flushes = 0;
  readonly discarded: { readonly offset: number; readonly length: number }[] = [];
  /** Every request fails while this is set. */
  failing = false;
  #resized: () => void = () => {};

  constructor(sizeBytes: number, options: RamDiskOptions = {}) {
    this.bytes = new Uint8Array(sizeBytes).map((_zero, index) => index * 7 + (index >>> 9));
    this.readOnly = options.readOnly ?? false;
    this.sectorBytes = options.sectorBytes ?? 512;
    this.physicalSectorBytes = options.physicalSectorBytes ?? this.sectorBytes;
    this.canDiscard = options.canDiscard ?? false;
  }

  get sizeBytes(): number {
    return this.bytes.length;
  }

  read(offset: number, into: Uint8Array): void {
    this.#check();
    into.set(this.bytes.subarray(offset, offset + into.length));
  }

  write(offset: number, from: Uint8Array): void {
    this.#check();
    this.bytes.set(from, offset);
  }

  flush(): void {
    this.#check();
    this.flushes += 1;
  }

  discard(offset: number, length: number): boolean {
    this.#check();
    this.discarded.push({ offset, length });
    return this.canDiscard;
  }

  writeZeroes(offset: number, length: number): void {
    this.#check();
    this.bytes.fill(0, offset, offset + length);
  }

  close(): void {}

  onResized(listener: () => void): void {
    this.#resized = listener;
  }

  /** As when another program has changed the size of the file. */
  resize(sizeBytes: number): void {
    const old = this.bytes;
    this.bytes = new Uint8Array(sizeBytes);
    this.bytes.set(old.subarray(0, sizeBytes));
    this.#resized();
  }

  #check(): void {
    if (this.failing) {
      throw new HostError("the disk of a test", new Error("fails on demand"));
    }
  }
}
