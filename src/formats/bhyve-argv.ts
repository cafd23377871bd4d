/** A command line of bhyve(8). Flags are used where they mean the same keys, else `-o`. */
import { ConfigError } from "../base/errors.ts";
import { readArguments } from "../config/arguments.ts";
import type { FirmwareFile } from "../config/firmware-file.ts";
import { CommandLineEnd } from "../config/legacy-flags.ts";
import { Tree, setDefaults } from "../config/tree.ts";
import { legacyConf } from "./bhyve-conf.ts";
import type { Entries, Entry, Loss } from "./entries.ts";
import { entriesOf } from "./flat.ts";
import type { Format, ReadOptions, ReadResult } from "./format.ts";
import { functionsOf } from "./functions.ts";
import { commandText, shellWords } from "./shell-words.ts";
import type { Word } from "./shell-words.ts";
import type { Source } from "./source.ts";

export const bhyveArgv: Format = {
  name: "bhyve-argv",
  help: "a command line of bhyve(8)",
  endings: [".sh", ".cmd"],
  keepsReferences: true,
  read: (source, options) => {
    const words = shellWords(source);
    const start = words.findIndex(({ text }) => /(^|\/)(ts)?bhyve(\.mjs)?$/.test(text));
    return readWords(words.slice(start + 1), source, options);
  },
  write: (ours) => {
    const groups = [["bhyve"], ...flagGroups(ours)];
    const name = ours.take("name");
    const losses: Loss[] = [];
    for (const { key, value, at } of ours.left()) {
      ours.take(key);
      if (value === "") {
        losses.push({ key, value, at, reason: "no argument can set an empty value" });
      } else if (key.includes("=")) {
        losses.push({ key, value, at, reason: "no argument can set such a key" });
      } else {
        groups.push(["-o", `${key}=${value}`]);
      }
    }
    return {
      text: commandText([...groups, ...(name === undefined ? [] : [nameWords(name)])]), losses,
    };
  },
};

/** An operand that looks like a flag stands behind `--`. */
function nameWords(name: string): readonly string[] {
  return name.startsWith("-") ? ["--", name] : [name];
}

function readWords(words: readonly Word[], source: Source, options: ReadOptions): ReadResult {
  const said: string[] = [];
  const firmwareFiles: FirmwareFile[] = [];
  const tree = new Tree(() => {});
  setDefaults(tree);
  const argv = [...words.map(({ text }) => text),
    ...(options.machine === undefined || words.at(-1)?.text === options.machine ? []
      : [options.machine])];
  const place = (origin: string) => placeOf(origin, words, source);
  try {
    readArguments(argv, {
      program: "bhyve", longs: new Map(), tree, firmwareFiles, incomplete: [],
      say: (line) => said.push(line), readFile: options.readFile ?? refuseFile,
    });
  } catch (error) {
    throw located(error, place(tree.origin), said);
  }
  return {
    entries: entriesOf(tree).map((each) => ({ ...each, at: place(each.at) })),
    losses: firmwareFiles.map(({ name }) => ({
      key: "-f", value: name, reason: "firmware files have no key",
    })),
  };
}

function refuseFile(path: string): string {
  throw new ConfigError({ key: "-k", value: path, message: "files are not read here" });
}

/** What is wrong with an argument, at its place; the usage becomes a sentence. */
function located(error: unknown, at: string, said: readonly string[]): unknown {
  if (error instanceof ConfigError) {
    return new ConfigError(error.problems.map((problem) => ({
      ...problem, message: `${problem.message} (${at})`,
    })), error.status);
  }
  if (error instanceof CommandLineEnd) {
    const why = [...said, error.reason].filter((line) => line !== "").join("; ");
    return new ConfigError({
      key: at, message: why === "" ? "asks for help rather than for a machine" : why,
    });
  }
  return error;
}

/** `argument 3, -s` as the place of that word. */
function placeOf(origin: string, words: readonly Word[], source: Source): string {
  const [, number] = /^argument ([0-9]+),/.exec(origin) ?? [];
  if (number === undefined && origin !== "operand") {
    return origin === "default" ? source.at(0) : origin;
  }
  const word = number === undefined ? words.at(-1) : words[Number(number) - 1];
  return source.at(word?.offset ?? 0);
}

/** Keys that flags set by themselves, each in its order of precedence. */
const textFlags = [
  ["-m", "memory.size"], ["-U", "uuid"], ["-K", "keyboard.layout"],
] as const;
const switchFlags = [
  ["-H", "x86.vmexit_on_hlt", "true"], ["-P", "x86.vmexit_on_pause", "true"],
  ["-S", "memory.wired", "true"], ["-C", "memory.guest_in_core", "true"],
  ["-D", "destroy_on_poweroff", "true"], ["-e", "x86.strictio", "true"],
  ["-u", "rtc.use_localtime", "false"], ["-w", "x86.strictmsr", "false"],
  ["-W", "virtio_msix", "false"], ["-x", "x86.x2apic", "true"], ["-Y", "x86.mptable", "false"],
] as const;

function flagGroups(ours: Entries): string[][] {
  const groups: string[][] = [];
  for (const [flag, key, value] of switchFlags) {
    if (ours.peek(key) === value) {
      ours.take(key);
      groups.push([flag]);
    }
  }
  const topology = topologyOf(ours);
  groups.push(...(topology === undefined ? [] : [["-c", topology]]));
  for (const [flag, key] of textFlags) {
    const value = ours.peek(key);
    if (value !== undefined && value !== "") {
      ours.take(key);
      groups.push([flag, value]);
    }
  }
  for (const { slot, device, keys } of functionsOf(ours)) {
    const place = slot.bus > 0 ? `${slot.bus}:${slot.slot}:${slot.func}`
      : slot.func > 0 ? `${slot.slot}:${slot.func}` : `${slot.slot}`;
    const conf = legacyConf(device, keys);
    groups.push(...(conf === undefined ? [] : [["-s", `${place},${conf}`]]));
  }
  for (const port of ["com1", "com2", "com3", "com4"]) {
    const path = ours.take(`lpc.${port}.path`);
    groups.push(...(path === undefined ? [] : [["-l", `${port},${path}`]]));
  }
  return groups;
}

const topologyKeys = ["cpus", "sockets", "cores", "threads"];

/** `-c`, unless a value would be cut at its comma. */
function topologyOf(ours: Entries): string | undefined {
  const given: Entry[] = topologyKeys.flatMap((key) => ours.entry(key) ?? []);
  if (given.length === 0 || given.some(({ value }) => value.includes(",") || value === "")) {
    return undefined;
  }
  ours.pass(...topologyKeys);
  const [first] = given;
  const plain = given.length === 1 && first?.key === "cpus" && !first.value.includes("=");
  return plain ? first.value : given.map(({ key, value }) => `${key}=${value}`).join(",");
}
