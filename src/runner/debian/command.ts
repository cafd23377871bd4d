/** Runs a program of the host to its end. */
import { spawn } from "node:child_process";

export interface CommandResult {
  /** Undefined if the program could not be started or was killed. */
  readonly status: number | undefined;
  readonly output: string;
  readonly errors: string;
}

/** Runs a program; what it prints is limited by what the caller's programs print. */
export type RunCommand = (
  program: string, commandArguments: readonly string[], folder: string,
) => Promise<CommandResult>;

export const runCommand: RunCommand = (program, commandArguments, folder) =>
  new Promise((resolve) => {
    const child = spawn(program, commandArguments, {
      cwd: folder,
      env: { ...process.env, LC_ALL: "C" }, // Its words are parsed.
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    let errors = "";
    child.stdout.on("data", (bytes) => { output += String(bytes); });
    child.stderr.on("data", (bytes) => { errors += String(bytes); });
    child.on("error", (error) => {
      resolve({ status: undefined, output, errors: error.message });
    });
    child.on("close", (status) => {
      resolve({ status: status ?? undefined, output, errors });
    });
  });
