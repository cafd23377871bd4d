/** What differs in meaning between two configurations: spelling, order and defaults do not. */
import type { DeviceSchemas } from "../config/configuration.ts";
import { optionAt } from "../config/known-keys.ts";
import type { LeafOption } from "../config/options.ts";
import { functionSchema, globalSchema } from "../config/schema.ts";
import type { Entry } from "./entries.ts";

export interface Difference {
  readonly key: string;
  readonly before?: string;
  readonly after?: string;
}

interface FunctionKeys {
  readonly slot: string;
  readonly device: string;
  readonly keys: ReadonlyMap<string, string>;
}

interface Sides {
  readonly globals: ReadonlyMap<string, string>;
  readonly functions: readonly FunctionKeys[];
}

const functionKey = /^pci\.((?:[0-9]+)\.(?:[0-9]+)\.(?:[0-9]+))\.([^]*)$/;

function sidesOf(entries: readonly Entry[]): Sides {
  const globals = new Map<string, string>();
  const found = new Map<string, Map<string, string>>();
  for (const { key, value } of entries) {
    const [, slot, below] = functionKey.exec(key) ?? [];
    if (slot === undefined || below === undefined) {
      globals.set(key, value);
    } else {
      found.set(slot, (found.get(slot) ?? new Map()).set(below, value));
    }
  }
  return { globals, functions: [...found].map(([slot, keys]) =>
    ({ slot, device: keys.get("device") ?? "", keys })) };
}

/** The option that a key belongs to, as far as the schemas know it. */
export function optionOf(
  key: string, device: string | undefined, devices: DeviceSchemas,
): LeafOption<unknown> | undefined {
  if (device === undefined) {
    return optionAt(globalSchema, key);
  }
  const schema = devices.get(device)?.options;
  return optionAt(functionSchema, key) ?? (schema && optionAt(schema, key));
}

/** A value as its reader understands it. */
function meaning(option: LeafOption<unknown> | undefined, value: string | undefined): string {
  if (value === undefined) {
    return option?.default === undefined ? "" : `=${JSON.stringify(option.default)}`;
  }
  const reading = value.includes("%") ? undefined : option?.read(value);
  return `=${JSON.stringify(reading && "value" in reading ? reading.value : value)}`;
}

function compareKeys(
  before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>,
  option: (key: string) => LeafOption<unknown> | undefined, prefix: string,
): readonly Difference[] {
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((key) => {
    const old = before.get(key);
    const fresh = after.get(key);
    return meaning(option(key), old) === meaning(option(key), fresh) ? []
      : [{ key: prefix + key, ...(old !== undefined && { before: old }),
        ...(fresh !== undefined && { after: fresh }) }];
  });
}

/** Functions are the same ones in the same slot, or else by their device in order. */
export function differences(
  first: readonly Entry[], second: readonly Entry[], devices: DeviceSchemas,
): readonly Difference[] {
  const before = sidesOf(first);
  const after = sidesOf(second);
  const found = [...compareKeys(before.globals, after.globals,
    (key) => optionOf(key, undefined, devices), "")];
  const free = new Set(after.functions);
  const partner = (wanted: FunctionKeys) => {
    const match = [...free].find(({ slot, device }) => slot === wanted.slot
      && device === wanted.device)
      ?? [...free].find((each) => each.device === wanted.device
        && !before.functions.some(({ slot, device }) => slot === each.slot
          && device === each.device));
    if (match) {
      free.delete(match);
    }
    return match;
  };
  for (const each of before.functions) {
    const match = partner(each);
    const node = `pci.${each.slot}`;
    if (match && match.slot !== each.slot) {
      found.push({ key: node, before: each.slot, after: match.slot });
    }
    found.push(...compareKeys(each.keys, match?.keys ?? new Map(),
      (key) => match && optionOf(key, each.device, devices), `${node}.`));
  }
  for (const each of free) {
    found.push(...compareKeys(new Map(), each.keys, () => undefined, `pci.${each.slot}.`));
  }
  return found;
}
