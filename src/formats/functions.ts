/** The PCI functions among flat keys, for writers. */
import { pciLimits } from "../config/values.ts";
import type { PciSlot } from "../config/values.ts";
import type { Entries } from "./entries.ts";

export interface FunctionView {
  readonly slot: PciSlot;
  readonly device: string;
  /** Keys below the function, `device` included. */
  readonly keys: Entries;
}

/** Every function that has a device, by bus, slot and function; nothing is taken yet. */
export function functionsOf(ours: Entries): readonly FunctionView[] {
  const found = new Map<string, FunctionView & { readonly order: number }>();
  for (const { key, value } of ours.all()) {
    const [, bus = "", slot = "", func = ""]
      = /^pci\.([0-9]+)\.([0-9]+)\.([0-9]+)\.device$/.exec(key) ?? [];
    const place = { bus: Number(bus), slot: Number(slot), func: Number(func) };
    const node = `pci.${place.bus}.${place.slot}.${place.func}.`;
    const inRange = place.bus <= pciLimits.bus && place.slot <= pciLimits.slot
      && place.func <= pciLimits.func;
    if (key === `${node}device` && inRange) {
      const order = (place.bus * 32 + place.slot) * 8 + place.func;
      found.set(node, { slot: place, device: value, keys: ours.under(node), order });
    }
  }
  return [...found.values()].sort((a, b) => a.order - b.order);
}

/** Numbered children below `name.`, in order: `port.0`, `port.1`. */
export function numberedUnder(keys: Entries, name: string): readonly {
  readonly number: number; readonly keys: Entries;
}[] {
  return keys.under(`${name}.`).names().filter((each) => /^(0|[1-9][0-9]*)$/.test(each))
    .map(Number).sort((a, b) => a - b)
    .map((number) => ({ number, keys: keys.under(`${name}.${number}.`) }));
}
