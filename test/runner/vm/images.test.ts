/** Base images in several formats, how progress is told, and usage. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runnerMain, usage } from "../../../src/runner/vm/command.ts";
import { progressOf } from "../../../src/runner/vm/progress.ts";
import { testFolder } from "../../support/folder.ts";
import { assert, randomSource, skipTest, test } from "../../support/harness.ts";

const folder = testFolder();
process.env["TSVM_ROOT"] = folder.file("vms");

async function run(...argv: string[]) {
  let out = "", error = "";
  const status = await runnerMain(argv, {
    out: (text) => { out += text; }, error: (text) => { error += text; },
  });
  return { status, out, error };
}

/** Some content between holes. */
const content = Buffer.alloc(8 * 1024 * 1024);
const random = randomSource();
for (let at = 3 * 1024 * 1024; at < 3 * 1024 * 1024 + 40_000; at += 4) {
  content.writeUInt32LE(random(), at);
}
const raw = folder.file("disk.raw");
writeFileSync(raw, content);
const checksum = createHash("sha256").update(content).digest("hex");

test("a raw image comes in sparse, with the checksum of its content", async () => {
  const { status, out } = await run("image", "import", raw, "base", "--json", "--quiet");
  assert.equal(status, 0);
  const { path, sizeBytes, sha256 } = JSON.parse(out);
  assert.deepEqual([sizeBytes, sha256], [content.length, checksum]);
  assert.deepEqual(readFileSync(path), content);
  assert.ok(statSync(path).blocks * 512 < 2 * 1024 * 1024, "zeros take no room");
  assert.equal((await run("image", "import", raw, "base", "--quiet")).status, 4, "it is there");
  assert.equal((await run("image", "list")).out, "base\n");
});

for (const [format, ending] of [["qcow2", "qcow2"], ["vmdk", "vmdk"], ["vpc", "vhd"]] as const) {
  if (spawnSync("qemu-img", ["--version"]).error !== undefined) {
    skipTest(`${format} comes in`, "qemu-img is missing (package qemu-utils)");
    continue;
  }
  test(`${format} comes in with the same content`, async () => {
    const other = folder.file(`disk.${ending}`);
    const options = format === "vpc" ? ["-o", "force_size=on"] : [];
    assert.equal(spawnSync("qemu-img",
      ["convert", "-f", "raw", "-O", format, ...options, raw, other]).status, 0);
    const out = folder.file(`${format}.img`);
    const { status, error } = await run("image", "convert", other, out, "--quiet");
    assert.equal(status, 0, error);
    assert.deepEqual(readFileSync(out).subarray(0, content.length), content);
  });
}

test("images grow and never shrink; a machine keeps only what differs", async () => {
  assert.match((await run("image", "resize", "base", "16M")).out, /16\.0 MiB/);
  const smaller = await run("image", "resize", "base", "1M");
  assert.equal(smaller.status, 4);
  assert.match(smaller.error, /is smaller than the 16777216 bytes/);
  writeFileSync(folder.file("rom"), new Uint8Array(4096));
  const made = await run("create", "thin", "--image", "base", "--rom", folder.file("rom"));
  assert.equal(made.status, 0, made.error);
  const settings = readFileSync(join(folder.file("vms"), "thin", "machine.flat"), "utf8");
  assert.match(settings, /^pci\.0\.2\.0\.path=.*\/\.images\/base\.img$/m);
  assert.match(settings, /^pci\.0\.2\.0\.overlay=disk0\.qcow2$/m);
  assert.match((await run("create", "x", "--image", "bsae")).error, /did you mean base\?/);
  assert.equal(existsSync(join(folder.file("vms"), "x")), false);
  assert.equal((await run("image", "remove", "base")).status, 0);
  assert.equal((await run("image", "list")).out, "");
});

function shown(isTTY: boolean, quiet = false): string {
  let text = "", nowMs = 0;
  const progress = progressOf({ what: "copy", totalBytes: 1000 * 1024 * 1024, quiet,
    output: { isTTY, write: (part) => { text += part; } }, nowMs: () => nowMs });
  for (let done = 0; done <= 1000; done += 1) {
    nowMs += 10;
    progress.at(done * 1024 * 1024);
  }
  progress.end();
  return text;
}

test("progress is a line per 10 % in a pipe, size, speed and time left on a terminal", () => {
  const piped = shown(false).trimEnd().split("\n");
  assert.equal(piped.length, 10);
  assert.equal(piped[0], "copy: 10 % of 1000 MiB");
  const parts = shown(true).split("\r");
  assert.ok(parts.length > 50 && parts.length < 150, "ten times a second");
  assert.match(parts[50] ?? "", /^copy: \d+ % of 1000 MiB, \d+(\.\d)? MiB\/s, \d+ s left/);
  assert.equal(shown(true, true) + shown(false, true), "");
});

test("the usage is one screen", () => {
  const lines = usage().trimEnd().split("\n");
  assert.ok(lines.length <= 24);
  assert.deepEqual(lines.filter((line) => line.length > 80), []);
});

test("words may be completed: verbs, machines, options", async () => {
  const words = async (...typed: string[]) => (await run("complete", "--", ...typed)).out;
  assert.match(await words("sta"), /^start\t/);
  assert.equal(await words("start", "th"), "thin\n");
  assert.equal(await words("stop", "thin", "--t"), "--timeout\n");
  assert.equal(await words("create", "new", "--kernel", ""), ":files\n");
});

const inNamespace = "mount -t sysfs sysfs /sys && exec \"$@\"";

if (process.getuid?.() !== 0 || spawnSync("unshare", ["-mn", "true"]).status !== 0
  || spawnSync("ip", ["-V"]).error !== undefined) {
  skipTest("switches are bridges", "this needs root, unshare and ip (package iproute2)");
} else {
  test("switches are bridges, and only our own are destroyed", () => {
    const program = `const { createSwitch, destroySwitch, switchNames, tapsFor } = await import(
      ${JSON.stringify(new URL("../../../src/runner/vm/switches.js", import.meta.url).href)});
    const { Tree } = await import(
      ${JSON.stringify(new URL("../../../src/config/tree.js", import.meta.url).href)});
    const { execFileSync } = await import("node:child_process");
    const { existsSync, readlinkSync } = await import("node:fs");
    const say = (...words) => console.log(JSON.stringify(words));
    execFileSync("ip", ["link", "add", "name", "other", "type", "bridge"]);
    createSwitch("public"); say(switchNames());
    const tree = new Tree(() => {}); tree.set("pci.0.4.0.backend", "tap7");
    const taps = tapsFor(tree);
    try { taps.make(); say(existsSync("/sys/class/net/tap7"),
      readlinkSync("/sys/class/net/tap7/master")); } catch (error) { say(error.message); }
    taps.remove(); say(existsSync("/sys/class/net/tap7"));
    try { destroySwitch("other"); } catch (error) { say(error.message); }
    destroySwitch("public"); say(switchNames());`;
    const { stdout, stderr } = spawnSync("unshare", ["-mn", "sh", "-c", inNamespace, "sh",
      process.execPath, "--input-type=module", "-e", program], { encoding: "utf8" });
    const [made, tap, gone, refused, left] = stdout.trim().split("\n").map((line) =>
      JSON.parse(line));
    assert.deepEqual(made, [["public"]], stderr);
    if (/tuntap/.test(String(tap[0]))) {
      console.log(`taps cannot be made here: ${tap[0]}`);
    } else {
      assert.deepEqual(tap, [true, "../public"]);
    }
    assert.deepEqual(gone, [false]);
    assert.match(refused[0], /is no switch of tsvm; allowed: public/);
    assert.deepEqual(left, [[]]);
  });
}
