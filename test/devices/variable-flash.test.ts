import { fakeGuest, type FakeGuest } from "../../src/devices/testing/fake-guest.ts";
import { VariableFlash, type FlashStore } from "../../src/devices/variable-flash.ts";
import { deviceContract } from "../support/device-contract.ts";
import { assert, test } from "../support/harness.ts";

const end = 0xffff_0000, sizeBytes = 0x2000, base = end - sizeBytes;

function store(): FlashStore & { readonly bytes: Uint8Array } {
  const bytes = new Uint8Array(sizeBytes).fill(0xff);
  return {
    bytes, sizeBytes, read: (offset) => bytes[offset] ?? 0, close: () => {},
    program: (offset, byte) => { bytes[offset] = byte; },
  };
}

function plug(guest: FakeGuest) {
  const kept = store();
  const flash = new VariableFlash(kept, end);
  flash.attach(guest);
  return { flash, kept };
}

test("the chip lies below the ROM and is read as memory", () => {
  const guest = fakeGuest();
  const { kept } = plug(guest);
  kept.bytes.set([1, 2, 3, 4], 0x100);
  assert.equal(guest.readl(base + 0x100), 0x0403_0201);
  assert.equal(guest.mmio.read(end - 1, 1), 0xff);
});

test("a byte is written behind the command for it, and then the status is ready", () => {
  const guest = fakeGuest();
  const { kept } = plug(guest);
  guest.mmio.write(base + 5, 1, 0x10);
  guest.mmio.write(base + 5, 1, 0xab);
  assert.equal(kept.bytes[5], 0xab);
  assert.equal(guest.mmio.read(base + 5, 1), 0, "status");
  assert.equal(guest.mmio.read(base + 5, 1), 0xab, "the array again");
  guest.mmio.write(base, 1, 0x70);
  assert.equal(guest.mmio.read(base, 1), 0);
  guest.mmio.write(base, 1, 0xff);
  assert.equal(guest.mmio.read(base + 5, 1), 0xab);
});

test("other commands change nothing", () => {
  const guest = fakeGuest();
  const { kept } = plug(guest);
  for (const command of [0x20, 0xd0, 0x90, 0x00]) {
    guest.mmio.write(base, 1, command);
  }
  assert.ok(kept.bytes.every((byte) => byte === 0xff));
});

deviceContract({ name: "variable-flash", plug: (guest) => plug(guest).flash });
