import { Mc146818 } from "../../src/devices/mc146818.ts";
import { fakeGuest, type FakeGuest } from "../../src/devices/testing/fake-guest.ts";
import { millisecondNs, secondNs } from "../../src/base/units.ts";
import { deviceContract } from "../support/device-contract.ts";
import { assert, test } from "../support/harness.ts";

const start = Date.UTC(2024, 1, 28, 23, 59, 57);

function plugRtc(guest: FakeGuest, memory = {}) {
  const irq = guest.line("irq8");
  const rtc = new Mc146818({ memory }, {
    clock: guest.clock, irq, wallClockMs: () => start + guest.clock.nowNs() / 1e6,
  });
  rtc.attach(guest);
  const read = (index: number) => {
    guest.outb(0x70, index);
    return guest.inb(0x71);
  };
  const write = (index: number, value: number) => {
    guest.outb(0x70, index);
    guest.outb(0x71, value);
  };
  const time = () => [0x32, 9, 8, 7, 4, 2, 0].map((index) => read(index).toString(16)).join(" ");
  return { guest, irq, rtc, read, write, time };
}

test("the time is the host's, in BCD, and passes into a leap day", () => {
  const { guest, time, read } = plugRtc(fakeGuest());
  assert.equal(time(), "20 24 2 28 23 59 57");
  assert.equal(read(6), 4, "a Wednesday");
  guest.clock.advance(3 * secondNs);
  assert.equal(time(), "20 24 2 29 0 0 0");
  guest.clock.advance(24 * 3600 * secondNs);
  assert.equal(time(), "20 24 3 1 0 0 0");
});

test("binary and 12-hour formats", () => {
  const { read, write } = plugRtc(fakeGuest());
  write(11, 0x06);
  assert.deepEqual([read(4), read(2), read(9)], [23, 59, 24]);
  write(11, 0x00);
  assert.equal(read(4), 0x91, "11 PM");
});

test("Linux sets the time: SET and divider reset, new values, on with the clock", () => {
  const { guest, read, write, time } = plugRtc(fakeGuest());
  const control = read(11);
  const select = read(10);
  write(11, control | 0x80);
  write(10, select | 0x70);
  for (const [index, value] of [[9, 0x30], [8, 0x12], [7, 0x31], [4, 0x23], [2, 0x59], [0, 0x59],
    [0x32, 0x20]] as const) {
    write(index, value);
  }
  guest.clock.advance(5 * secondNs);
  assert.equal(time(), "20 30 12 31 23 59 59", "it stands still meanwhile");
  write(11, control);
  write(10, select);
  guest.clock.advance(499 * millisecondNs);
  assert.equal(time(), "20 30 12 31 23 59 59");
  guest.clock.advance(2 * millisecondNs);
  assert.equal(time(), "20 31 1 1 0 0 0", "the first second comes half a second later");
});

test("a single register can be set while the time runs", () => {
  const { guest, write, time } = plugRtc(fakeGuest());
  write(4, 0x05);
  guest.clock.advance(secondNs);
  assert.equal(time(), "20 24 2 28 5 59 58");
});

test("update-in-progress warns before each change, and a read after it clears is whole", () => {
  const { guest, read } = plugRtc(fakeGuest());
  guest.clock.advance(secondNs - 300_000);
  assert.equal(read(10) & 0x80, 0);
  const before = read(0);
  guest.clock.advance(100_000);
  assert.equal(read(10) & 0x80, 0x80);
  guest.clock.advance(300_000);
  assert.equal(read(10) & 0x80, 0);
  assert.equal(read(0), before + 1);
});

test("the update interrupt comes each second, once register C was read", () => {
  const { guest, irq, read, write } = plugRtc(fakeGuest());
  write(11, 0x12);
  guest.clock.advance(secondNs);
  assert.equal(irq.level, true);
  assert.equal(read(12) & 0x90, 0x90);
  assert.equal(irq.level, false);
  guest.clock.advance(secondNs);
  assert.equal(irq.rises, 2);
  guest.clock.advance(10 * secondNs);
  assert.equal(irq.rises, 2, "not acknowledged");
});

test("the periodic interrupt has its rate", () => {
  const { guest, irq, read, write } = plugRtc(fakeGuest());
  read(12);
  write(11, 0x42); // 1024 Hz by default
  for (let step = 0; step < 10_000; step += 1) {
    guest.clock.advance(100_000);
    if (irq.level) {
      assert.equal(read(12) & 0x40, 0x40);
    }
  }
  assert.ok(Math.abs(irq.rises - 1024) <= 1, String(irq.rises));
});

test("an alarm rings at its time; bytes from 0xC0 on match everything", () => {
  const { guest, irq, read, write } = plugRtc(fakeGuest());
  write(1, 0x05);
  write(3, 0xc0);
  write(5, 0xff);
  write(11, 0x22);
  guest.clock.advance(7 * secondNs);
  assert.equal(irq.level, false);
  guest.clock.advance(secondNs);
  assert.equal(irq.level, true, "at 00:00:05");
  assert.equal(read(12) & 0xa0, 0xa0);
  guest.clock.advance(59 * secondNs);
  assert.equal(irq.level, false);
  guest.clock.advance(secondNs);
  assert.equal(irq.level, true, "and each minute");
});

test("pollers see the flags without any interrupt enabled", () => {
  const { guest, irq, read } = plugRtc(fakeGuest());
  read(12);
  guest.clock.advance(1100 * millisecondNs);
  assert.equal(read(12), 0x50, "update and periodic, no interrupt");
  assert.equal(irq.rises, 0);
  assert.equal(guest.clock.timers.nextDeadlineNs(), Infinity, "an idle clock costs nothing");
});

test("CMOS memory keeps what is written and starts with what the machine put there", () => {
  const { read, write } = plugRtc(fakeGuest(), { 0x34: 0x12, 0x5b: 0x34 });
  assert.deepEqual([read(0x34), read(0x5b), read(13)], [0x12, 0x34, 0x80]);
  write(0x40, 0x99);
  assert.equal(read(0x40), 0x99);
  write(0x80 | 0x41, 0x77);
  assert.equal(read(0x41), 0x77, "the NMI bit of the index does not count");
});

deviceContract({ name: "mc146818", plug: (guest) => plugRtc(guest).rtc });
