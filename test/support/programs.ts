/** Programs of the host that tests use; a test for which one is missing is skipped. */
import { spawnSync } from "node:child_process";
import { assert, skipTest, test } from "./harness.ts";

const PATH = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;

export function hasProgram(name: string): boolean {
  return spawnSync("sh", ["-c", `command -v ${name}`], { env: { ...process.env, PATH } })
    .status === 0;
}

/** A test that needs these programs. */
export function testWith(
  programs: readonly string[], name: string, body: () => void | Promise<void>,
): void {
  const missing = programs.filter((each) => !hasProgram(each));
  if (missing.length === 0) {
    test(name, body);
  } else {
    skipTest(name, `${missing.join(", ")} is not installed`);
  }
}

export interface Outcome {
  readonly status: number;
  readonly output: string;
}

/** Runs a program to its end; returns its status and all it printed. */
export function run(program: string, ...args: readonly string[]): Outcome {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    encoding: "utf8", env: { ...process.env, PATH }, timeout: 60_000,
  });
  if (error !== undefined) {
    throw error;
  }
  return { status: status ?? -1, output: stdout + stderr };
}

/** The same for one that has to succeed. */
export function runWell(program: string, ...args: readonly string[]): string {
  const { status, output } = run(program, ...args);
  assert.equal(status, 0, `${program} ${args.join(" ")}: ${output}`);
  return output;
}
