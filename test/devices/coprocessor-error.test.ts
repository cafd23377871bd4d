import { CoprocessorError } from "../../src/devices/coprocessor-error.ts";
import { fakeGuest, type FakeGuest } from "../../src/devices/testing/fake-guest.ts";
import { deviceContract } from "../support/device-contract.ts";
import { assert, test } from "../support/harness.ts";

function plug(guest: FakeGuest): CoprocessorError {
  const device = new CoprocessorError(guest.line("irq13"));
  device.attach(guest);
  return device;
}

test("port 0xF0 takes the interrupt back and lets the handler go on", () => {
  const guest = fakeGuest();
  const device = plug(guest);
  guest.outb(0xf0, 0);
  assert.ok(!device.ignored, "without an error there is nothing to ignore");
  device.report();
  assert.ok(guest.line("irq13").level);
  assert.ok(!device.ignored);
  guest.outb(0xf0, 0);
  assert.ok(!guest.line("irq13").level);
  assert.ok(device.ignored);
  device.settle();
  assert.ok(!device.ignored);
});

deviceContract({ name: "coprocessor-error", plug });
