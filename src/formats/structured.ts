/** A structured text as settings: keys, shortcuts, groups of devices, and several machines. */
import { ConfigError } from "../base/errors.ts";
import { keysOf as schemaKeys, optionAt } from "../config/known-keys.ts";
import { globalSchema } from "../config/schema.ts";
import { nearest } from "../config/suggest.ts";
import { Draft } from "./draft.ts";
import type { Entry } from "./entries.ts";
import { addGroup, setShortcut, shortcutNames } from "./shortcuts.ts";
import { leavesOf } from "./value.ts";
import type { Member, ObjectValue, TextValue, Value } from "./value.ts";

/** First names that our keys have. */
const knownNames = new Set([
  ...[...schemaKeys(globalSchema)].map(({ key }) => key.split(".", 1)[0] ?? ""), "pci",
]);

/** The settings of the machine of that name, or of the only one. */
export function structuredEntries(
  root: ObjectValue, machine: string | undefined,
): readonly Entry[] {
  const draft = new Draft();
  const { shared, own, name } = chooseMachine(root, machine);
  setMembers(shared, draft);
  if (own) {
    draft.raise();
    setMembers(own, draft);
  }
  if (name !== undefined) {
    draft.raise();
    draft.set("name", name, own?.[0]?.at ?? root.at);
  }
  return draft.finish();
}

interface Chosen {
  readonly shared: readonly Member[];
  readonly own?: readonly Member[];
  readonly name?: string;
}

/** `vm NAME { … }`, or an object at the top that has the wanted name; what stands outside is
 * common to all machines. */
function chooseMachine(root: ObjectValue, wanted: string | undefined): Chosen {
  const named = new Map<string, ObjectValue>();
  const add = (name: string, value: Value, at: string) => {
    if (value.kind !== "object" || named.has(name)) {
      throw new ConfigError({ key: at, message: value.kind === "object"
        ? `the machine ${name} is described twice` : `vm ${name} is no object; allowed: { … }` });
    }
    named.set(name, value);
  };
  const groups = root.members.filter(({ name }) => name === "vm")
    .flatMap(({ value }) => value.kind === "list" ? value.items : [value]);
  for (const group of groups) {
    if (group.kind !== "object") {
      throw new ConfigError({ key: group.at, message: "vm is no object; allowed: vm NAME { … }" });
    }
    group.members.forEach(({ name, value, at }) => add(name, value, at));
  }
  const isOther = ({ name, value }: Member) => value.kind === "object" && !name.includes(".")
    && !knownNames.has(name) && !shortcutNames.includes(name);
  const others = root.members.filter(isOther);
  const atTop = wanted !== undefined && others.some(({ name }) => name === wanted);
  if (atTop) {
    others.forEach(({ name, value, at }) => add(name, value, at));
  }
  const shared = root.members.filter((member) => member.name !== "vm"
    && !(atTop && isOther(member)));
  return named.size === 0 ? { shared, ...(wanted !== undefined && { name: wanted }) }
    : { shared, ...theOne(named, wanted, root.at) };
}

function theOne(
  named: ReadonlyMap<string, ObjectValue>, wanted: string | undefined, at: string,
): { own: readonly Member[]; name: string } {
  const [only = "", ...more] = named.keys();
  const name = wanted ?? (more.length === 0 ? only : undefined);
  const found = name === undefined ? undefined : named.get(name);
  if (name === undefined || !found) {
    const near = wanted === undefined ? undefined : nearest(wanted, named.keys());
    throw new ConfigError({
      key: at, message: wanted === undefined ? `describes ${named.size} machines and none is `
        + `named; allowed: ${[...named.keys()].join(", ")}` : `describes no machine ${wanted}`
        + `${near === undefined ? "" : `; did you mean ${near}?`}; allowed: `
        + [...named.keys()].join(", "),
    });
  }
  return { own: found.members, name };
}

function setMembers(members: readonly Member[], draft: Draft): void {
  const groups = new Map<string, { fields: Map<string, TextValue>; at: string }>();
  for (const { name, value, at } of members) {
    if (name === "device" || name.startsWith("device.")) {
      collectGroup(name.slice("device.".length), value, groups, at);
    } else if (name === "keys" && value.kind === "object") {
      value.members.forEach((each) => setKey(each.name, each.value, draft));
    } else if (name === "memory" && value.kind === "text") {
      draft.set("memory.size", value.raw ?? value.text, value.at);
    } else if (!setShortcut(name, value, draft)) {
      setKey(name, value, draft);
    }
  }
  for (const [number, { fields, at }] of groups) {
    addGroup(number, fields, draft, at);
  }
}

/** `device { 1 { … } }` and `device.1.path = …` say the same. */
function collectGroup(
  below: string, value: Value, groups: Map<string, { fields: Map<string, TextValue>; at: string }>,
  at: string,
): void {
  for (const { path, leaf } of leavesOf(value)) {
    const full = [below, path].filter((part) => part !== "").join(".");
    const [, number, key] = /^([^.]+)\.([^]+)$/.exec(full) ?? [];
    if (number === undefined || key === undefined) {
      throw new ConfigError({ key: leaf.at, message: "is in no group; allowed: device.N.key" });
    }
    const group = groups.get(number) ?? { fields: new Map<string, TextValue>(), at };
    groups.set(number, group);
    const before = group.fields.get(key);
    if (before) {
      throw new ConfigError({
        key: leaf.at, message: `device.${number}.${key} is given twice, first at ${before.at}`,
      });
    }
    group.fields.set(key, leaf);
  }
}

/** Keys whose values are lists with commas. */
const commaLists = /^(vcpu\.[0-9]+\.cpuset|domains\.[0-9]+\.cpus)$/;

function isSize(path: string): boolean {
  return optionAt(globalSchema, path)?.kind === "size" || /^domains\.[0-9]+\.size$/.test(path);
}

function setKey(path: string, value: Value, draft: Draft): void {
  switch (value.kind) {
    case "text":
      // Sizes of ours have suffixes of their own, in powers of 1024 as in bhyve.
      draft.set(path, isSize(path) ? value.raw ?? value.text : value.text, value.at);
      break;
    case "object":
      value.members.forEach((each) => setKey(`${path}.${each.name}`, each.value, draft));
      break;
    case "list": {
      const texts = value.items.filter((item) => item.kind === "text");
      if (commaLists.test(path) && texts.length === value.items.length && texts.length > 0) {
        draft.set(path, texts.map(({ text }) => text).join(","), value.at);
      } else if (texts.length > 0) {
        throw new ConfigError({
          key: texts[1]?.at ?? value.at, message: `${path} has several values; allowed: one`,
        });
      } else {
        // USB slots count from 1, all else from 0 (bhyve_config(5)).
        const first = path.endsWith(".slot") ? 1 : 0;
        value.items.forEach((item, index) => setKey(`${path}.${index + first}`, item, draft));
      }
    }
  }
}
