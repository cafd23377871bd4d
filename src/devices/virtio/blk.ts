/**
 * Disk (VIRTIO 1.2 §5.2), with the limits and identity of bhyve's model (pci_virtio_block.c).
 * Requests run to completion in the order they come; one interrupt follows a batch.
 */
import { defined } from "../../base/assert.ts";
import { HostError } from "../../base/errors.ts";
import { limitedLog, type Log } from "../../base/log.ts";
import { MiB } from "../../base/units.ts";
import { md5 } from "../../base/md5.ts";
import { options, text, type OptionsOf } from "../../config/options.ts";
import type { BlockBackend } from "../../fabric/device.ts";
import type { PciEnv } from "../../fabric/pci/description.ts";
import { blockOptions } from "../block-options.ts";
import { BlkRequest, eachPart, sectorBytes } from "./blk-requests.ts";
import { fixedConfig, type DeviceConfig, type VirtioFace, type VirtioHandler } from "./core.ts";
import { virtioDevice } from "./device.ts";
import type { Virtqueue } from "./virtqueue.ts";

/** Feature bits (§5.2.3). */
const feature = {
  segmentMax: 2, readOnly: 5, blockSize: 6, flush: 9, topology: 10, discard: 13, writeZeroes: 14,
} as const;

/** Request types (§5.2.6). */
const request = { in: 0, out: 1, flush: 4, getId: 8, discard: 11, writeZeroes: 13 } as const;
/** Drivers of old set it to order writes; ours are in order. */
const barrierBit = 0x8000_0000;
const status = { ok: 0, ioError: 1, unsupported: 2 } as const;

const queueSize = 128;
/** Header and status take a descriptor each (bhyve). */
const segmentsMax = queueSize - 2;
/** The machine stands still while a request runs; drivers ask for a few MiB at most. */
const requestBytesMax = 256 * MiB;
const serialBytes = 20;
const configBytes = 60;
/** One range a request, up to 2 TiB, as bhyve's. */
const discardSectorsMax = 0xffff_ffff;
const rangeBytes = 16;
/** Flag of a range: the device may unmap what it fills with zeros. */
const rangeFlagsKnown = 1;

const blkOptions = options({
  ...blockOptions,
  serial: text({ key: "ser", lengthMax: serialBytes, help: "Serial number." }),
});

export const virtioBlk = virtioDevice({
  name: "virtio-blk",
  help: "Disk.",
  virtioId: 2,
  legacyPciId: 0x1001,
  classCode: 0x01_00_00,
  queues: [{ name: "requests", size: queueSize }],
  options: blkOptions,
  backend: "block",
  create: (options, env, face) => new VirtioBlk(options, env, face),
});

/** bhyve's serial number of a disk that has none: from its path, cut by a terminating zero. */
function defaultSerial(path: string): string {
  const pairs = [...md5(path)].map((byte) => byte.toString(16).padStart(2, "0").toUpperCase());
  const words = [0, 2, 4].map((at) => pairs.slice(at, at + 2).join(""));
  return `BHYVE-${words.join("-")}`.slice(0, serialBytes - 1);
}

export class VirtioBlk implements VirtioHandler {
  readonly features: readonly number[];
  readonly config: DeviceConfig;
  readonly #readOnly: boolean;
  readonly #sizeBytes: number;
  readonly #serial = new Uint8Array(serialBytes);
  readonly #disk: BlockBackend;
  readonly #face: VirtioFace;
  readonly #log: Log;
  readonly #serve = (row: number) => this.#serveRow(row);
  readonly #range = new Uint8Array(rangeBytes);
  #request: BlkRequest | undefined;
  readonly state = {}; // The disk's bytes are the back end's; no request outlives a notification.

  constructor(options: OptionsOf<typeof blkOptions>, env: PciEnv, face: VirtioFace) {
    this.#disk = defined(env.block, "the back end of a disk");
    this.#face = face;
    this.#log = limitedLog(env.log);
    this.#readOnly = options.readOnly || this.#disk.readOnly;
    const { sizeBytes, sectorBytes: unit } = this.#disk;
    this.#sizeBytes = sizeBytes - (sizeBytes % unit);
    new TextEncoder().encodeInto(options.serial ?? defaultSerial(options.path), this.#serial);
    const canDiscard = !this.#readOnly && !options.noDelete && this.#disk.canDiscard === true;
    const canZero = !this.#readOnly && this.#disk.writeZeroes !== undefined;
    this.features = [
      feature.segmentMax, feature.blockSize, feature.flush, feature.topology,
      ...(this.#readOnly ? [feature.readOnly] : []),
      ...(canDiscard ? [feature.discard] : []),
      ...(canZero ? [feature.writeZeroes] : []),
    ];
    this.config = fixedConfig(this.#describe(canDiscard, canZero));
  }

  onNotify(queue: Virtqueue): void {
    this.#request ??= new BlkRequest(queue);
    queue.drain(this.#serve);
  }

  /** struct virtio_blk_config (§5.2.4). */
  #describe(canDiscard: boolean, canZero: boolean): Uint8Array {
    const bytes = new Uint8Array(configBytes);
    const view = new DataView(bytes.buffer);
    const { sectorBytes: logical, physicalSectorBytes: physical } = this.#disk;
    const sectors = this.#sizeBytes / sectorBytes;
    view.setUint32(0, sectors % 2 ** 32, true);
    view.setUint32(4, Math.floor(sectors / 2 ** 32), true);
    view.setUint32(12, segmentsMax, true);
    view.setUint32(20, logical, true);
    view.setUint8(24, Math.max(0, Math.log2(physical / logical)));
    if (canDiscard) {
      view.setUint32(36, discardSectorsMax, true);
      view.setUint32(40, 1, true);
      view.setUint32(44, logical / sectorBytes, true);
    }
    if (canZero) {
      view.setUint32(48, discardSectorsMax, true);
      view.setUint32(52, 1, true);
    }
    return bytes;
  }

  #serveRow(row: number): void {
    const queue = this.#face.queue(0);
    const current = defined(this.#request, "the request in work");
    if (!current.parse(row)) {
      // There is nowhere to say what is wrong.
      queue.complete(row, 0);
      return;
    }
    const result = current.complete ? this.#run(current) : status.ioError;
    current.setStatus(result);
    // The status comes last, so all that lies before it counts as written.
    queue.complete(row, current.in.totalBytes + 1);
  }

  #run(current: BlkRequest): number {
    try {
      switch ((current.type & ~barrierBit) >>> 0) {
        case request.in: return this.#read(current);
        case request.out: return this.#write(current);
        case request.flush: this.#disk.flush(); return status.ok;
        case request.getId: return this.#identify(current);
        case request.discard: return this.#onRange(current, feature.discard);
        case request.writeZeroes: return this.#onRange(current, feature.writeZeroes);
        default: return status.unsupported;
      }
    } catch (error) {
      if (!(error instanceof HostError)) {
        throw error;
      }
      this.#log.error(error.message);
      return status.ioError;
    }
  }

  /** Whole sectors of the disk's own size, all of them on the disk. */
  #onDisk(offset: number, length: number): boolean {
    const unit = this.#disk.sectorBytes;
    return offset % unit === 0 && length % unit === 0 && offset + length <= this.#sizeBytes;
  }

  #movable(offset: number, length: number): boolean {
    return length <= requestBytesMax && this.#onDisk(offset, length);
  }

  #read(current: BlkRequest): number {
    const offset = current.sector * sectorBytes;
    const data = current.in;
    if (!this.#movable(offset, data.totalBytes)) {
      return status.ioError;
    }
    if (this.#disk.readParts !== undefined) {
      this.#disk.readParts(offset, data);
    } else {
      eachPart(data, (part, at) => this.#disk.read(offset + at, part));
    }
    current.noteIn();
    return status.ok;
  }

  #write(current: BlkRequest): number {
    const offset = current.sector * sectorBytes;
    const data = current.out;
    if (this.#readOnly || !this.#movable(offset, data.totalBytes)) {
      return status.ioError;
    }
    if (this.#disk.writeParts !== undefined) {
      this.#disk.writeParts(offset, data);
    } else {
      eachPart(data, (part, at) => this.#disk.write(offset + at, part));
    }
    // A driver that cannot flush must find its writes stable (§5.2.6.2).
    if (!this.#face.has(feature.flush)) {
      this.#disk.flush();
    }
    return status.ok;
  }

  #identify(current: BlkRequest): number {
    const { in: target } = current;
    if (target.totalBytes < serialBytes) {
      return status.ioError;
    }
    eachPart(target, (part, at) => {
      part.fill(0);
      part.set(this.#serial.subarray(Math.min(at, serialBytes), at + part.length));
    });
    current.noteIn();
    return status.ok;
  }

  /** Discard and write-zeroes carry the range they mean as data (§5.2.6.3). */
  #onRange(current: BlkRequest, wanted: number): number {
    if (!this.features.includes(wanted) || this.#readOnly) {
      return status.unsupported;
    }
    if (current.out.totalBytes !== rangeBytes) {
      return status.ioError;
    }
    eachPart(current.out, (part, at) => this.#range.set(part, at));
    const view = new DataView(this.#range.buffer);
    const sector = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
    const offset = sector * sectorBytes;
    const length = view.getUint32(8, true) * sectorBytes;
    const flags = view.getUint32(12, true);
    const known = wanted === feature.writeZeroes ? rangeFlagsKnown : 0;
    if ((flags & ~known) !== 0) {
      return status.unsupported;
    }
    if (!this.#onDisk(offset, length)) {
      return status.ioError;
    }
    if (wanted === feature.discard) {
      return this.#disk.discard(offset, length) ? status.ok : status.ioError;
    }
    this.#disk.writeZeroes?.(offset, length);
    return status.ok;
  }
}
