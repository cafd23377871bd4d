/**
 * The command `tsbhyve`: tells its subcommands apart and loads what each of them needs, and only
 * that. Exit statuses are bhyve's (bhyve(8), EXIT STATUS); 4 is any error.
 */
import { readFileSync } from "node:fs";
import { ConfigError, HostError, describeProblem, exitStatus } from "../base/errors.ts";
import type { Problem } from "../base/errors.ts";
import { program, readCommandLine } from "./command-line.ts";
import { bytesOf, readTextFile } from "./text-file.ts";
import { usage } from "./usage.ts";

/** Where a command's words go; the process itself in the program, a record in tests. */
export interface Console {
  out(text: string): void;
  error(text: string): void;
  /** Whether a person at a terminal reads what goes to `error`. */
  readonly interactive?: boolean;
}

/** Serves one command line and returns the exit status. */
export async function main(argv: readonly string[], console: Console): Promise<number> {
  const say = (line: string) => console.error(`${line}\n`);
  try {
    return await dispatch(argv, console, say);
  } catch (error) {
    if (error instanceof ConfigError) {
      for (const problem of error.problems) {
        say(`${program}: ${describeProblem(problem)}`);
        await point(problem, "", argv, console);
      }
      return error.status;
    }
    if (error instanceof HostError) {
      say(`${program}: ${error.message}`);
      return exitStatus.error;
    }
    throw error;
  }
}

async function dispatch(
  argv: readonly string[], console: Console, say: (line: string) => void,
): Promise<number> {
  const [first = "", ...rest] = argv;
  switch (first) {
    case "--help":
      console.out(usage());
      return 0;
    case "--version":
      console.out(`${program} ${version()}\n`);
      return 0;
    case "help":
      return (await import("./help.ts")).help(rest, console);
    case "config":
      return (await import("./config/command.ts")).configCommand(rest, console);
    case "complete":
      return (await import("./completion/command.ts")).complete(rest, console);
    case "completion":
      return (await import("./completion/command.ts")).completion(rest, console);
    case "doctor":
      return (await import("./doctor.ts")).doctor(rest, console);
    case "serve":
      return (await import("./serve.ts")).serve(rest, console);
    default:
      return serveFlags(argv, console, say);
  }
}

async function serveFlags(
  argv: readonly string[], console: Console, say: (line: string) => void,
): Promise<number> {
  const describeMachine = argv.some((word) => /^-[A-Za-z]*f/.test(word))
    ? (await import("./config/sources.ts")).describeMachine : undefined;
  const pointer = console.interactive ? await pointerFor(argv, console) : undefined;
  const request = readCommandLine(argv, {
    say, readFile: readTextFile, version, ...(describeMachine && { describeMachine }),
    ...(pointer && { point: pointer }),
  });
  if (request.kind === "answer") {
    console.out(request.output);
    return request.status;
  }
  const { verify } = await import("./verify.ts");
  const configuration = verify(request, say);
  if (request.dryRun) {
    const { dryRun } = await import("./dry-run.ts");
    console.out(await dryRun(configuration));
    return 0;
  }
  const { runMachine } = await import("./run.ts");
  return runMachine(request, configuration);
}

type Pointer = (problem: Problem, origin: string) => void;

async function pointerFor(argv: readonly string[], console: Console): Promise<Pointer> {
  const { caretLines, mayColour, red } = await import("./caret.ts");
  const colour = mayColour(process.env, true);
  return (problem, origin) => {
    const [line, caret] = caretLines(program, argv, problem, origin);
    if (line !== undefined && caret !== undefined) {
      console.error(`${line}\n${red(caret, colour)}\n`);
    }
  };
}

/** Shows a person the argument; a program that reads us gets the message alone. */
async function point(
  problem: Problem, origin: string, argv: readonly string[], console: Console,
): Promise<void> {
  if (console.interactive) {
    (await pointerFor(argv, console))(problem, origin);
  }
}

/** Read from package.json, which lies three folders above the compiled file. */
function version(): string {
  const text = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
  const parsed: unknown = JSON.parse(text);
  const found = typeof parsed === "object" && parsed !== null && "version" in parsed
    ? parsed.version : undefined;
  return typeof found === "string" ? found : "of unknown version";
}

/** A defect of ours must not look like a guest's end: its status is that of an error. */
async function mainOrCrash(console: Console): Promise<number> {
  try {
    return await main(process.argv.slice(2), console);
  } catch (error) {
    const text = error instanceof Error ? error.stack ?? error.message : String(error);
    console.error(`${program}: defect in ${program} itself: ${text}\n`);
    return exitStatus.error;
  }
}

/** The program: ends the process once what was written has gone out. */
export async function runProgram(): Promise<void> {
  // A reader that went away (`tsbhyve help | head`) is no reason for a stack trace.
  process.stdout.on("error", () => process.exit(exitStatus.error));
  const status = await mainOrCrash({
    interactive: process.stderr.isTTY === true,
    out: (text) => {
      process.stdout.write(bytesOf(text));
    },
    error: (text) => {
      process.stderr.write(bytesOf(text));
    },
  });
  await Promise.all([process.stdout, process.stderr].map((stream) =>
    new Promise<void>((resolve) => stream.write("", () => resolve()))));
  process.exit(status);
}
