/** The files of contrib that start the main command: their commands are run as they stand there. */
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { testFolder } from "../../support/folder.ts";
import { assert, skipTest, test } from "../../support/harness.ts";
import { repositoryRoot } from "../../support/paths.ts";
import { echoRom } from "../vm/echo-rom.ts";

const folder = testFolder();
const has = (program: string) => spawnSync(program, ["--version"]).error === undefined;
const contrib = (...parts: string[]) => join(repositoryRoot, "contrib", ...parts);

/** A machine that resets itself at once, so that its status is 0. */
const rom = folder.file("reset.rom");
const bytes = echoRom();
bytes.set([0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee]); // mov dx,CF9h; mov al,6; out dx,al
writeFileSync(rom, bytes);
writeFileSync(folder.file("vm0.flat"), `name=vm0\nmemory.size=16M\nbootrom=${rom}\n`);
const program = folder.file("tsbhyve");
writeFileSync(program,
  `#!/bin/sh\nexec ${process.execPath} ${join(repositoryRoot, "bin", "tsbhyve.mjs")} "$@"\n`);
chmodSync(program, 0o755);

/** A command of a file with our program and folder in the places of the installed ones. */
function here(text: string): string {
  return text.replaceAll("/usr/local/bin/tsbhyve", program)
    .replaceAll("/etc/tsbhyve", folder.path);
}

const unit = readFileSync(contrib("systemd", "tsbhyve@.service"), "utf8");

test("the command of the systemd unit runs a machine", () => {
  const [, command = ""] = /^ExecStart=(.*)$/m.exec(here(unit)) ?? [];
  const [first = "", ...words] = command.replaceAll("%i", "vm0").split(" ");
  const { status, stderr } = spawnSync(first, words, { encoding: "utf8", timeout: 120_000 });
  assert.equal(status, 0, stderr);
});

test("the unit takes statuses for what they mean", () => {
  assert.match(unit, /^SuccessExitStatus=1 2$/m);
  assert.match(unit, /^RestartForceExitStatus=0$/m);
  assert.match(unit, /^RestartPreventExitStatus=1 2 3 4 64 71$/m);
});

if (has("systemd-analyze")) {
  test("systemd finds no fault in the unit", () => {
    writeFileSync(folder.file("tsbhyve@.service"), here(unit));
    const { status, stdout, stderr } = spawnSync("systemd-analyze",
      ["verify", "--man=no", "--recursive-errors=no", folder.file("tsbhyve@vm0.service")],
      { encoding: "utf8", env: { ...process.env, SYSTEMD_UNIT_PATH: `${folder.path}:` } });
    const ours = (stdout + stderr).split("\n").filter((line) => /tsbhyve@/.test(line));
    assert.deepEqual([status, ours], [0, []], stdout + stderr);
  });
} else {
  skipTest("systemd finds no fault in the unit", "systemd-analyze is missing");
}

test("the command of the Nomad job runs a machine", () => {
  const job = here(readFileSync(contrib("nomad", "tsbhyve.nomad.hcl"), "utf8"))
    .replaceAll("${var.name}", "vm0");
  const [, command = ""] = /command = "([^"]*)"/.exec(job) ?? [];
  const [, list = ""] = /args\s*= (\[.*\])/.exec(job) ?? [];
  const args: string[] = JSON.parse(list);
  const { status, stderr } = spawnSync(command, args, { encoding: "utf8", timeout: 120_000 });
  assert.equal(status, 0, stderr);
});

if (has("nomad")) {
  test("Nomad finds no fault in the job", () => {
    const { status, stdout, stderr } = spawnSync("nomad",
      ["job", "validate", contrib("nomad", "tsbhyve.nomad.hcl")], { encoding: "utf8" });
    assert.equal(status, 0, stdout + stderr);
  });
} else {
  skipTest("Nomad finds no fault in the job", "nomad is missing (no Debian package)");
}

/** What the last stage of the Containerfile puts where: enough to lay its files out by hand. */
function layOut(target: string): { entry: readonly string[]; user: string } {
  const text = readFileSync(contrib("container", "Containerfile"), "utf8");
  const last = text.slice(text.lastIndexOf("\nFROM "));
  for (const [, from = "", to = ""] of last.matchAll(/^COPY (?:--from=build )?(\S+) (\S+)$/gm)) {
    const path = join(target, "opt", "tsbhyve", to);
    cpSync(join(repositoryRoot, from.replace(/^\/src\//, "")),
      to === "./" ? join(path, from.split("/").at(-1) ?? "") : path, { recursive: true });
  }
  const [, entry = "[]"] = /^ENTRYPOINT (\[.*\])$/m.exec(last) ?? [];
  const [, user = ""] = /^USER (\S+)$/m.exec(last) ?? [];
  return { entry: JSON.parse(entry), user };
}

if (process.getuid?.() === 0) {
  test("what the container holds is enough, without privileges and on a read-only root", () => {
    const target = folder.file("image");
    mkdirSync(target);
    const { entry, user } = layOut(target);
    assert.equal(user, "65534:65534");
    chmodSync(folder.path, 0o755);
    spawnSync("chmod", ["-R", "a+rX", target]);
    const [, script = ""] = entry;
    const { status, stderr } = spawnSync(process.execPath, [join(target, script), "-k",
      folder.file("vm0.flat"), "vm0"], { encoding: "utf8", cwd: "/", uid: 65534, gid: 65534,
      env: { PATH: process.env["PATH"] ?? "" }, timeout: 120_000 });
    assert.equal(status, 0, stderr);
  });
} else {
  skipTest("what the container holds is enough", "this needs root, to be somebody else");
}

/** Why podman cannot build here; undefined when it can. */
function whyNoImage(): string | undefined {
  if (!has("podman")) {
    return "podman is missing";
  }
  const [, base = ""] = /^FROM (\S+)/m.exec(
    readFileSync(contrib("container", "Containerfile"), "utf8")) ?? [];
  const { status } = spawnSync("podman", ["pull", "--quiet", base], { timeout: 60_000 });
  return status === 0 ? undefined : `${base} cannot be fetched from here`;
}

const noImage = whyNoImage();
if (noImage === undefined) {
  test("podman builds the image", () => {
    const { status, stderr } = spawnSync("podman", ["build", "-f",
      contrib("container", "Containerfile"), repositoryRoot], { encoding: "utf8" });
    assert.equal(status, 0, stderr);
  });
} else {
  skipTest("podman builds the image", noImage);
}
