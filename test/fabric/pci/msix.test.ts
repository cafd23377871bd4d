import { fakeGuest } from "../../../src/devices/testing/fake-guest.ts";
import { fakePciHost } from "../../../src/devices/testing/pci-slot.ts";
import { PciFunction } from "../../../src/fabric/pci/function.ts";
import { msixBarBytes } from "../../../src/fabric/pci/msix.ts";
import { assert, test } from "../../support/harness.ts";

const table = 0xc000_0000;
const pending = table + 0x1000;
const functionMask = 0x4000;
const enable = 0x8000;

function plugged(vectors = 40) {
  const guest = fakeGuest();
  const host = fakePciHost(guest);
  const pci = new PciFunction({
    name: "test", identity: { vendor: 1, device: 2, classCode: 0 }, intx: true,
    msix: { bar: 1, vectors },
  });
  host.plug({ bus: 0, slot: 0, func: 0 }, {
    pci, state: {}, reset: () => pci.reset(), sync: () => {}, detach: () => {},
  });
  host.place();
  const at = pci.readConfig(0x34, 1);
  const control = (value: number) => pci.writeConfig(at + 2, 2, value);
  const program = (vector: number, masked: boolean) => {
    guest.writel(table + vector * 16, 0xfee0_0000);
    guest.writel(table + vector * 16 + 4, 0x7777);
    guest.writel(table + vector * 16 + 8, 0x100 + vector);
    guest.writel(table + vector * 16 + 12, masked ? 1 : 0);
  };
  const sent = () => guest.msi.messages.splice(0).map(({ address, data }) => [address, data]);
  return { guest, pci, at, control, program, sent };
}

test("the capability says where table and pending bits are", () => {
  const { pci, at } = plugged();
  assert.equal(pci.readConfig(at, 1), 0x11);
  assert.equal(pci.readConfig(at + 2, 2), 39);
  assert.equal(pci.readConfig(at + 4, 4), 1);
  assert.equal(pci.readConfig(at + 8, 4), 0x1001);
  assert.equal(msixBarBytes(40), 0x2000);
  assert.equal(msixBarBytes(257), 0x4000);
});

test("vectors start masked and remember what is written", () => {
  const { guest, program } = plugged();
  assert.equal(guest.readl(table + 12), 1);
  program(39, false);
  assert.deepEqual([0, 4, 8, 12].map((word) => guest.readl(table + 39 * 16 + word)),
    [0xfee0_0000, 0x7777, 0x127, 0]);
  guest.writel(table + 39 * 16 + 12, 0xffff_ffff);
  assert.equal(guest.readl(table + 39 * 16 + 12), 1);
});

test("an unmasked vector sends its message to the low half of the address", () => {
  const { control, program, pci, sent } = plugged();
  program(3, false);
  pci.signal(3);
  assert.deepEqual(sent(), []);
  control(enable);
  pci.signal(3);
  assert.deepEqual(sent(), [[0xfee0_0000, 0x103]]);
});

test("a masked vector waits as a pending bit and is sent once on unmasking", () => {
  const { guest, control, program, pci, sent } = plugged();
  program(31, true);
  program(33, true);
  control(enable);
  pci.signal(31);
  pci.signal(31);
  pci.signal(33);
  assert.deepEqual(sent(), []);
  assert.equal(guest.readl(pending), 0x8000_0000);
  assert.equal(guest.readl(pending + 4), 2);
  guest.writel(table + 31 * 16 + 12, 0);
  assert.deepEqual(sent(), [[0xfee0_0000, 0x11f]]);
  assert.equal(guest.readl(pending), 0);
  guest.writel(table + 33 * 16 + 12, 0);
  assert.deepEqual(sent(), [[0xfee0_0000, 0x121]]);
});

test("the function mask holds all vectors back", () => {
  const { control, program, pci, sent } = plugged();
  program(0, false);
  program(1, false);
  control(enable | functionMask);
  pci.signal(0);
  pci.signal(1);
  assert.deepEqual(sent(), []);
  control(enable);
  assert.deepEqual(sent().length, 2);
});

test("the table takes whole dwords only, the pending bits nothing", () => {
  const { guest, program } = plugged();
  program(0, true);
  guest.mmio.write(table + 8, 1, 0x55);
  guest.mmio.write(table + 8, 2, 0x5555);
  guest.writel(pending, 0xffff_ffff);
  assert.equal(guest.readl(table + 8), 0x100);
  assert.equal(guest.readl(pending), 0);
  assert.equal(guest.mmio.read(table + 8, 2), 0xffff);
});

test("MSI-X takes the place of INTx while it is enabled", () => {
  const { guest, control, pci } = plugged();
  pci.setIntx(true);
  assert.ok(guest.line("ioapic 16").level);
  control(enable);
  assert.ok(!guest.line("ioapic 16").level);
  control(0);
  assert.ok(guest.line("ioapic 16").level);
});

test("a vector that does not exist is ignored", () => {
  const { control, pci, sent } = plugged();
  control(enable);
  pci.signal(40);
  pci.signal(0xffff);
  assert.deepEqual(sent(), []);
});
