import { Ioapic, ioapicBase } from "../../src/devices/ioapic.ts";
import { fakeGuest } from "../../src/devices/testing/fake-guest.ts";
import { deliveryMode, everyApic, type LocalApics } from "../../src/fabric/apic-bus.ts";
import { deviceContract } from "../support/device-contract.ts";
import { assert, test } from "../support/harness.ts";

const masked = 0x1_0000;
const level = 0x8000;
const remoteIrr = 0x4000;

class RecordedApics implements LocalApics {
  readonly vectors: number[] = [];
  readonly messages: string[] = [];

  deliver(to: number, logical: boolean, mode: number, vector: number, isLevel: boolean): void {
    this.vectors.push(vector);
    this.messages.push(`${to} ${logical ? "logical" : "physical"} ${mode} ${isLevel}`);
  }

  deliverToAll(): void {}
}

function pluggedIoapic(version = 0x11) {
  const guest = fakeGuest();
  const apics = new RecordedApics();
  const ioapic = new Ioapic(apics, { version });
  ioapic.attach(guest);
  const write = (register: number, value: number) => {
    guest.writel(ioapicBase, register);
    guest.writel(ioapicBase + 0x10, value);
  };
  const read = (register: number) => {
    guest.writel(ioapicBase, register);
    return guest.readl(ioapicBase + 0x10);
  };
  return { guest, apics, ioapic, read, write };
}

test("a guest finds 32 masked pins and version 0x11", () => {
  const { read } = pluggedIoapic();
  assert.equal(read(1), 0x001f_0011);
  for (let pin = 0; pin < 32; pin += 1) {
    assert.equal(read(0x10 + pin * 2), masked);
  }
});

test("an edge is delivered once for each rise", () => {
  const { apics, ioapic, write } = pluggedIoapic();
  write(0x10 + 4 * 2, 0x51);
  ioapic.setPin(4, true);
  ioapic.setPin(4, true);
  ioapic.setPin(4, false);
  ioapic.setPin(4, true);
  assert.deepEqual(apics.vectors, [0x51, 0x51]);
});

test("an edge at a masked pin is lost", () => {
  const { apics, ioapic, write } = pluggedIoapic();
  write(0x10 + 4 * 2, masked | 0x51);
  ioapic.setPin(4, true);
  write(0x10 + 4 * 2, 0x51);
  assert.deepEqual(apics.vectors, []);
});

test("a level is delivered once until its EOI, and again after it while the pin is high", () => {
  const { apics, ioapic, read, write } = pluggedIoapic();
  write(0x10 + 9 * 2, level | 0x61);
  ioapic.setPin(9, true);
  ioapic.setPin(9, false);
  ioapic.setPin(9, true);
  assert.deepEqual(apics.vectors, [0x61]);
  assert.equal(read(0x10 + 9 * 2), level | remoteIrr | 0x61);
  ioapic.endOfInterrupt(0x61);
  assert.deepEqual(apics.vectors, [0x61, 0x61]);
  ioapic.setPin(9, false);
  ioapic.endOfInterrupt(0x61);
  assert.deepEqual(apics.vectors, [0x61, 0x61]);
  assert.equal(read(0x10 + 9 * 2), level | 0x61);
});

test("a masked level waits for the unmasking", () => {
  const { apics, ioapic, write } = pluggedIoapic();
  write(0x10 + 9 * 2, masked | level | 0x61);
  ioapic.setPin(9, true);
  assert.deepEqual(apics.vectors, []);
  write(0x10 + 9 * 2, level | 0x61);
  assert.deepEqual(apics.vectors, [0x61]);
});

test("the EOI of one vector leaves other pins waiting", () => {
  const { apics, ioapic, write } = pluggedIoapic();
  write(0x10 + 9 * 2, level | 0x61);
  ioapic.setPin(9, true);
  ioapic.endOfInterrupt(0x62);
  assert.deepEqual(apics.vectors, [0x61]);
});

test("switching an entry to edge and back clears a stuck remote IRR", () => {
  const { ioapic, read, write } = pluggedIoapic();
  write(0x10 + 9 * 2, level | 0x61);
  ioapic.setPin(9, true);
  ioapic.setPin(9, false);
  write(0x10 + 9 * 2, masked | 0x61);
  write(0x10 + 9 * 2, masked | level | 0x61);
  assert.equal(read(0x10 + 9 * 2) & remoteIrr, 0);
});

test("destination, destination mode and delivery mode travel with the message", () => {
  const { apics, ioapic, write } = pluggedIoapic();
  write(0x10, 0x31 | 0x800 | (deliveryMode.lowestPriority << 8));
  write(0x11, 0x0300_0000);
  ioapic.setPin(0, true);
  write(0x12, level | 0x32);
  write(0x13, 0xff00_0000);
  ioapic.setPin(1, true);
  assert.deepEqual(apics.messages, ["3 logical 1 false", `${everyApic} physical 0 true`]);
});

test("pin 31 works like the others", () => {
  const { apics, ioapic, write } = pluggedIoapic();
  write(0x10 + 31 * 2, level | 0x71);
  ioapic.setPin(31, true);
  assert.deepEqual(apics.vectors, [0x71]);
});

test("the EOI register works from version 0x20 on, and is absent in version 0x11", () => {
  for (const [version, expected] of [[0x11, 1], [0x20, 2]] as const) {
    const { guest, apics, ioapic, write } = pluggedIoapic(version);
    write(0x10 + 9 * 2, level | 0x61);
    ioapic.setPin(9, true);
    guest.writel(ioapicBase + 0x40, 0x61);
    assert.equal(apics.vectors.length, expected);
  }
});

deviceContract({
  name: "ioapic",
  plug: (guest) => {
    const ioapic = new Ioapic(new RecordedApics());
    ioapic.attach(guest);
    return ioapic;
  },
});
