import { InterruptControllers } from "../../../src/vmm/software/interrupt-controllers.ts";
import { attention, lapicBase } from "../../../src/devices/lapic/lapic.ts";
import { ioapicBase } from "../../../src/devices/ioapic.ts";
import { fakeGuest } from "../../../src/devices/testing/fake-guest.ts";
import { assert, test } from "../../support/harness.ts";

function wired(cpus = 1) {
  const guest = fakeGuest();
  const controllers = new InterruptControllers({
    clock: guest.clock, cpus, tscNow: () => 0, tscToNs: (_cpu, tsc) => tsc, wake: () => {},
  });
  controllers.attach(guest);
  for (let cpu = 0; cpu < cpus; cpu += 1) {
    controllers.currentCpu = cpu;
    guest.writel(lapicBase + 0xf0, 0x1ff);
  }
  controllers.currentCpu = 0;
  const redirect = (pin: number, low: number, high = 0) => {
    guest.writel(ioapicBase, 0x11 + pin * 2);
    guest.writel(ioapicBase + 0x10, high);
    guest.writel(ioapicBase, 0x10 + pin * 2);
    guest.writel(ioapicBase + 0x10, low);
  };
  const eoi = () => guest.writel(lapicBase + 0xb0, 0);
  const lapic = (cpu: number) => {
    const found = controllers.lapics[cpu];
    assert.ok(found);
    return found;
  };
  return { guest, controllers, redirect, eoi, lapic };
}

test("a level-triggered line interrupts again after each EOI until the device is served", () => {
  const { controllers, redirect, eoi, lapic } = wired();
  redirect(16, 0x8050);
  const line = controllers.line(-1, 16);
  line.set(true);
  assert.equal(lapic(0).acknowledge(), 0x50);
  assert.equal(lapic(0).attention, 0);
  eoi();
  assert.equal(lapic(0).acknowledge(), 0x50);
  line.set(false);
  eoi();
  assert.equal(lapic(0).attention, 0);
});

test("two devices share a pin: it stays high until both are served", () => {
  const { controllers, redirect, eoi, lapic } = wired();
  redirect(16, 0x8050);
  const one = controllers.line(-1, 16);
  const other = controllers.line(-1, 16);
  one.set(true);
  other.set(true);
  lapic(0).acknowledge();
  one.set(false);
  eoi();
  assert.equal(lapic(0).acknowledge(), 0x50);
  other.set(false);
  eoi();
  assert.equal(lapic(0).attention, 0);
});

test("one line reaches the 8259 and the I/O APIC; the guest masks the one it does not use", () => {
  const { guest, controllers, redirect, lapic } = wired();
  const line = controllers.line(4, 4);
  for (const [port, value] of [
    [0x20, 0x11], [0x21, 0x30], [0x21, 4], [0x21, 1], [0x21, 0xef],
  ] as const) {
    guest.outb(port, value);
  }
  line.set(true);
  line.set(false);
  assert.equal(lapic(0).acknowledge(), 0x34, "through LINT0, as firmware leaves it");
  guest.outb(0x20, 0x20);
  guest.outb(0x21, 0xff);
  redirect(4, 0x54);
  line.set(true);
  assert.equal(lapic(0).acknowledge(), 0x54);
});

test("an MSI goes to its destination with its vector", () => {
  const { controllers, lapic } = wired(3);
  controllers.send(0xfee0_2000, 0x4061);
  assert.deepEqual(controllers.lapics.map((each) => each.attention), [0, 0, attention.interrupt]);
  assert.equal(lapic(2).acknowledge(), 0x61);
  controllers.send(0xfef0_2000, 0x4061);
  assert.equal(lapic(2).state.irr[3], 0);
});

test("a logical lowest-priority MSI picks the least busy processor", () => {
  const { guest, controllers, lapic } = wired(3);
  for (let cpu = 0; cpu < 3; cpu += 1) {
    controllers.currentCpu = cpu;
    guest.writel(lapicBase + 0xd0, (1 << cpu) << 24);
    guest.writel(lapicBase + 0x80, [0x40, 0x20, 0x00][cpu] ?? 0);
  }
  controllers.send(0xfee0_300c, 0x0161); // CPUs 0 and 1
  assert.deepEqual(controllers.lapics.map((each) => each.attention), [0, 1, 0]);
  assert.equal(lapic(1).acknowledge(), 0x61);
});

test("INIT and start-up bring up the second processor by its APIC id", () => {
  const { guest, lapic } = wired(2);
  guest.writel(lapicBase + 0x310, 1 << 24);
  guest.writel(lapicBase + 0x300, 0xc500);
  assert.equal(lapic(1).attention, attention.init);
  assert.equal(lapic(1).takeInit(), true);
  guest.writel(lapicBase + 0x300, 0x4699);
  assert.equal(lapic(1).takeStartUp(), 0x99);
  assert.equal(lapic(0).attention, 0);
});

test("the page shows the local APIC of the processor that runs", () => {
  const { guest, controllers } = wired(2);
  assert.equal(guest.readl(lapicBase + 0x20), 0);
  controllers.currentCpu = 1;
  assert.equal(guest.readl(lapicBase + 0x20), 1 << 24);
});

test("after detach no address and no timer is left", () => {
  const { guest, controllers } = wired(2);
  guest.writel(lapicBase + 0x380, 1000);
  controllers.detach();
  assert.deepEqual([...guest.ports.claims(), ...guest.mmio.claims()], []);
  assert.equal(guest.clock.timers.nextDeadlineNs(), Infinity);
});
