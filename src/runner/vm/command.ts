/** The command `tsvm`: its verbs in one table, which usage, manual and completion read too. */
import { ConfigError, HostError, describeProblem, exitStatus } from "../../base/errors.ts";
import { nearest } from "../../config/suggest.ts";
import { readWords } from "../../cli/config/words.ts";
import type { Console } from "../../cli/main.ts";
import { bytesOf } from "../../cli/text-file.ts";
import { rootFolder } from "./folders.ts";
import { findMachine } from "./folders.ts";
import { watchWord } from "./lifecycle.ts";
import { supervise } from "./supervisor.ts";
import { verbs } from "./verbs.ts";

export const runnerName = "tsvm";

const usageColumn = 34;

/** One screen: a test holds it. */
export function usage(): string {
  const lines = verbs.filter(({ hidden }) => !hidden).map(({ name, usage: words, help }) =>
    `  ${`${name} ${words}`.trimEnd().padEnd(usageColumn)} ${help}`);
  return `usage: ${runnerName} VERB ...; machines live in folders below TSVM_ROOT\n${
    lines.join("\n")}\n`;
}

/** Serves one command line; 1 for wrong use, 4 for other errors. */
export async function runnerMain(argv: readonly string[], console: Console): Promise<number> {
  try {
    return await dispatch(argv, console);
  } catch (error) {
    if (error instanceof ConfigError) {
      error.problems.forEach((each) =>
        console.error(`${runnerName}: ${describeProblem(each)}\n`));
      return error.status;
    }
    if (error instanceof HostError) {
      console.error(`${runnerName}: ${error.message}\n`);
      return exitStatus.error;
    }
    throw error;
  }
}

async function dispatch(argv: readonly string[], console: Console): Promise<number> {
  const [name = "", ...rest] = argv;
  const root = rootFolder();
  if (name === watchWord) {
    return supervise(findMachine(root, rest[0] ?? ""));
  }
  if (name === "--help" || name === "help") {
    console.out(usage());
    return 0;
  }
  const verb = verbs.find((each) => each.name === name);
  if (!verb) {
    const near = nearest(name, verbs.map((each) => each.name));
    console.error(usage() + (name === "" ? "" : `${runnerName}: ${name} is no verb${
      near === undefined ? "" : `; did you mean ${near}?`}\n`));
    return exitStatus.powerOff;
  }
  const words = verb.raw ? { values: new Map(), switches: new Set<string>(), operands: rest,
    rest: [] } : readWords(rest, verb.table);
  const { operands } = words;
  if (!verb.raw && (operands.length < verb.least || operands.length > verb.most)) {
    console.error(`usage: ${runnerName} ${verb.name} ${verb.usage}\n`);
    return exitStatus.powerOff;
  }
  return verb.run({ root, words, operands, console });
}

/** The program. */
export async function runProgram(): Promise<void> {
  process.stdout.on("error", () => process.exit(exitStatus.error));
  const status = await runnerMain(process.argv.slice(2), {
    interactive: process.stderr.isTTY === true,
    out: (text) => { process.stdout.write(bytesOf(text)); },
    error: (text) => { process.stderr.write(bytesOf(text)); },
  });
  await new Promise<void>((resolve) => process.stdout.write("", () => resolve()));
  process.exit(status);
}
