/**
 * Who uses which cluster of a qcow2 image: a table of blocks of reference counts. A count is
 * raised before anything refers to its cluster and lowered after nothing does, so that an end at
 * any moment loses no more than space.
 */
import { assert } from "../../../base/assert.ts";
import { HostError } from "../../../base/errors.ts";
import type { HostFile } from "../../../host/files.ts";
import { field, setU64, u64, type Qcow2Header } from "./header.ts";

const sectorBytes = 512;

export class Refcounts {
  readonly #file: HostFile;
  readonly #clusterBytes: number;
  readonly #order: number;
  /** Counts in a block. */
  readonly #blockEntries: number;
  #table: DataView;
  #tableOffset: number;
  readonly #blocks = new Map<number, DataView>();
  /** No cluster below this one is free. */
  #search = 0;
  /** First cluster behind all that was ever used. */
  #end: number;

  constructor(file: HostFile, header: Qcow2Header) {
    this.#file = file;
    this.#clusterBytes = 2 ** header.clusterBits;
    this.#order = header.refcountOrder;
    this.#blockEntries = this.#clusterBytes * 8 / 2 ** this.#order;
    this.#tableOffset = header.refcountTableOffset;
    this.#table = this.#read(this.#tableOffset, header.refcountTableClusters * this.#clusterBytes);
    this.#end = Math.ceil(file.currentSizeBytes() / this.#clusterBytes);
  }

  get tableOffset(): number {
    return this.#tableOffset;
  }

  get tableBytes(): number {
    return this.#table.byteLength;
  }

  /** Takes a free cluster. `fresh` ones were never written, so they read as zeros. */
  allocate(): { readonly offset: number; readonly fresh: boolean } {
    while (this.#search < this.#end && this.#count(this.#search) !== 0) {
      this.#search += 1;
    }
    const index = this.#search;
    const fresh = index >= this.#end;
    this.#end = Math.max(this.#end, index + 1);
    this.#search = index + 1;
    this.#blockFor(index);
    if (this.#count(index) !== 0) {
      return this.allocate(); // The block of counts itself has taken this cluster.
    }
    this.#setCount(index, 1);
    return { offset: index * this.#clusterBytes, fresh };
  }

  /** Gives one reference to a cluster back; true if it was the last. */
  release(offset: number): boolean {
    const index = Math.floor(offset / this.#clusterBytes);
    const count = this.#count(index);
    if (count === 0) {
      return false; // The counts are wrong; lowering them further would be worse.
    }
    this.#setCount(index, count - 1);
    if (count === 1) {
      this.#search = Math.min(this.#search, index);
    }
    return count === 1;
  }

  #block(number: number): DataView | undefined {
    const cached = this.#blocks.get(number);
    if (cached !== undefined || number * 8 >= this.#table.byteLength) {
      return cached;
    }
    const offset = u64(this.#table, number * 8);
    if (offset === 0) {
      return undefined;
    }
    if (offset % sectorBytes !== 0 || offset >= this.#file.currentSizeBytes()) {
      throw new HostError(`${this.#file.path} is corrupt`,
        "a block of reference counts lies outside the file");
    }
    const block = this.#read(offset, this.#clusterBytes);
    this.#blocks.set(number, block);
    return block;
  }

  #count(index: number): number {
    const block = this.#block(Math.floor(index / this.#blockEntries));
    const entry = index % this.#blockEntries;
    if (block === undefined) {
      return 0;
    }
    switch (this.#order) {
      case 3: return block.getUint8(entry);
      case 4: return block.getUint16(entry * 2);
      case 5: return block.getUint32(entry * 4);
      case 6: return u64(block, entry * 8);
      default: {
        const width = 2 ** this.#order;
        const bit = entry * width;
        return (block.getUint8(bit >>> 3) >>> (bit & 7)) & (2 ** width - 1);
      }
    }
  }

  #setCount(index: number, count: number): void {
    const number = Math.floor(index / this.#blockEntries);
    const block = this.#block(number);
    assert(block !== undefined, "a count that changes has its block");
    const bytes = putCount(block, index % this.#blockEntries, count, this.#order);
    const offset = u64(this.#table, number * 8);
    this.#file.write(offset + bytes.at, new Uint8Array(block.buffer), bytes.at, bytes.length);
  }

  /** Makes sure that there is a block for the count of this cluster. */
  #blockFor(index: number): void {
    const number = Math.floor(index / this.#blockEntries);
    if (this.#block(number) !== undefined) {
      return;
    }
    if (number * 8 >= this.#table.byteLength) {
      this.#growTable(number);
      this.#blockFor(index);
      return;
    }
    // The new block takes the cluster itself, which it counts: nothing else is needed for it.
    const block = new DataView(new ArrayBuffer(this.#clusterBytes));
    putCount(block, index % this.#blockEntries, 1, this.#order);
    const offset = index * this.#clusterBytes;
    this.#file.write(offset, new Uint8Array(block.buffer));
    this.#blocks.set(number, block);
    this.#setTable(number, offset);
  }

  #setTable(number: number, offset: number): void {
    setU64(this.#table, number * 8, offset);
    this.#file.write(this.#tableOffset + number * 8, new Uint8Array(this.#table.buffer),
      number * 8, 8);
  }

  /** A larger table at the end of the file, and the blocks that count its clusters; the header
   * changes to it in one write. */
  #growTable(number: number): void {
    const { clusterBytes, blockEntries } =
      { clusterBytes: this.#clusterBytes, blockEntries: this.#blockEntries };
    const clusters = Math.max(
      2 * this.#table.byteLength / clusterBytes, Math.ceil((number + 2) * 8 / clusterBytes));
    const table = new DataView(new ArrayBuffer(clusters * clusterBytes));
    new Uint8Array(table.buffer).set(new Uint8Array(this.#table.buffer));
    const start = this.#end;
    let end = start + clusters;
    const added = new Map<number, DataView>();
    for (let index = start; index < end; index += 1) {
      const each = Math.floor(index / blockEntries);
      const block = this.#block(each) ?? added.get(each)
        ?? new DataView(new ArrayBuffer(clusterBytes));
      if (this.#block(each) === undefined && !added.has(each)) {
        added.set(each, block);
        setU64(table, each * 8, end * clusterBytes);
        end += 1;
      }
      putCount(block, index % blockEntries, 1, this.#order);
    }
    for (const each of new Set([...added.keys(), Math.floor(start / blockEntries)])) {
      const block = added.get(each) ?? this.#block(each);
      if (block !== undefined) {
        this.#file.write(u64(table, each * 8), new Uint8Array(block.buffer));
        this.#blocks.set(each, block);
      }
    }
    this.#file.write(start * clusterBytes, new Uint8Array(table.buffer));
    this.#file.sync();
    const pointer = new DataView(new ArrayBuffer(12));
    setU64(pointer, 0, start * clusterBytes);
    pointer.setUint32(8, clusters);
    this.#file.write(field.refcountTableOffset, new Uint8Array(pointer.buffer));
    const old = { offset: this.#tableOffset, bytes: this.#table.byteLength };
    this.#table = table;
    this.#tableOffset = start * clusterBytes;
    this.#end = end;
    for (let at = 0; at < old.bytes; at += clusterBytes) {
      this.release(old.offset + at);
    }
  }

  #read(offset: number, length: number): DataView {
    const bytes = new Uint8Array(length);
    this.#file.read(offset, bytes);
    return new DataView(bytes.buffer);
  }
}

/** Changes a count in its block; returns which bytes of the block it touched. */
function putCount(
  block: DataView, entry: number, count: number, order: number,
): { readonly at: number; readonly length: number } {
  const width = 2 ** order;
  const at = Math.floor(entry * width / 8);
  switch (order) {
    case 3: block.setUint8(at, count); break;
    case 4: block.setUint16(at, count); break;
    case 5: block.setUint32(at, count); break;
    case 6: setU64(block, at, count); break;
    default: {
      const shift = (entry * width) & 7;
      const mask = (2 ** width - 1) << shift;
      block.setUint8(at, (block.getUint8(at) & ~mask) | (count << shift));
    }
  }
  return { at, length: Math.max(1, width / 8) };
}
