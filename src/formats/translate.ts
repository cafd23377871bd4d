/**
 * From one format to another. What the writer could not say is the loss; so is what reading the
 * result again does not give back, so that the report does not rest on the writers' word.
 */
import { ConfigError } from "../base/errors.ts";
import type { DeviceSchemas } from "../config/configuration.ts";
import { Tree } from "../config/tree.ts";
import { differences, optionOf } from "./difference.ts";
import type { Difference } from "./difference.ts";
import { Entries, lossesOf } from "./entries.ts";
import type { Entry, Loss } from "./entries.ts";
import { setEntries } from "./flat.ts";
import type { Format, ReadResult } from "./format.ts";
import { Source } from "./source.ts";

export interface Translation {
  readonly text: string;
  readonly losses: readonly Loss[];
}

/** Writes what was read; throws ConfigError if its keys cannot stand in one tree. */
export function translate(
  from: ReadResult, to: Format, devices: DeviceSchemas,
): Translation {
  const tree = new Tree(() => {});
  setEntries(tree, from.entries);
  const entries = to.keepsReferences ? from.entries : expanded(from.entries, tree, devices);
  const ours = new Entries(entries);
  const written = to.write(ours);
  const losses = [...from.losses, ...written.losses,
    ...lossesOf(ours, `has no counterpart in ${to.name}`)
      .filter(({ key }) => !written.losses.some((each) => each.key === key))];
  return { text: written.text, losses: [...losses,
    ...lostOnTheWay(written.text, entries, to, devices, losses)] };
}

/** Values with everything put in; keys that only served as variables go. */
function expanded(
  entries: readonly Entry[], tree: Tree, devices: DeviceSchemas,
): readonly Entry[] {
  return entries.filter(({ key }) => !tree.isReferenced(key) || isKnown(key, tree, devices))
    .map((each) => ({ ...each, value: tree.expand(each.value) }));
}

function isKnown(key: string, tree: Tree, devices: DeviceSchemas): boolean {
  const [, node, below] = /^(pci\.[0-9]+\.[0-9]+\.[0-9]+)\.([^]*)$/.exec(key) ?? [];
  return node === undefined || below === undefined
    ? optionOf(key, undefined, devices) !== undefined
    : optionOf(below, tree.value(`${node}.device`), devices) !== undefined;
}

function lostOnTheWay(
  text: string, entries: readonly Entry[], to: Format, devices: DeviceSchemas,
  known: readonly Loss[],
): readonly Loss[] {
  const name = entries.findLast(({ key }) => key === "name")?.value;
  let again: readonly Entry[];
  try {
    const source = new Source(name === undefined ? "result" : `${name}.conf`, text);
    again = to.read(source, {}).entries;
  } catch (error) {
    if (error instanceof ConfigError) {
      return error.problems.map(({ key, message }) =>
        ({ key, reason: `the result cannot be read back: ${message}` }));
    }
    throw error;
  }
  const said = new Set(known.map(({ key }) => key));
  return differences(entries, again, devices).filter(({ key }) => !isSaid(key, said))
    .map(lossOf);
}

/** A device that is lost needs no line for each of its keys. */
function isSaid(key: string, said: ReadonlySet<string>): boolean {
  const node = /^pci\.[0-9]+\.[0-9]+\.[0-9]+/.exec(key)?.[0];
  return said.has(key) || (node !== undefined && said.has(`${node}.device`));
}

function lossOf({ key, before, after }: Difference): Loss {
  const reason = before === undefined ? `is added there: ${after}`
    : after === undefined ? "does not come back" : `becomes ${after} there`;
  return { key, reason, ...(before !== undefined && { value: before }) };
}
