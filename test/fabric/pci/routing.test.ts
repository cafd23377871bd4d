import { fakeGuest } from "../../../src/devices/testing/fake-guest.ts";
import { fakePciHost, fakeRouter } from "../../../src/devices/testing/pci-slot.ts";
import { PciFunction, type PciDevice } from "../../../src/fabric/pci/function.ts";
import { PciRouting } from "../../../src/fabric/pci/routing.ts";
import { assert, test } from "../../support/harness.ts";

function interrupting(msiVectors?: number): PciDevice {
  const pci = new PciFunction({
    name: "test", identity: { vendor: 1, device: 2, classCode: 0 }, intx: true,
    ...(msiVectors !== undefined && { msiVectors }),
  });
  return {
    pci, state: {}, reset: () => pci.reset(), sync: () => pci.sync(),
    detach: () => pci.disconnect(),
  };
}

function routing(bootRom: boolean) {
  const guest = fakeGuest();
  return { guest, routing: new PciRouting({ router: fakeRouter(guest), bootRom, ioapicPins: 32 }) };
}

test("functions of a slot get the pins in turn", () => {
  const host = fakePciHost(fakeGuest());
  for (let func = 0; func < 6; func += 1) {
    host.plug({ bus: 0, slot: 3, func }, interrupting());
  }
  host.place();
  assert.deepEqual(host.functions().map(({ route }) => route?.pin), [1, 2, 3, 4, 1, 2]);
});

test("without a boot ROM pins take what is used least, past the reserved interrupts", () => {
  const { routing: routes } = routing(false);
  const taken = Array.from({ length: 9 }, (_each, slot) => routes.route(0, slot, 1));
  assert.deepEqual(taken.map(({ pirq }) => pirq), [0, 1, 2, 3, 4, 5, 6, 7, 0]);
  assert.deepEqual(taken.map(({ isaIrq }) => isaIrq), [5, 6, 7, 10, 11, 14, 15, 5, 5]);
  assert.deepEqual(taken.map(({ ioapicPin }) => ioapicPin), [16, 17, 18, 19, 20, 21, 22, 23, 24]);
  assert.deepEqual(routes.levelIrqs(), [5, 6, 7, 10, 11, 14, 15]);
});

test("with a boot ROM pins take their fixed places", () => {
  const { routing: routes } = routing(true);
  const route = routes.route(0, 3, 2);
  assert.equal(route.pirq, (4 + 3 + 2) % 8);
  assert.equal(route.ioapicPin, 16 + (4 + 3 + 2) % 8);
});

test("the interrupt line register shows where the pin goes", () => {
  const guest = fakeGuest();
  const host = fakePciHost(guest);
  const device = interrupting();
  host.plug({ bus: 0, slot: 3, func: 0 }, device);
  host.place();
  const [route] = host.routes();
  assert.equal(device.pci.readConfig(0x3d, 1), 1);
  assert.equal(device.pci.readConfig(0x3c, 1), route?.isaIrq);
});

test("an interrupt reaches the I/O APIC and the ISA line of its PIRQ", () => {
  const { guest, routing: routes } = routing(false);
  const first = routes.line(0, 1, 1);
  const second = routes.line(0, 1, 1);
  first.set(true);
  second.set(true);
  first.set(false);
  assert.ok(guest.line("ioapic 16").level);
  assert.ok(guest.line("isa 5").level);
  second.set(false);
  assert.ok(!guest.line("ioapic 16").level);
  assert.ok(!guest.line("isa 5").level);
});

test("a PIRQ that is steered elsewhere takes its level along", () => {
  const { guest, routing: routes } = routing(false);
  routes.line(0, 1, 1).set(true);
  routes.writePirq(0, 11);
  assert.ok(!guest.line("isa 5").level);
  assert.ok(guest.line("isa 11").level);
  routes.writePirq(0, 0x80 | 11);
  assert.ok(!guest.line("isa 11").level);
  assert.ok(guest.line("ioapic 16").level);
  routes.writePirq(0, 8); // No PIRQ can reach the clock's interrupt.
  assert.ok(!guest.line("isa 8").level);
  routes.reset();
  assert.ok(guest.line("isa 5").level);
});

test("two PIRQs on one ISA interrupt share its line", () => {
  const { guest, routing: routes } = routing(false);
  const first = routes.line(0, 1, 1);
  const second = routes.line(0, 2, 1);
  routes.writePirq(1, 5);
  first.set(true);
  second.set(true);
  first.set(false);
  assert.ok(guest.line("isa 5").level);
  second.set(false);
  assert.ok(!guest.line("isa 5").level);
});

test("INTx stays low while disabled, and shows in the status register all the same", () => {
  const guest = fakeGuest();
  const host = fakePciHost(guest);
  const device = interrupting();
  host.plug({ bus: 0, slot: 0, func: 0 }, device);
  host.place();
  device.pci.writeConfig(4, 2, 0x400);
  device.pci.setIntx(true);
  assert.ok(!guest.line("ioapic 16").level);
  assert.equal(device.pci.readConfig(6, 2) & 8, 8);
  device.pci.writeConfig(4, 2, 0);
  assert.ok(guest.line("ioapic 16").level);
  device.pci.setIntx(false);
  assert.equal(device.pci.readConfig(6, 2) & 8, 0);
});

test("MSI takes the place of INTx, with as many vectors as were granted", () => {
  const guest = fakeGuest();
  const host = fakePciHost(guest);
  const device = interrupting(4);
  host.plug({ bus: 0, slot: 0, func: 0 }, device);
  host.place();
  const at = device.pci.readConfig(0x34, 1);
  assert.equal(device.pci.readConfig(at, 2) & 0xff, 5);
  assert.equal(device.pci.readConfig(at + 2, 2), 0x84);
  device.pci.setIntx(true);
  device.pci.writeConfig(at + 4, 4, 0xfee0_1000);
  device.pci.writeConfig(at + 12, 2, 0x43);
  device.pci.writeConfig(at + 2, 2, 0x01);
  assert.ok(!guest.line("ioapic 16").level);
  assert.ok(device.pci.signal(3));
  device.pci.writeConfig(at + 2, 2, 0x21);
  device.pci.signal(3);
  device.pci.signal(1);
  assert.deepEqual(guest.msi.messages.map(({ address, data }) => [address, data]),
    [[0xfee0_1000, 0x43], [0xfee0_1000, 0x43], [0xfee0_1000, 0x41]]);
});
