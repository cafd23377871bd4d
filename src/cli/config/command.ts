/** `tsbhyve config VERB`: descriptions of machines in every format. */
import { ConfigError, exitStatus } from "../../base/errors.ts";
import { nearest } from "../../config/suggest.ts";
import { Tree, setDefaults } from "../../config/tree.ts";
import { canonicalEntries } from "../../formats/canonical.ts";
import { differences } from "../../formats/difference.ts";
import { Entries } from "../../formats/entries.ts";
import type { Loss } from "../../formats/entries.ts";
import { setEntries } from "../../formats/flat.ts";
import { jsonSchema } from "../../formats/json-schema.ts";
import { formats } from "../../formats/registry.ts";
import { translate } from "../../formats/translate.ts";
import { deviceSchemas } from "../../machine/registry.ts";
import { program } from "../command-line.ts";
import type { MachineRequest } from "../command-line.ts";
import type { Console } from "../main.ts";
import { formatNamed, readDescription, readingOptions } from "./sources.ts";
import { lastOf, readWords } from "./words.ts";
import type { WordTable, Words } from "./words.ts";

export interface Verb {
  readonly usage: string;
  readonly help: string;
  readonly table: WordTable;
  run(words: Words, console: Console): number | Promise<number>;
}

const verbs: Readonly<Record<string, Verb>> = {
  check: {
    usage: "check [--from F] [--json] FILE [NAME]",
    help: "check all that a start would need; prints the machine's maps",
    table: { values: readingOptions, switches: ["json"] }, run: check,
  },
  translate: {
    usage: "translate [--from F] --to G [--strict] [--json] FILE [NAME]",
    help: "write it in another format; what is lost goes to standard error",
    table: { values: [...readingOptions, "to"], switches: ["strict", "json"] }, run: translateVerb,
  },
  diff: {
    usage: "diff [--from F] [--json] FILE FILE",
    help: "what differs in meaning; status 1 if anything does",
    table: { values: readingOptions, switches: ["json"] }, run: diff,
  },
  explain: {
    usage: "explain KEY", help: "what a key means, takes and is read by",
    table: { values: [], switches: ["json"] },
    run: async ({ operands, switches }, console) =>
      (await import("../help.ts")).explain(operands, console, switches.has("json")),
  },
  schema: {
    usage: "schema", help: "JSON Schema of all keys",
    table: { values: [], switches: [] },
    run: (_words, console) => {
      console.out(`${JSON.stringify(jsonSchema(deviceSchemas), undefined, 2)}\n`);
      return 0;
    },
  },
  fmt: {
    usage: "fmt [--from F] FILE [NAME]", help: "canonical order and spelling, in its own format",
    table: { values: readingOptions, switches: [] }, run: format,
  },
};

export const configVerbTable: readonly Verb[] = Object.values(verbs);

export const configVerbs: readonly string[] = Object.keys(verbs);

export function configUsage(): string {
  const lines = Object.values(verbs).map(({ usage, help }) =>
    `  ${program} config ${usage}\n      ${help}\n`);
  return `usage:\n${lines.join("")}formats: ${formats.map(({ name }) => name).join(" ")}\n`;
}

export async function configCommand(argv: readonly string[], console: Console): Promise<number> {
  const [name = "", ...rest] = argv;
  const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined;
  if (!verb) {
    if (name === "--help" || name === "help") {
      console.out(configUsage());
      return 0;
    }
    const near = nearest(name, configVerbs);
    console.error(`${configUsage()}${name === "" ? "" : `${program}: ${name} is no verb of config${
      near === undefined ? "" : `; did you mean ${near}?`}\n`}`);
    return exitStatus.powerOff;
  }
  return await verb.run(withMachine(readWords(rest, verb.table), name), console);
}

/** The second operand names the machine, except where it is another file. */
function withMachine(words: Words, verb: string): Words {
  const [first, second, ...more] = words.operands;
  if (more.length > 0) {
    throw new ConfigError({ key: more.join(" "), message: "is too much" }, exitStatus.powerOff);
  }
  return second === undefined || verb === "diff" || verb === "explain" ? words
    : { ...words, operands: [first ?? ""],
      values: new Map([...words.values, ["machine", [second]]]) };
}

/** The tree of a description, with bhyve's defaults below it. */
function treeOf(file: string | undefined, words: Words): Tree {
  const { result } = readDescription(file, words);
  const tree = new Tree(() => {});
  setDefaults(tree);
  setEntries(tree, result.entries);
  return tree;
}

async function check(words: Words, console: Console): Promise<number> {
  const tree = treeOf(words.operands[0], words);
  tree.warnOnce();
  const { verify } = await import("../verify.ts");
  const { dryRun } = await import("../dry-run.ts");
  const request: MachineRequest = {
    kind: "machine", tree, dryRun: true, firmwareFiles: [], incomplete: [],
  };
  const warnings: string[] = [];
  const json = words.switches.has("json");
  try {
    const configuration = verify(request, (line) => warnings.push(line));
    const maps = await dryRun(configuration);
    console.out(json ? toJson({ ok: true, warnings, maps }) : maps);
    warnings.forEach((line) => console.error(json ? "" : `${line}\n`));
    return 0;
  } catch (error) {
    if (!(error instanceof ConfigError) || !json) {
      throw error;
    }
    console.out(toJson({ ok: false, warnings, problems: error.problems }));
    return error.status;
  }
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function translateVerb(words: Words, console: Console): number {
  const target = lastOf(words, "to");
  if (target === undefined) {
    throw new ConfigError({
      key: "--to", message: `is missing; allowed: ${formats.map(({ name }) => name).join(", ")}`,
    }, exitStatus.powerOff);
  }
  const to = formatNamed(target);
  const { format: from, result } = readDescription(words.operands[0], words);
  const { text, losses } = translate(result, to, deviceSchemas);
  if (words.switches.has("json")) {
    console.out(toJson({ from: from.name, to: to.name, text, losses }));
  } else {
    console.out(text);
    console.error(losses.map(lossLine).join(""));
  }
  return losses.length > 0 && words.switches.has("strict") ? exitStatus.error : 0;
}

function lossLine({ key, value, at, reason }: Loss): string {
  const given = value === undefined ? "" : `=${JSON.stringify(value)}`;
  return `lost: ${key}${given}: ${reason}${at === undefined || at === "" ? "" : ` (${at})`}\n`;
}

function diff(words: Words, console: Console): number {
  const [first, second] = words.operands;
  const [before, after] = [first, second ?? ""].map((file) => readDescription(file, words));
  const found = differences(before?.result.entries ?? [], after?.result.entries ?? [],
    deviceSchemas);
  if (words.switches.has("json")) {
    console.out(toJson(found));
  } else {
    console.out(found.map(({ key, before: old, after: fresh }) =>
      (old === undefined ? "" : `-${key}=${old}\n`)
      + (fresh === undefined ? "" : `+${key}=${fresh}\n`)).join(""));
  }
  return found.length > 0 ? 1 : 0;
}

function format(words: Words, console: Console): number {
  const { format: own, result } = readDescription(words.operands[0], words);
  const written = own.write(new Entries(canonicalEntries(result.entries, deviceSchemas)));
  if (result.losses.length > 0) {
    // To print it without them would lose them for good.
    console.error(result.losses.map(lossLine).join(""));
    return exitStatus.error;
  }
  console.out(written.text);
  return 0;
}
