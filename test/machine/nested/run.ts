/**
 * `npm run test:nested`: KVM for real, without the host's help. QEMU emulates an AMD processor
 * with SVM; a Debian guest on it loads kvm_amd and runs Node and this program with
 * vmm.backend=kvm, which boots Debian's kernel with a virtio disk. The inner guest's check must
 * pass.
 */
import { mkdirSync, rmSync } from "node:fs";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { CheckWatch } from "../../../src/runner/check-watch.ts";
import { linuxExpectation, linuxMachine } from "../../../src/runner/guests.ts";
import type { LinuxGuest } from "../../../src/runner/linux-guest.ts";
import { machineWords } from "../../../src/runner/machine-line.ts";
import { debianGuest } from "../../support/debian.ts";
import { assert, skipTest, test } from "../../support/harness.ts";
import { repositoryRoot } from "../../support/paths.ts";
import { buildImages, innerPaths, type NestedImages } from "./image.ts";

const name = "KVM inside an emulated AMD processor boots Debian's kernel, whose disk check passes";
const limitMs = 420_000;
const nonce = "5eed0000aabbccdd";
const guest = debianGuest();

function qemuWords({ kernelPath, initrdPath, diskPath }: NestedImages): string[] {
  return ["-accel", "tcg", "-cpu", "EPYC,+svm,+npt", "-smp", "2", "-m", "1536", "-display", "none",
    "-serial", "stdio", "-monitor", "none", "-no-reboot", "-kernel", kernelPath,
    "-initrd", initrdPath, "-append", "console=ttyS0 quiet panic=-1",
    "-drive", `file=${diskPath},format=raw,if=none,id=disk`,
    "-device", "virtio-blk-pci,drive=disk"];
}

async function images(inner: LinuxGuest): Promise<NestedImages> {
  const folder = join(repositoryRoot, "build", "nested");
  mkdirSync(folder, { recursive: true });
  const innerDisk = join(folder, "inner.img");
  rmSync(innerDisk, { force: true });
  const machine = linuxMachine(inner, { diskPath: innerDisk, nonce });
  const words = machineWords({
    ...machine, ...innerPaths, kernelLine: `${machine.kernelLine} quiet`,
  });
  return buildImages({ folder, inner, innerDisk, words: ["-o", "vmm.backend=kvm", ...words] });
}

function boot(made: NestedImages, take: (text: string) => void): Promise<void> {
  return new Promise((resolve) => {
    const qemu = spawn("qemu-system-x86_64", qemuWords(made),
      { stdio: ["ignore", "pipe", "inherit"] });
    const timer = setTimeout(() => qemu.kill("SIGKILL"), limitMs);
    qemu.stdout.on("data", (bytes: Buffer) => take(bytes.toString("latin1")));
    qemu.on("close", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

if ("reason" in guest) {
  skipTest(name, guest.reason);
} else {
  test(name, async () => {
    const made = await images(guest);
    const watch = new CheckWatch(linuxExpectation(nonce));
    let output = "";
    const start = performance.now();
    await boot(made, (text) => {
      watch.take(text);
      output += text;
      process.stdout.write(text.replaceAll("\r", ""));
    });
    console.log(`the outer guest ran ${Math.round((performance.now() - start) / 1000)} s`);
    assert.equal(watch.verdict.kind, "passed", output);
    assert.match(output, /nested: the end, status 1/, "the inner machine was powered off");
  });
}
