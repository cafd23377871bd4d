/**
 * A virtio device apart from its transport (VIRTIO 1.2 §2, §3): status, features, queues, and the
 * model behind them.
 */
import { limitedLog, type Log } from "../../base/log.ts";
import type { DeviceState } from "../../fabric/device.ts";
import type { GuestMemory } from "../../fabric/memory.ts";
import { assignState, copyState } from "../../fabric/state.ts";
import { deviceStatus, feature, featureWords, hasFeature } from "./features.ts";
import { Virtqueue, type QueueDescription } from "./virtqueue.ts";

/** The configuration structure that a device shows its driver. */
export interface DeviceConfig {
  readonly size: number;
  read(offset: number, size: number): number;
  write(offset: number, size: number, value: number): void;
}

/** What a model may ask of the device around it. */
export interface VirtioFace {
  /** Whether the driver has accepted a feature. */
  has(feature: number): boolean;
  queue(index: number): Virtqueue;
  /** The configuration structure has changed; the driver is told. */
  configChanged(): void;
}

/** A device model: what its queues mean. */
export interface VirtioHandler {
  readonly state: DeviceState;
  /** Numbers of the features it offers beyond those of every device. */
  readonly features?: readonly number[];
  readonly config?: DeviceConfig;
  /** The driver has put something into this queue. */
  onNotify(queue: Virtqueue): void;
  /** The driver has taken a queue away: chains of it that are not completed are gone. After a
   * reset of the device `state` is as new and this is called for every queue. */
  onQueueReset?(queue: Virtqueue): void;
  /** Sets timers and the like from `state`, after that was loaded. */
  sync?(): void;
  /** Ends timers and the like; the device is leaving. */
  detach?(): void;
}

/** How a transport interrupts. */
export interface VirtioSignals {
  queueInterrupt(index: number): void;
  configInterrupt(): void;
}

export interface VirtioCoreOptions {
  readonly queues: readonly QueueDescription[];
  readonly memory: GuestMemory;
  readonly log: Log;
  readonly signals: VirtioSignals;
  /** Offers the interface of VIRTIO 1.0 and later. */
  readonly modern: boolean;
  makeHandler(face: VirtioFace): VirtioHandler;
}

export class VirtioCore {
  readonly queues: readonly Virtqueue[];
  readonly handler: VirtioHandler;
  readonly offered: Uint32Array;
  readonly #log: Log;
  readonly #signals: VirtioSignals;
  readonly #newHandlerState: DeviceState;
  readonly state;

  constructor(options: VirtioCoreOptions) {
    this.#log = limitedLog(options.log);
    this.#signals = options.signals;
    this.queues = options.queues.map((description, index) =>
      new Virtqueue(index, description, options.memory, {
        interrupt: () => this.#signals.queueInterrupt(index),
        fault: (queue, reason) => this.#fault(queue, reason),
      }));
    this.state = {
      status: 0,
      features: new Uint32Array(2),
      generation: 0,
      queues: this.queues.map((queue) => queue.state),
    };
    this.handler = options.makeHandler({
      has: (number) => this.has(number),
      queue: (index) => this.#queue(index),
      configChanged: () => this.configChanged(),
    });
    this.#newHandlerState = copyState(this.handler.state);
    this.offered = featureWords([
      ...(this.handler.features ?? []), feature.indirect, feature.eventIndex,
      ...(options.modern ? [feature.version1, feature.packed, feature.ringReset] : []),
    ]);
  }

  has(number: number): boolean {
    return hasFeature(this.state.features, number);
  }

  /** One word of the driver's choice; once it has been agreed on, nothing changes it. */
  setFeatures(word: number, value: number): void {
    if (word < 2 && (this.state.status & deviceStatus.featuresOk) === 0) {
      this.state.features[word] = value;
      this.#negotiate();
      // Queues come after features (§3.1.1): one that was first is not what was agreed on.
      for (const queue of this.queues) {
        if (queue.ready && this.has(feature.version1)) {
          this.resetQueue(queue);
        }
      }
    }
  }

  writeStatus(value: number): void {
    const { state } = this;
    if (value === 0) {
      this.reset();
      return;
    }
    const { featuresOk, needsReset } = deviceStatus;
    const refused = (value & ~state.status & featuresOk) !== 0 && !this.#acceptable();
    state.status = (refused ? value & ~featuresOk : value) | (state.status & needsReset);
  }

  /** The driver has rung the bell of a queue. */
  notify(index: number): void {
    const queue = this.queues[index];
    // A modern driver must not notify before DRIVER_OK; legacy ones did (VIRTIO 1.2 §3.1.2).
    const early = this.has(feature.version1)
      && (this.state.status & deviceStatus.driverOk) === 0;
    if (queue !== undefined && queue.ready && !early) {
      this.handler.onNotify(queue);
    }
  }

  configChanged(): void {
    this.state.generation = (this.state.generation + 1) & 0xff;
    if ((this.state.status & deviceStatus.driverOk) !== 0) {
      this.#signals.configInterrupt();
    }
  }

  reset(): void {
    this.state.status = 0;
    this.state.generation = 0;
    this.state.features.fill(0);
    this.#negotiate();
    assignState(this.handler.state, this.#newHandlerState);
    for (const queue of this.queues) {
      this.resetQueue(queue);
    }
  }

  resetQueue(queue: Virtqueue): void {
    queue.reset();
    this.handler.onQueueReset?.(queue);
  }

  /** Derives the rest from `state`, after that was loaded. */
  sync(): void {
    this.#negotiate();
    for (const queue of this.queues) {
      queue.sync();
    }
    this.handler.sync?.();
  }

  readConfig(offset: number, size: number): number {
    const { config } = this.handler;
    return config !== undefined && offset + size <= config.size ? config.read(offset, size) : 0;
  }

  writeConfig(offset: number, size: number, value: number): void {
    const { config } = this.handler;
    if (config !== undefined && offset + size <= config.size) {
      config.write(offset, size, value);
    }
  }

  #queue(index: number): Virtqueue {
    const queue = this.queues[index];
    if (queue === undefined) {
      throw new RangeError(`there is no queue ${index}`);
    }
    return queue;
  }

  /** §2.2: nothing that was not offered; §6.1: VERSION_1 where both sides know it. */
  #acceptable(): boolean {
    const { features } = this.state;
    const unknown = features.some((word, index) => (word & ~(this.offered[index] ?? 0)) !== 0);
    return !unknown && this.has(feature.version1) === hasFeature(this.offered, feature.version1);
  }

  #negotiate(): void {
    for (const queue of this.queues) {
      queue.negotiate({
        packed: this.has(feature.packed), indirect: this.has(feature.indirect),
        eventIndex: this.has(feature.eventIndex),
      });
    }
  }

  /** §2.1.2: the device says that it can go on only after a reset. */
  #fault(queue: Virtqueue, reason: string): void {
    this.#log.warn(`queue ${queue.name}: ${reason}; the device waits for a reset`);
    this.state.status |= deviceStatus.needsReset;
    if ((this.state.status & deviceStatus.driverOk) !== 0) {
      this.#signals.configInterrupt();
    }
  }
}

/** A configuration structure that only the device changes. */
export function fixedConfig(bytes: Uint8Array): DeviceConfig {
  return {
    size: bytes.length,
    read: (offset, size) => {
      let value = 0;
      for (let index = 0; index < size; index += 1) {
        value |= (bytes[offset + index] ?? 0) << (index * 8);
      }
      return value >>> 0;
    },
    write: () => {},
  };
}
