/** Every device model that `pci.<bus>.<slot>.<function>.device` may name. */
import { hostbridge } from "../devices/pci/hostbridge.ts";
import { lpc } from "../devices/pci/lpc.ts";
import { virtioBlk } from "../devices/virtio/blk.ts";
import { virtioRnd } from "../devices/virtio/rnd.ts";

const all = [hostbridge, lpc, virtioBlk, virtioRnd] as const;

export type DeviceModel = (typeof all)[number];

/** By the value of the key `device`. */
export const devices: ReadonlyMap<string, DeviceModel> =
  new Map(all.map((model) => [model.name, model]));
