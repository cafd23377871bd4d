/** The header of a qcow2 image (QEMU, docs/interop/qcow2.txt): all numbers big-endian. */
import { HostError } from "../../../base/errors.ts";
import type { HostFile } from "../../../host/files.ts";

export const magic = 0x5146_49fb; // "QFI" and 0xfb.

/** Offsets of the fields. */
export const field = {
  magic: 0, version: 4, backingOffset: 8, backingLength: 16, clusterBits: 20, size: 24,
  encryption: 32, l1Entries: 36, l1Offset: 40, refcountTableOffset: 48,
  refcountTableClusters: 56, snapshots: 60, incompatible: 72, refcountOrder: 96,
  headerLength: 100, compression: 104,
} as const;
const lengthV2 = 72;
const lengthV3 = 104;
const headerBytesMax = 112;

const incompatible = {
  dirty: 1, corrupt: 2, externalFile: 4, compressionType: 8, extendedL2: 16,
} as const;
const extension = { end: 0, backingFormat: 0xe279_2aca } as const;
const extensionsMax = 64;
/** 2 MiB, QEMU's own limit. */
const clusterBits = { min: 9, max: 21 } as const;
/** Of the tables, in bytes: QEMU's limits, which allow disks of petabytes. */
const l1BytesMax = 32 * 1024 * 1024;
const refcountTableBytesMax = 8 * 1024 * 1024;
const nameBytesMax = 1023;

export interface Qcow2Header {
  readonly version: 2 | 3;
  readonly clusterBits: number;
  readonly sizeBytes: number;
  readonly l1Entries: number;
  readonly l1Offset: number;
  readonly refcountTableOffset: number;
  readonly refcountTableClusters: number;
  /** Width of a refcount as a power of two, in bits. */
  readonly refcountOrder: number;
  readonly compression: "deflate" | "zstd";
  readonly backing?: { readonly path: string; readonly format?: string };
  /** Why it may be read but not written, if so. */
  readonly damage?: string;
}

/** A 64-bit number as a double; beyond 2^53 it is inexact and fails every check that follows. */
export function u64(view: DataView, at: number): number {
  return view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
}

export function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / 2 ** 32));
  view.setUint32(at + 4, value % 2 ** 32);
}

/** Reads and judges the header; throws HostError that says what is wrong. */
export function readHeader(file: HostFile): Qcow2Header {
  const bytes = new Uint8Array(headerBytesMax);
  const view = new DataView(bytes.buffer);
  const wrong = (why: string) => new HostError(`cannot use ${file.path} as qcow2`, why);
  if (file.read(0, bytes) < lengthV2 || view.getUint32(field.magic) !== magic) {
    throw wrong("it has no header of qcow2");
  }
  const version = view.getUint32(field.version);
  if (version !== 2 && version !== 3) {
    throw wrong(`its version is ${version}; allowed: 2 and 3`);
  }
  const bits = view.getUint32(field.clusterBits);
  if (bits < clusterBits.min || bits > clusterBits.max) {
    throw wrong(`its clusters have 2^${bits} bytes; allowed: 2^9 to 2^21`);
  }
  const features = version === 3 ? view.getUint32(field.incompatible + 4) : 0;
  const header: Qcow2Header = {
    version, clusterBits: bits, sizeBytes: u64(view, field.size),
    l1Entries: view.getUint32(field.l1Entries), l1Offset: u64(view, field.l1Offset),
    refcountTableOffset: u64(view, field.refcountTableOffset),
    refcountTableClusters: view.getUint32(field.refcountTableClusters),
    refcountOrder: version === 3 ? view.getUint32(field.refcountOrder) : 4,
    compression: compressionOf(view, features),
    ...readBacking(file, view, version, bits),
    ...damageOf(features),
  };
  const problem = featureProblem(view, version, features) ?? tableProblem(header);
  if (problem !== undefined) {
    throw wrong(problem);
  }
  return header;
}

function compressionOf(view: DataView, features: number): "deflate" | "zstd" {
  return (features & incompatible.compressionType) !== 0
    && view.getUint8(field.compression) === 1 ? "zstd" : "deflate";
}

function damageOf(features: number): { readonly damage?: string } {
  if ((features & incompatible.corrupt) !== 0) {
    return { damage: "it is marked as corrupt; qemu-img check -r all repairs it" };
  }
  if ((features & incompatible.dirty) !== 0) {
    return { damage: "it was not closed cleanly; qemu-img check -r all repairs it" };
  }
  return {};
}

function featureProblem(view: DataView, version: number, features: number): string | undefined {
  const { dirty, corrupt, compressionType } = incompatible;
  if (view.getUint32(field.encryption) !== 0) {
    return "it is encrypted, which is not supported";
  }
  const unknownHigh = version === 3 ? view.getUint32(field.incompatible) : 0;
  if ((features & ~(dirty | corrupt | compressionType)) !== 0 || unknownHigh !== 0) {
    return (features & incompatible.externalFile) !== 0
      ? "its data is in another file, which is not supported"
      : `it needs features (0x${features.toString(16)}) that are not supported`;
  }
  if ((features & compressionType) !== 0 && view.getUint8(field.compression) > 1) {
    return "its compression is neither zlib nor zstd";
  }
  return undefined;
}

/** Tables must be able to describe the disk; where they lie is checked when they are read. */
function tableProblem(header: Qcow2Header): string | undefined {
  const clusterBytes = 2 ** header.clusterBits;
  const l2Covers = clusterBytes * (clusterBytes / 8);
  if (header.sizeBytes >= 2 ** 53 || header.l1Entries * 8 > l1BytesMax
    || header.l1Entries < Math.ceil(header.sizeBytes / l2Covers)) {
    return "its size and its first table do not fit each other";
  }
  if (header.refcountOrder > 6
    || header.refcountTableClusters * clusterBytes > refcountTableBytesMax) {
    return "its reference counts have an impossible size";
  }
  const aligned = [header.l1Offset, header.refcountTableOffset]
    .every((offset) => offset % clusterBytes === 0 && offset < 2 ** 53);
  return aligned ? undefined : "a table does not lie on a cluster";
}

function readBacking(
  file: HostFile, view: DataView, version: number, bits: number,
): Pick<Qcow2Header, "backing"> {
  const offset = u64(view, field.backingOffset);
  const length = view.getUint32(field.backingLength);
  if (offset === 0) {
    return {};
  }
  if (length > nameBytesMax || offset + length > 2 ** bits) {
    throw new HostError(`cannot use ${file.path} as qcow2`,
      "the name of its backing file is not in its first cluster");
  }
  const name = new Uint8Array(length);
  file.read(offset, name);
  const start = version === 3 ? view.getUint32(field.headerLength) : lengthV2;
  const format = backingFormat(file, start, 2 ** bits);
  return {
    backing: { path: new TextDecoder().decode(name), ...(format !== undefined && { format }) },
  };
}

/** Extensions follow the header: type, length, content in steps of eight bytes. */
function backingFormat(file: HostFile, start: number, end: number): string | undefined {
  const head = new Uint8Array(8);
  const view = new DataView(head.buffer);
  let at = start;
  for (let count = 0; count < extensionsMax && at >= lengthV2 && at + 8 <= end; count += 1) {
    head.fill(0);
    file.read(at, head);
    const type = view.getUint32(0);
    const length = view.getUint32(4);
    if (type === extension.end || at + 8 + length > end) {
      return undefined;
    }
    if (type === extension.backingFormat) {
      const name = new Uint8Array(length);
      file.read(at + 8, name);
      return new TextDecoder().decode(name);
    }
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return undefined;
}

/** Writes an image of this size without content into an empty file. */
export function writeEmptyImage(file: HostFile, sizeBytes: number, bits = 16): void {
  const clusterBytes = 2 ** bits;
  const l1Entries = Math.max(1, Math.ceil(sizeBytes / (clusterBytes * (clusterBytes / 8))));
  const l1Clusters = Math.ceil(l1Entries * 8 / clusterBytes);
  const header = new Uint8Array(headerBytesMax);
  const view = new DataView(header.buffer);
  view.setUint32(field.magic, magic);
  view.setUint32(field.version, 3);
  view.setUint32(field.clusterBits, bits);
  setU64(view, field.size, sizeBytes);
  view.setUint32(field.l1Entries, l1Entries);
  setU64(view, field.l1Offset, 3 * clusterBytes);
  setU64(view, field.refcountTableOffset, clusterBytes);
  view.setUint32(field.refcountTableClusters, 1);
  view.setUint32(field.refcountOrder, 4);
  view.setUint32(field.headerLength, lengthV3);
  // Header, table and block of counts, and the first table of the mapping: one reference each.
  const counts = new Uint8Array(2 * (3 + l1Clusters)).map((_zero, index) => index % 2);
  const pointer = new Uint8Array(8);
  setU64(new DataView(pointer.buffer), 0, 2 * clusterBytes);
  file.truncate((3 + l1Clusters) * clusterBytes);
  file.write(2 * clusterBytes, counts);
  file.write(clusterBytes, pointer);
  file.write(0, header); // Last: until then it is no image.
  file.sync();
}
