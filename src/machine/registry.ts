/** All PCI device models by the names that the key `device` takes. A new model adds a line. */
import { ConfigError } from "../base/errors.ts";
import type { DeviceSchema, DeviceSchemas } from "../config/configuration.ts";
import { parse, type OptionNode, type OptionsOf, type Schema } from "../config/options.ts";
import { hostbridge } from "../devices/pci/hostbridge.ts";
import { lpc } from "../devices/pci/lpc.ts";
import { unbuiltDevices } from "../devices/unbuilt.ts";
import { virtioBlk } from "../devices/virtio/blk.ts";
import { virtioConsole } from "../devices/virtio/console.ts";
import { virtio9p } from "../devices/virtio/p9.ts";
import { virtioRnd } from "../devices/virtio/rnd.ts";
import type { BackendKind, PciDeviceDescription, PciEnv } from "../fabric/pci/description.ts";
import type { PciDevice } from "../fabric/pci/function.ts";

/** A model among unlike ones: it reads its options itself. */
export interface DeviceModel {
  readonly name: string;
  readonly help: string;
  readonly options: Schema;
  readonly backend?: BackendKind;
  /** At most one in a machine, and on bus 0. */
  readonly single: boolean;
  /** Throws ConfigError. */
  create(node: OptionNode, env: PciEnv): PciDevice;
}

function model<S extends Schema>(
  description: PciDeviceDescription<S, OptionsOf<S>>,
): DeviceModel {
  const { name, help, options, backend, single = false } = description;
  return {
    name, help, options, ...(backend && { backend }), single,
    create: (node, env) => {
      const parsed = parse(options, node);
      if (!parsed.ok) {
        throw new ConfigError(parsed.problems);
      }
      return description.create(parsed.value, env);
    },
  };
}

const models = [
  model(hostbridge), model(lpc), model(virtioBlk), model(virtioConsole), model(virtio9p),
  model(virtioRnd),
];

export const devices: ReadonlyMap<string, DeviceModel> =
  new Map(models.map((each) => [each.name, each]));

/** What is known of all devices, those included that have keys but no model yet. */
export const deviceSchemas: DeviceSchemas = new Map<string, DeviceSchema>([
  ...unbuiltDevices.map((each) => [each.name, { ...each, unbuilt: true }] as const),
  ...devices,
]);
