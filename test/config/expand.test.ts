import { ConfigError } from "../../src/base/errors.ts";
import { expand, referencesOf } from "../../src/config/expand.ts";
import { assert, randomSource, seed, test } from "../support/harness.ts";

function expandWith(value: string, variables: Record<string, string> = {}): {
  text: string; warnings: number;
} {
  let warnings = 0;
  const text = expand(value, (path) => variables[path], () => { warnings += 1; });
  return { text, warnings };
}

test("references are replaced, also nested and repeated ones", () => {
  const variables = { a: "1", b: "<%(a)>", "c.d": "%(b)%(b)" };
  assert.deepEqual(expandWith("x%(c.d)y", variables), { text: "x<1><1>y", warnings: 0 });
});

test("backslash escapes only where there is a percent sign", () => {
  assert.equal(expandWith("a\\b").text, "a\\b");
  assert.equal(expandWith("a\\b%(x)", { x: "1" }).text, "ab1");
  assert.equal(expandWith("\\%(x)\\\\%(x)", { x: "1" }).text, "%(x)\\1");
  assert.deepEqual(expandWith("%(x)\\", { x: "1" }), { text: "1", warnings: 1 });
});

test("what is no reference stays, with a warning", () => {
  for (const [value, text, warnings] of [
    ["50%", "50%", 1], ["%%", "%%", 2], ["%(x", "%(x", 1], ["%()x", "x", 1], ["%(u)", "", 1],
    ["%%(x)", "%1", 1], ["%(x))", "1)", 0], ["%( x)", "", 1],
  ] as const) {
    assert.deepEqual(expandWith(value, { x: "1" }), { text, warnings }, value);
  }
});

test("a loop ends after sixteen levels", () => {
  const { text } = expandWith("%(s)", { s: "x%(s)y" });
  assert.equal(text, `${"x".repeat(16)}%(s)${"y".repeat(16)}`);
});

test("a value that doubles itself at every level is refused, not built", () => {
  const doubling: Record<string, string> = {};
  for (let level = 0; level < 20; level += 1) {
    doubling[`v${level}`] = `%(v${level + 1})`.repeat(8);
  }
  assert.throws(() => expandWith("%(v0)", doubling), ConfigError);
});

test("text without percent signs is untouched, escaped text comes back, whatever it is", () => {
  const random = randomSource();
  const letters = "ab%()\\.=é";
  for (let round = 0; round < 2000; round += 1) {
    const text = Array.from({ length: random() % 20 }, () => letters[random() % letters.length])
      .join("");
    const where = `seed ${seed}: ${JSON.stringify(text)}`;
    const plain = text.replaceAll("%", "");
    assert.deepEqual(expandWith(plain), { text: plain, warnings: 0 }, where);
    const escaped = text.replace(/[%\\]/g, "\\$&");
    const expected = escaped.includes("%") ? text : escaped;
    assert.deepEqual(expandWith(escaped), { text: expected, warnings: 0 }, where);
  }
});

test("references are listed without escaped and empty ones", () => {
  assert.deepEqual(referencesOf("%(a)\\%(b)%()%(c.d)%(e"), ["a", "c.d"]);
});

test("a value that doubles itself at every level ends as bhyve's does", () => {
  const { text } = expandWith("%(s)", { s: "%(s)%(s)" });
  assert.equal(text, "%(s)".repeat(2 ** 16));
});
