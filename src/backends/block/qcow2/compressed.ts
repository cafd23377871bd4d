/** Compressed clusters of qcow2: raw deflate, or one frame of Zstandard (RFC 8878 §3.1.1). */
import { decompress } from "fzstd";
import { constants, inflateRawSync } from "node:zlib";

/** Unpacks a cluster; throws on what is neither. `packed` may go on behind the end. */
export function unpackCluster(
  packed: Uint8Array, clusterBytes: number, kind: "deflate" | "zstd",
): Uint8Array {
  if (kind === "deflate") {
    return inflateRawSync(packed, {
      finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: clusterBytes,
    });
  }
  const unpacked = decompress(packed.subarray(0, frameBytes(packed)),
    new Uint8Array(clusterBytes));
  return unpacked.subarray(0, clusterBytes);
}

/** How long the frame at the start is: the next cluster's may follow at once. */
function frameBytes(packed: Uint8Array): number {
  const descriptor = packed[4] ?? 0;
  const single = (descriptor & 0x20) !== 0;
  const sizeBytes = [single ? 1 : 0, 2, 4, 8][descriptor >>> 6] ?? 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  let at = 5 + (single ? 0 : 1) + dictionaryBytes + sizeBytes;
  for (let last = false; !last && at + 3 <= packed.length;) {
    const header = (packed[at] ?? 0) | ((packed[at + 1] ?? 0) << 8) | ((packed[at + 2] ?? 0) << 16);
    last = (header & 1) !== 0;
    const repeated = ((header >>> 1) & 3) === 1;
    at += 3 + (repeated ? 1 : header >>> 3);
  }
  return at + ((descriptor & 4) !== 0 ? 4 : 0);
}
