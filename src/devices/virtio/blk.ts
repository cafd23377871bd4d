/**
 * Disk (VIRTIO 1.2 §5.2), with the limits and identity of bhyve's model (pci_virtio_block.c).
 * All requests of a doorbell are handed to the disk together; one interrupt follows a batch.
 */
import { defined } from "../../base/assert.ts";
import type { HostError } from "../../base/errors.ts";
import { limitedLog, type Log } from "../../base/log.ts";
import { MiB } from "../../base/units.ts";
import { md5 } from "../../base/md5.ts";
import { integer, options, text, type OptionsOf } from "../../config/options.ts";
import {
  blockOperation, DirectBlockQueue, eachPart, type BlockOperation, type BlockQueue,
} from "../../fabric/block-queue.ts";
import type { BlockBackend } from "../../fabric/device.ts";
import type { PciEnv } from "../../fabric/pci/description.ts";
import { blockOptions } from "../block-options.ts";
import { blkFeature, describeDisk, offeredFeatures, setCapacity } from "./blk-config.ts";
import { BlkRequest, sectorBytes } from "./blk-requests.ts";
import { fixedConfig, type DeviceConfig, type VirtioFace, type VirtioHandler } from "./core.ts";
import { virtioDevice } from "./device.ts";
import type { Virtqueue } from "./virtqueue.ts";

/** Request types (§5.2.6). */
const request = { in: 0, out: 1, flush: 4, getId: 8, discard: 11, writeZeroes: 13 } as const;
/** Drivers of old set it to order writes; they wait for each themselves. */
const barrierBit = 0x8000_0000;
const status = { ok: 0, ioError: 1, unsupported: 2 } as const;
/** In place of a status: the disk has the request and will say. */
const underWay = -1;

const queueSize = 128;
/** As many as a machine has processors at most has no use yet; each costs tables of its own. */
const queuesMax = 16;
/** Header and status take a descriptor each (bhyve). */
const segmentsMax = queueSize - 2;
/** Back ends hold a request's data in memory; drivers ask for a few MiB at most. */
const requestBytesMax = 256 * MiB;
const serialBytes = 20;
/** Struct virtio_blk_discard_write_zeroes: one range. */
const rangeBytes = 16;
/** Flag of a range: the device may unmap what it fills with zeros. */
const rangeFlagsKnown = 1;

const blkOptions = options({
  ...blockOptions,
  serial: text({ key: "ser", lengthMax: serialBytes, help: "Serial number." }),
  queues: integer({
    min: 1, max: queuesMax, default: 1, help: "Request queues; more than one is worth it with more"
      + " than one processor.",
  }),
});

export const virtioBlk = virtioDevice({
  name: "virtio-blk",
  help: "Disk.",
  virtioId: 2,
  legacyPciId: 0x1001,
  classCode: 0x01_00_00,
  queues: ({ queues }) => Array.from({ length: queues }, (_none, index) => ({
    name: `requests ${index}`, size: queueSize,
  })),
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
  readonly #serial = new Uint8Array(serialBytes);
  readonly #configBytes: Uint8Array;
  readonly #disk: BlockBackend;
  readonly #requests: BlockQueue;
  readonly #face: VirtioFace;
  readonly #log: Log;
  readonly #settle = () => this.#requests.kick();
  readonly #done = (done: BlkRequest, error: HostError | undefined) => this.#finish(done, error);
  readonly #range = new Uint8Array(rangeBytes);
  /** Requests of each queue by row, made when first needed. */
  readonly #slots: (BlkRequest | undefined)[][];
  readonly #serve: ((row: number) => void)[] = [];
  /** Queues with requests that came back outside a doorbell. */
  readonly #finished = new Set<Virtqueue>();
  #sizeBytes = 0;
  readonly state = {}; // The disk's bytes are the back end's; what is under way is drained first.

  constructor(options: OptionsOf<typeof blkOptions>, env: PciEnv, face: VirtioFace) {
    this.#disk = defined(env.block, "the back end of a disk");
    this.#requests = this.#disk.queue ?? new DirectBlockQueue(this.#disk);
    this.#face = face;
    this.#log = limitedLog(env.log);
    this.#readOnly = options.readOnly || this.#disk.readOnly;
    new TextEncoder().encodeInto(options.serial ?? defaultSerial(options.path), this.#serial);
    this.#slots = Array.from({ length: options.queues }, () => []);
    this.#slots.forEach((_none, index) => {
      this.#serve.push((row) => this.#serveRow(index, row));
    });
    const abilities = {
      segmentsMax, queues: options.queues, readOnly: this.#readOnly,
      discard: !this.#readOnly && !options.noDelete && this.#disk.canDiscard === true,
      writeZeroes: !this.#readOnly && this.#disk.writeZeroes !== undefined,
    };
    this.features = offeredFeatures(abilities);
    this.#configBytes = describeDisk(this.#disk, abilities);
    this.config = fixedConfig(this.#configBytes);
    this.#measure();
    this.#disk.onResized?.(() => {
      this.#measure();
      face.configChanged();
    });
    this.#requests.onBatch(() => this.#showFinished());
  }

  onNotify(queue: Virtqueue): void {
    queue.drain(defined(this.#serve[queue.index], "a queue of this disk"), this.#settle);
  }

  /** Nothing may reach the guest's memory once the driver has been told that the queue is gone. */
  onQueueReset(queue: Virtqueue): void {
    const slots = defined(this.#slots[queue.index], "a queue of this disk");
    this.#forget(slots.splice(0));
    this.#finished.delete(queue);
  }

  detach(): void {
    this.#slots.forEach((slots) => this.#forget(slots.splice(0)));
  }

  #forget(slots: readonly (BlkRequest | undefined)[]): void {
    for (const slot of slots) {
      if (slot !== undefined) {
        slot.abandoned = true;
      }
    }
    this.#requests.barrier();
  }

  #measure(): void {
    const { sizeBytes, sectorBytes: unit } = this.#disk;
    this.#sizeBytes = sizeBytes - (sizeBytes % unit);
    setCapacity(this.#configBytes, this.#sizeBytes);
  }

  #serveRow(index: number, row: number): void {
    const slots = defined(this.#slots[index], "a queue of this disk");
    const current = slots[row] ??= new BlkRequest(this.#face.queue(index), row, this.#done);
    if (!current.parse()) {
      // There is nowhere to say what is wrong.
      current.queue.complete(row, 0);
      return;
    }
    const result = current.hasHeader ? this.#start(current) : status.ioError;
    if (result !== underWay) {
      this.#answer(current, result);
    }
  }

  #answer(current: BlkRequest, result: number): void {
    current.setStatus(result);
    // The status comes last, so all that lies before it counts as written.
    current.queue.complete(current.row, current.in.totalBytes + 1);
  }

  #finish(current: BlkRequest, error: HostError | undefined): void {
    if (error !== undefined) {
      this.#log.error(error.message);
    } else if (current.operation === blockOperation.read) {
      current.noteIn();
    } else if (current.operation === blockOperation.write && !this.#face.has(blkFeature.flush)) {
      // A driver that cannot flush must find its writes stable (§5.2.6.2).
      this.#requests.submit(current.ask(blockOperation.flush, 0, 0));
      return;
    }
    this.#answer(current, error === undefined ? status.ok : status.ioError);
    this.#finished.add(current.queue);
  }

  /** Completions on their own: shown to the guest, and what waited for room is served. */
  #showFinished(): void {
    this.#requests.kick(); // Flushes that follow writes.
    for (const queue of this.#finished) {
      this.#finished.delete(queue);
      if (queue.ready) {
        this.onNotify(queue);
      }
    }
  }

  #start(current: BlkRequest): number {
    switch ((current.type & ~barrierBit) >>> 0) {
      case request.in:
        return this.#move(current, blockOperation.read, current.in.totalBytes);
      case request.out:
        return this.#readOnly ? status.ioError
          : this.#move(current, blockOperation.write, current.out.totalBytes);
      case request.flush: return this.#submit(current, blockOperation.flush, 0, 0);
      case request.getId: return this.#identify(current);
      case request.discard: return this.#onRange(current, blockOperation.discard);
      case request.writeZeroes: return this.#onRange(current, blockOperation.writeZeroes);
      default: return status.unsupported;
    }
  }

  #submit(
    current: BlkRequest, operation: BlockOperation, offset: number, length: number,
  ): number {
    this.#requests.submit(current.ask(operation, offset, length));
    return underWay;
  }

  /** Whole sectors of the disk's own size, all of them on the disk. */
  #onDisk(offset: number, length: number): boolean {
    const unit = this.#disk.sectorBytes;
    return offset % unit === 0 && length % unit === 0 && offset + length <= this.#sizeBytes;
  }

  #move(current: BlkRequest, operation: BlockOperation, length: number): number {
    const offset = current.sector * sectorBytes;
    return length <= requestBytesMax && this.#onDisk(offset, length)
      ? this.#submit(current, operation, offset, length) : status.ioError;
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
  #onRange(current: BlkRequest, operation: BlockOperation): number {
    const zeroes = operation === blockOperation.writeZeroes;
    if (!this.features.includes(zeroes ? blkFeature.writeZeroes : blkFeature.discard)) {
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
    if ((flags & ~(zeroes ? rangeFlagsKnown : 0)) !== 0) {
      return status.unsupported;
    }
    return this.#onDisk(offset, length) ? this.#submit(current, operation, offset, length)
      : status.ioError;
  }
}
