/** The back end for /dev/vmm against a fake of each version's kernel, in processes of their own. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { testFolder } from "../../support/folder.ts";
import { assert, skipTest, test } from "../../support/harness.ts";
import { fakeVmm, versions } from "./fake/run.ts";

const fake = fakeVmm(testFolder());
const limitMs = 300_000;

function runSuite(version: string, file: string): string {
  assert.ok("command" in fake);
  const suite = fileURLToPath(new URL(file, import.meta.url));
  const [program, ...words] = fake.command(version, ["--enable-source-maps", suite]);
  const { stdout, stderr, status } = spawnSync(program, words,
    { encoding: "utf8", timeout: limitMs });
  assert.equal(status, 0, `${stdout}${stderr}`);
  return stdout;
}

for (const version of versions) {
  const name = `${version}: the conformance suite passes through unchanged ioctls`;
  if ("reason" in fake) {
    skipTest(name, fake.reason);
  } else {
    test(name, () => {
      const passed = /Passed: +(\d+)/.exec(runSuite(version, "./fake/suite.js"))?.[1];
      assert.ok(Number(passed) >= 20, `${passed} tests`);
    });
  }
}
