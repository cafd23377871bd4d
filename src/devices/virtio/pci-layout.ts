/**
 * Where a modern virtio device keeps its registers on PCI: one BAR of four blocks, announced by
 * vendor capabilities (VIRTIO 1.2 §4.1.4).
 */
import { onesOf } from "../../base/bits.ts";
import type { AccessHandler } from "../../fabric/address-space.ts";
import { capabilityId, type ConfigSpace } from "../../fabric/pci/config-space.ts";
import type { CapabilityOptions } from "../../fabric/pci/function.ts";

export const barIndex = { legacy: 0, msix: 1, modern: 4 } as const;

const blockShift = 12;
const blockBytes = 1 << blockShift;

/** The four blocks in the order they lie in the BAR. */
export interface ModernBlocks {
  readonly common: AccessHandler;
  readonly interruptStatus: AccessHandler;
  readonly device: AccessHandler;
  readonly notify: AccessHandler;
}

const blockOrder = ["common", "interruptStatus", "device", "notify"] as const;
export const modernBarBytes = blockOrder.length * blockBytes;

/** Queue n is notified at n times this, so that the doorbell's address names the queue. */
export const notifyStride = 4;

/** Types of the capabilities (§4.1.4). */
const structureType = { common: 1, notify: 2, interruptStatus: 3, device: 4 } as const;
const windowType = 5;

/** One handler for the whole BAR. */
export function joinBlocks(blocks: ModernBlocks): AccessHandler {
  const inOrder = blockOrder.map((name) => blocks[name]);
  return {
    read: (offset, size) => inOrder[offset >>> blockShift]
      ?.read(offset & (blockBytes - 1), size) ?? onesOf(size),
    write: (offset, size, value) => inOrder[offset >>> blockShift]
      ?.write(offset & (blockBytes - 1), size, value),
  };
}

/** The capabilities that point to the blocks; a device without a structure has none for it. */
export function modernCapabilities(
  bar: AccessHandler, lengths: { readonly [name in keyof ModernBlocks]: number },
): readonly CapabilityOptions[] {
  const pointers = blockOrder.filter((name) => lengths[name] > 0).map((name) => {
    const extra = name === "notify" ? 4 : 0;
    const offset = blockOrder.indexOf(name) * blockBytes;
    const body = pointerBody(structureType[name], offset, lengths[name], extra);
    if (name === "notify") {
      new DataView(body.buffer).setUint32(14, notifyStride, true);
    }
    return { id: capabilityId.vendor, body };
  });
  return [...pointers, windowCapability(bar)];
}

/** struct virtio_pci_cap without id and link. */
function pointerBody(type: number, offset: number, length: number, extra: number): Uint8Array {
  const body = new Uint8Array(14 + extra);
  const view = new DataView(body.buffer);
  view.setUint8(0, body.length + 2);
  view.setUint8(1, type);
  view.setUint8(2, barIndex.modern);
  view.setUint32(6, offset, true);
  view.setUint32(10, length, true);
  return body;
}

/** Offsets within the window's capability. */
const windowAt = { bar: 4, offset: 8, length: 12, data: 16 } as const;

/** §4.1.4.9: reaches the BAR through configuration space, for firmware that cannot map it. */
function windowCapability(bar: AccessHandler): CapabilityOptions {
  const placed = (config: ConfigSpace, at: number) => {
    config.allow(at + windowAt.bar, 1, 0xff);
    config.allow(at + windowAt.offset, 4, 0xffff_ffff);
    config.allow(at + windowAt.length, 4, 0xffff_ffff);
    const target = (): { offset: number; length: number } | undefined => {
      const offset = config.get(at + windowAt.offset, 4);
      const length = config.get(at + windowAt.length, 4);
      const valid = config.get(at + windowAt.bar, 1) === barIndex.modern
        && (length === 1 || length === 2 || length === 4)
        && offset % length === 0 && offset + length <= modernBarBytes;
      return valid ? { offset, length } : undefined;
    };
    config.window(at + windowAt.data, 4, {
      read: (_offset, size) => {
        const to = target();
        return to === undefined ? onesOf(size) : bar.read(to.offset, to.length);
      },
      write: (_offset, _size, value) => {
        const to = target();
        if (to !== undefined) {
          bar.write(to.offset, to.length, (value & onesOf(to.length)) >>> 0);
        }
      },
    });
  };
  return { id: capabilityId.vendor, body: pointerBody(windowType, 0, 0, 4), placed };
}
