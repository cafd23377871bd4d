/** What tsvm can do, a row each. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ConfigError, exitStatus } from "../../base/errors.ts";
import { answerText, completion } from "../../cli/completion/command.ts";
import { lastOf } from "../../cli/config/words.ts";
import type { WordTable, Words } from "../../cli/config/words.ts";
import { doctor } from "../../cli/doctor.ts";
import type { Console } from "../../cli/main.ts";
import { removeTree } from "../../host/folders.ts";
import { attachConsole } from "./console.ts";
import { createMachine } from "./create.ts";
import {
  cloneMachine, deleteSnapshot, revertSnapshot, snapshotNames, takeSnapshot,
} from "./disks.ts";
import { findMachine, machineNames, ownDisks, settingsOf } from "./folders.ts";
import type { MachineFolder } from "./folders.ts";
import { convertImage, findImage, imageNames, imagePath, resizeImage } from "./images.ts";
import { startMachine, stopMachine } from "./lifecycle.ts";
import { progressOf, sizeText } from "./progress.ts";
import { stateOf } from "./state.ts";
import { machineProgram } from "./supervisor.ts";
import { createSwitch, destroySwitch, switchNames } from "./switches.ts";
import { candidatesFor } from "./words.ts";

interface Call {
  readonly root: string;
  readonly words: Words;
  readonly operands: readonly string[];
  readonly console: Console;
}

export interface Verb {
  readonly name: string;
  readonly usage: string;
  readonly help: string;
  readonly table: WordTable;
  /** How many operands there may be. */
  readonly least: number;
  readonly most: number;
  /** Takes its words as they are. */
  readonly raw?: boolean;
  /** For programs rather than people. */
  readonly hidden?: boolean;
  run(call: Call): number | Promise<number>;
}

const none: WordTable = { values: [], switches: [] };
const stopDeadlineS = 60;

/** A verb on one machine that exists. */
function onMachine(
  name: string, help: string,
  run: (folder: MachineFolder, call: Call) => number | Promise<number>,
  { usage = "NAME", table = none, most = 1 } = {},
): Verb {
  return { name, usage, help, table, least: 1, most,
    run: (call) => run(findMachine(call.root, call.operands[0] ?? ""), call) };
}

export const verbs: readonly Verb[] = [
  { name: "run", usage: "FILE [NAME]", table: none, least: 1, most: 2, run: runInFront,
    help: "run a machine of a file in this terminal" },
  { name: "create", usage: "NAME [--from FILE | ...]", least: 1, most: 1,
    help: "make one: --memory --cpus --kernel --disk …",
    table: { switches: [], values: ["from", "memory", "cpus", "kernel", "initrd", "cmdline", "rom",
      "disk", "image", "tap"] },
    run: ({ root, words, operands: [name = ""], console }) => {
      const wish = (each: string) => lastOf(words, each);
      const folder = createMachine(root, name, { from: wish("from"), memory: wish("memory"),
        cpus: wish("cpus"), kernel: wish("kernel"), initrd: wish("initrd"),
        cmdline: wish("cmdline"), rom: wish("rom"), disk: wish("disk"), image: wish("image"),
        tap: wish("tap") });
      console.out(`${folder.name}: ${folder.settings}\n`);
      return 0;
    } },
  onMachine("start", "start it in the background", async (folder, { root, console }) => {
    console.out(`${folder.name} runs as process ${await startMachine(root, folder)}\n`);
    return 0;
  }),
  onMachine("stop", "power button; after a while the end", stop,
    { usage: "NAME [--timeout S] [--force]",
      table: { values: ["timeout"], switches: ["force"] } }),
  onMachine("restart", "stop, then start", async (folder, call) => {
    await stop(folder, call);
    await startMachine(call.root, folder);
    return 0;
  }, { table: { values: ["timeout"], switches: ["force"] } }),
  onMachine("destroy", "remove it and all that is its own", async (folder, { words, console }) => {
    if (stateOf(folder).state === "running") {
      if (!words.switches.has("force")) {
        const message = "runs; --force ends it";
        throw new ConfigError({ key: "NAME", value: folder.name, message });
      }
      await stopMachine(folder, { deadlineMs: 0, force: true });
    }
    removeTree(folder.path);
    console.out(`${folder.name} is gone\n`);
    return 0;
  }, { usage: "NAME [--force]", table: { values: [], switches: ["force"] } }),
  { name: "list", usage: "[--json]", help: "all machines and whether they run", least: 0, most: 0,
    table: { values: [], switches: ["json"] }, run: list },
  onMachine("info", "what it is", (folder, { words, console }) => {
    const facts = factsOf(folder);
    console.out(words.switches.has("json") ? toJson(facts)
      : `${Object.entries(facts).map(([key, value]) => `${key}: ${
        typeof value === "object" ? JSON.stringify(value) : value}`).join("\n")}\n`);
    return 0;
  }, { usage: "NAME [--json]", table: { values: [], switches: ["json"] } }),
  onMachine("console", "attach to its serial line", async (folder, { console }) => {
    await attachConsole(folder, (line) => console.error(`${line}\n`));
    return 0;
  }),
  onMachine("logs", "what it has said", logs,
    { usage: "NAME [--follow]", table: { values: [], switches: ["follow"] } }),
  { name: "clone", usage: "NAME NEW", help: "a copy under another name", table: none, least: 2,
    most: 2, run: ({ root, operands: [from = "", to = ""], console }) => {
      console.out(`${cloneMachine(root, findMachine(root, from), to).settings}\n`);
      return 0;
    } },
  onMachine("snapshot-disk", "copy its disks; go back with --revert", snapshot,
    { usage: "NAME [SNAPSHOT] [--revert]", most: 2,
      table: { values: [], switches: ["revert", "delete", "json"] } }),
  { name: "image", usage: "import|convert|resize|list|remove ...",
    help: "base images of disks", least: 1, most: 3,
    table: { values: [], switches: ["quiet", "json"] }, run: image },
  { name: "switch", usage: "create|destroy|list [NAME]", least: 1, most: 2, table: none,
    help: "bridges of the host (root)", run: switchVerb },
  { name: "doctor", usage: "[--json]", help: "what this host offers", raw: true, table: none,
    least: 0, most: 1, run: ({ operands, console }) => doctor(operands, console) },
  { name: "completion", usage: "bash|zsh|fish", help: "script for a shell", table: none, raw: true,
    least: 1, most: 1, run: ({ operands, console }) => completion(operands, console, "tsvm") },
  { name: "complete", usage: "-- WORDS", help: "what may follow, for the scripts", table: none,
    raw: true, hidden: true, least: 0, most: 99, run: ({ root, operands, console }) => {
      console.out(answerText(candidatesFor(root,
        operands[0] === "--" ? operands.slice(1) : operands)));
      return 0;
    } },
];

function toJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

/** In this terminal; a reboot starts it again. */
function runInFront({ operands: [file = "", name] }: Call): number {
  for (;;) {
    const [command = "", ...words] = [...machineProgram, "-f", file,
      ...(name === undefined ? [] : ["--", name])];
    const { status } = spawnSync(command, words, { stdio: "inherit" });
    if (status !== exitStatus.reset) {
      return status ?? exitStatus.error;
    }
  }
}

async function stop(folder: MachineFolder, { words, console }: Call): Promise<number> {
  const text = lastOf(words, "timeout") ?? String(stopDeadlineS);
  if (!/^[0-9]{1,5}$/.test(text)) {
    throw new ConfigError({ key: "--timeout", value: text, message: "allowed: seconds" });
  }
  const outcome = await stopMachine(folder,
    { deadlineMs: Number(text) * 1000, force: words.switches.has("force") });
  console.out(`${folder.name} ${outcome}\n`);
  return 0;
}

function factsOf(folder: MachineFolder) {
  const tree = settingsOf(folder);
  const state = stateOf(folder);
  return {
    name: folder.name, ...state, folder: folder.path, memory: tree.value("memory.size") ?? "",
    cpus: tree.value("cpus") ?? "1", serial: tree.value("lpc.com1.path") ?? "none",
    disks: ownDisks(folder).map((file) => ({ file, sizeBytes:
      statSync(join(folder.path, file)).size })),
    snapshots: snapshotNames(folder),
  };
}

function list({ root, words, console }: Call): number {
  const all = machineNames(root).map((name) => factsOf(findMachine(root, name)));
  if (words.switches.has("json")) {
    console.out(toJson(all));
    return 0;
  }
  const rows = [["NAME", "STATE", "MEMORY", "CPUS", "DISKS"], ...all.map((each) => [each.name,
    each.state, each.memory, each.cpus, sizeText(each.disks.reduce((sum, { sizeBytes }) =>
      sum + sizeBytes, 0))])];
  const widths = rows[0]?.map((_head, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  console.out(rows.map((row) => `${row.map((cell, column) =>
    cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd()}\n`).join(""));
  return 0;
}

async function logs(folder: MachineFolder, { words, console }: Call): Promise<number> {
  const read = () => existsSync(folder.log) ? readFileSync(folder.log) : Buffer.alloc(0);
  let shown = 0;
  do {
    const text = read();
    console.out(text.subarray(shown).toString("utf8"));
    shown = text.length;
    if (words.switches.has("follow")) {
      await delay(250);
    }
  } while (words.switches.has("follow") && stateOf(folder).state === "running");
  return 0;
}

function snapshot(folder: MachineFolder, { words, operands, console }: Call): number {
  const name = operands[1];
  if (name === undefined) {
    const names = snapshotNames(folder);
    console.out(words.switches.has("json") ? toJson(names)
      : names.map((each) => `${each}\n`).join(""));
    return 0;
  }
  if (words.switches.has("delete")) {
    deleteSnapshot(folder, name);
    return 0;
  }
  const disks = words.switches.has("revert") ? revertSnapshot(folder, name)
    : takeSnapshot(folder, name);
  console.out(`${name}: ${disks.join(", ") || "there are no disks"}\n`);
  return 0;
}

function image({ root, words, operands: [verb = "", first = "", second], console }: Call): number {
  const progress = (what: string) => (totalBytes: number) => progressOf({
    what, totalBytes, output: process.stderr, quiet: words.switches.has("quiet"),
  });
  const report = (path: string, { sizeBytes, checksum }: ReturnType<typeof convertImage>) =>
    console.out(words.switches.has("json") ? toJson({ path, sizeBytes, sha256: checksum })
      : `${path}: ${sizeText(sizeBytes)}, sha256 ${checksum}\n`);
  switch (verb) {
    case "import": {
      const name = second ?? first.replace(/^.*\//, "").replace(/\.[^.]*$/, "");
      const path = imagePath(root, name);
      report(path, convertImage(first, path, progress(name)));
      return 0;
    }
    case "convert":
      report(second ?? "", convertImage(first, second ?? "", progress(first)));
      return 0;
    case "resize": {
      const path = findImage(root, first);
      console.out(`${path}: ${sizeText(resizeImage(path, second ?? ""))}\n`);
      return 0;
    }
    case "list": {
      const names = imageNames(root);
      console.out(words.switches.has("json") ? toJson(names)
        : names.map((name) => `${name}\n`).join(""));
      return 0;
    }
    case "remove":
      removeTree(findImage(root, first));
      return 0;
    default:
      throw new ConfigError({ key: "image", value: verb, message: "allowed: import, convert, "
        + "resize, list, remove" }, exitStatus.powerOff);
  }
}

function switchVerb({ operands: [verb = "", name = ""], console }: Call): number {
  switch (verb) {
    case "create": createSwitch(name); return 0;
    case "destroy": destroySwitch(name); return 0;
    case "list": console.out(switchNames().map((each) => `${each}\n`).join("")); return 0;
    default:
      throw new ConfigError({ key: "switch", value: verb, message: "allowed: create, destroy, list",
      }, exitStatus.powerOff);
  }
}
