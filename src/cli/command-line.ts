/**
 * A command line read into a key tree, in bhyve 15.1's order: defaults, flags from left to right,
 * old names of keys, the operand, and then `config.dump` before any key is checked.
 */
import { ConfigError, HostError, describeProblem, exitStatus } from "../base/errors.ts";
import type { Problem } from "../base/errors.ts";
import { operandsOf, readArguments } from "../config/arguments.ts";
import { atOrigin } from "../config/file.ts";
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

/** One key of a description, with its place. */
export interface MachineKey {
  readonly key: string;
  readonly value: string;
  readonly at: string;
}

/** The command line has been served. */
export interface Answer {
  readonly kind: "answer";
  readonly status: number;
  readonly output: string;
}

export interface Surroundings {
  /** The keys of a machine that a file describes; the operand chooses among several. Undefined if
   * there is no such file. */
  readonly describeMachine?: (path: string, name: string | undefined) =>
    readonly MachineKey[] | undefined;
  /** One line on stderr. */
  readonly say: (line: string) => void;
  readonly readFile: (path: string) => string;
  readonly version: () => string;
  /** Points a person at the argument that is wrong. */
  readonly point?: (problem: Problem, origin: string) => void;
}

/** Reads the arguments after the program's name. */
export function readCommandLine(
  argv: readonly string[], { say, readFile, version, describeMachine, point }: Surroundings,
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
  const readMachine = (path: string): boolean => {
    // A machine's file has no comma in its name: with one it is bhyve's -f.
    const [name] = operandsOf(argv, new Set(longs.keys()));
    const keys = path.includes(",") ? undefined : describeMachine?.(path, name);
    const { origin } = tree;
    for (const { key, value, at } of keys ?? []) {
      tree.origin = at;
      atOrigin(tree, () => tree.set(key, value));
    }
    tree.origin = origin;
    return keys !== undefined;
  };
  const context = {
    program, longs, tree, say, readFile, readMachine, firmwareFiles: [], incomplete: [],
  };
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
    return answerOf(error, say, (problem) => point?.(problem, tree.origin));
  }
}

function answerOf(
  error: unknown, say: (line: string) => void, point: (problem: Problem) => void,
): Answer {
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
      point(problem);
    }
    return { kind: "answer", status: error.status, output: "" };
  }
  throw error;
}
