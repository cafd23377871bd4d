/**
 * The compressed kernel inside a bzImage, unpacked on the host: the packing is recognised by its
 * first bytes. Damaged data is an error of the user's file; an unknown packing is none, since the
 * image has its own unpacker.
 */
import { gunzipSync } from "node:zlib";
import { decompress as unpackZstd } from "fzstd";
import { KiB, MiB } from "../base/units.ts";
import type { ImageReader } from "./image-reader.ts";
import { unpackLz4 } from "./lz4.ts";
import { unpackXz } from "./xz.ts";

/** Debian's largest kernels unpack to 100 MiB; whoever claims more than this wants our memory. */
const unpackedMax = 512 * MiB;
/** Linux appends the unpacked size to what it packs; gzip has it of its own. */
const sizeTrailerBytes = 4;
const gzipSizeMin = 18;
/** A run of one byte is the densest block that zstd has. */
const zstdBlock = { packedMin: 4, unpackedMax: 128 * KiB } as const;
/** Kernels shrink to a fifth; what claims more gets its memory as it goes. */
const usualGrowth = 8;

export type Packing = "gzip" | "LZ4" | "XZ" | "zstd" | "none";

const magics: readonly (readonly [Packing, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b, 0x08]],
  ["LZ4", [0x02, 0x21, 0x4c, 0x18]],
  ["XZ", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["none", [0x7f, 0x45, 0x4c, 0x46]],
];

/** How the payload is packed; undefined for packings that only the image itself unpacks. */
export function packingOf(payload: Uint8Array): Packing | undefined {
  return magics.find(([, magic]) => magic.every((byte, at) => payload[at] === byte))?.[0];
}

/** Unpacks the payload of `image`; throws ConfigError when it is damaged. */
export function unpack(
  image: ImageReader, payload: Uint8Array, packing: Packing,
): Uint8Array {
  try {
    return unpackers[packing](payload);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw image.error(`the kernel inside, packed with ${packing}, is truncated or damaged `
      + `(${reason}); allowed: complete images of at most ${unpackedMax / MiB} MiB unpacked`);
  }
}

const unpackers: {
  readonly [name in Packing]: (payload: Uint8Array) => Uint8Array;
} = {
  gzip: unpackGzip,
  LZ4: (payload) => unpackLz4(payload, unpackedMax),
  XZ: unpackXzPayload,
  zstd: unpackZstdPayload,
  none: (payload) => payload,
};

function unpackGzip(payload: Uint8Array): Uint8Array {
  if (payload.length < gzipSizeMin) {
    throw new RangeError("too short for gzip");
  }
  return gunzipSync(payload, { maxOutputLength: unpackedMax });
}

function unpackXzPayload(payload: Uint8Array): Uint8Array {
  const claimed = payload.length < sizeTrailerBytes ? 0 : sizeTrailer(payload);
  return unpackXz(payload, unpackedMax, Math.min(claimed, payload.length * usualGrowth));
}

/** The unpacked size that Linux appends. */
function sizeTrailer(payload: Uint8Array): number {
  const at = payload.length - sizeTrailerBytes;
  return new DataView(payload.buffer, payload.byteOffset + at).getUint32(0, true);
}

/** A zstd frame written to a pipe does not state its size, so that Linux's trailer is needed. */
function unpackZstdPayload(payload: Uint8Array): Uint8Array {
  const end = payload.length - sizeTrailerBytes;
  if (end < sizeTrailerBytes) {
    throw new RangeError("too short for zstd");
  }
  const size = sizeTrailer(payload);
  if (size > Math.min(unpackedMax, Math.ceil(end / zstdBlock.packedMin) * zstdBlock.unpackedMax)) {
    throw new RangeError(`it claims to unpack to ${size} bytes`);
  }
  return unpackZstd(payload.subarray(0, end), new Uint8Array(size));
}
