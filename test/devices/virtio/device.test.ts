import { FakeGuest } from "../../../src/devices/testing/fake-guest.ts";
import { plugPci } from "../../../src/devices/testing/pci-slot.ts";
import { VirtioDriver } from "../../../src/devices/testing/virtio-driver.ts";
import type { Transport } from "../../../src/devices/virtio/device.ts";
import { virtioRnd } from "../../../src/devices/virtio/rnd.ts";
import { assert, test } from "../../support/harness.ts";

const indirect = 28;
const eventIndex = 29;
const packed = 34;
const ringReset = 40;
const featuresOk = 8;

function plugged(transport: Transport = "transitional", virtioMsix = true) {
  const guest = new FakeGuest();
  const { host, device } = plugPci<unknown, Parameters<typeof virtioRnd.create>[0]>(
    guest, virtioRnd, { transport }, { virtioMsix });
  return { guest, host, device };
}

const legacyDriver = (guest: FakeGuest, msix = false) =>
  new VirtioDriver(guest, { interface: "legacy", msix });
const modernDriver = (guest: FakeGuest, features: readonly number[] = [], msix = false) =>
  new VirtioDriver(guest, { interface: "modern", features, msix });

test("a transitional device has the legacy id and both interfaces", () => {
  const { guest } = plugged();
  const driver = modernDriver(guest);
  assert.equal(driver.config(0, 4), 0x1005_1af4);
  assert.equal(driver.config(8, 1), 0);
  assert.equal(driver.config(0x2c, 4), 0x0004_1af4);
  assert.equal(driver.config(0x10, 4) & 1, 1);
  assert.equal(driver.config(0x20, 4) & 0xf, 4);
  assert.deepEqual(driver.capabilities().map((at) => driver.config(at, 1)), [0x11, 9, 9, 9, 9]);
});

test("a legacy device has no capabilities of virtio 1 and does not offer it", () => {
  const { guest } = plugged("legacy");
  const driver = legacyDriver(guest);
  assert.deepEqual(driver.capabilities().map((at) => driver.config(at, 1)), [0x11]);
  assert.equal(driver.config(0x20, 4), 0);
  assert.ok(driver.start());
  assert.equal(driver.queue(0).send({ writable: [4] }).usedBytes, 4);
});

test("a modern device has an id of its own and no I/O ports", () => {
  const { guest } = plugged("modern");
  const driver = modernDriver(guest);
  assert.equal(driver.config(0, 4), 0x1044_1af4);
  assert.equal(driver.config(8, 1), 1);
  assert.equal(driver.config(0x10, 4), 0);
  assert.ok(driver.start());
  assert.equal(driver.queue(0).send({ writable: [4] }).usedBytes, 4);
});

test("the legacy interface offers 32 features, the modern one more", () => {
  const { guest } = plugged();
  const low = ((1 << indirect) | (1 << eventIndex)) >>> 0;
  assert.equal(legacyDriver(guest).offered(0), low);
  const high = 1 | (1 << (packed - 32)) | (1 << (ringReset - 32));
  assert.deepEqual([0, 1, 2].map((word) => modernDriver(guest).offered(word)), [low, high, 0]);
});

test("features that were not offered are refused", () => {
  const { guest } = plugged();
  const driver = modernDriver(guest, [5]);
  assert.ok(!driver.start());
  assert.equal(driver.status() & featuresOk, 0);
});

test("a driver that leaves out VERSION_1 is refused", () => {
  const { guest } = plugged();
  const driver = modernDriver(guest);
  driver.setStatus(0);
  driver.setStatus(3);
  driver.setFeatures([indirect]);
  driver.setStatus(3 | featuresOk);
  assert.equal(driver.status(), 3);
});

test("nothing changes features once they have been agreed on", () => {
  const { guest } = plugged();
  const driver = modernDriver(guest, [indirect]);
  assert.ok(driver.start());
  driver.setFeatures([]);
  const { address } = driver.structure(1);
  guest.writel(address + 8, 0);
  assert.equal(guest.readl(address + 12), 1 << indirect);
});

test("legacy drivers get only what was offered, whatever they accept", () => {
  const { guest } = plugged();
  const driver = legacyDriver(guest);
  driver.setFeatures([1, 2, 3, indirect]);
  assert.equal(guest.inl(driver.ioBase + 4), 1 << indirect);
});

test("without MSI-X an interrupt raises the pin until its status is read", () => {
  for (const driver of [legacyDriver, modernDriver]) {
    const { guest } = plugged();
    const each = driver(guest);
    assert.ok(each.start());
    each.queue(0).send({ writable: [4] });
    assert.ok(guest.line("ioapic 16").level);
    assert.equal(each.interruptStatus(), 1);
    assert.ok(!guest.line("ioapic 16").level);
    assert.equal(each.interruptStatus(), 0);
  }
});

test("with MSI-X the queue's vector is used and the pin stays low", () => {
  const { guest } = plugged();
  const driver = legacyDriver(guest, true);
  assert.ok(driver.start());
  driver.queue(0).send({ writable: [4] });
  assert.deepEqual(guest.msi.messages, [{ address: 0xfee0_0000, data: 0x41 }]);
  assert.ok(!guest.line("ioapic 16").level);
});

test("a vector that does not exist reads back as none, and is not signalled", () => {
  const { guest } = plugged();
  const driver = modernDriver(guest, [], true);
  assert.ok(driver.start());
  const { address } = driver.structure(1);
  guest.mmio.write(address + 26, 2, 2);
  assert.equal(guest.mmio.read(address + 26, 2), 0xffff);
  driver.queue(0).send({ writable: [4] });
  assert.equal(guest.msi.messages.length, 0);
});

test("virtio_msix=false leaves MSI and the pin", () => {
  const { guest } = plugged("transitional", false);
  const driver = modernDriver(guest);
  assert.deepEqual(driver.capabilities().slice(0, 2).map((at) => driver.config(at, 1)), [5, 9]);
  assert.equal(driver.config(0x14, 4), 0);
  assert.ok(driver.start());
  driver.queue(0).send({ writable: [4] });
  assert.ok(guest.line("ioapic 16").level);
  const msi = driver.capability(5);
  driver.setConfig(msi + 4, 4, 0xfee0_0000);
  driver.setConfig(msi + 12, 2, 0x55);
  driver.setConfig(msi + 2, 2, 1);
  driver.interruptStatus();
  driver.queue(0).send({ writable: [4] });
  assert.ok(!guest.line("ioapic 16").level);
  assert.deepEqual(guest.msi.messages, [{ address: 0xfee0_0000, data: 0x55 }]);
});

test("status 0 resets everything that virtio has, not the PCI side", () => {
  const { guest } = plugged();
  const driver = legacyDriver(guest, true);
  assert.ok(driver.start());
  assert.notEqual(guest.inl(driver.ioBase + 8), 0);
  const base = driver.ioBase;
  driver.setStatus(0);
  assert.equal(driver.ioBase, base);
  assert.equal(guest.inl(base + 8), 0);
  assert.equal(guest.inl(base + 4), 0);
  assert.equal(guest.inw(base + 20), 0xffff);
  assert.equal(guest.inw(base + 22), 0xffff);
  assert.equal(guest.inb(base + 18), 0);
});

test("a legacy queue shows its page, and page 0 takes it away", () => {
  const { guest } = plugged();
  const driver = legacyDriver(guest);
  assert.ok(driver.start());
  const { ioBase } = driver;
  assert.equal(guest.inl(ioBase + 8), driver.queue(0).descriptors / 4096);
  guest.outl(ioBase + 8, 0);
  assert.equal(guest.inl(ioBase + 8), 0);
  driver.queue(0).add({ writable: [4] });
  driver.queue(0).kick();
  assert.equal(driver.queue(0).collect().size, 0);
  assert.equal(driver.status() & 64, 0);
});

test("queues that do not exist have size 0 and ignore what is written", () => {
  const { guest } = plugged();
  const legacy = legacyDriver(guest);
  guest.outw(legacy.ioBase + 14, 1);
  assert.equal(guest.inw(legacy.ioBase + 12), 0);
  guest.outl(legacy.ioBase + 8, 16);
  guest.outw(legacy.ioBase + 16, 1);
  const { address } = modernDriver(guest).structure(1);
  guest.mmio.write(address + 22, 2, 0xffff);
  guest.mmio.write(address + 28, 2, 1);
  assert.equal(guest.mmio.read(address + 24, 2), 0);
  assert.equal(guest.mmio.read(address + 28, 2), 0);
});

test("a modern driver's doorbell before DRIVER_OK is not answered", () => {
  const { guest } = plugged();
  const driver = modernDriver(guest);
  assert.ok(driver.start());
  driver.setStatus(1 | 2 | featuresOk);
  driver.queue(0).add({ writable: [4] });
  driver.queue(0).kick();
  assert.equal(driver.queue(0).collect().size, 0);
});

test("the BAR can be reached through the window in configuration space", () => {
  const { guest } = plugged();
  const driver = modernDriver(guest);
  const at = driver.capabilities().at(-1) ?? 0;
  assert.equal(driver.config(at + 3, 1), 5);
  driver.setConfig(at + 4, 1, 4);
  driver.setConfig(at + 8, 4, 20);
  driver.setConfig(at + 12, 4, 1);
  driver.setConfig(at + 16, 1, 3);
  assert.equal(driver.status(), 3);
  assert.equal(driver.config(at + 16, 1), 3);
  driver.setConfig(at + 8, 4, 0xffff_fffc);
  assert.equal(driver.config(at + 16, 4), 0xffff_ffff);
  driver.setConfig(at + 12, 4, 3);
  driver.setConfig(at + 16, 4, 0);
  assert.equal(driver.status(), 3);
});

test("the device's rings and registers follow its BARs", () => {
  const { guest } = plugged();
  const driver = modernDriver(guest);
  driver.setConfig(0x20, 4, 0xd000_0000);
  const moved = modernDriver(guest);
  assert.equal(moved.structure(1).address, 0xd000_0000);
  assert.ok(moved.start());
  moved.setConfig(0x20, 4, 0xd800_0000);
  assert.equal(guest.readl(0xd000_0000), 0xffff_ffff);
  assert.equal(guest.mmio.read(0xd800_0000 + 20, 1), 15);
});

test("a reset of the machine brings the BARs back to where they started", () => {
  const { guest, device } = plugged();
  const driver = modernDriver(guest);
  assert.ok(driver.start());
  driver.setConfig(0x20, 4, 0xd000_0000);
  device.reset();
  assert.equal(driver.bar(4), 0xc000_0000);
  assert.equal(driver.status(), 0);
});
