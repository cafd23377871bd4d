import { DebugConsole } from "../../src/devices/debug-console.ts";
import { ExitPort } from "../../src/devices/exit-port.ts";
import { PcTestdev } from "../../src/devices/pc-testdev.ts";
import { Port92 } from "../../src/devices/port92.ts";
import { PostCode } from "../../src/devices/post-code.ts";
import { ResetControl } from "../../src/devices/reset-control.ts";
import { fakeGuest, type FakeGuest } from "../../src/devices/testing/fake-guest.ts";
import type { BoardDevice } from "../../src/fabric/board.ts";
import { deviceContract } from "../support/device-contract.ts";
import { assert, test } from "../support/harness.ts";

function plug<T extends BoardDevice>(guest: FakeGuest, device: T): T {
  device.attach(guest);
  return device;
}

test("port 0xCF9 resets with bit 2 alone, hard or soft", () => {
  const guest = fakeGuest();
  plug(guest, new ResetControl(guest.machine));
  guest.outb(0xcf9, 0x02);
  assert.equal(guest.machine.resets, 0);
  assert.equal(guest.inb(0xcf9), 0x02);
  guest.outb(0xcf9, 0x06);
  guest.outb(0xcf9, 0x0e);
  guest.outb(0xcf9, 0x04);
  assert.equal(guest.machine.resets, 3);
});

test("port 0x92 resets on a rising bit 0 and remembers the A20 bit", () => {
  const guest = fakeGuest();
  plug(guest, new Port92(guest.machine));
  assert.equal(guest.inb(0x92), 2);
  guest.outb(0x92, 0);
  assert.equal(guest.inb(0x92), 0);
  guest.outb(0x92, 1);
  guest.outb(0x92, 3);
  assert.equal(guest.machine.resets, 1);
});

test("the debug console announces itself and passes each byte on", () => {
  const guest = fakeGuest();
  const output: number[] = [];
  plug(guest, new DebugConsole({ put: (byte) => output.push(byte) > 0 }));
  assert.equal(guest.inb(0xe9), 0xe9);
  guest.outb(0xe9, 0x21);
  assert.deepEqual(output, [0x21]);
});

test("the exit port ends with twice the value plus one, whatever the width", () => {
  const guest = fakeGuest();
  plug(guest, new ExitPort(guest.machine));
  guest.outb(0xf4, 0);
  guest.outw(0xf4, 0x10);
  guest.outl(0xf4, 0x7f);
  assert.deepEqual(guest.machine.exits, [1, 0x21, 0xff]);
});

test("port 0x80 keeps the last code", () => {
  const guest = fakeGuest();
  plug(guest, new PostCode());
  guest.outb(0x80, 0x55);
  assert.equal(guest.inb(0x80), 0x55);
});

test("the test device echoes at its port and drives interrupt lines", () => {
  const guest = fakeGuest();
  plug(guest, new PcTestdev((number) => guest.line(`gsi${number}`)));
  guest.outl(0xe0, 0x1234_5678);
  assert.equal(guest.inw(0xe0), 0x5678);
  guest.outb(0x2005, 1);
  assert.equal(guest.line("gsi5").level, true);
  guest.outb(0x2005, 0);
  assert.equal(guest.line("gsi5").level, false);
});

deviceContract({
  name: "pc-testdev",
  plug: (guest) => plug(guest, new PcTestdev((number) => guest.line(`gsi${number}`))),
});
deviceContract({
  name: "reset-control", plug: (guest) => plug(guest, new ResetControl(guest.machine)),
});
deviceContract({ name: "port92", plug: (guest) => plug(guest, new Port92(guest.machine)) });
deviceContract({
  name: "debug-console", plug: (guest) => plug(guest, new DebugConsole({ put: () => false })),
});
deviceContract({ name: "exit-port", plug: (guest) => plug(guest, new ExitPort(guest.machine)) });
deviceContract({ name: "post-code", plug: (guest) => plug(guest, new PostCode()) });
