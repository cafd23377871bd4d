/**
 * LZ4's legacy frame, which `lz4 -l` writes and Linux kernels are packed in: after the magic
 * number, blocks with a length in front, each 8 MiB unpacked but the last (LZ4 Frame Format 1.6.4,
 * "Legacy frame", and LZ4 Block Format).
 */
const lz4LegacyMagic = 0x184c_2102;

const blockBytesMax = 8 * 1024 * 1024;
/** A byte of a long length stands for 255 bytes at most: no need of more room than that. */
const growthMax = 256;
const matchMin = 4;
const lengthExtended = 15;

/** The packed bytes are wrong. */
export class Lz4Error extends Error {
  override readonly name = "Lz4Error";
}

/** Unpacks a frame; ends at the first length that cannot be a block's, as trailing bytes have.
 * `sizeMax` bounds the result. */
export function unpackLz4(packed: Uint8Array, sizeMax: number): Uint8Array {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
  const blocks: Uint8Array[] = [];
  let total = 0;
  let at = 4;
  while (at + 4 <= packed.length) {
    const length = view.getUint32(at, true);
    if (length === lz4LegacyMagic) {
      at += 4; // Frames may follow each other.
      continue;
    }
    if (length === 0 || at + 4 + length > packed.length) {
      // The unpacked size that Linux appends to its payload looks like one more length.
      if (at + 4 === packed.length && blocks.length > 0) {
        break;
      }
      throw new Lz4Error("a block ends behind the data");
    }
    const limit = Math.min(blockBytesMax, sizeMax - total, length * growthMax);
    const block = unpackBlock(packed.subarray(at + 4, at + 4 + length), limit);
    blocks.push(block);
    total += block.length;
    at += 4 + length;
  }
  return joined(blocks, total);
}

function joined(blocks: readonly Uint8Array[], total: number): Uint8Array {
  const whole = new Uint8Array(total);
  let at = 0;
  for (const block of blocks) {
    whole.set(block, at);
    at += block.length;
  }
  return whole;
}

/** One block: literals and matches in turn; matches reach back within the block. */
function unpackBlock(packed: Uint8Array, limit: number): Uint8Array {
  const out = new Uint8Array(limit);
  let from = 0;
  let to = 0;
  /** A length of 15 or more goes on in bytes until one is not 255. */
  const extended = (start: number): number => {
    let length = start;
    let byte = start === lengthExtended ? 255 : 0;
    while (byte === 255) {
      byte = byteAt(packed, from);
      from += 1;
      length += byte;
    }
    return length;
  };
  while (from < packed.length) {
    const token = byteAt(packed, from);
    from += 1;
    const literals = extended(token >>> 4);
    if (from + literals > packed.length || to + literals > limit) {
      throw new Lz4Error("literals end behind the block");
    }
    out.set(packed.subarray(from, from + literals), to);
    from += literals;
    to += literals;
    if (from === packed.length) {
      return out.subarray(0, to);
    }
    const distance = byteAt(packed, from) | (byteAt(packed, from + 1) << 8);
    from += 2;
    const length = extended(token & lengthExtended) + matchMin;
    if (distance === 0 || distance > to || to + length > limit) {
      throw new Lz4Error("a match lies outside the block");
    }
    copyMatch(out, to, distance, length);
    to += length;
  }
  throw new Lz4Error("a block without an end");
}

/** A match may overlap what it makes, and repeats it then. */
function copyMatch(out: Uint8Array, to: number, distance: number, length: number): void {
  if (distance >= length) {
    out.copyWithin(to, to - distance, to - distance + length);
    return;
  }
  for (let index = 0; index < length; index += 1) {
    out[to + index] = out[to + index - distance] ?? 0;
  }
}

function byteAt(packed: Uint8Array, index: number): number {
  const byte = packed[index];
  if (byte === undefined) {
    throw new Lz4Error("the block is truncated");
  }
  return byte;
}
