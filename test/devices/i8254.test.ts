import { I8254, pitHz } from "../../src/devices/i8254.ts";
import { fakeGuest, type FakeGuest } from "../../src/devices/testing/fake-guest.ts";
import { millisecondNs, secondNs } from "../../src/base/units.ts";
import { deviceContract } from "../support/device-contract.ts";
import { assert, test } from "../support/harness.ts";

function pluggedPit() {
  const guest = fakeGuest();
  const irq = guest.line("irq0");
  const pit = new I8254({ clock: guest.clock, irq });
  pit.attach(guest);
  /** Moves time to where the counters have counted exactly this many ticks since the start. */
  const toTick = (tick: number) => {
    const ns = Math.ceil((tick * secondNs) / pitHz) + 1;
    guest.clock.advance(ns - guest.clock.nowNs());
  };
  return { guest, irq, pit, toTick };
}

function program(guest: FakeGuest, counter: number, mode: number, count: number): void {
  guest.outb(0x43, (counter << 6) | 0x30 | (mode << 1));
  guest.outb(0x40 + counter, count & 0xff);
  guest.outb(0x40 + counter, count >>> 8);
}

function latched(guest: FakeGuest, counter: number): number {
  guest.outb(0x43, counter << 6);
  const low = guest.inb(0x40 + counter);
  return low | (guest.inb(0x40 + counter) << 8);
}

function status(guest: FakeGuest, counter: number): number {
  guest.outb(0x43, 0xe0 | (2 << counter));
  return guest.inb(0x40 + counter);
}

test("the rate generator interrupts at its rate without drift", () => {
  const { guest, irq } = pluggedPit();
  program(guest, 0, 2, 11932); // 100 Hz, a little less
  const before = irq.rises;
  for (let second = 0; second < 100; second += 1) {
    guest.clock.advance(secondNs);
  }
  assert.equal(irq.rises - before, Math.floor((100 * pitHz) / 11932));
});

test("the square wave interrupts once a period as well", () => {
  const { guest, irq } = pluggedPit();
  program(guest, 0, 3, 0); // 65536: 18.2 Hz
  const before = irq.rises;
  guest.clock.advance(10 * secondNs);
  assert.equal(irq.rises - before, Math.floor((10 * pitHz) / 65536));
});

test("a late host gets one interrupt for the missed ones, and the next in time", () => {
  const guest = fakeGuest();
  const irq = guest.line("irq0");
  let lateNs = 0;
  const { timers } = guest.clock;
  const clock = { nowNs: () => lateNs, timer: (fire: () => void) => timers.create(fire) };
  const pit = new I8254({ clock, irq });
  pit.attach(guest);
  program(guest, 0, 2, 11932);
  const before = irq.rises;
  lateNs = 95 * millisecondNs; // nine and a half periods
  timers.runDue(lateNs);
  assert.equal(irq.rises - before, 1);
  const next = timers.nextDeadlineNs();
  assert.ok(next > 99 * millisecondNs && next <= 100.1 * millisecondNs, String(next));
});

test("mode 0 raises its output once, when the count is over", () => {
  const { guest, irq, toTick } = pluggedPit();
  program(guest, 0, 0, 1000);
  const before = irq.rises;
  assert.equal(status(guest, 0) & 0x80, 0);
  toTick(999);
  assert.equal(irq.level, false);
  toTick(1000);
  assert.equal(irq.level, true);
  assert.equal(status(guest, 0) & 0x80, 0x80);
  guest.clock.advance(secondNs);
  assert.equal(irq.rises - before, 1);
});

test("mode 4 strobes once and mode 5 needs a trigger", () => {
  const { guest, irq, toTick } = pluggedPit();
  program(guest, 0, 4, 500);
  const before = irq.rises;
  toTick(500);
  assert.equal(status(guest, 0) & 0x80, 0, "low for one tick");
  toTick(501);
  assert.equal(status(guest, 0) & 0x80, 0x80);
  assert.equal(irq.rises - before, 1);
  program(guest, 2, 5, 100);
  toTick(2000);
  assert.equal(guest.inb(0x61) & 0x20, 0x20);
  guest.outb(0x61, 1);
  toTick(2100);
  assert.equal(guest.inb(0x61) & 0x20, 0);
  toTick(2101);
  assert.equal(guest.inb(0x61) & 0x20, 0x20);
});

test("the one-shot of mode 1 starts with the gate and can be triggered again", () => {
  const { guest, toTick } = pluggedPit();
  program(guest, 2, 1, 100);
  assert.equal(guest.inb(0x61) & 0x20, 0x20);
  guest.outb(0x61, 1);
  assert.equal(guest.inb(0x61) & 0x20, 0);
  toTick(90);
  guest.outb(0x61, 0);
  guest.outb(0x61, 1);
  toTick(120);
  assert.equal(guest.inb(0x61) & 0x20, 0, "the second trigger began anew at 90");
  toTick(191);
  assert.equal(guest.inb(0x61) & 0x20, 0x20);
});

test("the gate stops and resumes counter 2 in mode 0", () => {
  const { guest, toTick } = pluggedPit();
  guest.outb(0x61, 1);
  program(guest, 2, 0, 1000);
  toTick(400);
  guest.outb(0x61, 0);
  toTick(5000);
  assert.equal(latched(guest, 2), 600);
  guest.outb(0x61, 1);
  toTick(5599);
  assert.equal(guest.inb(0x61) & 0x20, 0);
  toTick(5601);
  assert.equal(guest.inb(0x61) & 0x20, 0x20);
});

test("a latched count stands still until both bytes are read", () => {
  const { guest, toTick } = pluggedPit();
  program(guest, 0, 2, 0x8000);
  toTick(0x123);
  guest.outb(0x43, 0);
  toTick(0x456);
  guest.outb(0x43, 0); // ignored: the first one is not read yet
  assert.equal(guest.inb(0x40) | (guest.inb(0x40) << 8), 0x8000 - 0x123);
  assert.equal(latched(guest, 0), 0x8000 - 0x456);
});

test("read-back gives status first, then the count", () => {
  const { guest, toTick } = pluggedPit();
  program(guest, 0, 2, 0x1000);
  toTick(0x10);
  guest.outb(0x43, 0xc2);
  assert.equal(guest.inb(0x40), 0x80 | 0x30 | 4);
  assert.equal(guest.inb(0x40) | (guest.inb(0x40) << 8), 0xff0);
});

test("a status before the first count says that there is none", () => {
  const { guest } = pluggedPit();
  guest.outb(0x43, 0x34);
  assert.equal(status(guest, 0) & 0x40, 0x40);
});

test("BCD counters count in decimal", () => {
  const { guest, toTick } = pluggedPit();
  guest.outb(0x43, 0x35); // mode 2, BCD
  guest.outb(0x40, 0x00);
  guest.outb(0x40, 0x10); // 1000
  toTick(1);
  assert.equal(latched(guest, 0), 0x0999);
});

test("a new count in mode 2 waits for the end of the period", () => {
  const { guest, irq, toTick } = pluggedPit();
  program(guest, 0, 2, 1000);
  toTick(500);
  guest.outb(0x40, 100);
  guest.outb(0x40, 0);
  assert.equal(latched(guest, 0), 500);
  const before = irq.rises;
  toTick(999);
  assert.equal(irq.rises, before);
  toTick(1000);
  assert.equal(irq.rises, before + 1);
  toTick(1100);
  assert.equal(irq.rises, before + 2);
});

test("single-byte access modes load and read that byte alone", () => {
  const { guest, toTick } = pluggedPit();
  guest.outb(0x43, 0x14); // low byte, mode 2
  guest.outb(0x40, 0x80);
  toTick(1);
  assert.equal(guest.inb(0x40), 0x7f);
  guest.outb(0x43, 0x24); // high byte
  guest.outb(0x40, 0x80);
  assert.equal(guest.inb(0x40), 0x80);
});

test("Linux's fast calibration sees the high byte fall every 256 ticks", () => {
  const { guest, toTick } = pluggedPit();
  guest.outb(0x61, 1);
  guest.outb(0x43, 0xb0);
  guest.outb(0x42, 0xff);
  guest.outb(0x42, 0xff);
  for (let step = 0; step < 8; step += 1) {
    toTick(256 * step + 10);
    guest.inb(0x42);
    assert.equal(guest.inb(0x42), 0xff - step);
  }
});

test("the refresh bit of port 0x61 toggles", () => {
  const { guest } = pluggedPit();
  const seen = new Set<number>();
  for (let step = 0; step < 10; step += 1) {
    seen.add(guest.inb(0x61) & 0x10);
    guest.clock.advance(8000);
  }
  assert.equal(seen.size, 2);
});

deviceContract({
  name: "i8254",
  plug: (guest) => {
    const pit = new I8254({ clock: guest.clock, irq: guest.line("irq0") });
    pit.attach(guest);
    return pit;
  },
});
