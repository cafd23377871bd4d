/** `tsbhyve help [device | key]`: what the schemas know, in words. Nothing is written twice. */
import { describeProblem, exitStatus } from "../base/errors.ts";
import { keysOf } from "../config/known-keys.ts";
import { describeBytes } from "../config/options.ts";
import type { LeafOption, Schema } from "../config/options.ts";
import { functionSchema, globalSchema, keyReaders } from "../config/schema.ts";
import { nearest } from "../config/suggest.ts";
import { deviceSchemas } from "../machine/registry.ts";
import type { DeviceSchema } from "../config/configuration.ts";
import type { Console } from "./main.ts";
import { flagHelp } from "./usage.ts";

interface KnownKey {
  readonly key: string;
  readonly option: LeafOption<unknown>;
}

/** Writes what is asked for; 1, bhyve's status of a wrong use, if there is nothing of that name. */
export function help(words: readonly string[], console: Console): number {
  const [word] = words;
  if (words.length > 1) {
    console.error("usage: tsbhyve help [device | key | flags]\n");
    return exitStatus.powerOff;
  }
  if (word === undefined) {
    console.out(overview());
    return 0;
  }
  const text = word === "flags" ? flagHelp() : deviceHelp(word) ?? keyHelp(word);
  if (text !== undefined) {
    console.out(text);
    return 0;
  }
  const problem = { key: "help", value: word, message: suggest(word) };
  console.error(`tsbhyve: ${describeProblem(problem)}\n`);
  return exitStatus.powerOff;
}

function overview(): string {
  const lines = ["Devices, for pci.BUS.SLOT.FUNCTION.device or -s slot,device:"];
  for (const [name, device] of deviceSchemas) {
    lines.push(row(name, deviceSummary(device)));
  }
  lines.push("", "Keys of the machine, for -o key=value or a line of a -k file:");
  for (const { key, option } of keysOf(globalSchema)) {
    lines.push(row(key, summary(option)));
  }
  lines.push("", "tsbhyve help DEVICE lists the keys of a device, tsbhyve help KEY says what is "
    + "allowed.");
  return `${lines.join("\n")}\n`;
}

/** Its help, and whether it can be used at all. */
export function deviceSummary({ help: text, unbuilt }: DeviceSchema): string {
  return unbuilt ? `${text} (keys only, no model yet)` : text;
}

const column = 26;

function row(name: string, text: string): string {
  return `  ${name.padEnd(column)} ${text}`;
}

function summary(option: LeafOption<unknown>): string {
  return option.pending ? `${option.help} (accepted, no effect yet)` : option.help;
}

function deviceHelp(name: string): string | undefined {
  const device = deviceSchemas.get(name);
  if (!device) {
    return undefined;
  }
  const lines = [`${name}: ${deviceSummary(device)}`, "", "Keys below pci.BUS.SLOT.FUNCTION:"];
  for (const { key, option } of deviceKeys(device.options)) {
    lines.push(row(key, `${summary(option)}${standing(option)}`));
  }
  return `${lines.join("\n")}\n`;
}

/** Keys of every function, then the device's own; a device may describe a common key anew. */
function deviceKeys(schema: Schema): readonly KnownKey[] {
  const own = [...keysOf(schema)];
  const names = new Set(own.map(({ key }) => key));
  return [...[...keysOf(functionSchema)].filter(({ key }) => !names.has(key)), ...own];
}

interface Explanation extends KnownKey {
  /** Device or part of the machine. */
  readonly reader: string;
  /** Whether the key is one of a PCI function. */
  readonly device: boolean;
}

/** Every key that a word may mean; numbers in it stand for any. */
function explanationsOf(word: string): readonly Explanation[] {
  const plain = word.replace(/(^|\.)[0-9]+(?=\.|$)/g, "$1N");
  const names = new Set([word, plain]);
  const globals = [...keyReaders].flatMap(([reader, schema]) => [...keysOf(schema)]
    .filter(({ key, option }) => [key, ...option.aliases].some((each) => names.has(each)))
    .map((each) => ({ ...each, reader, device: false })));
  const below = word.replace(/^pci\.[^.]+\.[^.]+\.[^.]+\./, "");
  const plainBelow = below.replace(/\.[0-9]+(?=\.)/g, ".N");
  const own = [...deviceSchemas].flatMap(([reader, device]) => deviceKeys(device.options)
    .filter(({ key }) => key === below || key === plainBelow)
    .map((each) => ({ ...each, reader, device: true })));
  return [...globals, ...own];
}

function keyHelp(word: string): string | undefined {
  const found = explanationsOf(word);
  return found.length === 0 ? undefined : `${found.map(describeKey).join("\n")}\n`;
}

function describeKey({ key, option, reader, device }: Explanation): string {
  const aliases = option.aliases.length === 0 ? ""
    : `\n  old names: ${option.aliases.join(", ")}`;
  return `${device ? `${reader}: ` : ""}${key}: ${summary(option)}\n  type: ${option.kind}\n`
    + `  allowed: ${option.allowed}${standing(option, "\n  ")}\n`
    + `  read by: ${device ? `the device ${reader}` : reader}\n  since: ${option.since}${aliases}`;
}

/** `tsbhyve config explain KEY`. */
export function explain(
  words: readonly string[], console: Console, json: boolean,
): number {
  const [word] = words;
  const found = word === undefined ? [] : explanationsOf(word);
  if (word === undefined || (!json && found.length === 0)) {
    return help(words, console);
  }
  console.out(json ? `${JSON.stringify(found.map(({ key, option, reader }) => ({
    key, help: option.help, type: option.kind, allowed: option.allowed, default: option.default,
    required: option.required, reader, since: option.since, aliases: option.aliases,
    pending: option.pending,
  })), undefined, 2)}\n` : keyHelp(word) ?? "");
  return found.length === 0 ? exitStatus.powerOff : 0;
}

/** Whether a key must be given, or what holds without it. */
export function standing(option: LeafOption<unknown>, before = " "): string {
  if (option.required) {
    return `${before}[required]`;
  }
  return option.default === undefined || option.default === "" ? ""
    : `${before}[default: ${defaultText(option)}]`;
}

export function defaultText({ kind, default: value }: LeafOption<unknown>): string {
  return kind === "size" && typeof value === "number" ? describeBytes(value) : String(value);
}

function suggest(word: string): string {
  const names = [...deviceSchemas.keys(), ...[...keysOf(globalSchema)].map(({ key }) => key)];
  const near = nearest(word, names);
  return `is no device or key${near === undefined ? "" : `; did you mean ${near}?`}; `
    + "tsbhyve help lists them";
}
