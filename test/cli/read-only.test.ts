/** The main command writes no file: it runs where nothing can be written. */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { echoRom } from "../runner/vm/echo-rom.ts";
import { testFolder } from "../support/folder.ts";
import { assert, skipTest, test } from "../support/harness.ts";
import { repositoryRoot } from "../support/paths.ts";

const readOnly = "mount --make-rprivate / && mount -o bind / / && mount -o remount,ro,bind / && "
  + "! touch /x 2>/dev/null && ! touch \"$1/x\" 2>/dev/null && shift && exec \"$@\"";

if (process.getuid?.() !== 0 || spawnSync("unshare", ["-m", "true"]).status !== 0) {
  skipTest("a read-only root", "this needs root and unshare");
} else {
  test("a machine runs on a read-only root", () => {
    const folder = testFolder();
    const rom = folder.file("rom");
    const bytes = echoRom();
    bytes.set([0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee]); // mov dx,CF9h; mov al,6; out dx,al
    writeFileSync(rom, bytes);
    const { status, stderr } = spawnSync("unshare", ["-m", "sh", "-c", readOnly, "sh", folder.path,
      process.execPath, join(repositoryRoot, "bin", "tsbhyve.mjs"), "-m", "16M", "-o",
      `bootrom=${rom}`, "-s", "0,hostbridge", "-s", "31,lpc", "vm"],
    { encoding: "utf8", timeout: 120_000, cwd: "/" });
    assert.equal(status, 0, `the guest resets the machine: ${stderr}`);
  });
}
