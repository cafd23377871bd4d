/** Debian's kernel to its first process, with the interpreter alone and with compiled code, beside
 * QEMU's TCG: bests of interleaved runs. */
import { join } from "node:path";
import { cacheFolder } from "../src/host/folders.ts";
import { prepareLinux, projectFolder } from "../src/runner/linux-guest.ts";
import { stagesOn } from "../src/runner/stages.ts";
import { runCommand } from "../src/runner/debian/command.ts";
import { hasQemu, qemuBinary, timeToLine } from "./qemu.ts";

const rounds = 3;
const limitMs = 120_000;
const marker = "Run /init as init process";
const commandLine = "console=ttyS0 panic=-1";

const guest = await prepareLinux({
  cache: cacheFolder(), stages: stagesOn(process.stderr), run: runCommand,
  hostArchitecture: process.arch, update: false,
});
const ours = [join(projectFolder, "bin", "tsbhyve.mjs"),
  "-o", "pci.0.0.0.device=hostbridge", "-o", "pci.0.31.0.device=lpc", "-o", "lpc.com1.path=stdio",
  "-o", "memory.size=256M", "-o", `boot.kernel=${guest.kernelPath}`,
  "-o", `boot.initrd=${guest.initrdPath}`, "-o", `boot.cmdline=${commandLine}`, "bench"];
const theirs = ["-accel", "tcg", "-cpu", "Nehalem-v1", "-m", "256", "-nodefaults",
  "-no-user-config", "-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot",
  "-kernel", guest.kernelPath, "-initrd", guest.initrdPath, "-append", commandLine];

const [program = "", ...machine] = ours;
const tiers = [
  {
    name: "tsbhyve, interpreter alone", bar: 4,
    words: [program, "-o", "vmm.soft.jit=false", ...machine],
  },
  { name: "tsbhyve", bar: 1, words: ours },
];
const bests = tiers.map(() => Infinity);
let peer = Infinity;
for (let round = 0; round < rounds; round += 1) {
  for (const [index, { name, words }] of tiers.entries()) {
    bests[index] = Math.min(bests[index] ?? Infinity, await run(name, process.execPath, words));
  }
  if (hasQemu()) {
    peer = Math.min(peer, await run("QEMU TCG", qemuBinary, theirs));
  }
}
for (const [index, { name, bar }] of tiers.entries()) {
  const best = bests[index] ?? Infinity;
  console.log(peer === Infinity ? `${name}: ${best.toFixed(0)} ms; QEMU is not installed: no peer`
    : `${name}: ratio ${(best / peer).toFixed(2)} (bar: ${bar}): ${best.toFixed(0)} ms, `
      + `QEMU ${peer.toFixed(0)} ms`);
}

async function run(name: string, command: string, words: readonly string[]): Promise<number> {
  const { ms, seen } = await timeToLine(command, words, marker, limitMs);
  console.log(`${name}: ${seen ? `${ms.toFixed(0)} ms` : "the line never came"}`);
  return seen ? ms : Infinity;
}
