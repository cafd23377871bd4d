/**
 * The one door to the test libraries: `test` from uvu, `assert` from node.
 * Tests start by themselves once the file is loaded, so that a file cannot forget to run them.
 */
import assert from "node:assert/strict";
import { suite } from "uvu";

type Body = () => void | Promise<void>;

const tests = suite();
setImmediate(() => tests.run());

/** Registers a test; the name is a sentence on behaviour. */
export function test(name: string, body: Body): void {
  tests(name, body);
}

/** Registers a test that this machine cannot run, and says why. */
export function skipTest(name: string, reason: string): void {
  console.log(`skipped: ${name}: ${reason}`);
  tests.skip(name, () => {});
}

/** Runs `body` after every test of the file, also after failed ones. */
export function afterEach(body: Body): void {
  tests.after.each(body);
}

/** Runs `body` once after the last test of the file. */
export function afterAll(body: Body): void {
  tests.after(body);
}

/** The seed of this run's randomised tests: `SEED=n` repeats one; it is printed with failures. */
export const seed: number = process.env["SEED"] ? Number(process.env["SEED"]) >>> 0 : 0x5eed;

/** A small deterministic generator (xorshift32); returns unsigned 32-bit integers. */
export function randomSource(start: number = seed): () => number {
  let state = start >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>>= 0);
  };
}

export { assert };
