/** What virtio-blk offers and shows its driver (VIRTIO 1.2 §5.2.3, §5.2.4). */
import type { BlockBackend } from "../../fabric/device.ts";
import { sectorBytes } from "./blk-requests.ts";

/** Feature bits. */
export const blkFeature = {
  segmentMax: 2, readOnly: 5, blockSize: 6, flush: 9, topology: 10, multiQueue: 12, discard: 13,
  writeZeroes: 14,
} as const;

const configBytes = 60;
/** Offsets in struct virtio_blk_config. */
const at = {
  capacity: 0, segmentMax: 12, blockSize: 20, physicalExponent: 24, alignmentOffset: 25,
  queueCount: 34,
  discardSectorsMax: 36, discardRangesMax: 40, discardAlignment: 44,
  zeroesSectorsMax: 48, zeroesRangesMax: 52, zeroesMayUnmap: 56,
} as const;
/** One range a request, up to 2 TiB, as bhyve's. */
const rangeSectorsMax = 0xffff_ffff;

export interface BlkAbilities {
  readonly segmentsMax: number;
  readonly queues: number;
  readonly readOnly: boolean;
  readonly discard: boolean;
  readonly writeZeroes: boolean;
}

export function offeredFeatures(can: BlkAbilities): readonly number[] {
  return [
    blkFeature.segmentMax, blkFeature.blockSize, blkFeature.flush, blkFeature.topology,
    ...(can.queues > 1 ? [blkFeature.multiQueue] : []),
    ...(can.readOnly ? [blkFeature.readOnly] : []),
    ...(can.discard ? [blkFeature.discard] : []),
    ...(can.writeZeroes ? [blkFeature.writeZeroes] : []),
  ];
}

export function describeDisk(disk: BlockBackend, can: BlkAbilities): Uint8Array {
  const bytes = new Uint8Array(configBytes);
  const view = new DataView(bytes.buffer);
  const { sectorBytes: logical, physicalSectorBytes: physical } = disk;
  view.setUint32(at.segmentMax, can.segmentsMax, true);
  view.setUint32(at.blockSize, logical, true);
  view.setUint8(at.physicalExponent, Math.max(0, Math.log2(physical / logical)));
  view.setUint16(at.queueCount, can.queues, true);
  if (can.discard) {
    view.setUint32(at.discardSectorsMax, rangeSectorsMax, true);
    view.setUint32(at.discardRangesMax, 1, true);
    view.setUint32(at.discardAlignment, logical / sectorBytes, true);
  }
  if (can.writeZeroes) {
    view.setUint32(at.zeroesSectorsMax, rangeSectorsMax, true);
    view.setUint32(at.zeroesRangesMax, 1, true);
    view.setUint8(at.zeroesMayUnmap, can.discard ? 1 : 0);
  }
  return bytes;
}

/** Writes the capacity into the structure. */
export function setCapacity(config: Uint8Array, sizeBytes: number): void {
  const view = new DataView(config.buffer);
  const sectors = sizeBytes / sectorBytes;
  view.setUint32(at.capacity, sectors % 2 ** 32, true);
  view.setUint32(at.capacity + 4, Math.floor(sectors / 2 ** 32), true);
}
