import { getopt } from "../../src/config/getopt.ts";
import { assert, test } from "../support/harness.ts";

/** The steps in short, and the index of the first operand. */
function stepsOf(...argv: string[]): [string[], number] {
  const found: string[] = [];
  const steps = getopt(argv, "ab:c", new Set(["--long"]));
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) {
      return [found, step.value];
    }
    const { value } = step;
    switch (value.kind) {
      case "flag":
        found.push(`${value.letter}=${value.argument}@${value.index}`);
        break;
      case "long":
        found.push(value.name);
        break;
      default:
        found.push(`${value.kind} ${value.letter}`);
    }
  }
}

test("flags are bundled, and an argument is the rest of the word or the next one", () => {
  assert.deepEqual(stepsOf("-ac", "-bx", "-ab", "y", "vm"),
    [["a=@0", "c=@0", "b=x@1", "a=@2", "b=y@2"], 4]);
});

test("the first operand, a lone dash and a double dash end the flags", () => {
  assert.deepEqual(stepsOf("-a", "vm", "-c"), [["a=@0"], 1]);
  assert.deepEqual(stepsOf("-a", "-", "-c"), [["a=@0"], 1]);
  assert.deepEqual(stepsOf("-a", "--", "-c"), [["a=@0"], 2]);
  assert.deepEqual(stepsOf("", "-a"), [[], 0]);
});

test("an argument may look like a flag, be empty, or be missing", () => {
  assert.deepEqual(stepsOf("-b", "-a"), [["b=-a@0"], 2]);
  assert.deepEqual(stepsOf("-b", ""), [["b=@0"], 2]);
  assert.deepEqual(stepsOf("-b", "--"), [["b=--@0"], 2]);
  assert.deepEqual(stepsOf("-ab"), [["a=@0", "missing b"], 1]);
});

test("unknown letters, the colon among them, are illegal; long words are known or illegal", () => {
  assert.deepEqual(stepsOf("-x:"), [["illegal x", "illegal :"], 1]);
  assert.deepEqual(stepsOf("--long", "-a"), [["--long", "a=@1"], 2]);
  assert.deepEqual(stepsOf("--lon")[0][0], "illegal -");
});
