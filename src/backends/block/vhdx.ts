/** VHDX for reading (Microsoft, [MS-VHDX]); little-endian. */
import { openFile, type HostFile } from "../../host/files.ts";
import { crc32c } from "./crc32c.ts";
import { MappedImage, readExactly, u64le, unusable, type BlockMap } from "./mapped.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const headersAt = [64 * KiB, 128 * KiB] as const;
const headerBytes = 4 * KiB;
const regionTablesAt = [192 * KiB, 256 * KiB] as const;
const tableBytes = 64 * KiB;
const entriesMax = 2047;
const entryBytes = 32;
const checksumAt = 4;
/** In a header: its number, and the identity of a log that is to be replayed. */
const header = { sequence: 8, logGuid: 48 } as const;

const guid = {
  allocation: "2dc27766-f623-4200-9d64-115e9bfd4a08",
  metadata: "8b7ca206-4790-4b9a-b8fe-575f050f886e",
  parameters: "caa16737-fa36-4d43-b3b6-33f0aa44e76b",
  size: "2fa54224-cd1b-4876-b211-5dbed83bf4b8",
  logicalSector: "8141bf1d-a96f-4709-ba47-f233a8faab5f",
} as const;
const hasParent = 2;
/** States of a block in the low bits of its entry. */
const state = { present: 6, partlyPresent: 7 } as const;
const blockBytesMin = MiB;
const blockBytesMax = 256 * MiB;
/** 64 TiB in blocks of 1 MiB. */
const allocationBytesMax = 1024 * MiB;

/** Throws HostError. */
export function openVhdx(path: string): MappedImage {
  const file = openFile(path, { write: false });
  try {
    const { map, sectorBytes } = readImage(file);
    return new MappedImage(file, map, sectorBytes);
  } catch (error) {
    file.close();
    throw error;
  }
}

function signature(view: DataView, length = 4): string {
  return Buffer.from(view.buffer, view.byteOffset, length).toString("latin1");
}

/** The checksum counts as zero in its own computation. */
function isWhole(view: DataView): boolean {
  const stated = view.getUint32(checksumAt, true);
  const bytes = new Uint8Array(view.buffer.slice(0));
  bytes.fill(0, checksumAt, checksumAt + 4);
  return crc32c(bytes) === stated;
}

function readGuid(view: DataView, at: number): string {
  const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0");
  const tail = Array.from({ length: 8 }, (_none, index) => hex(view.getUint8(at + 8 + index), 2));
  return [hex(view.getUint32(at, true), 8), hex(view.getUint16(at + 4, true), 4),
    hex(view.getUint16(at + 6, true), 4), tail.slice(0, 2).join(""), tail.slice(2).join("")]
    .join("-");
}

function readImage(file: HostFile): { map: BlockMap; sectorBytes: number } {
  const wrong = (why: string) => unusable(file.path, "VHDX", why);
  if (signature(readExactly(file, 0, 8, "VHDX"), 8) !== "vhdxfile") {
    throw wrong("it has no header of VHDX");
  }
  checkHeaders(file);
  const regions = readRegions(file);
  const allocation = regions.get(guid.allocation);
  const metadata = regions.get(guid.metadata);
  if (allocation === undefined || metadata === undefined) {
    throw wrong("its region table is incomplete");
  }
  const { sizeBytes, blockBytes, sectorBytes } = readMetadata(file, metadata.offset);
  // After so many blocks comes an entry for a bitmap of sectors.
  const chunkBlocks = 2 ** 23 * sectorBytes / blockBytes;
  const blocks = Math.ceil(sizeBytes / blockBytes);
  const entries = blocks + Math.floor(Math.max(0, blocks - 1) / chunkBlocks);
  if (entries * 8 > allocation.length || allocation.length > allocationBytesMax) {
    throw wrong("its table of blocks is too small or too large");
  }
  const table = readExactly(file, allocation.offset, entries * 8, "VHDX");
  const locate = (block: number) => {
    const at = (block + Math.floor(block / chunkBlocks)) * 8;
    const kind = table.getUint32(at, true) & 7;
    if (kind === state.partlyPresent) {
      throw wrong("a block needs a parent disk");
    }
    return kind === state.present ? Math.floor(u64le(table, at) / MiB) * MiB : -1;
  };
  return { map: { sizeBytes, blockBytes, locate }, sectorBytes };
}

/** The valid header with the higher number counts. */
function checkHeaders(file: HostFile): void {
  const [current] = headersAt.map((at) => readExactly(file, at, headerBytes, "VHDX"))
    .filter((view) => signature(view) === "head" && isWhole(view))
    .sort((a, b) => u64le(b, header.sequence) - u64le(a, header.sequence));
  if (current === undefined) {
    throw unusable(file.path, "VHDX", "neither of its headers is whole");
  }
  if ([0, 4, 8, 12].some((at) => current.getUint32(header.logGuid + at) !== 0)) {
    throw unusable(file.path, "VHDX", "it was not closed cleanly, and its log must be replayed"
      + " first: by its own program, or qemu-img check -r all");
  }
}

interface Region {
  readonly offset: number;
  readonly length: number;
}

function readRegions(file: HostFile): ReadonlyMap<string, Region> {
  const table = regionTablesAt.map((at) => readExactly(file, at, tableBytes, "VHDX"))
    .find((view) => signature(view) === "regi" && isWhole(view));
  const count = table?.getUint32(8, true) ?? 0;
  if (table === undefined || count > entriesMax) {
    throw unusable(file.path, "VHDX", "its region table is damaged");
  }
  return new Map(Array.from({ length: count }, (_none, index) => {
    const at = 16 + index * entryBytes;
    return [readGuid(table, at), {
      offset: u64le(table, at + 16), length: table.getUint32(at + 24, true),
    }];
  }));
}

function readMetadata(file: HostFile, start: number) {
  const wrong = (why: string) => unusable(file.path, "VHDX", why);
  const table = readExactly(file, start, tableBytes, "VHDX");
  const count = table.getUint16(10, true);
  if (signature(table, 8) !== "metadata" || count > entriesMax) {
    throw wrong("its metadata is damaged");
  }
  const items = new Map(Array.from({ length: count }, (_none, index) => {
    const at = 32 + index * entryBytes;
    return [readGuid(table, at), table.getUint32(at + 16, true)];
  }));
  const item = (name: string, length: number) => {
    const offset = items.get(name);
    if (offset === undefined) {
      throw wrong("its metadata is incomplete");
    }
    return readExactly(file, start + offset, length, "VHDX");
  };
  const parameters = item(guid.parameters, 8);
  const blockBytes = parameters.getUint32(0, true);
  const sectorBytes = item(guid.logicalSector, 4).getUint32(0, true);
  if ((parameters.getUint32(4, true) & hasParent) !== 0) {
    throw wrong("it needs a parent disk, which is not supported");
  }
  if (blockBytes < blockBytesMin || blockBytes > blockBytesMax
    || (blockBytes & (blockBytes - 1)) !== 0 || (sectorBytes !== 512 && sectorBytes !== 4096)) {
    throw wrong("its blocks or sectors have an impossible size");
  }
  return { sizeBytes: u64le(item(guid.size, 8), 0), blockBytes, sectorBytes };
}
