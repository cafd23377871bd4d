import { ConfigError } from "../../src/base/errors.ts";
import { Tree, setDefaults } from "../../src/config/tree.ts";
import { assert, randomSource, seed, test } from "../support/harness.ts";

function quietTree(): { tree: Tree; warnings: string[] } {
  const warnings: string[] = [];
  return { tree: new Tree((message) => warnings.push(message)), warnings };
}

test("a value set again moves to the end of its node, and nodes stay where they are", () => {
  const { tree } = quietTree();
  for (const [key, value] of [["a.x", "1"], ["b", "2"], ["a.y", "3"], ["a.x", "4"]] as const) {
    tree.set(key, value);
  }
  assert.equal(tree.dump(), "a.y=3\na.x=4\nb=2\n");
});

test("a node cannot become a value nor a value a node", () => {
  const { tree, warnings } = quietTree();
  tree.set("a.b", "1");
  assert.throws(() => tree.set("a", "2"), ConfigError);
  assert.throws(() => tree.set("a.b.c", "2"), ConfigError);
  assert.deepEqual(warnings, ["Configuration node a.b is a child of existing variable a.b"]);
  assert.equal(tree.dump(), "a.b=1\n");
});

test("an empty node name is refused, an empty name of a value is not", () => {
  const { tree } = quietTree();
  assert.throws(() => tree.set(".a", "1"), ConfigError);
  assert.throws(() => tree.set("a..b", "1"), ConfigError);
  tree.set("", "1");
  tree.set("n.", "2");
  // `a` was made before its empty child was refused; an empty node shows nothing.
  assert.equal(tree.dump(), "=1\nn.=2\n");
});

test("the values bhyve sets before its arguments, in its order", () => {
  const { tree } = quietTree();
  setDefaults(tree);
  assert.equal(tree.dump(), "acpi_tables=true\nacpi_tables_in_memory=true\nmemory.size=256M\n"
    + "x86.strictmsr=true\nx86.verbosemsr=false\nlpc.fwcfg=bhyve\n");
});

test("after warnOnce a repeated warning is said once", () => {
  const { tree, warnings } = quietTree();
  tree.set("a", "%(none)");
  tree.value("a");
  tree.value("a");
  assert.equal(warnings.length, 2);
  tree.warnOnce();
  tree.value("a");
  tree.value("a");
  assert.equal(warnings.length, 3);
});

/** The same rules, written as plainly as possible: a list of lines, searched from the start. */
class Model {
  readonly #lines: { path: readonly string[]; value: string }[] = [];
  /** Nodes in order of their making, which decides where their lines stand. */
  readonly #order: string[] = [];

  set(key: string, value: string): boolean {
    const path = key.split(".");
    for (let depth = 1; depth < path.length; depth += 1) {
      const start = path.slice(0, depth).join(".");
      if (this.#lines.some((line) => line.path.join(".") === start)) {
        return false;
      }
      if (path[depth - 1] === "") {
        return false;
      }
      if (!this.#order.includes(start)) {
        this.#order.push(start);
      }
    }
    if (this.#order.includes(key)) {
      return false;
    }
    const before = this.#lines.findIndex((line) => line.path.join(".") === key);
    if (before >= 0) {
      this.#lines.splice(before, 1);
      this.#order.splice(this.#order.indexOf(`=${key}`), 1);
    }
    this.#lines.push({ path, value });
    this.#order.push(`=${key}`);
    return true;
  }

  dump(prefix = ""): string {
    let text = "";
    for (const each of this.#order) {
      const isLeaf = each.startsWith("=");
      const key = isLeaf ? each.slice(1) : each;
      const parent = key.includes(".") ? key.slice(0, key.lastIndexOf(".")) : "";
      if (parent !== prefix) {
        continue;
      }
      const line = this.#lines.find(({ path }) => path.join(".") === key);
      text += isLeaf ? `${key}=${line?.value ?? ""}\n` : this.dump(key);
    }
    return text;
  }
}

test("random settings agree with a model, and a dump read back gives the same dump", () => {
  const random = randomSource();
  const names = ["a", "b", "c", "d"];
  const pick = () => names[random() % names.length] ?? "a";
  for (let round = 0; round < 300; round += 1) {
    const { tree } = quietTree();
    const model = new Model();
    const tried: string[] = [];
    for (let step = 0; step < 1 + random() % 40; step += 1) {
      const key = Array.from({ length: 1 + random() % 3 }, pick).join(".");
      const value = String(random() % 100);
      tried.push(`${key}=${value}`);
      let done = true;
      try {
        tree.set(key, value);
      } catch (error) {
        assert.ok(error instanceof ConfigError);
        done = false;
      }
      const where = `seed ${seed}, round ${round}: ${tried.join(" ")}`;
      assert.equal(done, model.set(key, value), where);
      assert.equal(tree.dump(), model.dump(), where);
    }
    const copy = quietTree().tree;
    for (const line of tree.dump().split("\n").slice(0, -1)) {
      const [key = "", value = ""] = line.split("=");
      copy.set(key, value);
    }
    assert.equal(copy.dump(), tree.dump(), `seed ${seed}, round ${round}`);
  }
});

test("a name too long for bhyve's lists is refused", () => {
  const { tree } = quietTree();
  tree.set("a".repeat(2047), "1");
  assert.throws(() => tree.set("a".repeat(2048), "1"), /2048 bytes; allowed: up to 2047/);
});
