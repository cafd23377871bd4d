/**
 * A command line read into a key tree, in bhyve 15.1's order: defaults, flags from left to right,
 * old names of keys, the operand, and then `config.dump` before any key is checked.
 */
import { ConfigError, HostError, describeProblem, exitStatus } from "../base/errors.ts";
import { readArguments } from "../config/arguments.ts";
import type { FirmwareFile } from "../config/firmware-file.ts";
import { CommandLineEnd } from "../config/legacy-flags.ts";
import { Tree, setDefaults } from "../config/tree.ts";
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

/** Reads the arguments after the program's name. */
export function readCommandLine(
  argv: readonly string[], { say, readFile, version }: Surroundings,
): MachineRequest | Answer {
  const tree = new Tree((message) => say(`${program}: ${message}`));
  let dryRun = false;
  const end = (output: string) => {
    throw new CommandLineEnd(0, { output });
  };
  const longs = new Map([
    ["--help", () => end(usage())], ["--version", () => end(`${program} ${version()}\n`)],
    ["--dry-run", () => { dryRun = true; }],
  ]);
  const context = { program, longs, tree, say, readFile, firmwareFiles: [], incomplete: [] };
  try {
    setDefaults(tree);
    readArguments(argv, context);
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
