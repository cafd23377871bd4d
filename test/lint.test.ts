/** The linter has nothing to say. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { assert, test } from "./support/harness.ts";
import { repositoryRoot } from "./support/paths.ts";

test("oxlint finds nothing", () => {
  const bin = join(repositoryRoot, "node_modules", "oxlint", "bin", "oxlint");
  const result = spawnSync(process.execPath,
    [bin, "--deny-warnings", "src", "test", "bench", "scripts", "bin"],
    { cwd: repositoryRoot, encoding: "utf8" });
  assert.equal(result.status, 0, result.stdout + result.stderr);
});
