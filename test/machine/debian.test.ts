import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { exitStatus } from "../../src/base/errors.ts";
import { CheckWatch } from "../../src/runner/check-watch.ts";
import { linuxExpectation, linuxMachine } from "../../src/runner/guests.ts";
import type { LinuxGuest } from "../../src/runner/linux-guest.ts";
import { machineWords } from "../../src/runner/machine-line.ts";
import { runWatched } from "../../src/runner/machine-process.ts";
import { debianGuest } from "../support/debian.ts";
import { testFolder } from "../support/folder.ts";
import { assert, skipTest, test } from "../support/harness.ts";
import { repositoryRoot } from "../support/paths.ts";

const name = "Debian's kernel boots, keeps what it writes to its disk, and powers off";
const limitMs = 300_000;
const folder = testFolder();

async function bootAndCheck(guest: LinuxGuest): Promise<void> {
  const expected = linuxExpectation("5eed00112233aabb");
  const diskPath = folder.file("disk");
  const machine = linuxMachine(guest, { diskPath, nonce: expected.nonce });
  const watch = new CheckWatch(expected);
  let errors = "";
  const program = [process.execPath, join(repositoryRoot, "bin", "tsbhyve.mjs")];
  const end = await runWatched([...program, ...machineWords(machine)], {
    limitMs,
    onOutput: (text) => watch.take(text),
    onErrors: (text) => { errors += text; },
  });
  const story = [end.why, errors, ...watch.lastLines()].join("\n");
  assert.equal(watch.verdict.kind, "passed", story);
  assert.equal(end.status, exitStatus.powerOff, story);
  const PATH = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;
  const fsck = spawnSync("e2fsck", ["-fn", diskPath], { encoding: "utf8", env: { PATH } });
  if (fsck.error === undefined) {
    assert.equal(fsck.status, 0, fsck.stdout);
  }
}

const guest = debianGuest();
if ("reason" in guest) {
  skipTest(name, guest.reason);
} else {
  test(name, () => bootAndCheck(guest));
}
