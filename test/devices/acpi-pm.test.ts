import { AcpiPm, pmTimerHz } from "../../src/devices/acpi-pm.ts";
import { I8254, pitHz } from "../../src/devices/i8254.ts";
import { fakeGuest, type FakeGuest } from "../../src/devices/testing/fake-guest.ts";
import { secondNs } from "../../src/base/units.ts";
import { deviceContract } from "../support/device-contract.ts";
import { assert, test } from "../support/harness.ts";

function plugPm(guest: FakeGuest) {
  const sci = guest.line("sci");
  const pm = new AcpiPm({ clock: guest.clock, sci, machine: guest.machine });
  pm.attach(guest);
  return { guest, sci, pm };
}

test("the PM timer runs at 3.579545 MHz and wraps at 32 bits", () => {
  const { guest } = plugPm(fakeGuest());
  guest.clock.advance(secondNs);
  assert.equal(guest.inl(0x408), pmTimerHz);
  guest.clock.advance(1300 * secondNs);
  assert.equal(guest.inl(0x408), (1301 * pmTimerHz) % 2 ** 32);
});

test("Linux's calibration of the TSC gets the same from PIT and PM timer", () => {
  const { guest } = plugPm(fakeGuest());
  const pit = new I8254({ clock: guest.clock, irq: guest.line("irq0") });
  pit.attach(guest);
  // pit_calibrate_tsc(): counter 2 in mode 0 for 50 ms, polled through port 0x61.
  const latch = Math.floor(pitHz / 20);
  guest.outb(0x61, (guest.inb(0x61) & ~2) | 1);
  guest.outb(0x43, 0xb0);
  guest.outb(0x42, latch & 0xff);
  guest.outb(0x42, latch >>> 8);
  const start = guest.inl(0x408);
  while ((guest.inb(0x61) & 0x20) === 0) {
    guest.clock.advance(1000);
  }
  const measured = (guest.inl(0x408) - start) / pmTimerHz;
  assert.ok(Math.abs(measured - latch / pitHz) < 3e-6, String(measured));
});

test("ACPI mode changes by SMI command only", () => {
  const { guest } = plugPm(fakeGuest());
  guest.outw(0x404, 1);
  assert.equal(guest.inw(0x404) & 1, 0);
  guest.outb(0xb2, 0xa0);
  assert.equal(guest.inw(0x404) & 1, 1);
  guest.outw(0x404, 0);
  assert.equal(guest.inw(0x404) & 1, 1);
  guest.outb(0xb2, 0xa1);
  assert.equal(guest.inw(0x404) & 1, 0);
});

test("the power button raises the SCI until its status is cleared", () => {
  const { guest, sci, pm } = plugPm(fakeGuest());
  guest.outb(0xb2, 0xa0);
  guest.outw(0x402, 0xffff);
  assert.equal(guest.inw(0x402), 0x520, "RTC, power button and global can be enabled");
  pm.pressPowerButton();
  assert.equal(sci.level, true);
  assert.equal(guest.inw(0x400), 0x100);
  guest.outb(0x400, 0xff);
  assert.equal(sci.level, true, "that was the other byte");
  guest.outw(0x400, 0x100);
  assert.equal(sci.level, false);
});

test("a button press before ACPI mode is kept, and no SCI comes in legacy mode", () => {
  const { guest, sci, pm } = plugPm(fakeGuest());
  guest.outw(0x402, 0x100);
  pm.pressPowerButton();
  assert.equal(sci.level, false);
  guest.outb(0xb2, 0xa0);
  assert.equal(sci.level, true);
});

test("sleep type 5 with SLP_EN powers off, other types do not", () => {
  const { guest } = plugPm(fakeGuest());
  guest.outw(0x404, (3 << 10) | (1 << 13));
  guest.outw(0x404, 5 << 10);
  assert.equal(guest.machine.powerOffs, 0);
  guest.outw(0x404, (5 << 10) | (1 << 13));
  assert.equal(guest.machine.powerOffs, 1);
  assert.equal(guest.inw(0x404) & (1 << 13), 0, "SLP_EN is write-only");
});

test("a general-purpose event raises the SCI while enabled", () => {
  const { guest, sci, pm } = plugPm(fakeGuest());
  guest.outb(0xb2, 0xa0);
  pm.raiseGpe(0);
  assert.equal(sci.level, false);
  guest.outb(0x40d, 1);
  assert.equal(sci.level, true);
  guest.outb(0x40c, 1);
  assert.equal(sci.level, false);
});

deviceContract({ name: "acpi-pm", plug: (guest) => plugPm(guest).pm });
