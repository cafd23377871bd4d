/**
 * The PCI functions of a configuration: `pci.<bus>.<slot>.<function>.*`. Names that are not
 * plain decimal numbers in range are no functions, as in bhyve 15.1 (pci_emul.c).
 */
import type { Problem } from "../base/errors.ts";
import type { DeviceSchemas } from "./configuration.ts";
import { legacyDevices } from "./legacy.ts";
import type { OptionNode, Schema } from "./options.ts";
import { nearest } from "./suggest.ts";
import type { Tree } from "./tree.ts";
import { pciLimits } from "./values.ts";
import type { PciSlot } from "./values.ts";

/** One configured PCI function whose device has a schema. */
export interface ConfiguredFunction {
  readonly at: PciSlot;
  readonly device: string;
  readonly node: OptionNode;
  readonly schema: Schema;
}

/** The functions in order of bus, slot and function, and those that name no usable device. */
export function findFunctions(tree: Tree, devices: DeviceSchemas): {
  functions: readonly ConfiguredFunction[]; problems: readonly Problem[];
} {
  const functions: ConfiguredFunction[] = [];
  const problems: Problem[] = [];
  for (const { at, node } of functionNodes(tree)) {
    const device = node.value("device");
    const alias = legacyDevices.some((each) => each.name === device && each.device !== undefined);
    const model = device === undefined || alias ? undefined : devices.get(device);
    if (device !== undefined && model) {
      functions.push({ at, device, node, schema: model.options });
      problems.push(...(model.single ? singleProblems(functions, device) : []));
    }
    if (device === undefined || !model || model.unbuilt) {
      problems.push({
        key: `${node.path}.device`, ...(device !== undefined && { value: device }),
        message: noDevice(device, devices),
      });
    }
  }
  return { functions, problems };
}

/** What is wrong with the place of the last function, whose device may exist once. */
function singleProblems(functions: readonly ConfiguredFunction[], device: string): Problem[] {
  const [first, second] = functions.filter((each) => each.device === device);
  const last = second ?? first;
  if (!last || (!second && last.at.bus === 0)) {
    return [];
  }
  return [{
    key: `${last.node.path}.device`, value: device,
    message: second ? `is in ${first?.node.path} already; allowed: one` : "allowed: on bus 0",
  }];
}

/** Every node that is a PCI function by its name. */
export function* functionNodes(tree: Tree): Generator<{ at: PciSlot; node: OptionNode }> {
  const root = tree.root.node("pci");
  for (const [bus, busNode] of numberedChildren(root, pciLimits.bus)) {
    for (const [slot, slotNode] of numberedChildren(busNode, pciLimits.slot)) {
      for (const [func, node] of numberedChildren(slotNode, pciLimits.func)) {
        yield { at: { bus, slot, func }, node };
      }
    }
  }
}

function numberedChildren(node: OptionNode | undefined, max: number): [number, OptionNode][] {
  const found: [number, OptionNode][] = [];
  for (const name of node?.names() ?? []) {
    const number = Number(name);
    if (String(number) === name && Number.isInteger(number) && number >= 0 && number <= max) {
      const child = node?.node(name);
      if (child) {
        found.push([number, child]);
      }
    }
  }
  return found.sort(([a], [b]) => a - b);
}

function noDevice(device: string | undefined, devices: DeviceSchemas): string {
  const names = [...devices].filter(([, { unbuilt }]) => !unbuilt).map(([name]) => name);
  const allowed = names.length === 0 ? "allowed: nothing, as this program has no device models"
    : `allowed: ${names.toSorted().join(", ")}`;
  if (device === undefined) {
    return `is required; ${allowed}`;
  }
  const legacy = legacyDevices.find(({ name }) => name === device);
  if (legacy?.device !== undefined) {
    return `is a name for -s only; use ${legacy.device}`;
  }
  if (legacy) {
    return `has no model in tsbhyve yet; ${allowed}`;
  }
  const near = nearest(device, names);
  return `is no device${near === undefined ? "" : `; did you mean ${near}?`}; ${allowed}`;
}
