/**
 * The clusters of one qcow2 image (QEMU, docs/interop/qcow2.txt): two levels of tables lead from
 * the disk's offsets to those of the file. Backing files are another layer (`../layers.ts`).
 *
 * Every change of a table goes to the file at once and in an order that keeps it consistent: the
 * content of a cluster, its reference count, and then what refers to it.
 */
import { HostError } from "../../../base/errors.ts";
import type { HostFile } from "../../../host/files.ts";
import type { Holes } from "../../../host/holes.ts";
import type { Layer } from "../layers.ts";
import { unpackCluster } from "./compressed.ts";
import { setU64, type Qcow2Header } from "./header.ts";
import { Refcounts } from "./refcounts.ts";

/** In the high word of an entry: the cluster has one user; it is compressed. */
const copied = 0x8000_0000;
const compressed = 0x4000_0000;
/** In the low word: reads as zeros (version 3). */
const zero = 1;
const offsetHigh = 0x00ff_ffff;
const offsetLow = 0xffff_fe00;
const sectorBytes = 512;
/** Tables kept in memory: with clusters of 64 KiB, of 128 GiB of disk in 16 MiB. */
const tablesMax = 256;

export class Qcow2Image implements Layer {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly clusterBytes: number;
  readonly #file: HostFile;
  readonly #header: Qcow2Header;
  readonly #refcounts: Refcounts | undefined;
  readonly #holes: Holes | undefined;
  readonly #l1: DataView;
  /** Second-level tables by number; the oldest goes first. */
  readonly #tables = new Map<number, DataView>();
  readonly #entries: number;
  readonly #hasBase: boolean;
  /** The compressed cluster that was read last. */
  #unpacked: { readonly cluster: number; readonly bytes: Uint8Array } | undefined;

  constructor(file: HostFile, header: Qcow2Header, options: {
    readonly readOnly: boolean; readonly hasBase: boolean;
  }) {
    this.#file = file;
    this.#header = header;
    this.readOnly = options.readOnly;
    this.#hasBase = options.hasBase;
    this.clusterBytes = 2 ** header.clusterBits;
    this.sizeBytes = Math.floor(header.sizeBytes / sectorBytes) * sectorBytes;
    this.#entries = this.clusterBytes / 8;
    this.#l1 = this.#readTable(header.l1Offset, header.l1Entries * 8, "first table");
    this.#refcounts = options.readOnly ? undefined : new Refcounts(file, header);
    this.#holes = options.readOnly ? undefined : file.holes();
  }

  has(offset: number): boolean {
    const table = this.#table(offset);
    if (table === undefined) {
      return false;
    }
    const at = this.#entryAt(offset);
    return table.getUint32(at) !== 0 || table.getUint32(at + 4) !== 0;
  }

  read(offset: number, into: Uint8Array): void {
    this.#eachCluster(offset, into.length, (position, start, length) =>
      this.#readCluster(position, into.subarray(start, start + length)));
  }

  write(offset: number, from: Uint8Array): void {
    this.#eachCluster(offset, from.length, (position, start, length) =>
      this.#writeCluster(position, from.subarray(start, start + length)));
  }

  flush(): void {
    this.#file.sync();
  }

  writeZeroes(offset: number, length: number): void {
    this.#eachCluster(offset, length, (position, _start, count) => {
      const whole = count === this.clusterBytes || position + count === this.sizeBytes;
      if (position % this.clusterBytes !== 0 || !whole
        || (this.#header.version < 3 && this.#hasBase)) {
        this.#writeCluster(position, new Uint8Array(count));
      } else if (this.has(position) || this.#hasBase) {
        this.#forget(position);
      }
    });
  }

  /** Whole clusters are given back; they read as zeros then. */
  discard(offset: number, length: number): void {
    const start = Math.ceil(offset / this.clusterBytes) * this.clusterBytes;
    const end = Math.floor((offset + length) / this.clusterBytes) * this.clusterBytes;
    if (start < end) {
      this.writeZeroes(start, end - start);
    }
  }

  close(): void {
    this.#holes?.close();
    this.#file.close();
  }

  #eachCluster(
    offset: number, length: number,
    use: (position: number, start: number, length: number) => void,
  ): void {
    for (let done = 0; done < length;) {
      const position = offset + done;
      const count = Math.min(length - done, this.clusterBytes - position % this.clusterBytes);
      use(position, done, count);
      done += count;
    }
  }

  #readCluster(position: number, into: Uint8Array): void {
    const table = this.#table(position);
    const at = this.#entryAt(position);
    const high = table?.getUint32(at) ?? 0;
    const low = table?.getUint32(at + 4) ?? 0;
    const inCluster = position % this.clusterBytes;
    if ((high & compressed) !== 0) {
      const bytes = this.#unpack(position, high, low);
      into.set(bytes.subarray(inCluster, inCluster + into.length));
      into.fill(0, Math.max(0, bytes.length - inCluster));
    } else if ((low & zero) !== 0 || this.#offset(high, low) === 0) {
      into.fill(0);
    } else {
      const count = this.#file.read(this.#dataOffset(high, low) + inCluster, into);
      into.fill(0, count); // The last cluster need not be whole in the file.
    }
  }

  #writeCluster(position: number, from: Uint8Array): void {
    const table = this.#table(position);
    const at = this.#entryAt(position);
    const high = table?.getUint32(at) ?? 0;
    const low = table?.getUint32(at + 4) ?? 0;
    const inCluster = position % this.clusterBytes;
    if ((high & copied) !== 0 && (high & compressed) === 0 && (low & zero) === 0) {
      this.#file.write(this.#dataOffset(high, low) + inCluster, from);
      return;
    }
    const { offset, fresh } = this.#counts.allocate();
    if (from.length === this.clusterBytes || (fresh && high === 0 && low === 0)) {
      this.#file.write(offset + inCluster, from);
    } else {
      const whole = new Uint8Array(this.clusterBytes);
      this.#readCluster(position - inCluster, whole);
      whole.set(from, inCluster);
      this.#file.write(offset, whole);
    }
    this.#setEntry(position, copied + Math.floor(offset / 2 ** 32), offset % 2 ** 32);
    this.#release(high, low);
  }

  /** The cluster becomes zeros without a place in the file. */
  #forget(position: number): void {
    const table = this.#table(position);
    const at = this.#entryAt(position);
    const high = table?.getUint32(at) ?? 0;
    const low = table?.getUint32(at + 4) ?? 0;
    this.#setEntry(position, 0, this.#hasBase ? zero : 0);
    this.#release(high, low);
  }

  /** Gives back what an entry has referred to, once nothing in the file does any more. */
  #release(high: number, low: number): void {
    if ((high & compressed) !== 0) {
      const { offset, length } = this.#packedPlace(high, low);
      const first = Math.floor(offset / this.clusterBytes);
      for (let each = first; each * this.clusterBytes < offset + length; each += 1) {
        this.#counts.release(each * this.clusterBytes);
      }
      this.#unpacked = undefined;
      return;
    }
    const offset = this.#offset(high, low);
    if (offset !== 0 && this.#counts.release(offset)) {
      try {
        this.#holes?.punch(offset, this.clusterBytes);
      } catch {
        // A file system without holes keeps the bytes; the cluster is free all the same.
      }
    }
  }

  get #counts(): Refcounts {
    if (this.#refcounts === undefined) {
      throw new HostError(`cannot write ${this.#file.path}`, "it was opened for reading");
    }
    return this.#refcounts;
  }

  #tableNumber(position: number): number {
    return Math.floor(position / this.clusterBytes / this.#entries);
  }

  /** Where the entry of a position is in its table. */
  #entryAt(position: number): number {
    return (Math.floor(position / this.clusterBytes) % this.#entries) * 8;
  }

  #table(position: number): DataView | undefined {
    const number = this.#tableNumber(position);
    const cached = this.#tables.get(number);
    if (cached !== undefined) {
      return cached;
    }
    const offset = this.#offset(this.#l1.getUint32(number * 8), this.#l1.getUint32(number * 8 + 4));
    return offset === 0 ? undefined
      : this.#keep(number, this.#readTable(offset, this.clusterBytes, "second table"));
  }

  #keep(number: number, table: DataView): DataView {
    for (const oldest of this.#tables.keys()) {
      if (this.#tables.size < tablesMax) {
        break;
      }
      this.#tables.delete(oldest);
    }
    this.#tables.set(number, table);
    return table;
  }

  /** A table that this image alone uses: a new one, or a copy of one that a snapshot has too. */
  #ownTable(position: number): DataView {
    const number = this.#tableNumber(position);
    const high = this.#l1.getUint32(number * 8);
    const old = this.#table(position);
    if (old !== undefined && (high & copied) !== 0) {
      return old;
    }
    const { offset } = this.#counts.allocate();
    const table = old ?? new DataView(new ArrayBuffer(this.clusterBytes));
    this.#file.write(offset, new Uint8Array(table.buffer));
    const before = this.#offset(high, this.#l1.getUint32(number * 8 + 4));
    setU64(this.#l1, number * 8, offset);
    this.#l1.setUint32(number * 8, (this.#l1.getUint32(number * 8) | copied) >>> 0);
    this.#file.write(this.#header.l1Offset + number * 8, new Uint8Array(this.#l1.buffer),
      number * 8, 8);
    if (before !== 0) {
      this.#counts.release(before);
    }
    return this.#keep(number, table);
  }

  #setEntry(position: number, high: number, low: number): void {
    const table = this.#ownTable(position);
    const at = this.#entryAt(position);
    table.setUint32(at, high);
    table.setUint32(at + 4, low);
    const number = this.#tableNumber(position);
    const offset = this.#offset(this.#l1.getUint32(number * 8), this.#l1.getUint32(number * 8 + 4));
    this.#file.write(offset + at, new Uint8Array(table.buffer), at, 8);
  }

  #offset(high: number, low: number): number {
    return (high & offsetHigh) * 2 ** 32 + ((low & offsetLow) >>> 0);
  }

  /** Where the bytes of a cluster are; an entry that leads into a table would let a guest write
   * there. */
  #dataOffset(high: number, low: number): number {
    const offset = this.#offset(high, low);
    const { l1Offset, l1Entries } = this.#header;
    const inside = (start: number, length: number) =>
      offset + this.clusterBytes > start && offset < start + length;
    if (offset % this.clusterBytes !== 0 || inside(0, 1) || inside(l1Offset, l1Entries * 8)
      || (this.#refcounts !== undefined
        && inside(this.#refcounts.tableOffset, this.#refcounts.tableBytes))) {
      throw this.#corrupt("a cluster lies where it cannot");
    }
    return offset;
  }

  #packedPlace(high: number, low: number): { readonly offset: number; readonly length: number } {
    const offsetBits = 62 - (this.#header.clusterBits - 8);
    const highBits = offsetBits - 32;
    const offset = (high & (2 ** highBits - 1)) * 2 ** 32 + low;
    const more = (high & 0x3fff_ffff) >>> highBits;
    return { offset, length: (more + 1) * sectorBytes - offset % sectorBytes };
  }

  #unpack(position: number, high: number, low: number): Uint8Array {
    const cluster = Math.floor(position / this.clusterBytes);
    if (this.#unpacked?.cluster === cluster) {
      return this.#unpacked.bytes;
    }
    const { offset, length } = this.#packedPlace(high, low);
    const packed = new Uint8Array(length);
    const count = this.#file.read(offset, packed);
    try {
      const bytes = unpackCluster(
        packed.subarray(0, count), this.clusterBytes, this.#header.compression);
      this.#unpacked = { cluster, bytes };
      return bytes;
    } catch (error) {
      throw this.#corrupt(`a compressed cluster cannot be unpacked (${String(error)})`);
    }
  }

  #readTable(offset: number, length: number, what: string): DataView {
    const bytes = new Uint8Array(length);
    if (offset % this.clusterBytes !== 0 || (length > 0 && offset === 0)
      || this.#file.read(offset, bytes) < length) {
      throw this.#corrupt(`its ${what} lies outside the file`);
    }
    return new DataView(bytes.buffer);
  }

  #corrupt(why: string): HostError {
    return new HostError(`${this.#file.path} is corrupt`, why);
  }
}
