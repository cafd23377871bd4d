import { writeSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { createLog } from "../../../src/base/log.ts";
import { gpa } from "../../../src/base/units.ts";
import { checked, requireNative, type NativeAddon } from "../../../src/host/native.ts";
import { kvmHypervisor } from "../../../src/vmm/kvm/hypervisor.ts";
import { KvmVm } from "../../../src/vmm/kvm/vm.ts";
import { assert, skipTest, test } from "../../support/harness.ts";
import { handlerAt, VmBench } from "../../support/vm-bench.ts";

const probe = kvmHypervisor.probe();

function kvmTest(
  name: string, body: (bench: VmBench, vm: KvmVm, addon: NativeAddon) => void | Promise<void>,
): void {
  if (!probe.usable) {
    skipTest(name, probe.reason);
    return;
  }
  test(name, async () => {
    const bench = new VmBench(kvmHypervisor);
    try {
      assert.ok(bench.vm instanceof KvmVm);
      await body(bench, bench.vm, requireNative("the test"));
    } finally {
      bench.vm.destroy();
    }
  });
}

const answer = (value: number) => [0xb0, value, 0xe6, 0xf4];
const haltLoop = [0xfb, 0xf4, 0xeb, 0xfd];

/** Signals that an eventfd has got since the last look. */
function rings(addon: NativeAddon, fd: number): number {
  const count = new Float64Array([3, 0, 0, 1, 0]);
  const memory = new Uint8Array(new WebAssembly.Memory({
    initial: 1, maximum: 1, shared: true }).buffer);
  addon.transfer(fd, memory, count, 1, Float64Array.of(0, 8));
  return new DataView(memory.buffer).getUint32(0, true);
}

kvmTest("a doorbell rings an eventfd and does not leave the vCPU; other values do",
  (bench, vm, addon) => {
    const fd = checked("eventfd", addon.eventfd(0, false));
    const undo = vm.ringDoorbell(fd, { space: "port", address: 0xb0, size: 1, value: 7 });
    const code = [0xb0, 7, 0xe6, 0xb0, 0xe6, 0xb0, 0xb0, 8, 0xe6, 0xb0, ...answer(1), ...haltLoop];
    bench.real(code);
    bench.runToAnswer();
    assert.deepEqual(bench.accesses.map(({ address, value }) => [address, value]),
      [[0xb0, 8], [0xf4, 1]]);
    assert.equal(rings(addon, fd), 2);
    undo();
    bench.accesses.length = 0;
    bench.real(code);
    bench.runToAnswer();
    assert.equal(bench.accesses.length, 4);
    assert.equal(rings(addon, fd), 0);
    addon.close(fd);
  });

kvmTest("a doorbell in memory rings for every value", (bench, vm, addon) => {
  const fd = checked("eventfd", addon.eventfd(0, false));
  vm.ringDoorbell(fd, { space: "memory", address: 0x9_0010, size: 2 });
  // ES = 0x9000; MOV word ES:[0x10], 5.
  bench.real([0xb8, 0x00, 0x90, 0x8e, 0xc0, 0x26, 0xc7, 0x06, 0x10, 0, 5, 0, ...answer(1),
    ...haltLoop]);
  bench.runToAnswer();
  assert.equal(bench.accesses.length, 1);
  assert.equal(rings(addon, fd), 1);
  addon.close(fd);
});

kvmTest("an eventfd sends a message without our help", (bench, vm, addon) => {
  const fd = checked("eventfd", addon.eventfd(0, false));
  const undo = vm.interrupts.sendBy(fd, 0xfee0_0000, 0x47);
  const enableApic = [0xc7, 0x05, 0xf0, 0x00, 0xe0, 0xfe, 0xff, 0x01, 0x00, 0x00];
  bench.flat([...enableApic, ...answer(1), ...haltLoop], { 0x47: handlerAt })
    .put(handlerAt, [...answer(0x47), ...haltLoop]);
  bench.runToAnswer();
  const one = Buffer.from(BigUint64Array.of(1n).buffer);
  writeSync(fd, one);
  assert.equal(bench.runToAnswer(), 0x47);
  undo();
  addon.close(fd);
});

kvmTest("written pages are noted once", (bench, vm) => {
  const set = (bits: Uint8Array) => [...bits].flatMap((byte, index) =>
    [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => (byte >>> bit & 1) !== 0)
      .map((bit) => index * 8 + bit));
  vm.logWrites(true);
  // MOV byte [0x5000], 1; MOV byte [0x7fff], 1.
  bench.real([0xc6, 0x06, 0x00, 0x50, 1, 0xc6, 0x06, 0xff, 0x7f, 1, ...answer(1), ...haltLoop]);
  bench.runToAnswer();
  assert.deepEqual(set(vm.takeDirtyPages()), [5, 7]);
  assert.deepEqual(set(vm.takeDirtyPages()), []);
  assert.equal(vm.memory.u8(gpa(0x5000)), 1);
  vm.logWrites(false);
});

kvmTest("a kick of another thread ends the sleep of a halted vCPU", async (bench, vm) => {
  bench.real([...answer(1), ...haltLoop]);
  bench.runToAnswer();
  const kicker = new Worker(`
    const { workerData } = require("node:worker_threads");
    Promise.all(workerData.urls.map((url) => import(url))).then(([{ requireNative }, kicks]) => {
      const addon = requireNative("the test");
      const timer = setInterval(() => kicks.kickVcpu(addon, workerData.kick), 20);
      setTimeout(() => clearInterval(timer), 2000);
    });`, { eval: true, workerData: {
    urls: ["host/native.js", "vmm/kick.js"].map((file) =>
      new URL(`../../../src/${file}`, import.meta.url).href),
    kick: vm.features.kick,
  } });
  await new Promise((resolve) => { kicker.once("online", resolve); });
  const start = performance.now();
  assert.deepEqual(bench.vcpu.run(1, 60e9), { reason: "yield" });
  assert.ok(performance.now() - start < 30_000, "long before the end of its slice");
  await kicker.terminate();
});

kvmTest("an MSR that nobody has is #GP, or 0 where x86.strictmsr is off", () => {
  // MOV ECX, 0x12345; RDMSR; then 1 + EAX. The handler of #GP answers 0x0d.
  const code = [0xb9, 0x45, 0x23, 0x01, 0x00, 0x0f, 0x32, 0x40, 0xe6, 0xf4, ...haltLoop];
  for (const [strictMsr, expected] of [[true, 0x0d], [false, 1]] as const) {
    const messages: string[] = [];
    const bench = new VmBench(kvmHypervisor, undefined, {
      x86: { x2apic: false, strictMsr, verboseMsr: true, compiles: true, statistics: false },
      log: createLog((_level, message) => messages.push(message)),
    });
    bench.flat(code, { 13: handlerAt }).put(handlerAt, [...answer(0x0d), ...haltLoop]);
    assert.equal(bench.runToAnswer(), expected);
    assert.deepEqual(messages, ["rdmsr of unknown register 0x12345"]);
    bench.vm.destroy();
  }
});

kvmTest("a guest that KVM cannot go on with ends in a report", (bench) => {
  // A jump to where nothing is: the first fetch cannot be emulated.
  bench.flat([0xea, 0, 0, 0, 0x50, 8, 0]);
  const result = bench.run();
  assert.ok(result !== "stopped");
  assert.ok(result.reason === "failed" || result.reason === "tripleFault");
  if (result.reason === "failed") {
    assert.match(result.report, /KVM_EXIT_INTERNAL_ERROR.*at 8:50000000/);
  }
});

kvmTest("many VMs come and go without a trace", (_bench, _vm, addon) => {
  const lowest = checked("eventfd", addon.eventfd(0, false));
  addon.close(lowest);
  for (let left = 20; left > 0; left -= 1) {
    new VmBench(kvmHypervisor).vm.destroy();
  }
  const again = checked("eventfd", addon.eventfd(0, false));
  addon.close(again);
  assert.equal(again, lowest);
});
