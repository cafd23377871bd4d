/** What may follow in a command line of tsbhyve: from the same tables as everything else. */
import { keysOf } from "../../config/known-keys.ts";
import { flags } from "../../config/legacy-flags.ts";
import { legacyDevices } from "../../config/legacy.ts";
import { lpcDevices } from "../../config/legacy-lpc.ts";
import type { LeafOption, Schema } from "../../config/options.ts";
import { functionSchema, globalSchema } from "../../config/schema.ts";
import { formats } from "../../formats/registry.ts";
import { deviceSchemas } from "../../machine/registry.ts";
import { configVerbs } from "../config/command.ts";

/** One way to go on: the whole word, and what it is. */
export interface Candidate {
  readonly word: string;
  readonly help: string;
  /** More of the word will follow, so no blank. */
  readonly open?: boolean;
}

export interface Candidates {
  readonly words: readonly Candidate[];
  /** A file's name may stand here too. */
  readonly files: boolean;
}

const nothing: Candidates = { words: [], files: false };
const anyFile: Candidates = { words: [], files: true };

const commands: readonly (readonly [string, string])[] = [
  ["help", "what a device or key means"], ["config", "descriptions of machines"],
  ["doctor", "what this host offers"], ["completion", "script for a shell"],
];

/** Candidates for the last of `words`, which may be empty. */
export function candidatesFor(words: readonly string[]): Candidates {
  const current = words.at(-1) ?? "";
  const [first] = words;
  const all = rawCandidates(words, first, current);
  return { ...all, words: all.words.filter(({ word }) => word.startsWith(current)) };
}

function rawCandidates(
  words: readonly string[], first: string | undefined, current: string,
): Candidates {
  if (words.length > 1 && first === "help") {
    return listOf([...[...deviceSchemas].map(([name, { help }]) => [name, help] as const),
      ...keyList(globalSchema), ["flags", "all flags"]]);
  }
  if (words.length > 1 && first === "config") {
    return configCandidates(words.slice(1), current);
  }
  if (words.length > 1 && first === "completion") {
    return listOf([["bash", ""], ["zsh", ""], ["fish", ""]]);
  }
  const flag = /^-[A-Za-z]$/.exec(words.at(-2) ?? "")?.[0].slice(1);
  const known = flags.find(({ letter }) => letter === flag);
  if (known?.argument !== undefined) {
    return argumentCandidates(known.letter, current);
  }
  const flagWords = listOf([...flags.map(({ letter, help }) => [`-${letter}`, help] as const),
    ["--dry-run", "check and print the maps"], ["--help", "usage"], ["--version", "version"]]);
  return current.startsWith("-") ? flagWords : words.length === 1
    ? { words: [...listOf(commands).words, ...flagWords.words], files: false } : nothing;
}

function listOf(pairs: readonly (readonly [string, string])[]): Candidates {
  return { words: pairs.map(([word, help]) => ({ word, help })), files: false };
}

function keyList(schema: Schema): readonly (readonly [string, string])[] {
  return [...keysOf(schema)].map(({ key, option }) => [key, option.help] as const);
}

function configCandidates(words: readonly string[], current: string): Candidates {
  const before = words.at(-2);
  if (words.length === 1) {
    return listOf(configVerbs.map((verb) => [verb, ""]));
  }
  if (before === "--from" || before === "--to") {
    return listOf(formats.map(({ name, help }) => [name, help]));
  }
  if (words[0] === "explain") {
    return listOf(keyList(globalSchema));
  }
  const options = ["--from", "--to", "--strict", "--json", "--include-dir", "--define"];
  return current.startsWith("-") ? listOf(options.map((name) => [name, ""])) : anyFile;
}

function argumentCandidates(letter: string, current: string): Candidates {
  switch (letter) {
    case "s": return slotCandidates(current);
    case "l": return { files: false, words: lpcDevices.map((name) =>
      ({ word: name, help: "", open: name !== "pc-testdev" })) };
    case "o": return keyCandidates(current);
    case "k": case "f": return anyFile;
    default: return nothing;
  }
}

/** `3,` then a device, then keys of the device, then values. */
function slotCandidates(current: string): Candidates {
  const [slot = "", device, ...rest] = current.split(",");
  if (device === undefined) {
    return nothing;
  }
  if (rest.length === 0) {
    return { files: false, words: legacyDevices.map((each) => ({
      word: `${slot},${each.name}`, open: true,
      help: deviceSchemas.get(each.device ?? each.name)?.help ?? "",
    })) };
  }
  const legacy = legacyDevices.find(({ name }) => name === device);
  const schema = deviceSchemas.get(legacy?.device ?? device)?.options;
  const head = current.slice(0, current.lastIndexOf(",") + 1);
  return schema ? optionCandidates(schema, head, rest.at(-1) ?? "", false) : nothing;
}

/** `key=`, or values where they are known. A switch that is only named is on. */
function optionCandidates(
  schema: Schema, head: string, item: string, dotted: boolean,
): Candidates {
  const [name = "", value] = item.split("=");
  const found = [...keysOf(schema)].filter(({ key }) => dotted || !key.includes("."));
  if (value === undefined) {
    return { files: false, words: found.map(({ key, option }) =>
      ({ word: `${head}${key}=`, help: option.help, open: true })) };
  }
  const option = found.find(({ key }) => key === name)?.option;
  return { files: false, words: valuesOf(option).map((each) =>
    ({ word: `${head}${name}=${each}`, help: "" })) };
}

function valuesOf(option: LeafOption<unknown> | undefined): readonly string[] {
  return option?.limits.oneOf?.map(String) ?? (option?.kind === "flag" ? ["true", "false"] : []);
}

const functionPrefix = /^(pci\.[0-9]+\.[0-9]+\.[0-9]+\.)([^]*)$/;

/** Keys of the machine, and below a PCI function those of all devices. */
function keyCandidates(current: string): Candidates {
  const [, node, below] = functionPrefix.exec(current) ?? [];
  if (node === undefined || below === undefined) {
    return optionCandidates(globalSchema, "", current, true);
  }
  if (below.startsWith("device=")) {
    return listOf([...deviceSchemas].map(([name, { help }]) => [`${node}device=${name}`, help]));
  }
  const lists = [functionSchema, ...[...deviceSchemas.values()].map(({ options }) => options)]
    .flatMap((schema) => optionCandidates(schema, node, below, true).words);
  return { files: false, words: [...new Map(lists.map((each) => [each.word, each])).values()] };
}
