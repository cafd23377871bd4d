/** Canonical order and spelling of settings: what `fmt` makes of any configuration. */
import type { DeviceSchemas } from "../config/configuration.ts";
import { keysOf } from "../config/known-keys.ts";
import { describeBytes } from "../config/options.ts";
import type { LeafOption, Schema } from "../config/options.ts";
import { functionSchema, globalSchema } from "../config/schema.ts";
import { optionOf } from "./difference.ts";
import type { Entry } from "./entries.ts";

/** Machine keys as the reference lists them, then variables, then functions by their slots. */
export function canonicalEntries(
  entries: readonly Entry[], devices: DeviceSchemas,
): readonly Entry[] {
  const last = new Map(entries.map((each) => [each.key, each]));
  const place = placer(last, devices);
  return [...last.values()].map((each) => ({ each, at: place(each.key) }))
    .sort((a, b) => compare(a.at, b.at))
    .map(({ each }) => ({ ...each, value: canonicalValue(each, last, devices) }));
}

const functionForm = /^pci\.([0-9]+)\.([0-9]+)\.([0-9]+)\.([^]*)$/;

function compare(a: readonly number[], b: readonly number[]): number {
  const index = a.findIndex((value, at) => value !== b[at]);
  return index < 0 ? 0 : (a[index] ?? 0) - (b[index] ?? 0);
}

function placer(
  entries: ReadonlyMap<string, Entry>, devices: DeviceSchemas,
): (key: string) => readonly number[] {
  const global = orderOf(globalSchema);
  const first = [...entries.keys()];
  const byDevice = new Map<string, ReadonlyMap<string, number>>();
  return (key) => {
    const [, bus, slot, func, below] = functionForm.exec(key) ?? [];
    if (below === undefined) {
      const rank = rankOf(key, global);
      return rank === undefined ? [1, first.indexOf(key)] : [0, ...rank];
    }
    const device = entries.get(`pci.${bus}.${slot}.${func}.device`)?.value ?? "";
    const order = byDevice.get(device)
      ?? orderOf({ ...functionSchema, ...devices.get(device)?.options });
    byDevice.set(device, order);
    const rank = rankOf(below, order) ?? [order.size, first.indexOf(key)];
    return [2, Number(bus), Number(slot), Number(func), below === "device" ? 0 : 1, ...rank];
  };
}

function orderOf(schema: Schema): ReadonlyMap<string, number> {
  return new Map([...keysOf(schema)].map(({ key }, index) => [key, index]));
}

/** Numbered keys lie beside each other, by their numbers: `port.0.…`, `port.1.…`. */
function rankOf(key: string, order: ReadonlyMap<string, number>): readonly number[] | undefined {
  const number = /(?:^|\.)([0-9]+)(?=\.)/.exec(key);
  const plain = key.replace(/(^|\.)[0-9]+(?=\.)/, "$1N");
  const rank = order.get(plain);
  const group = number && [...order].find(([name]) =>
    name.startsWith(plain.slice(0, number.index + 2)))?.[1];
  return rank === undefined ? undefined : [group ?? rank, Number(number?.[1] ?? 0), rank];
}

function canonicalValue(
  { key, value }: Entry, entries: ReadonlyMap<string, Entry>, devices: DeviceSchemas,
): string {
  const [, bus, slot, func, below] = functionForm.exec(key) ?? [];
  const device = entries.get(`pci.${bus}.${slot}.${func}.device`)?.value;
  const option = below === undefined ? optionOf(key, undefined, devices)
    : device === undefined ? undefined : optionOf(below, device, devices);
  return option === undefined || value.includes("%") ? value : spelled(option, value);
}

function spelled(option: LeafOption<unknown>, value: string): string {
  const reading = option.read(value);
  if ("wrong" in reading) {
    return value; // A check says so; nothing is put right silently.
  }
  const read = reading.value;
  return option.kind === "size" && typeof read === "number" ? sizeText(read)
    : option.kind === "flag" || option.kind === "integer" ? String(read) : value;
}

/** With a suffix always: a plain small number would count MiB. */
function sizeText(bytes: number): string {
  const text = describeBytes(bytes);
  return /[0-9]$/.test(text) ? `${text}B` : text;
}
