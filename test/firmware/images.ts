/** Small kernels of every kind, made byte by byte: what loaders are tried on. */
import { StructWriter } from "../../src/firmware/struct-writer.ts";

export interface SegmentPlan {
  readonly physical: number;
  readonly virtual?: number;
  readonly bytes: Uint8Array;
  /** Longer than the bytes: the rest is cleared. */
  readonly memoryBytes?: number;
}

export interface ElfPlan {
  readonly is64: boolean;
  readonly entry: number;
  readonly segments: readonly SegmentPlan[];
  /** Value of a PVH note. */
  readonly pvhEntry?: number;
  /** Put behind the program headers, within the first 8 KiB. */
  readonly extra?: Uint8Array;
}

export function makeElf(plan: ElfPlan): Uint8Array {
  const { is64, segments, extra = new Uint8Array() } = plan;
  const [headerBytes, entryBytes] = is64 ? [64, 56] : [52, 32];
  const note = plan.pvhEntry === undefined ? undefined
    : new StructWriter(20).u32(0, 4).u32(4, 4).u32(8, 18).text(12, "Xen").u32(16, plan.pvhEntry);
  const parts = [...segments.map(({ bytes }) => bytes), ...(note ? [note.bytes] : [])];
  // The extra part lies on a multiple of four, as multiboot headers must.
  const extraAt = Math.ceil((headerBytes + parts.length * entryBytes) / 4) * 4;
  const total = parts.reduce((sum, { length }) => sum + length, extraAt + extra.length);
  const file = new StructWriter(total)
    .u32(0, 0x464c_457f).u8(4, is64 ? 2 : 1).u8(5, 1).u8(6, 1)
    .u16(16, 2).u16(18, is64 ? 62 : 3).u32(20, 1).copy(extraAt, extra);
  if (is64) {
    file.u64(24, plan.entry).u64(32, headerBytes).u16(54, entryBytes).u16(56, parts.length);
  } else {
    file.u32(24, plan.entry).u32(28, headerBytes).u16(42, entryBytes).u16(44, parts.length);
  }
  let next = extraAt + extra.length;
  for (const [index, bytes] of parts.entries()) {
    const { physical = 0, virtual = physical, memoryBytes = bytes.length } = segments[index] ?? {};
    const at = headerBytes + index * entryBytes;
    file.u32(at, index < segments.length ? 1 : 4).copy(next, bytes);
    if (is64) {
      file.u64(at + 8, next).u64(at + 16, virtual).u64(at + 24, physical)
        .u64(at + 32, bytes.length).u64(at + 40, memoryBytes);
    } else {
      file.u32(at + 4, next).u32(at + 8, virtual).u32(at + 12, physical)
        .u32(at + 16, bytes.length).u32(at + 20, memoryBytes);
    }
    next += bytes.length;
  }
  return file.bytes;
}

export interface BzImagePlan {
  readonly payload?: Uint8Array;
  readonly version?: number;
  readonly xloadFlags?: number;
  readonly commandLineMax?: number;
  readonly initrdMax?: number;
  readonly preferredAddress?: number;
  readonly initBytes?: number;
  readonly loadFlags?: number;
}

/** Real-mode part of three sectors, then code with the payload at 0x300. */
export function makeBzImage(plan: BzImagePlan): Uint8Array {
  const { payload = new Uint8Array(), version = 0x020f } = plan;
  const setupBytes = 3 * 512;
  const payloadOffset = 0x300;
  const codeBytes = payloadOffset + payload.length + 64;
  return new StructWriter(setupBytes + codeBytes)
    .u8(0x1f1, 2).u32(0x1f4, Math.ceil(codeBytes / 16)).u16(0x1fe, 0xaa55)
    .u8(0x201, 0x6a).u32(0x202, 0x5372_6448).u16(0x206, version)
    .u16(0x20e, 0x300).u8(0x211, plan.loadFlags ?? 1).u32(0x214, 0x10_0000)
    .u32(0x22c, plan.initrdMax ?? 0x7fff_ffff).u8(0x234, 1)
    .u16(0x236, plan.xloadFlags ?? 3).u32(0x238, plan.commandLineMax ?? 2047)
    .u32(0x248, payload.length === 0 ? 0 : payloadOffset).u32(0x24c, payload.length)
    .u64(0x258, plan.preferredAddress ?? 0x10_0000).u32(0x260, plan.initBytes ?? 0x1000)
    .text(0x500, "6.1.0-test (somebody) #1")
    .text(setupBytes, "start 32").text(setupBytes + 0x200, "start 64")
    .copy(setupBytes + payloadOffset, payload)
    .bytes;
}

/** A multiboot header; `addresses` are header, load, load end, bss end and entry. */
export function multibootHeader(flags: number, addresses: readonly number[] = []): Uint8Array {
  const magic = 0x1bad_b002;
  const header = new StructWriter(12 + addresses.length * 4)
    .u32(0, magic).u32(4, flags).u32(8, -(magic + flags) >>> 0);
  for (const [index, address] of addresses.entries()) {
    header.u32(12 + index * 4, address);
  }
  return header.bytes;
}

/** LZ4's legacy frame of literals only, with the size that Linux appends. */
export function packLz4Literals(bytes: Uint8Array): Uint8Array {
  const block: number[] = [];
  const literals = bytes.length;
  block.push(Math.min(literals, 15) << 4);
  for (let rest = literals - 15; rest >= 0; rest -= 255) {
    block.push(Math.min(rest, 255));
  }
  const packed = new StructWriter(8 + block.length + literals + 4)
    .u32(0, 0x184c_2102).u32(4, block.length + literals)
    .copy(8, Uint8Array.from(block)).copy(8 + block.length, bytes);
  return packed.u32(packed.bytes.length - 4, literals).bytes;
}

/** Bytes that repeat, with calls and jumps whose targets an x86 filter would change. */
export function codeLikeBytes(count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  let seed = 1;
  for (let at = 0; at < count; at += 1) {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    bytes[at] = at % 11 === 0 ? 0xe8 + ((seed >>> 20) & 1) : at % 11 === 4 ? 0
      : at % 7 === 3 ? 0xff : at % 5 === 0 ? (seed >>> 16) & 0xff : at & 0x1f;
  }
  return bytes;
}
