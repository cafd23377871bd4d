/** `npm start`: from a fresh checkout to a guest's shell, in stages that the user sees. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { exitStatus } from "../base/errors.ts";
import { escapeKeysHelp } from "../backends/char/escape.ts";
import {
  cacheFolder, lockFile, removeAbandonedFolders, temporaryFolder, type TemporaryFolder,
} from "../host/folders.ts";
import { CheckWatch, type Expected } from "./check-watch.ts";
import { NoPackagesError } from "./debian/apt.ts";
import { runCommand } from "./debian/command.ts";
import {
  builtinExpectation, builtinMachine, linuxExpectation, linuxMachine, type TerminalSize,
} from "./guests.ts";
import { prepareLinux, projectFolder, type LinuxGuest } from "./linux-guest.ts";
import { machineWords, shellLine, type GuestMachine } from "./machine-line.ts";
import { runOnTerminal, runWatched, type MachineEnd } from "./machine-process.ts";
import { stagesOn, type Stages } from "./stages.ts";
import { readStartOptions, startHelp, type StartOptions } from "./start-options.ts";

/** A boot takes seconds; a slow or busy host gets this long. */
const checkLimitMs = 300_000;

const endings: Readonly<Record<number, string>> = {
  [exitStatus.reset]: "reset",
  [exitStatus.powerOff]: "powered off",
  [exitStatus.halted]: "halted",
  [exitStatus.tripleFault]: "triple fault",
  [exitStatus.error]: "tsbhyve could not run it",
};

/** Everything here that a test replaces. */
export interface Surroundings {
  readonly cache: string;
  readonly output: { write(text: string): unknown };
  readonly errors: { write(text: string): unknown };
  readonly stages: Stages;
  readonly say: (line: string) => void;
  readonly terminal: TerminalSize | undefined;
  readonly hostArchitecture: string;
  readonly run: typeof runCommand;
  /** The program that takes tsbhyve's words, and how a person would call it. */
  readonly program: readonly string[];
  readonly programShown: readonly string[];
  readonly checkLimitMs: number;
}

function realSurroundings(): Surroundings {
  const bin = join(projectFolder, "bin", "tsbhyve.mjs");
  const isHere = join(process.cwd(), "bin", "tsbhyve.mjs") === bin;
  const { rows, columns } = process.stdout;
  return {
    cache: cacheFolder(),
    output: process.stdout,
    errors: process.stderr,
    stages: stagesOn(process.stderr),
    say: (line) => process.stderr.write(`${line}\n`),
    terminal: process.stdout.isTTY ? { rows, columns } : undefined,
    hostArchitecture: process.arch,
    run: runCommand,
    program: [process.execPath, bin],
    programShown: ["node", isHere ? "bin/tsbhyve.mjs" : bin],
    checkLimitMs,
  };
}

/** Returns the status for npm: 0 if the guest ended as a guest should, or its check passed. */
export async function quickStart(
  argv: readonly string[], surroundings: Surroundings = realSurroundings(),
): Promise<number> {
  const options = readStartOptions(argv);
  if (options.help) {
    surroundings.output.write(startHelp);
    return 0;
  }
  removeAbandonedFolders(surroundings.cache);
  const linux = await linuxIfPossible(options, surroundings);
  const folder = temporaryFolder(surroundings.cache, "start-");
  try {
    const prepared = prepare(linux, options, folder, surroundings);
    const words = machineWords(prepared.machine);
    const line = shellLine([...surroundings.programShown, ...words]);
    if (options.prepare) {
      surroundings.output.write(describePrepared(prepared.machine, line));
      return 0;
    }
    surroundings.stages.say("starting the machine with this command:");
    surroundings.say(line);
    return options.check || prepared.selfTesting
      ? await runCheck(words, prepared.expected, surroundings)
      : await runSession(words, surroundings);
  } finally {
    folder.remove();
  }
}

/** Undefined, with the reason said, where only the built-in guest can be run. */
async function linuxIfPossible(
  options: StartOptions, surroundings: Surroundings,
): Promise<LinuxGuest | undefined> {
  const { stages, say } = surroundings;
  if (options.builtin) {
    say("The built-in guest will be started, as asked.");
    return undefined;
  }
  try {
    return await prepareLinux({ ...surroundings, update: options.update });
  } catch (error) {
    if (!(error instanceof NoPackagesError)) {
      throw error;
    }
    stages.say(`Debian's kernel cannot be had: ${error.message}`);
    say("The built-in guest will be started instead: it tests the machine, but has no shell.");
    return undefined;
  }
}

interface Prepared {
  readonly machine: GuestMachine;
  readonly expected: Expected;
  /** The guest does nothing but its check. */
  readonly selfTesting: boolean;
}

function prepare(
  linux: LinuxGuest | undefined, options: StartOptions, folder: TemporaryFolder,
  surroundings: Surroundings,
): Prepared {
  const nonce = randomBytes(8).toString("hex");
  if (linux === undefined) {
    // A command line that was printed must still work when this process is gone.
    const home = options.check ? folder.path : surroundings.cache;
    const machine = builtinMachine(home, nonce);
    return { machine, expected: builtinExpectation(nonce), selfTesting: true };
  }
  const { terminal } = surroundings;
  const machine = linuxMachine(linux, {
    diskPath: options.check
      ? join(folder.path, "disk.ext4")
      : sessionDisk(folder, options, surroundings),
    ...(options.check ? { nonce } : {}),
    ...(terminal === undefined ? {} : { terminal }),
  });
  return { machine, expected: linuxExpectation(nonce), selfTesting: false };
}

/** The disk that stays from one start to the next, unless another start has it now. */
function sessionDisk(
  folder: TemporaryFolder, options: StartOptions, { cache, say }: Surroundings,
): string {
  const disk = join(cache, "disk.ext4");
  if (options.prepare || lockFile(`${disk}.lock`)) {
    return disk;
  }
  say(`Another machine has the disk ${disk}; this one gets a disk that is gone afterwards.`);
  return join(folder.path, "disk.ext4");
}

function describePrepared(machine: GuestMachine, line: string): string {
  const facts = [
    ["kernel", machine.kernelPath], ["initrd", machine.initrdPath], ["disk", machine.diskPath],
    ["cmdline", machine.kernelLine], ["command", line],
  ];
  return facts.filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value}\n`).join("");
}

async function runSession(words: readonly string[], surroundings: Surroundings): Promise<number> {
  const { say, program } = surroundings;
  say(`Leave the machine with ${escapeKeysHelp}; or type poweroff in the guest.`);
  const end = await runOnTerminal([...program, ...words]);
  say(`tsbhyve ended${describeEnd(end)}.`);
  return end.status === exitStatus.powerOff || end.status === exitStatus.reset
    ? 0
    : end.status ?? exitStatus.error;
}

async function runCheck(
  words: readonly string[], expected: Expected, surroundings: Surroundings,
): Promise<number> {
  const { say, output, program } = surroundings;
  const watch = new CheckWatch(expected);
  const end = await runWatched([...program, ...words], {
    limitMs: surroundings.checkLimitMs,
    onOutput: (text) => {
      watch.take(text);
      output.write(text);
    },
    onErrors: (text) => surroundings.errors.write(text),
  });
  const why = whyFailed(watch, end);
  if (why === undefined) {
    say(`The check passed: the guest reported ${expected.nonce} ${expected.sum}, and ended as it `
      + `should${describeEnd(end)}.`);
    return 0;
  }
  const last = watch.lastLines();
  say(`The check failed: ${why}.`);
  say(last.length === 0 ? "The guest printed nothing." : "The last lines that the guest printed:");
  last.forEach((line) => say(`  ${line}`));
  return 1;
}

/** Undefined if the guest reported what it should and then switched itself off. */
function whyFailed(watch: CheckWatch, end: MachineEnd): string | undefined {
  const { verdict } = watch;
  if (verdict.kind === "failed") {
    return verdict.why;
  }
  if (verdict.kind === "none") {
    return `no result from the guest; tsbhyve ended${describeEnd(end)}`;
  }
  return end.status === exitStatus.powerOff
    ? undefined
    : `the guest reported success but did not power off; tsbhyve ended${describeEnd(end)}`;
}

function describeEnd(end: MachineEnd): string {
  if (end.status === undefined) {
    return `: ${end.why}`;
  }
  const meaning = endings[end.status];
  return ` with status ${end.status}${meaning === undefined ? "" : ` (${meaning})`}`;
}
