/**
 * How fast is the interpreter on a mix of integer work, branches and loads? Guest instructions a
 * second, and the same boot ROM under QEMU's TCG beside it.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Processor } from "../src/cpu/system/processor.ts";
import { hasQemu, qemuBinary } from "./qemu.ts";

const loops = 20_000_000;
const rounds = 5;
/** Instructions of one turn of the loop below. */
const perLoop = 10;

/**
 * Real mode with 32-bit operands: a table walked with a mask, a data-dependent branch, a store.
 *
 *     mov ecx, loops; xor ebx, ebx
 * 1:  mov eax, [ebx]; add eax, ecx; mov [ebx+4], eax; test eax, 8; jz 2f; xor edx, eax
 * 2:  add ebx, 8; and ebx, 0xff8; dec ecx; jnz 1b
 *     mov al, 0; out 0xf4, al; hlt
 */
const program = [
  0x66, 0xb9, loops & 0xff, (loops >> 8) & 0xff, (loops >> 16) & 0xff, loops >>> 24,
  0x66, 0x31, 0xdb,
  0x67, 0x66, 0x8b, 0x03, 0x66, 0x01, 0xc8, 0x67, 0x66, 0x89, 0x43, 0x04,
  0x66, 0xa9, 0x08, 0, 0, 0, 0x74, 0x03, 0x66, 0x31, 0xc2,
  0x66, 0x83, 0xc3, 0x08, 0x66, 0x81, 0xe3, 0xf8, 0x0f, 0, 0, 0x66, 0x49, 0x75, 0xda,
  0xb0, 0x00, 0xe6, 0xf4, 0xf4,
];

function bootRom(): Uint8Array {
  const rom = new Uint8Array(64 * 1024).fill(0xf4);
  rom.set(program, 0);
  rom.set([0xea, 0, 0, 0, 0xf0], 0xfff0);
  return rom;
}

const nothing = { portRead: () => 0xff, mmioRead: () => 0xff, mmioWrite() {} };

function runOurs(rom: Uint8Array): number {
  const cpu = new Processor({
    ramBytes: 1 << 20, rom, now: () => performance.now() * 1e6, entropy() {},
    bus: { ...nothing, portWrite() {} },
  });
  cpu.bytes.set(rom, cpu.map.ram + 0xf0000);
  const start = performance.now();
  while (cpu.run(150_000) === "yield") {
    // The time slice is over; a machine would look at its timers here.
  }
  return performance.now() - start;
}

function runQemu(path: string): number {
  const start = performance.now();
  spawnSync(qemuBinary, ["-accel", "tcg", "-M", "pc", "-m", "16", "-bios", path, "-display", "none",
    "-device", "isa-debug-exit", "-no-reboot", "-serial", "none", "-monitor", "none"]);
  return performance.now() - start;
}

const folder = mkdtempSync(join(tmpdir(), "tsbhyve-bench-"));
const path = join(folder, "rom.bin");
writeFileSync(path, bootRom());
let ours = Infinity, qemu = Infinity;
for (let round = 0; round < rounds; round += 1) {
  ours = Math.min(ours, runOurs(bootRom()));
  if (hasQemu()) {
    qemu = Math.min(qemu, runQemu(path));
  }
}
rmSync(folder, { recursive: true });
const mips = (loops * perLoop) / ours / 1000;
console.log(`interpreter: ${mips.toFixed(0)} MIPS (bar: 120), best of ${rounds}`);
console.log(qemu === Infinity ? "QEMU is not installed: no peer"
  : `QEMU TCG, start included: ${qemu.toFixed(0)} ms against ${ours.toFixed(0)} ms, ratio `
    + `${(ours / qemu).toFixed(2)}`);
