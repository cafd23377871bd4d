/**
 * Typed option schemas: one table of options stands beside its consumer, and parsing, error
 * messages, help text, detection of unknown keys and later JSON Schema all read it.
 */
import type { Problem } from "../base/errors.ts";
import { boolHelp, describeIntegers, readBool, readInteger, readSize, readSlot, sizeHelp, slotHelp }
  from "./values.ts";
import type { IntegerLimits, PciSlot, Reading } from "./values.ts";

/** The part of the key tree that a schema is read from; values come expanded. */
export interface OptionNode {
  /** Full key of this node; empty for the root. */
  readonly path: string;
  /** The value at a key below this node, which may contain dots. */
  value(key: string): string | undefined;
  node(key: string): OptionNode | undefined;
  /** Names of the children, in tree order. */
  names(): Iterable<string>;
  /** Keys of all values below this node, in tree order: names joined by dots. */
  keys(): Iterable<string>;
}

/** What a reader of the table may want to know of a value beyond its kind. */
export interface Limits extends IntegerLimits {
  readonly oneOf?: readonly (string | number)[];
  readonly lengthMax?: number;
  readonly pattern?: RegExp;
}

export type LeafKind = "text" | "flag" | "integer" | "size" | "pciSlot";

/** One value. `T` includes `undefined` when it may be absent. */
export interface LeafOption<T> {
  readonly kind: LeafKind;
  /** Key below the schema's node, if it differs from the property's name; may contain dots. */
  readonly key: string | undefined;
  /** Old keys, looked at in this order when the key itself is absent. */
  readonly aliases: readonly string[];
  readonly help: string;
  readonly required: boolean;
  readonly default: T | undefined;
  readonly limits: Limits;
  /** What is allowed, in words. */
  readonly allowed: string;
  /** bhyve never reads a bad value of this key at start, so one is reported and passed over. */
  readonly lenient: boolean;
  /** Accepted, but without effect until its consumer exists. */
  readonly pending: boolean;
  /** The release that has the key first. */
  readonly since: string;
  read(text: string): Reading<unknown>;
}

/** A child node with a schema of its own. */
export interface GroupOption<S extends Schema> {
  readonly kind: "group";
  readonly key: string | undefined;
  readonly help: string;
  readonly schema: S;
}

/** Child nodes named by numbers, `port.0`, `port.1`, …; other names are left alone. */
export interface NumberedOption<S extends Schema> {
  readonly kind: "numbered";
  readonly key: string | undefined;
  readonly help: string;
  readonly schema: S;
  readonly first: number;
  readonly last: number;
}

export type Option = LeafOption<unknown> | GroupOption<Schema> | NumberedOption<Schema>;
export type Schema = { readonly [property: string]: Option };

type ValueOf<O> = O extends LeafOption<infer T> ? T
  : O extends GroupOption<infer S> ? OptionsOf<S>
  : O extends NumberedOption<infer S> ? ReadonlyMap<number, OptionsOf<S>>
  : never;

/** The parsed form of a schema. */
export type OptionsOf<S extends Schema> = { readonly [P in keyof S]: ValueOf<S[P]> };

interface LeafArguments<T> {
  readonly help: string;
  readonly key?: string;
  readonly aliases?: readonly string[];
  readonly required?: boolean;
  readonly default?: T;
  readonly lenient?: boolean;
  readonly pending?: boolean;
  /** The release that has the key first, unless it is the one that had keys first. */
  readonly since?: string;
}

/** bhyve has a tree of keys since this release. */
const firstRelease = "bhyve 13.1";

export interface TextArguments extends LeafArguments<string> {
  readonly oneOf?: readonly string[];
  readonly lengthMax?: number;
  readonly pattern?: RegExp;
  /** Says in words what `pattern` wants, or `reader`. */
  readonly hint?: string;
  /** Knows a grammar of its own; what it makes of the text its consumer asks for again. */
  readonly reader?: (value: string) => Reading<unknown>;
}

export interface IntegerArguments extends LeafArguments<number>, IntegerLimits {
  readonly oneOf?: readonly number[];
}

/** A default or `required` makes a value certain. */
type Presence<A, T> = A extends { readonly required: true } | { readonly default: {} } ? T
  : T | undefined;
type Choice<A, Wide> = A extends { readonly oneOf: readonly (infer C)[] } ? C : Wide;

/** Gives a table its exact type. */
export function options<const S extends Schema>(schema: S): S {
  return schema;
}

interface LeafParts {
  readonly kind: LeafKind;
  readonly allowed: string;
  readonly limits?: Limits;
  read(text: string): Reading<unknown>;
}

function leaf(from: LeafArguments<unknown>, parts: LeafParts): LeafOption<unknown> {
  return {
    kind: parts.kind,
    key: from.key,
    aliases: from.aliases ?? [],
    help: from.help,
    required: from.required ?? false,
    default: from.default,
    limits: parts.limits ?? {},
    allowed: parts.allowed,
    lenient: from.lenient ?? false,
    pending: from.pending ?? false,
    since: from.since ?? firstRelease,
    read: (text) => parts.read(text),
  };
}

export function text<const A extends TextArguments>(
  from: A,
): LeafOption<Presence<A, Choice<A, string>>>;
export function text(from: TextArguments): LeafOption<unknown> {
  const allowed = describeText(from);
  const { oneOf, lengthMax, pattern, reader } = from;
  const limits = {
    ...(oneOf && { oneOf }), ...(lengthMax !== undefined && { lengthMax }),
    ...(pattern && { pattern }),
  };
  const read = (value: string): Reading<string> => {
    const fits = (!oneOf || oneOf.includes(value))
      && (lengthMax === undefined || Buffer.byteLength(value) <= lengthMax)
      && (!pattern || pattern.test(value))
      && (!from.required || value !== "");
    const reading = fits ? reader?.(value) : undefined;
    if (reading !== undefined && "wrong" in reading) {
      return reading;
    }
    return fits ? { value } : { wrong: `allowed: ${allowed}` };
  };
  return leaf(from, { kind: "text", allowed, limits, read });
}

function describeText({ oneOf, lengthMax, pattern, hint, required }: TextArguments): string {
  const parts = [];
  if (hint !== undefined) {
    parts.push(hint);
  } else if (oneOf) {
    parts.push(oneOf.join(", "));
  } else if (pattern) {
    parts.push(`text that matches ${pattern.source}`);
  } else {
    parts.push(required ? "text that is not empty" : "text");
  }
  if (lengthMax !== undefined) {
    parts.push(`at most ${lengthMax} bytes`);
  }
  return parts.join(", ");
}

/** A boolean; legacy flag words (`,ro`) are stored as `true`. */
export function flag<const A extends LeafArguments<boolean>>(
  from: A,
): LeafOption<Presence<A, boolean>>;
export function flag(from: LeafArguments<boolean>): LeafOption<unknown> {
  return leaf(from, { kind: "flag", allowed: boolHelp, read: readBool });
}

/** An integer in base 0: decimal, 0x…, 0… for octal. */
export function integer<const A extends IntegerArguments>(
  from: A,
): LeafOption<Presence<A, Choice<A, number>>>;
export function integer(from: IntegerArguments): LeafOption<unknown> {
  const { min, max, oneOf } = from;
  const limits = {
    ...(min !== undefined && { min }), ...(max !== undefined && { max }), ...(oneOf && { oneOf }),
  };
  const allowed = oneOf ? oneOf.join(", ") : describeIntegers(limits);
  const read = (value: string): Reading<number> => {
    const reading = readInteger(value, limits);
    if ("wrong" in reading || (oneOf && !oneOf.includes(reading.value))) {
      return { wrong: `allowed: ${allowed}` };
    }
    return reading;
  };
  return leaf(from, { kind: "integer", allowed, limits, read });
}

export interface SizeArguments extends LeafArguments<number>, IntegerLimits {}

/** A size in bytes, in bhyve's grammar of `memory.size`. */
export function size<const A extends SizeArguments>(from: A): LeafOption<Presence<A, number>>;
export function size(from: SizeArguments): LeafOption<unknown> {
  const min = from.min ?? 0;
  const max = from.max ?? Number.MAX_SAFE_INTEGER;
  const allowed = `${sizeHelp}; from ${describeBytes(min)} to ${describeBytes(max)}`;
  const read = (value: string): Reading<number> => {
    const reading = readSize(value);
    if ("wrong" in reading) {
      return reading;
    }
    if (reading.value < BigInt(min) || reading.value > BigInt(max)) {
      return { wrong: `allowed: ${allowed}` };
    }
    return { value: Number(reading.value) };
  };
  return leaf(from, { kind: "size", allowed, limits: { min, max }, read });
}

const units = ["", "K", "M", "G", "T", "P"] as const;

/** A size in the largest unit that keeps it whole: `64M`. */
export function describeBytes(bytes: number): string {
  let value = bytes;
  for (const unit of units) {
    if (value === 0 || value % 1024 !== 0 || unit === "P") {
      return `${value}${unit}`;
    }
    value /= 1024;
  }
  return `${bytes}`;
}

/** A PCI address `[bus:]slot[:function]`. */
export function pciSlot<const A extends LeafArguments<PciSlot>>(
  from: A,
): LeafOption<Presence<A, PciSlot>>;
export function pciSlot(from: LeafArguments<PciSlot>): LeafOption<unknown> {
  return leaf(from, { kind: "pciSlot", allowed: slotHelp, read: readSlot });
}

export function group<const S extends Schema>(
  schema: S, from: { readonly help: string; readonly key?: string },
): GroupOption<S> {
  return { kind: "group", key: from.key, help: from.help, schema };
}

/** Children named by plain decimal numbers from `first` (0 by default) to `last`. */
export function numbered<const S extends Schema>(schema: S, from: {
  readonly help: string; readonly key?: string; readonly first?: number; readonly last: number;
}): NumberedOption<S> {
  const { key, help, first = 0, last } = from;
  return { kind: "numbered", key, help, schema, first, last };
}

/** A schema read, or everything that is wrong with it. */
export type Parsed<T> = ({ readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problems: readonly Problem[] })
  /** Bad values of lenient options; the default stands in for them. */
  & { readonly passedOver: readonly Problem[] };

/** Reads `schema` from `node`; reports every problem and throws none. */
export function parse<S extends Schema>(schema: S, node: OptionNode): Parsed<OptionsOf<S>>;
export function parse(schema: Schema, node: OptionNode): Parsed<Record<string, unknown>> {
  const findings: Findings = { problems: [], passedOver: [] };
  const value = parseNode(schema, node, findings);
  const { problems, passedOver } = findings;
  return problems.length === 0 ? { ok: true, value, passedOver }
    : { ok: false, problems, passedOver };
}

type Values = Record<string, unknown>;

interface Findings {
  readonly problems: Problem[];
  readonly passedOver: Problem[];
}

function parseNode(schema: Schema, node: OptionNode, findings: Findings): Values {
  const values: Values = {};
  for (const [property, option] of Object.entries(schema)) {
    const key = option.key ?? property;
    switch (option.kind) {
      case "group":
        values[property] = parseNode(option.schema, childNode(node, key), findings);
        break;
      case "numbered":
        values[property] = parseNumbered(option, childNode(node, key), findings);
        break;
      default:
        values[property] = parseLeaf(option, node, key, findings);
    }
  }
  return values;
}

function parseNumbered(
  option: NumberedOption<Schema>, node: OptionNode, findings: Findings,
): ReadonlyMap<number, Values> {
  const found = new Map<number, Values>();
  const numbers = [...node.names()].filter((name) => /^(0|[1-9][0-9]*)$/.test(name)).map(Number)
    .filter((number) => number >= option.first && number <= option.last)
    .sort((a, b) => a - b);
  for (const number of numbers) {
    const child = node.node(String(number));
    if (child) {
      found.set(number, parseNode(option.schema, child, findings));
    }
  }
  return found;
}

function parseLeaf(
  option: LeafOption<unknown>, node: OptionNode, ownKey: string, findings: Findings,
): unknown {
  const { problems, passedOver } = findings;
  const { key, given } = firstGiven(node, [ownKey, ...option.aliases]) ?? { key: ownKey };
  if (given === undefined) {
    if (option.required) {
      const message = `is required; allowed: ${option.allowed}`;
      problems.push({ key: joinKey(node.path, key), message });
    }
    return option.default;
  }
  const reading = option.read(given);
  if ("wrong" in reading) {
    const status = reading.status === undefined ? {} : { status: reading.status };
    const at = joinKey(node.path, key);
    (option.lenient ? passedOver : problems).push({
      key: at, value: given, message: reading.wrong, ...status,
    });
    return option.default;
  }
  return reading.value;
}

/** Reads each key at most once: a read may warn about its `%(…)`. */
function firstGiven(
  node: OptionNode, keys: readonly string[],
): { key: string; given?: string } | undefined {
  for (const key of keys) {
    const given = node.value(key);
    if (given !== undefined) {
      return { key, given };
    }
  }
  return undefined;
}

export function joinKey(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

function childNode(node: OptionNode, key: string): OptionNode {
  return node.node(key) ?? emptyNode(joinKey(node.path, key));
}

/** A node without children: a schema read from it yields its defaults and what is required. */
export function emptyNode(path: string): OptionNode {
  return { path, value: () => undefined, node: () => undefined, names: () => [], keys: () => [] };
}

/** A node over plain values, for tests and for callers that have no tree: keys may have dots. */
export function nodeOf(values: { readonly [key: string]: string }, path = ""): OptionNode {
  const below = (key: string) => Object.fromEntries(Object.entries(values)
    .filter(([name]) => name.startsWith(`${key}.`))
    .map(([name, value]) => [name.slice(key.length + 1), value]));
  return {
    path,
    value: (key) => values[key],
    node(key) {
      const found = below(key);
      return Object.keys(found).length === 0 ? undefined : nodeOf(found, joinKey(path, key));
    },
    names: () => new Set(Object.keys(values).map((name) => name.split(".", 1)[0] ?? "")),
    keys: () => Object.keys(values),
  };
}
