/** The harness itself: a test that did not pass is never a file that did. */
import { spawnSync } from "node:child_process";
import { pathToFileURL } from "node:url";
import { join } from "node:path";
import { assert, test } from "./harness.ts";
import { repositoryRoot } from "./paths.ts";

const harness = pathToFileURL(join(repositoryRoot, "dist", "test", "support", "harness.js")).href;

/** Runs a test file with these lines; its status and all it printed. */
function run(lines: string): { status: number | null; output: string } {
  const names = "afterAll, afterEach, assert, test";
  const program = `import { ${names} } from ${JSON.stringify(harness)};\n${lines}`;
  const { status, stdout, stderr } = spawnSync(process.execPath,
    ["--input-type=module", "-e", program], { encoding: "utf8", timeout: 60_000 });
  return { status, output: stdout + stderr };
}

const passing = `test("passes", () => {});`;

test("a file whose tests pass ends with 0", () => {
  const { status, output } = run(passing);
  assert.equal(status, 0, output);
  assert.match(output, /Passed: +1/);
});

for (const [what, thrown] of [
  ["a text", `"no error"`], ["nothing", "undefined"],
  ["an error without a stack", `Object.assign(new Error("no error"), { stack: undefined })`],
  ["an error without a name", `Object.assign(new Error("no error"), { name: undefined })`],
  ["an object without a prototype", "Object.create(null)"],
] as const) {
  test(`throwing ${what} fails the file, and the tests behind it still run`, () => {
    const { status, output } = run(`test("throws", () => { throw ${thrown}; });\n${passing}`);
    assert.equal(status, 1, output);
    assert.match(output, /Total: +2\s+Passed: +1/);
  });
}

test("a file that ends in the middle of a test has failed, whatever status it asks for", () => {
  const ends = run(`test("waits", () => new Promise(() => {}));\n${passing}`);
  assert.equal(ends.status, 1, ends.output);
  assert.match(ends.output, /2 tests: 0 passed, 0 failed, 2 did not end/);
  const exits = run(`test("exits", () => process.exit(0));\n${passing}`);
  assert.equal(exits.status, 1, exits.output);
});

for (const hook of ["afterEach", "afterAll"]) {
  test(`what ${hook} throws fails the file`, () => {
    const { status, output } = run(
      `${hook}(() => { throw new Error("left behind"); });\n${passing}`);
    assert.equal(status, 1, output);
    assert.match(output, /left behind/);
  });
}
