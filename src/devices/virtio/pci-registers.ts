/**
 * The register blocks of a virtio device on PCI: the legacy header in I/O space (VIRTIO 1.2
 * §4.1.4.10) and the common configuration of the modern interface (§4.1.4.3).
 */
import { registerMap } from "../../fabric/register-map.ts";
import { feature } from "./features.ts";
import { legacyLayout } from "./split-ring.ts";
import type { VirtioCore } from "./core.ts";
import type { Virtqueue } from "./virtqueue.ts";

/** No interrupt is wanted, or the vector chosen does not exist. */
export const noVector = 0xffff;

/** What the register blocks work on. */
export interface PciRegisters {
  readonly core: VirtioCore;
  readonly state: PciTransportState;
  /** MSI-X vectors there are. */
  readonly vectors: number;
  /** Reads the interrupt status, which acknowledges it. */
  takeInterruptStatus(): number;
  writeStatus(value: number): void;
}

export interface PciTransportState {
  [key: string]: unknown;
  deviceFeatureSelect: number;
  driverFeatureSelect: number;
  queueSelect: number;
  configVector: number;
  interruptStatus: number;
  readonly queueVectors: Uint16Array;
}

export function newTransportState(queues: number): PciTransportState {
  return {
    deviceFeatureSelect: 0, driverFeatureSelect: 0, queueSelect: 0, configVector: noVector,
    interruptStatus: 0, queueVectors: new Uint16Array(queues).fill(noVector),
  };
}

const selected = (device: PciRegisters): Virtqueue | undefined =>
  device.core.queues[device.state.queueSelect];

const chosenVector = (device: PciRegisters, vector: number) =>
  vector < device.vectors ? vector : noVector;

function setQueueVector(device: PciRegisters, vector: number): void {
  if (selected(device) !== undefined) {
    device.state.queueVectors[device.state.queueSelect] = chosenVector(device, vector);
  }
}

function queueVector(device: PciRegisters): number {
  return device.state.queueVectors[device.state.queueSelect] ?? noVector;
}

const pageShift = 12;

/** Any write takes the queue away; a page number places all three parts of it anew. */
function setPageNumber(device: PciRegisters, page: number): void {
  const queue = selected(device);
  if (queue === undefined) {
    return;
  }
  device.core.resetQueue(queue);
  if (page !== 0) {
    const parts = legacyLayout(page * 2 ** pageShift, queue.state.size);
    for (const [index, address] of parts.entries()) {
      queue.state.addresses[index * 2] = address % 2 ** 32;
      queue.state.addresses[index * 2 + 1] = Math.floor(address / 2 ** 32);
    }
    queue.enable();
  }
}

function pageNumber(device: PciRegisters): number {
  const { ready = false, addresses = undefined } = selected(device)?.state ?? {};
  return ready && addresses !== undefined
    ? ((addresses[0] ?? 0) >>> pageShift) + ((addresses[1] ?? 0) << (32 - pageShift)) : 0;
}

/** Legacy drivers know the first 32 features only. */
function setLegacyFeatures({ core }: PciRegisters, value: number): void {
  core.setFeatures(0, value & (core.offered[0] ?? 0));
}

export const legacyRegisters = registerMap<PciRegisters>({
  size: 20,
  rows: [
    [0, "HOST_FEATURES", "r", { size: 4, read: ({ core }) => core.offered[0] ?? 0 }],
    [4, "GUEST_FEATURES", "rw", {
      size: 4, read: ({ core }) => core.state.features[0] ?? 0, write: setLegacyFeatures,
    }],
    [8, "QUEUE_PFN", "rw", { size: 4, read: pageNumber, write: setPageNumber }],
    [12, "QUEUE_NUM", "r", { size: 2, read: (device) => selected(device)?.sizeMax ?? 0 }],
    [14, "QUEUE_SEL", "rw", { size: 2, field: "queueSelect" }],
    [16, "QUEUE_NOTIFY", "rw", {
      size: 2, read: () => 0, write: ({ core }, index) => core.notify(index),
    }],
    [18, "STATUS", "rw", {
      read: ({ core }) => core.state.status, write: (device, value) => device.writeStatus(value),
    }],
    [19, "ISR", "r", { read: (device) => device.takeInterruptStatus() }],
  ],
});

/** Stands between the legacy header and the device's own structure while MSI-X is enabled. */
export const legacyVectors = registerMap<PciRegisters>({
  size: 4,
  width: 2,
  rows: [
    [0, "CONFIG_VECTOR", "rw", {
      field: "configVector",
      write: (device, vector) => {
        device.state.configVector = chosenVector(device, vector);
      },
    }],
    [2, "QUEUE_VECTOR", "rw", { read: queueVector, write: setQueueVector }],
  ],
});

function setQueueSize(device: PciRegisters, size: number): void {
  const queue = selected(device);
  // 0 would take the queue out of use, which enabling refuses. Sizes of split rings are powers of
  // two (§2.7).
  if (queue !== undefined && !queue.state.ready && size !== 0 && size <= queue.sizeMax
    && (queue.isPacked || (size & (size - 1)) === 0)) {
    queue.state.size = size;
  }
}

/** §2.6.1: the queue is as new, and free to be enabled again; here that takes no time. */
function resetOneQueue(device: PciRegisters, value: number): void {
  const queue = selected(device);
  if (queue !== undefined && value === 1 && device.core.has(feature.ringReset)) {
    device.core.resetQueue(queue);
  }
}

/** §4.1.4.3: writing 1 starts the queue; only a reset stops it. */
function enableQueue(device: PciRegisters, value: number): void {
  const queue = selected(device);
  if (queue !== undefined && !queue.state.ready && value === 1) {
    queue.enable();
  }
}

/** Rows of the six halves of the three addresses. */
const addressRows = ["DESC_LOW", "DESC_HIGH", "DRIVER_LOW", "DRIVER_HIGH", "DEVICE_LOW",
  "DEVICE_HIGH"].map((name, index) => [32 + index * 4, `QUEUE_${name}`, "rw", {
  size: 4,
  read: (device: PciRegisters) => selected(device)?.state.addresses[index] ?? 0,
  write: (device: PciRegisters, value: number) => {
    const queue = selected(device);
    if (queue !== undefined && !queue.state.ready) {
      queue.state.addresses[index] = value;
    }
  },
}] as const);

export const commonRegisters = registerMap<PciRegisters>({
  size: 60,
  width: 2,
  empty: 0,
  rows: [
    [0, "DEVICE_FEATURE_SELECT", "rw", { size: 4, field: "deviceFeatureSelect" }],
    [4, "DEVICE_FEATURE", "r", {
      size: 4, read: ({ core, state }) => core.offered[state.deviceFeatureSelect] ?? 0,
    }],
    [8, "DRIVER_FEATURE_SELECT", "rw", { size: 4, field: "driverFeatureSelect" }],
    [12, "DRIVER_FEATURE", "rw", {
      size: 4,
      read: ({ core, state }) => core.state.features[state.driverFeatureSelect] ?? 0,
      write: ({ core, state }, value) => core.setFeatures(state.driverFeatureSelect, value),
    }],
    [16, "CONFIG_MSIX_VECTOR", "rw", {
      field: "configVector",
      write: (device, vector) => {
        device.state.configVector = chosenVector(device, vector);
      },
    }],
    [18, "NUM_QUEUES", "r", { read: ({ core }) => core.queues.length }],
    [20, "DEVICE_STATUS", "rw", {
      size: 1, read: ({ core }) => core.state.status,
      write: (device, value) => device.writeStatus(value),
    }],
    [21, "CONFIG_GENERATION", "r", { size: 1, read: ({ core }) => core.state.generation }],
    [22, "QUEUE_SELECT", "rw", { field: "queueSelect" }],
    [24, "QUEUE_SIZE", "rw", {
      read: (device) => selected(device)?.state.size ?? 0, write: setQueueSize,
    }],
    [26, "QUEUE_MSIX_VECTOR", "rw", { read: queueVector, write: setQueueVector }],
    [28, "QUEUE_ENABLE", "rw", {
      read: (device) => (selected(device)?.state.ready ? 1 : 0), write: enableQueue,
    }],
    [30, "QUEUE_NOTIFY_OFF", "r", { read: ({ state }) => state.queueSelect }],
    ...addressRows,
    [56, "QUEUE_NOTIFY_DATA", "r", { read: ({ state }) => state.queueSelect }],
    [58, "QUEUE_RESET", "rw", { read: () => 0, write: resetOneQueue }],
  ],
});
