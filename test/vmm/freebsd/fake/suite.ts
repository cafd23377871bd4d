/** Run under the fake: the conformance suite, and what is /dev/vmm's own. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { gpa } from "../../../../src/base/units.ts";
import { HostError } from "../../../../src/base/errors.ts";
import { OwnerFile } from "../../../../src/host/owner-file.ts";
import { requireNative } from "../../../../src/host/native.ts";
import { createDevice, destroyVm } from "../../../../src/vmm/freebsd/device.ts";
import { vmmHypervisor } from "../../../../src/vmm/freebsd/hypervisor.ts";
import { VmmVm } from "../../../../src/vmm/freebsd/vm.ts";
import { conformance } from "../../../support/conformance.ts";
import { assert, test } from "../../../support/harness.ts";
import { VmBench } from "../../../support/vm-bench.ts";

test("the probe runs its guest", () => {
  const probe = vmmHypervisor.probe();
  assert.ok(probe.usable, JSON.stringify(probe));
});

conformance(vmmHypervisor, test);

test("a name in use is told, with the command that frees it; one that cannot be, too", () => {
  const addon = requireNative("the test");
  const device = createDevice(addon, "twice");
  assert.throws(() => createDevice(addon, "twice"), (error) => error instanceof HostError
    && /a VM twice exists; if nothing runs it: bhyvectl --destroy --vm=twice/.test(error.message));
  device.destroy();
  assert.ok(!destroyVm(addon, "twice"), "it is gone");
  createDevice(addon, "twice").destroy();
  for (const name of ["", "a/b", "x".repeat(230)]) {
    assert.throws(() => createDevice(addon, name), /cannot be named/);
  }
});

test("the VM of a process that was killed is taken away by the next start", () => {
  const addon = requireNative("the test");
  createDevice(addon, "orphan"); // Never destroyed, as after kill -9.
  const owner = new OwnerFile("vmm", "orphan");
  assert.ok(!owner.isOrphaned(), "we live");
  assert.throws(() => createDevice(addon, "orphan"), /a VM orphan exists/);
  const dead = spawnSync(process.execPath, ["-e", ""]).pid;
  writeFileSync(owner.path, String(dead));
  createDevice(addon, "orphan").destroy();
  assert.ok(!existsSync(owner.path));
});

test("the version is the kernel's", () => {
  const device = createDevice(requireNative("the test"), "version");
  assert.equal(device.abi.name, process.env["FAKE_VERSION"]);
  device.destroy();
});

test("statistics have the kernel's names, on all their pages", () => {
  const { vm } = new VmBench(vmmHypervisor);
  assert.ok(vm instanceof VmmVm);
  assert.deepEqual([...vm.statistics(0)], [["total number of vm exits", 7n],
    ["number of ticks vcpu was idle", 8n], ["memory", 9n]]);
  vm.destroy();
});

test("interrupt lines refuse nothing a board has, and count", () => {
  const bench = new VmBench(vmmHypervisor);
  bench.vm.setLevelTriggered?.(0xffff);
  const lines = [[4, 4], [-1, 31], [5, -1], [-1, -1], [99, 99]].map(([irq = 0, pin = 0]) =>
    bench.vm.interrupts.line(irq, pin));
  for (const level of [true, true, false, false]) {
    for (const line of lines) {
      line.set(level);
    }
  }
  bench.vm.destroy();
});

test("memory written by either side is the other's at once", () => {
  const bench = new VmBench(vmmHypervisor);
  // MOV byte [0x5000], 0x77; then the answer.
  bench.real([0xc6, 0x06, 0x00, 0x50, 0x77, 0xb0, 1, 0xe6, 0xf4, 0xfa, 0xf4]);
  bench.runToAnswer();
  assert.equal(bench.vm.memory.u8(gpa(0x5000)), 0x77);
  bench.vm.destroy();
});

test("VMs of this process leave no descriptors", () => {
  const open = () => readdirSync("/proc/self/fd").length;
  new VmBench(vmmHypervisor).vm.destroy();
  const before = open();
  for (let left = 3; left > 0; left -= 1) {
    new VmBench(vmmHypervisor).vm.destroy();
  }
  assert.equal(open(), before);
});
