/**
 * The one door to the test libraries: `test` from uvu, `assert` from node.
 * Tests start by themselves once the file is loaded, so that a file cannot forget to run them.
 */
import assert from "node:assert/strict";
import { inspect } from "node:util";
import { suite } from "uvu";
import { randomSource as randomNumbers } from "./random.ts";

type Body = () => void | Promise<void>;

const tests = suite();
const count = { registered: 0, passed: 0, failed: 0 };
let hooksFailed = false;
setImmediate(() => tests.run());

// What uvu cannot print it swallows, with the tests behind it: this count does not depend on it.
process.on("exit", () => {
  const { registered, passed, failed } = count;
  if (hooksFailed) {
    process.exitCode ||= 1; // uvu has set it since.
  }
  if (passed !== registered) {
    process.exitCode ||= 1;
    console.error(`${registered} tests: ${passed} passed, ${failed} failed, `
      + `${registered - passed - failed} did not end`);
  }
});

/** Registers a test; the name is a sentence on behaviour. */
export function test(name: string, body: Body): void {
  count.registered += 1;
  tests(name, async () => {
    try {
      await body();
      count.passed += 1;
    } catch (thrown) {
      count.failed += 1;
      throw printable(thrown);
    }
  });
}

/** A hook whose failure is the file's: uvu loses what a hook throws. */
function whole(body: Body): Body {
  return async () => {
    try {
      await body();
    } catch (thrown) {
      hooksFailed = true;
      console.error(printable(thrown));
    }
  };
}

/** What was thrown, if uvu can print it (it needs a name, a message and a stack), or its text. */
function printable(thrown: unknown): Error {
  const fit = thrown instanceof Error && typeof thrown.name === "string"
    && typeof thrown.message === "string" && typeof thrown.stack === "string";
  return fit ? thrown : new Error(`thrown: ${inspect(thrown)}`);
}

/** Registers a test that this machine cannot run, and says why. */
export function skipTest(name: string, reason: string): void {
  console.log(`skipped: ${name}: ${reason}`);
  tests.skip(name, () => {});
}

/** Runs `body` after every test of the file, also after failed ones. */
export function afterEach(body: Body): void {
  tests.after.each(whole(body));
}

/** Runs `body` once after the last test of the file. */
export function afterAll(body: Body): void {
  tests.after(whole(body));
}

/** The seed of this run's randomised tests: `SEED=n` repeats one; it is printed with failures. */
export const seed: number = process.env["SEED"] ? Number(process.env["SEED"]) >>> 0 : 0x5eed;

/** `randomSource` of random.ts, from this run's seed unless told otherwise. */
export const randomSource = (start: number = seed): (() => number) => randomNumbers(start);

export { assert };
