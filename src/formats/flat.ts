/** The flat form, `key=value` a line (bhyve_config(5), as a `-k` file). */
import { atOrigin, setFile } from "../config/file.ts";
import { Tree } from "../config/tree.ts";
import type { Entries, Entry, Loss } from "./entries.ts";
import type { Format } from "./format.ts";

export const flat: Format = {
  name: "flat",
  help: "key=value lines, as bhyve -k reads them",
  endings: [".bhyve", ".flat"],
  keepsReferences: true,
  read(source, options) {
    const tree = new Tree(() => {});
    setFile(tree, source.name, source.text);
    setMachineName(tree, options.machine);
    return { entries: entriesOf(tree), losses: [] };
  },
  write(ours) {
    const losses: Loss[] = [];
    let text = "";
    for (const { key, value, at } of ours.all()) {
      const reason = unspeakable(key, value);
      ours.take(key);
      if (reason === undefined) {
        text += `${key}=${value}\n`;
      } else {
        losses.push({ key, value, at, reason });
      }
    }
    return { text, losses };
  },
};

/** The name that a command line gives stands above that of the text. */
export function setMachineName(tree: Tree, name: string | undefined): void {
  if (name !== undefined) {
    tree.origin = "operand";
    tree.set("name", name);
  }
}

/** Why a line cannot hold a key and its value, if it cannot. */
function unspeakable(key: string, value: string): string | undefined {
  if (key.startsWith("#") || /[=\n\0]/.test(key)) {
    return "a line cannot hold such a key";
  }
  if (value === "") {
    return "a line cannot hold an empty value";
  }
  return /[\n\0]/.test(value) ? "a line cannot hold a line break" : undefined;
}

/** What was set, without bhyve's defaults. */
export function entriesOf(tree: Tree): readonly Entry[] {
  return [...tree.root.entries()].filter(({ origin }) => origin !== "default")
    .map(({ key, value, origin }) => ({ key, value, at: origin }));
}

/** Sets entries in a tree, each with its place; throws ConfigError with the place. */
export function setEntries(tree: Tree, entries: Iterable<Entry>): void {
  for (const { key, value, at } of entries) {
    tree.origin = at;
    atOrigin(tree, () => tree.set(key, value));
  }
}

/** A tree of entries, for writers that walk it. */
export function treeOf(ours: Entries): Tree {
  const tree = new Tree(() => {});
  setEntries(tree, ours.all());
  return tree;
}
