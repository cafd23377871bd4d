import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { kvmCap, kvmExit, kvmFlag, kvmIoctl, kvmLayout } from "../../../src/vmm/kvm/abi.ts";
import { testFolder } from "../../support/folder.ts";
import { assert, skipTest, test } from "../../support/harness.ts";

const folder = testFolder();
const name = "every number and offset is the one of linux/kvm.h";

function program(): string {
  const constants = { ...kvmIoctl, ...kvmCap, ...kvmExit, ...kvmFlag };
  const lines = Object.entries(constants).map(([each, value]) =>
    `  check("${each}", (unsigned)${each}, ${value}u);`);
  for (const [struct, { size, ...fields }] of Object.entries(kvmLayout)) {
    lines.push(`  check("${struct}", sizeof(struct ${struct}), ${size});`);
    for (const [field, offset] of Object.entries(fields)) {
      lines.push(`  check("${struct}.${field}", offsetof(struct ${struct}, ${field}), `
        + `${offset});`);
    }
  }
  return ["#include <stdio.h>", "#include <stddef.h>", "#include <linux/kvm.h>",
    "static int wrong;",
    "static void check(const char *what, unsigned long is, unsigned long ours) {",
    "  if (is != ours) { wrong = 1; printf(\"%s is %#lx, not %#lx\\n\", what, is, ours); }",
    "}", "int main(void) {", ...lines, `  printf("${lines.length} rows\\n");`,
    "  return wrong;", "}"].join("\n");
}

if (existsSync("/usr/include/linux/kvm.h") && spawnSync("cc", ["--version"]).status === 0) {
  test(name, () => {
    const binary = folder.file("check");
    const built = spawnSync("cc", ["-o", binary, folder.put("check.c", program())],
      { encoding: "utf8" });
    assert.equal(built.status, 0, built.stderr);
    const ran = spawnSync(binary, { encoding: "utf8" });
    assert.match(ran.stdout, /^\d{3} rows\n$/);
    assert.equal(ran.status, 0);
  });
} else {
  skipTest(name, "it needs cc and linux/kvm.h (Debian: gcc linux-libc-dev)");
}
