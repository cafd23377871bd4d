import { fakeGuest, type FakeGuest } from "../../../src/devices/testing/fake-guest.ts";
import { fakePciHost } from "../../../src/devices/testing/pci-slot.ts";
import type { AccessHandler } from "../../../src/fabric/address-space.ts";
import type { BarOptions } from "../../../src/fabric/pci/bar.ts";
import { PciFunction, type PciDevice, type PciFunctionOptions }
  from "../../../src/fabric/pci/function.ts";
import type { PciHostOptions } from "../../../src/fabric/pci/host.ts";
import { assert, test } from "../../support/harness.ts";

const ecam = 0xe000_0000;
const answer = (value: number): AccessHandler => ({ read: () => value, write: () => {} });
const bar = (index: number, kind: BarOptions["kind"], size: number, value = 0): BarOptions =>
  ({ index, kind, size, handler: answer(value) });

function device(options: Partial<PciFunctionOptions> = {}): PciDevice {
  const pci = new PciFunction({
    name: "test", identity: { vendor: 0x1234, device: 0x5678, classCode: 0x01_02_03 }, ...options,
  });
  return {
    pci, state: { pci: pci.state }, reset: () => pci.reset(), sync: () => pci.sync(),
    detach: () => pci.disconnect(),
  };
}

function machine(
  devices: readonly (readonly [slot: number, func: number, device: PciDevice])[],
  options: Partial<PciHostOptions> = {},
) {
  const guest = fakeGuest();
  const host = fakePciHost(guest, options);
  for (const [slot, func, each] of devices) {
    host.plug({ bus: 0, slot, func }, each);
  }
  host.place();
  return { guest, host };
}

function select(guest: FakeGuest, slot: number, offset: number, func = 0): void {
  guest.outl(0xcf8, 0x8000_0000 + slot * 2048 + func * 256 + (offset & 0xfc));
}

function configRead(guest: FakeGuest, slot: number, offset: number, size = 4, func = 0): number {
  select(guest, slot, offset, func);
  return guest.ports.read(0xcfc + (offset & 3), size);
}

function configWrite(
  guest: FakeGuest, slot: number, offset: number, size: number, value: number,
): void {
  select(guest, slot, offset);
  guest.ports.write(0xcfc + (offset & 3), size, value);
}

test("both ways to configuration space show the same, at every size", () => {
  const { guest } = machine([[3, 0, device()]]);
  for (const [offset, size, expected] of [
    [0, 4, 0x5678_1234], [2, 2, 0x5678], [0, 1, 0x34], [1, 1, 0x12], [8, 4, 0x01_02_03_00],
    [11, 1, 1], [0x0e, 1, 0],
  ] as const) {
    assert.equal(configRead(guest, 3, offset, size), expected);
    assert.equal(guest.mmio.read(ecam + (3 << 15) + offset, size), expected);
  }
});

test("unaligned accesses give ones and change nothing", () => {
  const { guest } = machine([[3, 0, device()]]);
  assert.equal(configRead(guest, 3, 1, 2), 0xffff);
  assert.equal(guest.mmio.read(ecam + (3 << 15) + 1, 4), 0xffff_ffff);
  configWrite(guest, 3, 0x3d, 2, 0);
  configWrite(guest, 3, 0x3c, 1, 0x55);
  guest.mmio.write(ecam + (3 << 15) + 0x3b, 2, 0);
  assert.equal(configRead(guest, 3, 0x3c, 1), 0x55);
});

test("where no function is, every read gives ones", () => {
  const { guest } = machine([[3, 0, device()]]);
  assert.equal(configRead(guest, 4, 0), 0xffff_ffff);
  assert.equal(configRead(guest, 3, 0, 2, 1), 0xffff);
  assert.equal(guest.mmio.read(ecam + (1 << 20), 4), 0xffff_ffff);
});

test("the address port takes dwords only, and its enable bit counts", () => {
  const { guest } = machine([[0, 0, device()]]);
  guest.outl(0xcf8, 0x8000_0007);
  assert.equal(guest.inl(0xcf8), 0x8000_0004);
  guest.outb(0xcf8, 0xff);
  guest.outw(0xcfa, 0xffff);
  assert.equal(guest.inl(0xcf8), 0x8000_0004);
  assert.equal(guest.inb(0xcf8), 0xff);
  guest.outl(0xcf8, 0);
  assert.equal(guest.inl(0xcfc), 0xffff_ffff);
});

test("the byte at 0xCF9 is the reset control's, the dword around it the host's", () => {
  const { guest } = machine([[0, 0, device()]]);
  const seen: number[] = [];
  guest.ports.claim("reset control", 0xcf9, 1, {
    read: () => 0x42, write: (_offset, _size, value) => void seen.push(value),
  });
  guest.outb(0xcf9, 6);
  guest.outl(0xcf8, 0x8000_0600);
  assert.deepEqual(seen, [6]);
  assert.equal(guest.inb(0xcf9), 0x42);
  assert.equal(guest.inl(0xcf8), 0x8000_0600);
});

test("extended configuration space says that it has no capabilities", () => {
  const { guest } = machine([[0, 0, device()]]);
  assert.equal(guest.readl(ecam + 0x100), 0);
  assert.equal(guest.mmio.read(ecam + 0x102, 2), 0);
  assert.equal(guest.readl(ecam + 0x104), 0xffff_ffff);
  assert.equal(guest.readl(ecam + 0xffc), 0xffff_ffff);
});

test("identity and status cannot be written, the interrupt line can", () => {
  const { guest } = machine([[0, 0, device()]]);
  for (let offset = 0; offset < 0x40; offset += 4) {
    if (offset !== 4 && (offset < 0x10 || offset >= 0x28)) {
      configWrite(guest, 0, offset, 4, 0xffff_ffff);
    }
  }
  assert.equal(configRead(guest, 0, 0), 0x5678_1234);
  assert.equal(configRead(guest, 0, 8), 0x01_02_03_00);
  assert.equal(configRead(guest, 0, 0x3c, 2), 0x00ff);
  configWrite(guest, 0, 4, 4, 0xffff_ffff);
  assert.equal(configRead(guest, 0, 4), 0x0000_077f);
});

test("the multifunction bit follows the number of functions in the slot", () => {
  const { guest, host } = machine([[2, 0, device()], [2, 1, device()], [5, 0, device()]]);
  assert.equal(configRead(guest, 2, 0x0e, 1), 0x80);
  assert.equal(configRead(guest, 2, 0x0e, 1, 1), 0x80);
  assert.equal(configRead(guest, 5, 0x0e, 1), 0);
  host.unplug({ bus: 0, slot: 2, func: 1 });
  assert.equal(configRead(guest, 2, 0x0e, 1), 0);
});

test("BARs are placed by falling size, where bhyve puts them", () => {
  const { host } = machine([
    [1, 0, device({ bars: [bar(0, "io", 32), bar(1, "mem32", 0x2000)] })],
    [2, 0, device({ bars: [bar(0, "io", 128), bar(2, "mem64", 0x10_0000),
      bar(4, "mem64", 2 ** 28)] })],
  ], { memoryEnd: 5 * 2 ** 30 });
  const bars = host.functions().map((each) => each.bars.map(({ address }) => address));
  assert.deepEqual(bars, [[0x2080, 0xc010_0000], [0x2000, 0xc000_0000, 32 * 2 ** 30]]);
  const windows = host.windows().get(0);
  assert.deepEqual(windows?.io, { base: 0x2000, end: 0x20c0 });
  assert.deepEqual(windows?.mem32, { base: 0xc000_0000, end: 0xc030_0000 });
  assert.deepEqual(windows?.mem64,
    { base: 32 * 2 ** 30, end: 32 * 2 ** 30 + 2 ** 28 + 2 ** 29 + 2 ** 28 });
});

test("too many BARs are a mistake of the configuration", () => {
  const big = () => device({ bars: [bar(0, "mem32", 2 ** 28)] });
  assert.throws(() => machine([[1, 0, big()], [2, 0, big()], [3, 0, big()]]), /no room for a BAR/);
});

test("with a boot ROM nothing decodes until firmware says so", () => {
  const { guest } = machine([[1, 0, device({ bars: [bar(0, "io", 32, 7)] })]], { bootRom: true });
  assert.equal(configRead(guest, 1, 4, 2), 0);
  assert.equal(guest.inb(0x2000), 0xff);
  configWrite(guest, 1, 4, 2, 1);
  assert.equal(guest.inb(0x2000), 7);
});

test("writing ones shows the size of a BAR, and its kind", () => {
  const { guest } = machine([[1, 0, device({
    bars: [bar(0, "io", 32), bar(1, "mem32", 0x2000), bar(2, "mem64", 2 ** 33)],
  })]]);
  configWrite(guest, 1, 4, 2, 0);
  const sized = [0, 1, 2, 3, 4, 5].map((index) => {
    configWrite(guest, 1, 0x10 + index * 4, 4, 0xffff_ffff);
    return configRead(guest, 1, 0x10 + index * 4);
  });
  assert.deepEqual(sized, [0xffff_ffe1, 0xffff_e000, 4, 0xffff_fffe, 0, 0]);
});

test("an I/O BAR above the last port answers nowhere", () => {
  const { guest } = machine([[1, 0, device({ bars: [bar(0, "io", 32, 7)] })]]);
  assert.equal(guest.inb(0x2000), 7);
  configWrite(guest, 1, 0x10, 4, 0x1_2000);
  assert.equal(configRead(guest, 1, 0x10), 0x1_2001);
  assert.equal(guest.inb(0x2000), 0xff);
  configWrite(guest, 1, 0x10, 4, 0x2000);
  assert.equal(guest.inb(0x2000), 7);
});

test("a BAR moves while it decodes, and narrow writes to it are ignored", () => {
  const { guest } = machine([[1, 0, device({ bars: [bar(0, "mem32", 0x1000, 9)] })]]);
  assert.equal(guest.readl(0xc000_0000), 9);
  configWrite(guest, 1, 0x10, 4, 0xd000_0000);
  assert.equal(guest.readl(0xc000_0000), 0xffff_ffff);
  assert.equal(guest.readl(0xd000_0000), 9);
  configWrite(guest, 1, 0x12, 2, 0xc000);
  configWrite(guest, 1, 0x13, 1, 0xc0);
  assert.equal(guest.readl(0xd000_0000), 9);
  configWrite(guest, 1, 4, 2, 0);
  assert.equal(guest.readl(0xd000_0000), 0xffff_ffff);
});

test("of two functions at one address the first answers, and the second once it may", () => {
  const { guest } = machine([
    [1, 0, device({ bars: [bar(0, "mem32", 0x1000, 1)] })],
    [2, 0, device({ bars: [bar(0, "mem32", 0x1000, 2)] })],
  ]);
  configWrite(guest, 2, 0x10, 4, 0xc000_0000);
  assert.equal(guest.readl(0xc000_0000), 1);
  assert.equal(guest.readl(0xc000_1000), 0xffff_ffff);
  configWrite(guest, 1, 0x10, 4, 0xd000_0000);
  assert.equal(guest.readl(0xc000_0000), 2);
  assert.equal(guest.readl(0xd000_0000), 1);
});

test("BARs of one function may change places", () => {
  const one = device({ bars: [bar(0, "mem32", 0x1000, 1), bar(1, "mem32", 0x1000, 2)] });
  const { guest } = machine([[1, 0, one]]);
  configWrite(guest, 1, 4, 2, 0);
  configWrite(guest, 1, 0x10, 4, 0xc000_1000);
  configWrite(guest, 1, 0x14, 4, 0xc000_0000);
  configWrite(guest, 1, 4, 2, 2);
  assert.deepEqual([guest.readl(0xc000_0000), guest.readl(0xc000_1000)], [2, 1]);
  one.reset();
  assert.deepEqual([guest.readl(0xc000_0000), guest.readl(0xc000_1000)], [1, 2]);
});

test("a 64-bit BAR beyond every address is out of reach, not an error", () => {
  const { guest } = machine([[1, 0, device({ bars: [bar(0, "mem64", 0x1000, 1)] })]]);
  configWrite(guest, 1, 0x14, 4, 0xffff_ffff);
  assert.equal(guest.readl(0xc000_0000), 0xffff_ffff);
  configWrite(guest, 1, 0x14, 4, 0x1_0000);
  assert.equal(guest.readl(0x1_0000 * 2 ** 32 + 0xc000_0000), 1);
});

test("a device that leaves gives back its addresses and its line", () => {
  const one = device({ bars: [bar(0, "mem32", 0x1000, 1)], intx: true });
  const { guest, host } = machine([[1, 0, one]]);
  one.pci.setIntx(true);
  assert.ok(guest.line("ioapic 16").level);
  host.unplug({ bus: 0, slot: 1, func: 0 });
  assert.ok(!guest.line("ioapic 16").level);
  assert.equal(guest.readl(0xc000_0000), 0xffff_ffff);
  assert.equal(configRead(guest, 1, 0), 0xffff_ffff);
});

test("a device that comes later waits for the guest to give it addresses", () => {
  const { guest, host } = machine([]);
  const late = device({ bars: [bar(0, "mem32", 0x1000, 3)], intx: true });
  host.plug({ bus: 0, slot: 7, func: 0 }, late);
  assert.equal(configRead(guest, 7, 0x10), 0);
  configWrite(guest, 7, 0x10, 4, 0xc800_0000);
  configWrite(guest, 7, 4, 2, 2);
  assert.equal(guest.readl(0xc800_0000), 3);
  late.pci.setIntx(true);
  assert.ok(guest.line("ioapic 16").level);
});

test("the state of the host survives a copy", () => {
  const { guest, host } = machine([[1, 0, device()]]);
  select(guest, 1, 8);
  assert.equal(host.state.address, 0x8000_0808);
  host.reset();
  assert.equal(guest.inl(0xcf8), 0);
});
