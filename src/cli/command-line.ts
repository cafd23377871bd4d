/**
 * A command line read into a key tree, in bhyve 15.1's order: defaults, flags from left to right,
 * old names of keys, the operand, and then `config.dump` before any key is checked.
 */
import { ConfigError, HostError, describeProblem, exitStatus } from "../base/errors.ts";
import { Tree, setDefaults } from "../config/tree.ts";
import type { FirmwareFile } from "./firmware-file.ts";
import { CommandLineEnd, flags } from "./flags.ts";
import type { FlagContext } from "./flags.ts";
import { getopt } from "./getopt.ts";
import { usage } from "./usage.ts";

export const program = "tsbhyve";

/** The command line wants a machine. */
export interface MachineRequest {
  readonly kind: "machine";
  readonly tree: Tree;
  readonly dryRun: boolean;
  readonly firmwareFiles: readonly FirmwareFile[];
  /** `-l comN` without a path, which bhyve takes and then aborts at. */
  readonly incomplete: readonly string[];
}

/** The command line has been served. */
export interface Answer {
  readonly kind: "answer";
  readonly status: number;
  readonly output: string;
}

export interface Surroundings {
  /** One line on stderr. */
  readonly say: (line: string) => void;
  readonly readFile: (path: string) => string;
  readonly version: () => string;
}

const spec = flags.map(({ letter, argument }) => letter + (argument === undefined ? "" : ":"))
  .join("");
const longs = new Set(["--help", "--version", "--dry-run"]);

interface Context extends FlagContext {
  readonly version: () => string;
}

/** Reads the arguments after the program's name. */
export function readCommandLine(
  argv: readonly string[], { say, readFile, version }: Surroundings,
): MachineRequest | Answer {
  const tree = new Tree((message) => say(`${program}: ${message}`));
  const context = { tree, say, readFile, version, firmwareFiles: [], incomplete: [] };
  try {
    setDefaults(tree);
    const dryRun = readArguments(argv, context);
    if (tree.bool("config.dump", false)) {
      return { kind: "answer", status: 1, output: tree.dump() };
    }
    tree.warnOnce();
    const { firmwareFiles, incomplete } = context;
    return { kind: "machine", tree, dryRun, firmwareFiles, incomplete };
  } catch (error) {
    return answerOf(error, say);
  }
}

/** The machine's name is known afterwards. Returns whether this is a dry run. */
function readArguments(argv: readonly string[], context: Context): boolean {
  const { tree } = context;
  let dryRun = false;
  const steps = getopt(argv, spec, longs);
  let step = steps.next();
  while (!step.done) {
    const found = step.value;
    switch (found.kind) {
      case "flag":
        tree.origin = `argument ${found.index + 1}, -${found.letter}`;
        flags.find(({ letter }) => letter === found.letter)?.act(found.argument, context);
        break;
      case "long":
        dryRun ||= longOption(found.name, context);
        break;
      case "illegal":
        context.say(`${program}: illegal option -- ${found.letter}`);
        throw new CommandLineEnd(1, { usage: true });
      case "missing":
        context.say(`${program}: option requires an argument -- ${found.letter}`);
        throw new CommandLineEnd(1, { usage: true });
    }
    step = steps.next();
  }
  renameOldKeys(tree);
  const operands = argv.slice(step.value);
  const [name] = operands;
  if (name !== undefined && operands.length === 1) {
    tree.origin = "operand";
    tree.set("name", name);
  }
  if (operands.length > 1) {
    const reason = `one name is allowed, these are given: ${operands.join(", ")}`;
    throw new CommandLineEnd(1, { usage: true, reason });
  }
  if (tree.value("name") === undefined) {
    throw new CommandLineEnd(1, { usage: true, reason: "the machine has no name" });
  }
  return dryRun;
}

/** `--dry-run`; the others are served here only where they follow flags. */
function longOption(name: string, context: Context): boolean {
  if (name === "--help") {
    throw new CommandLineEnd(0, { output: usage() });
  }
  if (name === "--version") {
    throw new CommandLineEnd(0, { output: `${program} ${context.version()}\n` });
  }
  return true;
}

/** Boot ROM and its variables moved out of `lpc`; the old names still work. */
function renameOldKeys(tree: Tree): void {
  for (const key of ["bootrom", "bootvars"]) {
    const old = `lpc.${key}`;
    if (tree.value(old) !== undefined && tree.value(key) === undefined) {
      tree.warn(`${old} is deprecated, use '-o ${key}' instead`);
      tree.origin = old;
      tree.set(key, tree.value(old) ?? "");
    }
  }
}

function answerOf(error: unknown, say: (line: string) => void): Answer {
  if (error instanceof CommandLineEnd) {
    if (error.usage) {
      say(usage().trimEnd());
      if (error.reason !== "") {
        say(`${program}: ${error.reason}`);
      }
    }
    return { kind: "answer", status: error.status, output: error.output };
  }
  if (error instanceof HostError) {
    say(`${program}: ${error.message}`);
    return { kind: "answer", status: exitStatus.error, output: "" };
  }
  if (error instanceof ConfigError) {
    for (const problem of error.problems) {
      // As bhyve does, what is wrong with a PCI slot is said without the program's name.
      const prefix = problem.key === "-s" ? "" : `${program}: `;
      say(prefix + describeProblem(problem));
    }
    return { kind: "answer", status: error.status, output: "" };
  }
  throw error;
}
