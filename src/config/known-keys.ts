/** Which keys of a tree some schema knows, and which are mistakes. */
import type { Problem } from "../base/errors.ts";
import { referencesOf } from "./expand.ts";
import type { LeafOption, Option, Schema } from "./options.ts";
import { functionSchema, globalSchema, reservedNodes } from "./schema.ts";
import type { ConfiguredFunction } from "./slots.ts";
import { nearest } from "./suggest.ts";
import type { Tree } from "./tree.ts";
import { pciLimits } from "./values.ts";

/** The option of a schema that a key below the schema's node belongs to. */
export function optionAt(schema: Schema, key: string): LeafOption<unknown> | undefined {
  for (const [property, option] of Object.entries(schema)) {
    const own = option.key ?? property;
    const found = option.kind === "group" || option.kind === "numbered"
      ? nestedAt(option, own, key)
      : [own, ...option.aliases].includes(key) ? option : undefined;
    if (found) {
      return found;
    }
  }
  return undefined;
}

type Nested = Exclude<Option, LeafOption<unknown>>;

function nestedAt(option: Nested, own: string, key: string): LeafOption<unknown> | undefined {
  if (!key.startsWith(`${own}.`)) {
    return undefined;
  }
  const rest = key.slice(own.length + 1);
  if (option.kind === "group") {
    return optionAt(option.schema, rest);
  }
  const [, number, inner] = /^(0|[1-9][0-9]*)\.(.*)$/.exec(rest) ?? [];
  const inRange = Number(number) >= option.first && Number(number) <= option.last;
  return inRange && inner !== undefined ? optionAt(option.schema, inner) : undefined;
}

/** Keys of a schema as they may be written; `N` stands for a number. */
export function* keysOf(schema: Schema): Generator<{ key: string; option: LeafOption<unknown> }> {
  for (const [property, option] of Object.entries(schema)) {
    const own = option.key ?? property;
    if (option.kind === "group" || option.kind === "numbered") {
      const middle = option.kind === "numbered" ? ".N." : ".";
      for (const inner of keysOf(option.schema)) {
        yield { key: own + middle + inner.key, option: inner.option };
      }
    } else {
      yield { key: own, option };
    }
  }
}

/** Keys that nobody knows, and known ones that were given but have no effect yet. */
export function unknownKeys(tree: Tree, functions: readonly ConfiguredFunction[]): {
  unknown: readonly Problem[]; pending: readonly Problem[];
} {
  const unknown: Problem[] = [];
  const pending: Problem[] = [];
  for (const { key, value, origin } of tree.root.entries()) {
    const where = whereOf(key, functions);
    if (where.anything || tree.isReferenced(key)) {
      continue;
    }
    const option = where.schemas.map((schema) => optionAt(schema, where.key))
      .find((each) => each !== undefined);
    if (!option) {
      unknown.push({ key, value, message: describeUnknown(where) });
    } else if (option.pending && origin !== "default" && !isDefault(option, value)) {
      pending.push({ key, value, message: "has no effect yet" });
    }
  }
  return { unknown, pending };
}

/** Whether a value asks for what holds anyway. */
function isDefault(option: LeafOption<unknown>, value: string): boolean {
  const reading = option.read(value);
  return "value" in reading && reading.value === option.default;
}

interface Where {
  readonly prefix: string;
  /** Key below the prefix. */
  readonly key: string;
  readonly schemas: readonly Schema[];
  /** Below a device without a model: reported once, by its name. */
  readonly anything: boolean;
}

function whereOf(key: string, functions: readonly ConfiguredFunction[]): Where {
  const [prefix, bus, slot, func] = /^pci\.([0-9]+)\.([0-9]+)\.([0-9]+)\./.exec(key) ?? [];
  const canonical = [bus, slot, func].every((text) => text === String(Number(text)))
    && Number(bus) <= pciLimits.bus && Number(slot) <= pciLimits.slot
    && Number(func) <= pciLimits.func;
  if (prefix === undefined || !canonical) {
    return { prefix: "", key, schemas: [globalSchema], anything: false };
  }
  const found = functions.find(({ node }) => `${node.path}.` === prefix);
  return {
    prefix, key: key.slice(prefix.length), anything: !found,
    schemas: found ? [functionSchema, found.schema] : [],
  };
}

function describeUnknown({ prefix, key, schemas }: Where): string {
  const [first = ""] = key.split(".", 1);
  if (prefix === "" && reservedNodes.includes(first)) {
    return `is reserved: ${first}.* has no meaning yet`;
  }
  if (prefix === "" && first === "pci") {
    return "is no PCI function; allowed: pci.bus.slot.function.*, plain decimal, bus up to 255, "
      + "slot 31, function 7";
  }
  const known = schemas.flatMap((schema) => [...keysOf(schema)].map((each) => each.key));
  const near = nearest(key, known);
  return near === undefined
    ? "is an unknown key; nothing refers to it (config.strict=false lets it pass)"
    : `is an unknown key; did you mean ${prefix}${near}?`;
}

/** References that lead back to themselves: bhyve cuts them off after sixteen levels. */
export function referenceProblems(tree: Tree): Problem[] {
  const raw = new Map([...tree.root.entries()].map(({ key, value }) => [key, value]));
  const problems: Problem[] = [];
  const finished = new Set<string>();
  for (const [start, value] of raw) {
    const circle = finished.has(start) ? undefined : findCircle(start, raw, finished);
    if (circle) {
      problems.push({
        key: start, value, message: `leads in a circle: ${circle.join(" -> ")}; allowed: `
          + "%(name) of keys that do not lead back",
      });
    }
  }
  return problems;
}

/** The way from a key back to itself, depth first; keys known to be clean are not walked again. */
function findCircle(
  start: string, raw: ReadonlyMap<string, string>, finished: Set<string>,
): string[] | undefined {
  const path: string[] = [];
  const pendingAt: string[][] = [];
  const enter = (key: string): void => {
    path.push(key);
    pendingAt.push(referencesOf(raw.get(key) ?? "").filter((each) => raw.has(each)));
  };
  enter(start);
  while (path.length > 0) {
    const next = pendingAt.at(-1)?.pop();
    if (next === undefined) {
      finished.add(path.pop() ?? "");
      pendingAt.pop();
    } else if (path.includes(next)) {
      const circle = [...path.slice(path.indexOf(next)), next];
      for (const key of path) {
        finished.add(key); // Said once for all keys on the circle.
      }
      return circle;
    } else if (!finished.has(next)) {
      enter(next);
    }
  }
  return undefined;
}
