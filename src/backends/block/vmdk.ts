/**
 * VMDK for reading (VMware, Virtual Disk Format 5.0): a descriptor that lists extents, or one
 * extent with its descriptor inside. Little-endian, in sectors of 512 bytes.
 */
import { basename, dirname, join } from "node:path";
import { inflateSync } from "node:zlib";
import { openFile, type HostFile } from "../../host/files.ts";
import type { BlockImage } from "./image.ts";
import { MappedImage, readExactly, u64le, unusable } from "./mapped.ts";

const sectorBytes = 512;
const magic = 0x564d_444b; // "KDMV"
/** Offsets in the header of a sparse extent. */
const field = {
  magic: 0, version: 4, flags: 8, capacity: 12, grainSectors: 20, descriptorAt: 28,
  descriptorSectors: 36, entriesPerTable: 44, directoryAt: 56, compression: 77,
} as const;
const flag = { zeroGrains: 4, compressed: 0x1_0000 } as const;
const directoryAtEnd = 0xffff_ffff;
const descriptorBytesMax = 1024 * 1024;
const grainSectorsMax = 64 * 1024;
/** 8 TiB in grains of 64 KiB with 512 to a table. */
const tablesMax = 256 * 1024;
const entriesPerTableMax = 64 * 1024;
const extentsMax = 4096;
/** A packed grain: its first sector and length stand before it. */
const packedHead = 12;

/** Throws HostError. */
export function openVmdk(path: string): BlockImage {
  const file = openFile(path, { write: false });
  const opened: BlockImage[] = [];
  try {
    const first = readExactly(file, 0, Math.min(sectorBytes, file.sizeBytes), "VMDK");
    const sparse = first.byteLength === sectorBytes && first.getUint32(0, true) === magic;
    const text = descriptorOf(file, sparse ? first : undefined);
    checkParent(path, text);
    if (sparse) {
      return openSparse(file);
    }
    for (const extent of extentsOf(path, text)) {
      opened.push(openExtent(path, extent));
    }
    file.close();
    return new JoinedImage(opened);
  } catch (error) {
    file.close();
    opened.forEach((each) => void each.close?.());
    throw error;
  }
}

function descriptorOf(file: HostFile, header: DataView | undefined): string {
  const at = header === undefined ? 0 : u64le(header, field.descriptorAt) * sectorBytes;
  const length = header === undefined ? file.sizeBytes
    : u64le(header, field.descriptorSectors) * sectorBytes;
  if (length > descriptorBytesMax) {
    throw unusable(file.path, "VMDK", "its descriptor is too long");
  }
  const text = Buffer.from(readExactly(file, at, length, "VMDK").buffer).toString("latin1");
  if (header === undefined && !text.startsWith("# Disk DescriptorFile")) {
    throw unusable(file.path, "VMDK", "it has no header of VMDK");
  }
  return text;
}

function checkParent(path: string, text: string): void {
  const parent = /^parentCID=([0-9a-f]+)/im.exec(text)?.[1] ?? "ffffffff";
  if (parent.toLowerCase() !== "ffffffff") {
    throw unusable(path, "VMDK", "it needs a parent disk, which is not supported");
  }
}

interface Extent {
  readonly sectors: number;
  readonly kind: string;
  readonly name: string;
  /** In sectors. */
  readonly offset: number;
}

function extentsOf(path: string, text: string): readonly Extent[] {
  const pattern = /^(?:RW|RDONLY) (\d+) (\w+)(?: "([^"]*)"(?: (\d+))?)?/gm;
  const extents = [...text.matchAll(pattern)].map(
    ([, sectors = "0", kind = "", name = "", offset = "0"]) =>
      ({ sectors: Number(sectors), kind, name, offset: Number(offset) }));
  if (extents.length === 0 || extents.length > extentsMax) {
    throw unusable(path, "VMDK", "its descriptor lists no extent that can be read");
  }
  return extents;
}

function openExtent(path: string, { sectors, kind, name, offset }: Extent): BlockImage {
  if (kind === "ZERO") {
    return zeros(sectors * sectorBytes);
  }
  // An image that somebody gave away shall not name any file of this host.
  if (name === "" || name !== basename(name) || name === "..") {
    throw unusable(path, "VMDK", `the extent "${name}" is not a file beside it`);
  }
  const file = openFile(join(dirname(path), name), { write: false });
  try {
    if (kind === "SPARSE") {
      return openSparse(file);
    }
    if (kind !== "FLAT") {
      throw unusable(path, "VMDK", `extents of type ${kind} are not supported`);
    }
    const sizeBytes = sectors * sectorBytes;
    if ((offset + sectors) * sectorBytes > file.sizeBytes) {
      throw unusable(file.path, "VMDK", "it is cut short");
    }
    return new MappedImage(file, {
      sizeBytes, blockBytes: Math.max(sizeBytes, sectorBytes), locate: () => offset * sectorBytes,
    });
  } catch (error) {
    file.close();
    throw error;
  }
}

function zeros(sizeBytes: number): BlockImage {
  return { sizeBytes, readOnly: true, read: (_offset, into) => { into.fill(0); } };
}

function openSparse(file: HostFile): MappedImage {
  const wrong = (why: string) => unusable(file.path, "VMDK", why);
  let header = readExactly(file, 0, sectorBytes, "VMDK");
  if (header.getUint32(field.directoryAt, true) === directoryAtEnd) {
    // Streams have the real header behind their grains: footer and end marker are the last ones.
    header = readExactly(file, file.sizeBytes - 2 * sectorBytes, sectorBytes, "VMDK");
  }
  const grainSectors = u64le(header, field.grainSectors);
  const perTable = header.getUint32(field.entriesPerTable, true);
  const sectors = u64le(header, field.capacity);
  const tables = Math.ceil(sectors / (grainSectors * perTable));
  const sane = header.getUint32(field.magic, true) === magic
    && grainSectors >= 1 && grainSectors <= grainSectorsMax
    && perTable >= 1 && perTable <= entriesPerTableMax && tables >= 1 && tables <= tablesMax;
  if (!sane) {
    throw wrong("its header makes no sense");
  }
  const flags = header.getUint32(field.flags, true);
  const packed = (flags & flag.compressed) !== 0;
  if (packed && header.getUint16(field.compression, true) !== 1) {
    throw wrong("its compression is not deflate");
  }
  const zeroEntry = (flags & flag.zeroGrains) !== 0 ? 1 : 0;
  const directory = readExactly(
    file, u64le(header, field.directoryAt) * sectorBytes, tables * 4, "VMDK");
  const cache = new Map<number, DataView>();
  const locate = (grain: number): number => {
    const number = Math.floor(grain / perTable);
    const tableAt = directory.getUint32(number * 4, true);
    if (tableAt === 0) {
      return -1;
    }
    const table = cache.get(number)
      ?? readExactly(file, tableAt * sectorBytes, perTable * 4, "VMDK");
    cache.set(number, table);
    const sector = table.getUint32((grain % perTable) * 4, true);
    return sector <= zeroEntry ? -1 : sector * sectorBytes;
  };
  const grainBytes = grainSectors * sectorBytes;
  return new MappedImage(file, {
    sizeBytes: sectors * sectorBytes, blockBytes: grainBytes, locate,
    ...(packed && { unpack: (at: number) => unpackGrain(file, at, grainBytes) }),
  });
}

function unpackGrain(file: HostFile, at: number, grainBytes: number): Uint8Array {
  const length = readExactly(file, at, packedHead, "VMDK").getUint32(8, true);
  if (length > 2 * grainBytes + sectorBytes) {
    throw unusable(file.path, "VMDK", "a grain is too long");
  }
  const bytes = readExactly(file, at + packedHead, length, "VMDK");
  try {
    return inflateSync(new Uint8Array(bytes.buffer), { maxOutputLength: grainBytes });
  } catch (error) {
    throw unusable(file.path, "VMDK", `a grain cannot be unpacked (${String(error)})`);
  }
}

/** Extents one after the other. */
class JoinedImage implements BlockImage {
  readonly readOnly = true;
  readonly sizeBytes: number;
  readonly #parts: readonly BlockImage[];

  constructor(parts: readonly BlockImage[]) {
    this.#parts = parts;
    this.sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
  }

  read(offset: number, into: Uint8Array): void {
    let start = 0;
    for (const part of this.#parts) {
      const from = Math.max(offset, start);
      const to = Math.min(offset + into.length, start + part.sizeBytes);
      if (from < to) {
        void part.read(from - start, into.subarray(from - offset, to - offset));
      }
      start += part.sizeBytes;
    }
  }

  close(): void {
    this.#parts.forEach((part) => void part.close?.());
  }
}
