/** Every example of `docs/machines.md` is run, in its order, beside the file that it shows. */
import { spawnSync } from "node:child_process";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { formats } from "../../src/formats/registry.ts";
import { testFolder } from "../support/folder.ts";
import { assert, test } from "../support/harness.ts";
import { repositoryRoot } from "../support/paths.ts";

const text = readFileSync(join(repositoryRoot, "docs", "machines.md"), "utf8");
const blocks = (language: string) =>
  [...text.matchAll(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``, "g"))]
    .map(([, block = ""]) => block);

const folder = testFolder();
for (const name of ["tsbhyve", "tsvm"]) {
  writeFileSync(folder.file(name),
    `#!/bin/sh\nexec ${process.execPath} ${join(repositoryRoot, "bin", `${name}.mjs`)} "$@"\n`);
  chmodSync(folder.file(name), 0o755);
}
writeFileSync(folder.file("devvms.conf"), blocks("ucl").join("\n"));
writeFileSync(folder.file("vmlinuz"), "a kernel");

for (const command of blocks("sh").flatMap((block) => block.trim().split("\n"))) {
  test(`example: ${command}`, () => {
    const { status, stdout, stderr } = spawnSync("sh", ["-c", command], {
      encoding: "utf8", cwd: folder.path, timeout: 120_000, env: { ...process.env,
        TSVM_ROOT: folder.file("vms"),
        PATH: `${folder.path}${delimiter}${process.env["PATH"] ?? ""}` },
    });
    assert.equal(status, 0, stderr);
    assert.ok(stdout.length > 0, "it says something");
  });
}

test("the document names every format", () => {
  for (const { name } of formats) {
    assert.ok(text.includes(name), name);
  }
});
