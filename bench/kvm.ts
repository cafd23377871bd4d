/**
 * KVM: what an exit costs when JavaScript serves it in the vCPU's thread, beside a C program with
 * the same guest (`bench/kvm-loop.c`, runs interleaved); what the addon adds to an ioctl; and the
 * time from the start of a process to its guest's first instruction.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "../src/base/log.ts";
import { gpa } from "../src/base/units.ts";
import { ManualClock } from "../src/fabric/clock.ts";
import { requireNative } from "../src/host/native.ts";
import { kvmIoctl } from "../src/vmm/kvm/abi.ts";
import { kvmHypervisor } from "../src/vmm/kvm/hypervisor.ts";
import { repositoryRoot } from "../test/support/paths.ts";

const exits = 50_000;
const calls = 1_000_000;
const rounds = 5;
/** OUT 0x80, AL; JMP back. */
const code = [0xe6, 0x80, 0xeb, 0xfc];
const codeAt = 0x1000;

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;

/** A vCPU in that loop; `left` counts down to where it ends. */
function loopingGuest() {
  let left = 0;
  const vm = kvmHypervisor.createVm({
    memoryBytes: 512 * 1024, cpus: 1, clock: new ManualClock(), log: createLog(() => {}),
    wake: () => {},
    bus: {
      portRead: () => 0, mmioRead: () => 0, mmioWrite: () => {},
      portWrite: () => {
        left -= 1;
        if (left === 0) {
          vcpu?.kick();
        }
      },
    },
  });
  const [vcpu] = vm.vcpus;
  if (vcpu === undefined) {
    throw new Error("a vCPU");
  }
  vm.memory.write(gpa(codeAt), Uint8Array.from(code));
  vcpu.setSegment("cs", { ...vcpu.segment("cs"), selector: 0, base: 0n });
  vcpu.setRegister("rip", BigInt(codeAt));
  return (count: number): number => {
    left = count;
    const start = process.hrtime.bigint();
    while (left > 0) {
      vcpu.run(1, 60e9);
    }
    return Number(process.hrtime.bigint() - start) / count;
  };
}

function timeCalls(): number {
  const addon = requireNative("the bench");
  const kvm = addon.open("/dev/kvm", 2);
  const list = new Uint32Array(2);
  const start = process.hrtime.bigint();
  for (let left = calls; left > 0; left -= 1) {
    list[0] = 0;
    addon.ioctl(kvm, kvmIoctl.KVM_GET_MSR_INDEX_LIST, list);
  }
  const each = Number(process.hrtime.bigint() - start) / calls;
  addon.close(kvm);
  return each;
}

function timeStart(): number {
  const program = `import { kvmHypervisor } from ${JSON.stringify(
    new URL("../src/vmm/kvm/hypervisor.js", import.meta.url).href)};
    process.exitCode = kvmHypervisor.probe().usable ? 0 : 1;`;
  const start = performance.now();
  spawnSync(process.execPath, ["--input-type=module", "-e", program]);
  return performance.now() - start;
}

const probe = kvmHypervisor.probe();
if (!probe.usable) {
  console.log(`KVM cannot run here: ${probe.reason}`);
} else {
  const folder = mkdtempSync(join(tmpdir(), "tsbhyve-bench-"));
  const binary = join(folder, "kvm-loop");
  const built = spawnSync("cc", ["-O2", "-o", binary, join(repositoryRoot, "bench", "kvm-loop.c")],
    { stdio: "inherit" });
  const inC = (...words: string[]) =>
    Number(spawnSync(binary, words, { encoding: "utf8" }).stdout.trim().split("\n").at(-1));
  if (built.status === 0) {
    const run = loopingGuest();
    run(5000);
    const ours: number[] = [], theirs: number[] = [], ourCalls: number[] = [],
      theirCalls: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      theirs.push(inC(String(exits)));
      ours.push(run(exits));
      theirCalls.push(inC("ioctl", String(calls)));
      ourCalls.push(timeCalls());
    }
    const [exit, cExit, call, cCall] = [ours, theirs, ourCalls, theirCalls].map(median);
    console.log(`exit: ${Math.round(exit ?? 0)} ns, C ${Math.round(cExit ?? 0)} ns: `
      + `${((cExit ?? 0) / (exit ?? 1)).toFixed(3)} of its exits a second`);
    console.log(`ioctl: ${Math.round(call ?? 0)} ns, C ${Math.round(cCall ?? 0)} ns: `
      + `${Math.round((call ?? 0) - (cCall ?? 0))} ns more`);
    console.log(`process start to first instruction and end: ${Math.round(median(
      Array.from({ length: rounds }, timeStart)))} ms`);
  }
  rmSync(folder, { recursive: true });
}
