/**
 * XZ files (.xz File Format 1.2.0) as Linux kernels are packed in them: blocks of LZMA2, before it
 * as a rule the filter that makes addresses of x86 calls relative, which must be undone.
 */
import { crc32 } from "node:zlib";
import { alignUp } from "../base/bits.ts";
import { Lzma2Decoder, XzError } from "./lzma2.ts";

const headerMagic = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];
const streamHeaderBytes = 12;
const checkType = { none: 0, crc32: 1 } as const;
/** Sizes of the checks by groups of three types; they are 0 bytes for type 0. */
const checkBytes: readonly number[] = [4, 8, 16, 32, 64];
const filterId = { x86: 0x04, lzma2: 0x21 } as const;
const blockFlag = { filters: 0x03, reserved: 0x3c, packedSize: 0x40, unpackedSize: 0x80 } as const;

interface BlockHeader {
  /** Bytes of the header, its checksum included. */
  readonly size: number;
  readonly isX86: boolean;
}

/** Unpacks the first stream and ignores what follows it; `sizeHint` is its likely size. */
export function unpackXz(packed: Uint8Array, sizeMax: number, sizeHint: number): Uint8Array {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
  if (packed.length < streamHeaderBytes || headerMagic.some((byte, at) => packed[at] !== byte)
    || view.getUint32(8, true) !== crc32(packed.subarray(6, 8))) {
    throw new XzError("no XZ header");
  }
  const check = (packed[7] ?? 0) & 0x0f;
  const blocks: Uint8Array[] = [];
  let total = 0;
  let at = streamHeaderBytes;
  // A zero in the place of a block's size begins the index, which we have no use for.
  while (packed[at] !== 0) {
    const header = readBlockHeader(packed, view, at);
    const start = at + header.size;
    const hint = Math.max(sizeHint - total, 0);
    const decoder = new Lzma2Decoder(packed, start, sizeMax - total, hint);
    const { bytes, end } = decoder.run();
    if (header.isX86) {
      undoX86Filter(bytes);
    }
    at = start + alignUp(end - start, 4);
    if (check === checkType.crc32
      && (at + 4 > packed.length || view.getUint32(at, true) !== crc32(bytes))) {
      throw new XzError("the checksum is wrong");
    }
    at += check === checkType.none ? 0 : checkBytes[Math.floor((check - 1) / 3)] ?? 0;
    blocks.push(bytes);
    total += bytes.length;
  }
  return blocks.length === 1 && blocks[0] !== undefined ? blocks[0] : Buffer.concat(blocks, total);
}

function readBlockHeader(packed: Uint8Array, view: DataView, start: number): BlockHeader {
  const size = ((packed[start] ?? 0) + 1) * 4;
  if (start + size > packed.length
    || view.getUint32(start + size - 4, true) !== crc32(packed.subarray(start, start + size - 4))) {
    throw new XzError("a block header is truncated or damaged");
  }
  const flags = packed[start + 1] ?? 0;
  let at = start + 2;
  /** Seven bits a byte, the lowest first; the sizes here are within 53 bits or wrong. */
  const integer = (): number => {
    let value = 0;
    for (let shift = 0; shift < 63; shift += 7) {
      const byte = packed[at] ?? 0;
      at += 1;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) {
        return value;
      }
    }
    throw new XzError("an endless number");
  };
  const skipped = [blockFlag.packedSize, blockFlag.unpackedSize].filter((bit) => flags & bit);
  skipped.forEach(integer);
  const filters = Array.from({ length: (flags & blockFlag.filters) + 1 }, () => {
    const id = integer();
    const propertyBytes = integer();
    at += propertyBytes;
    return { id, propertyBytes };
  });
  const isX86 = filters.length === 2 && filters[0]?.id === filterId.x86;
  if ((flags & blockFlag.reserved) !== 0 || at > start + size - 4
    || filters.at(-1)?.id !== filterId.lzma2 || (filters.length > 1 && !isX86)
    || (isX86 && filters[0]?.propertyBytes !== 0)) {
    throw new XzError("filters other than LZMA2, or x86 and LZMA2");
  }
  return { size, isX86 };
}

/** Of the three bytes before an opcode, one bit each: was it an opcode that was left alone? Only
 * with these patterns can the present one have been converted. */
const convertible: readonly boolean[] = [true, true, true, false, true, false, false, false];
/** How many bytes of the operand lie before the latest opcode of the pattern. */
const overlap: readonly number[] = [0, 1, 2, 2, 3, 3, 3, 3];

const isSignByte = (byte: number | undefined) => byte === 0x00 || byte === 0xff;

/** The packer has replaced relative targets of calls and jumps (E8, E9) by absolute ones where
 * the top byte looked like a sign; back again, in place. */
function undoX86Filter(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const operandBytes = 4;
  let previous = -1;
  let pattern = 0;
  for (let at = 0; at + operandBytes < bytes.length; at += 1) {
    if (((bytes[at] ?? 0) & 0xfe) !== 0xe8) {
      continue;
    }
    const distance = at - previous;
    pattern = distance > 3 ? 0 : (pattern << (distance - 1)) & 7;
    previous = at;
    const known = bytes[at + operandBytes - (overlap[pattern] ?? 0)];
    const blocked = pattern !== 0 && (convertible[pattern] === false || isSignByte(known));
    if (blocked || !isSignByte(bytes[at + operandBytes])) {
      pattern = (pattern << 1) | 1;
      continue;
    }
    const target = relative(view.getUint32(at + 1, true), at + 1 + operandBytes, pattern);
    view.setInt32(at + 1, target, true);
    at += operandBytes;
  }
}

/** The relative target; its top byte repeats the sign of bit 24. */
function relative(absolute: number, next: number, pattern: number): number {
  let target = (absolute - next) | 0;
  const hidden = (overlap[pattern] ?? 0) * 8;
  // The packer saw a byte there that would not look like a sign; undo until it does not.
  while (pattern !== 0 && isSignByte((target >>> (24 - hidden)) & 0xff)) {
    target = ((target ^ (2 ** (32 - hidden) - 1)) - next) | 0;
  }
  return (target << 7) >> 7;
}
