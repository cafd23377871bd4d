/** Errors point at the argument, for people only. */
import { caretLines, mayColour } from "../../src/cli/caret.ts";
import { main } from "../../src/cli/main.ts";
import { usage } from "../../src/cli/usage.ts";
import { assert, test } from "../support/harness.ts";

async function errors(interactive: boolean, ...argv: string[]): Promise<string> {
  let error = "";
  await main(argv, { out: () => {}, error: (text) => { error += text; }, interactive });
  return error;
}

/** What stands above the caret and behind it. */
function pointedAt(error: string): readonly string[] {
  const lines = error.split("\n");
  return lines.flatMap((line, index) => {
    const plain = line.replaceAll("\u001b[31m", "").replaceAll("\u001b[0m", "");
    const at = plain.indexOf("^");
    return /^\s*\^/.test(plain)
      ? [(lines[index - 1] ?? "").slice(at).split(" ", 1)[0] ?? ""] : [];
  });
}

test("the caret stands below what is wrong", async () => {
  const wrong = ["-m", "64M", "-s", "3,virtio-blk,/nope,ro=3", "-o", "memroy.size=1",
    "-HoA=", "vm"];
  assert.deepEqual(pointedAt(await errors(true, "-s", "3,virtio-bkl,/a", "vm")),
    ["3,virtio-bkl,/a"]);
  assert.deepEqual(pointedAt(await errors(true, ...wrong)), ["A="]);
  assert.deepEqual(pointedAt(await errors(true, ...wrong.filter((word) => word !== "-HoA="))),
    ["ro=3", "memroy.size=1"]);
  assert.doesNotMatch(await errors(false, ...wrong), /\^/);
});

test("long command lines are cut around the place", () => {
  const argv = [...Array.from({ length: 50 }, () => "-H"), "-o", "x=1", "vm"];
  const [line = "", caret = ""] = caretLines("tsbhyve", argv,
    { key: "x", value: "1", message: "is an unknown key (argument 51, -o)" });
  assert.ok(line.length <= 80);
  assert.equal(line.charAt(caret.length - 1), "x");
});

test("colour is for terminals without NO_COLOR", () => {
  assert.equal(mayColour({}, true), true);
  assert.equal(mayColour({ NO_COLOR: "1" }, true), false);
  assert.equal(mayColour({ NO_COLOR: "" }, true), true);
  assert.equal(mayColour({ TERM: "dumb" }, true), false);
  assert.equal(mayColour({}, false), false);
});

test("--help fits a screen of 80 columns and 24 lines", () => {
  const lines = usage().trimEnd().split("\n");
  assert.ok(lines.length <= 24, `${lines.length} lines`);
  assert.deepEqual(lines.filter((line) => line.length > 80), []);
});
