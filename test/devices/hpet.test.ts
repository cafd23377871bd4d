import { Hpet, hpetBase } from "../../src/devices/hpet.ts";
import { fakeGuest, type FakeGuest } from "../../src/devices/testing/fake-guest.ts";
import { millisecondNs, secondNs } from "../../src/base/units.ts";
import { deviceContract } from "../support/device-contract.ts";
import { assert, test } from "../support/harness.ts";

const at = { cap: 0, period: 4, conf: 0x10, status: 0x20, count: 0xf0, countHigh: 0xf4 } as const;
const timer = (index: number) => 0x100 + index * 0x20;
const level = 2;
const enabled = 4;
const periodic = 8;
const setValue = 0x40;

function plugHpet(guest: FakeGuest) {
  const hpet = new Hpet({
    clock: guest.clock, msi: guest.msi,
    pin: (number) => guest.line(`pin${number}`),
    legacy: [guest.line("irq0"), guest.line("irq8")],
  });
  hpet.attach(guest);
  const read = (offset: number) => guest.readl(hpetBase + offset);
  const write = (offset: number, value: number) => guest.writel(hpetBase + offset, value);
  return { guest, hpet, read, write };
}

test("Linux accepts the block: period, three timers, a counter that counts once enabled", () => {
  const { guest, read, write } = plugHpet(fakeGuest());
  assert.equal(read(at.period), 100_000_000);
  assert.equal(read(at.cap) >>> 16, 0x8086);
  assert.equal((read(at.cap) >>> 8 & 31) + 1, 3);
  guest.clock.advance(millisecondNs);
  assert.equal(read(at.count), 0);
  write(at.conf, 1);
  guest.clock.advance(millisecondNs);
  assert.equal(read(at.count), 10_000);
  write(at.conf, 0);
  guest.clock.advance(millisecondNs);
  assert.equal(read(at.count), 10_000);
});

test("the counter carries into its high half and can be set", () => {
  const { guest, read, write } = plugHpet(fakeGuest());
  write(at.count, 0xffff_fff0);
  write(at.countHigh, 7);
  write(at.conf, 1);
  guest.clock.advance(3200);
  assert.equal(read(at.count), 16);
  assert.equal(read(at.countHigh), 8);
});

test("a one-shot timer gives one edge at its comparator", () => {
  const { guest, read, write } = plugHpet(fakeGuest());
  const pin = guest.line("pin24");
  write(at.conf, 1);
  write(timer(2), (24 << 9) | enabled);
  write(timer(2) + 8, read(at.count) + 5000);
  guest.clock.advance(499_900);
  assert.equal(pin.rises, 0);
  guest.clock.advance(100);
  assert.equal(pin.rises, 1);
  guest.clock.advance(secondNs);
  assert.equal(pin.rises, 1);
});

test("Linux's periodic set-up: comparator, then period; level until cleared", () => {
  const { guest, read, write } = plugHpet(fakeGuest());
  const pin = guest.line("pin31");
  write(at.conf, 1);
  write(timer(1), (31 << 9) | enabled | periodic | setValue | level);
  write(timer(1) + 8, 20_000);
  write(timer(1) + 8, 10_000);
  guest.clock.advance(1_999_000);
  assert.equal(pin.level, false);
  guest.clock.advance(1000);
  assert.equal(pin.level, true);
  assert.equal(read(at.status), 2);
  write(at.status, 2);
  assert.equal(pin.level, false);
  guest.clock.advance(millisecondNs);
  assert.equal(pin.rises, 2);
  assert.equal(read(timer(1) + 8), 40_000, "the comparator moves on by the period");
});

test("the periodic timer does not drift", () => {
  const { guest, write } = plugHpet(fakeGuest());
  const pin = guest.line("pin24");
  write(at.conf, 1);
  write(timer(0), (24 << 9) | enabled | periodic | setValue);
  write(timer(0) + 8, 33_333);
  for (let ms = 0; ms < 10_000; ms += 7) {
    guest.clock.advance(7 * millisecondNs);
  }
  assert.equal(pin.rises, Math.floor(10_003 * 10_000 / 33_333));
});

test("legacy replacement takes IRQ 0 from the 8254 and gives it back", () => {
  const { guest, hpet, write } = plugHpet(fakeGuest());
  const irq0 = guest.line("irq0");
  const pit = hpet.legacyInput(0);
  pit.set(true);
  assert.equal(irq0.level, true);
  write(at.conf, 3);
  assert.equal(irq0.level, false);
  pit.set(false);
  pit.set(true);
  assert.equal(irq0.level, false);
  write(timer(0), enabled | periodic | setValue);
  write(timer(0) + 8, 10_000);
  guest.clock.advance(10 * millisecondNs);
  assert.equal(irq0.rises, 11);
  write(at.conf, 0);
  assert.equal(irq0.level, true);
});

test("an FSB interrupt is a message", () => {
  const { guest, write } = plugHpet(fakeGuest());
  write(at.conf, 1);
  write(timer(0) + 0x10, 0x4051);
  write(timer(0) + 0x14, 0xfee0_1000);
  write(timer(0), (1 << 14) | enabled);
  write(timer(0) + 8, 1000);
  guest.clock.advance(millisecondNs);
  assert.deepEqual(guest.msi.messages, [{ address: 0xfee0_1000, data: 0x4051 }]);
});

test("a route that is not offered does not stick", () => {
  const { read, write } = plugHpet(fakeGuest());
  write(timer(0), (25 << 9) | enabled);
  write(timer(0), (3 << 9) | enabled);
  assert.equal(read(timer(0)) >>> 9 & 31, 25);
});

test("a period of one tick is bounded", () => {
  const { guest, write } = plugHpet(fakeGuest());
  write(at.conf, 1);
  write(timer(0), (24 << 9) | enabled | periodic | setValue);
  write(timer(0) + 8, 1);
  guest.clock.advance(millisecondNs);
  assert.ok(guest.line("pin24").rises <= 51);
});

deviceContract({ name: "hpet", plug: (guest) => plugHpet(guest).hpet });
