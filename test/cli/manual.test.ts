/** The manual pages are what the tables say (`UPDATE=1` writes them), and mandoc finds no fault. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { manualText } from "../../src/cli/manual/mdoc.ts";
import { configPage, programPage } from "../../src/cli/manual/pages.ts";
import { runnerPage } from "../../src/runner/vm/manual.ts";
import { assert, skipTest, test } from "../support/harness.ts";
import { repositoryRoot } from "../support/paths.ts";

const folder = join(repositoryRoot, "man");
const pages = [programPage, configPage, runnerPage];

// The page of keys is looked after beside docs/config.md, in reference.test.ts.
for (const page of pages.filter((each) => each !== configPage)) {
  const name = `${page.name}.${page.section}`;
  const path = join(folder, name);
  test(`${name} is up to date`, () => {
    const text = manualText(page);
    if (process.env["UPDATE"] === "1") {
      writeFileSync(path, text);
    }
    assert.ok(existsSync(path), "UPDATE=1 writes it");
    assert.equal(readFileSync(path, "utf8"), text, "UPDATE=1 brings it up to date");
  });
}

test("there are no other pages", () => {
  assert.deepEqual(readdirSync(folder).toSorted(),
    pages.map(({ name, section }) => `${name}.${section}`).toSorted());
});

if (spawnSync("mandoc", ["-h"]).error !== undefined) {
  skipTest("mandoc finds no fault", "mandoc is missing");
} else {
  test("mandoc finds no fault", () => {
    for (const { name, section } of pages) {
      const { stdout, stderr } = spawnSync("mandoc", ["-Tlint", join(folder, `${name}.${section}`)],
        { encoding: "utf8" });
      // Our own pages refer to each other and are not installed here.
      const found = (stdout + stderr).split("\n").filter((line) => line !== ""
        && !/referenced manual not found: Xr (tsbhyve|tsbhyve_config|tsvm) [58]$/.test(line));
      assert.deepEqual(found, []);
    }
  });
}
