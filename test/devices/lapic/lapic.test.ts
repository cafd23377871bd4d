import { attention, Lapic, lapicBase } from "../../../src/devices/lapic/lapic.ts";
import {
  lapicPage, readLapicMsr, writeLapicMsr, type MsrValue,
} from "../../../src/devices/lapic/registers.ts";
import { fakeGuest, type FakeGuest } from "../../../src/devices/testing/fake-guest.ts";
import { millisecondNs, secondNs } from "../../../src/base/units.ts";
import { deliveryMode, everyApic } from "../../../src/fabric/apic-bus.ts";
import { deviceContract } from "../../support/device-contract.ts";
import { assert, test } from "../../support/harness.ts";

const at = {
  id: 0x20, tpr: 0x80, ppr: 0xa0, eoi: 0xb0, ldr: 0xd0, dfr: 0xe0, svr: 0xf0, esr: 0x280,
  icrLow: 0x300, icrHigh: 0x310, timer: 0x320, lint0: 0x350, error: 0x370, initial: 0x380,
  current: 0x390, divide: 0x3e0,
} as const;
const tscHz = 2 * secondNs;

function plugLapic(guest: FakeGuest, id = 0) {
  const ended: number[] = [];
  const sent: string[] = [];
  let wakes = 0;
  const external = { vector: 0x22, pendingVector: () => 0x22, acknowledge: () => 0x22 };
  const lapic = new Lapic({ id, isBootCpu: id === 0 }, {
    clock: guest.clock, external,
    eoi: { endOfInterrupt: (vector) => ended.push(vector) },
    apics: {
      deliver: (to, logical, mode, vector) => sent.push(`${to} ${logical} ${mode} ${vector}`),
      deliverToAll: (except, mode, vector) => sent.push(`all but ${except} ${mode} ${vector}`),
    },
    tscNow: () => guest.clock.nowNs() * 2,
    tscToNs: (tsc) => Math.ceil(tsc / (tscHz / secondNs)),
    wake: () => { wakes += 1; },
  });
  guest.mmio.claim("local APIC", lapicBase, 0x1000, lapicPage(lapic));
  const write = (offset: number, value: number) => guest.writel(lapicBase + offset, value);
  const read = (offset: number) => guest.readl(lapicBase + offset);
  return { guest, lapic, read, write, ended, sent, wakes: () => wakes };
}

function enabledLapic(id = 0) {
  const plugged = plugLapic(fakeGuest(), id);
  plugged.write(at.svr, 0x1ff);
  const fixed = (vector: number, level = false) =>
    plugged.lapic.accept(deliveryMode.fixed, vector, level);
  return { ...plugged, fixed };
}

function writeMsr(lapic: Lapic, index: number, lo: number, hi = 0): boolean {
  return writeLapicMsr(lapic, index, { lo, hi });
}

function readMsr(lapic: Lapic, index: number): MsrValue | undefined {
  const result = { lo: 0, hi: 0 };
  return readLapicMsr(lapic, index, result) ? result : undefined;
}

test("a disabled local APIC takes no vectors, an enabled one does", () => {
  const { lapic, write } = plugLapic(fakeGuest());
  lapic.accept(deliveryMode.fixed, 0x40, false);
  assert.equal(lapic.attention, 0);
  write(at.svr, 0x1ff);
  lapic.accept(deliveryMode.fixed, 0x40, false);
  assert.equal(lapic.attention, attention.interrupt);
  assert.equal(lapic.pendingVector(), 0x40);
});

test("the highest vector comes first, and its class holds back the lower ones until EOI", () => {
  const { lapic, write, fixed } = enabledLapic();
  fixed(0x41);
  fixed(0x81);
  fixed(0x85);
  assert.equal(lapic.acknowledge(), 0x85);
  assert.equal(lapic.pendingVector(), -1, "0x81 is of the same class, 0x41 below");
  assert.equal(lapic.attention, 0);
  fixed(0x91);
  assert.equal(lapic.acknowledge(), 0x91, "a higher class nests");
  write(at.eoi, 0);
  assert.equal(lapic.pendingVector(), -1);
  write(at.eoi, 0);
  assert.equal(lapic.acknowledge(), 0x81);
  write(at.eoi, 0);
  assert.equal(lapic.acknowledge(), 0x41);
  write(at.eoi, 0);
  assert.equal(lapic.pendingVector(), -1);
});

test("the task priority holds back its class and below, and PPR shows it", () => {
  const { lapic, read, write, fixed } = enabledLapic();
  write(at.tpr, 0x50);
  fixed(0x5f);
  assert.equal(lapic.attention, 0);
  assert.equal(read(at.ppr), 0x50);
  fixed(0x60);
  assert.equal(lapic.acknowledge(), 0x60);
  assert.equal(read(at.ppr), 0x60);
  write(at.eoi, 0);
  write(at.tpr, 0x4f);
  assert.equal(lapic.acknowledge(), 0x5f);
});

test("wake is called when work appears, not for work already known", () => {
  const { fixed, wakes } = enabledLapic();
  fixed(0x40);
  fixed(0x50);
  assert.equal(wakes(), 1);
});

test("an acknowledge without work gives the spurious vector and leaves ISR alone", () => {
  const { lapic, read } = enabledLapic();
  assert.equal(lapic.acknowledge(), 0xff);
  assert.equal(read(0x170), 0);
});

test("the EOI of a level-triggered vector is told to the I/O APIC, of an edge it is not", () => {
  const { lapic, write, fixed, ended } = enabledLapic();
  fixed(0x40, true);
  lapic.acknowledge();
  write(at.eoi, 0);
  fixed(0x40, false);
  lapic.acknowledge();
  write(at.eoi, 0);
  assert.deepEqual(ended, [0x40]);
});

test("requested and served vectors show in IRR, ISR and TMR", () => {
  const { lapic, read, fixed } = enabledLapic();
  fixed(0x65, true);
  assert.equal(read(0x200 + 3 * 16), 1 << 5);
  assert.equal(read(0x180 + 3 * 16), 1 << 5);
  lapic.acknowledge();
  assert.equal(read(0x200 + 3 * 16), 0);
  assert.equal(read(0x100 + 3 * 16), 1 << 5);
});

test("the 8259 reaches the boot processor after power-on, and not once LINT0 is masked", () => {
  const { lapic, write } = plugLapic(fakeGuest());
  lapic.setPin(0, true);
  assert.equal(lapic.attention, attention.interrupt);
  assert.equal(lapic.acknowledge(), 0x22);
  write(at.svr, 0x1ff);
  write(at.lint0, 0x1_0700);
  assert.equal(lapic.attention, 0);
  write(at.lint0, 0x700);
  assert.equal(lapic.attention, attention.interrupt);
  lapic.setPin(0, false);
  assert.equal(lapic.attention, 0);
});

test("LINT1 as NMI and NMI messages reach the vCPU once each", () => {
  const { lapic, write } = enabledLapic();
  write(0x360, 0x400);
  lapic.setPin(1, true);
  assert.equal(lapic.attention, attention.nmi);
  assert.equal(lapic.takeNmi(), true);
  assert.equal(lapic.takeNmi(), false);
  lapic.accept(deliveryMode.nmi, 0, false);
  assert.equal(lapic.attention, attention.nmi);
});

test("INIT and start-up messages wait for the vCPU; INIT clears the registers, not the id", () => {
  const { lapic, read, write } = enabledLapic(3);
  write(at.tpr, 0x30);
  lapic.accept(deliveryMode.init, 0, false);
  lapic.accept(deliveryMode.startUp, 0x9a, false);
  assert.equal(lapic.attention, attention.init | attention.startUp);
  assert.equal(lapic.takeInit(), true);
  assert.equal(read(at.tpr), 0);
  assert.equal(read(at.svr), 0xff);
  assert.equal(read(at.id), 3 << 24);
  assert.equal(lapic.takeStartUp(), 0x9a);
  assert.equal(lapic.takeStartUp(), -1);
});

test("the one-shot timer fires once, at its count times its divider", () => {
  const { guest, lapic, read, write } = enabledLapic();
  write(at.timer, 0xec);
  write(at.divide, 0x3); // by 16
  write(at.initial, 1000);
  guest.clock.advance(15_999);
  assert.equal(read(at.current), 1);
  assert.equal(lapic.attention, 0);
  guest.clock.advance(1);
  assert.equal(lapic.acknowledge(), 0xec);
  assert.equal(read(at.current), 0);
  write(at.eoi, 0);
  guest.clock.advance(secondNs);
  assert.equal(lapic.attention, 0);
});

test("every divider divides by what the manual says", () => {
  for (const [code, by] of [
    [0, 2], [1, 4], [2, 8], [3, 16], [8, 32], [9, 64], [10, 128], [11, 1],
  ] as const) {
    const { guest, read, write } = enabledLapic();
    write(at.divide, code);
    write(at.initial, 1_000_000);
    guest.clock.advance(128_000);
    assert.equal(1_000_000 - read(at.current), 128_000 / by);
  }
});

test("the periodic timer keeps its rate", () => {
  const { guest, lapic, write } = enabledLapic();
  write(at.divide, 0xb);
  write(at.timer, 0x2_0040);
  write(at.initial, 3_000_001);
  let fired = 0;
  for (let ms = 0; ms < 3000; ms += 1) {
    guest.clock.advance(millisecondNs);
    if (lapic.attention !== 0) {
      fired += 1;
      lapic.acknowledge();
      write(at.eoi, 0);
    }
  }
  assert.equal(fired, Math.floor(3 * secondNs / 3_000_001));
});

test("a period of a nanosecond is bounded", () => {
  const { guest, lapic, write } = enabledLapic();
  write(at.divide, 0xb);
  write(at.timer, 0x2_0040);
  write(at.initial, 1);
  guest.clock.advance(millisecondNs);
  assert.equal(lapic.acknowledge(), 0x40);
});

test("a masked timer counts in silence", () => {
  const { guest, lapic, read, write } = enabledLapic();
  write(at.timer, 0x1_0040);
  write(at.divide, 0xb);
  write(at.initial, 100);
  guest.clock.advance(50);
  assert.equal(read(at.current), 50);
  guest.clock.advance(100);
  assert.equal(lapic.attention, 0);
});

test("the TSC deadline fires when the TSC is there, and its MSR reads 0 afterwards", () => {
  const { guest, lapic, read, write } = enabledLapic();
  write(at.timer, 0x4_0055);
  guest.clock.advance(1000);
  writeMsr(lapic, 0x6e0, 6000);
  assert.deepEqual(readMsr(lapic, 0x6e0), { lo: 6000, hi: 0 });
  assert.equal(read(at.current), 0);
  guest.clock.advance(1999);
  assert.equal(lapic.attention, 0);
  guest.clock.advance(1);
  assert.equal(lapic.acknowledge(), 0x55);
  assert.deepEqual(readMsr(lapic, 0x6e0), { lo: 0, hi: 0 });
});

test("a TSC deadline of the past fires at once, 0 disarms, other modes ignore the MSR", () => {
  const { guest, lapic, write } = enabledLapic();
  writeMsr(lapic, 0x6e0, 100);
  assert.deepEqual(readMsr(lapic, 0x6e0), { lo: 0, hi: 0 });
  guest.clock.advance(1000);
  write(at.timer, 0x4_0055);
  writeMsr(lapic, 0x6e0, 1);
  guest.clock.advance(0);
  assert.equal(lapic.acknowledge(), 0x55);
  write(at.eoi, 0);
  writeMsr(lapic, 0x6e0, 0, 1);
  writeMsr(lapic, 0x6e0, 0);
  guest.clock.advance(10 * secondNs);
  assert.equal(lapic.attention, 0);
});

test("illegal vectors are reported in ESR, after a write to it, and by the error interrupt", () => {
  const { lapic, read, write, fixed } = enabledLapic();
  write(at.error, 0xfe);
  fixed(0x0f);
  assert.equal(read(at.esr), 0);
  write(at.esr, 0);
  assert.equal(read(at.esr), 0x40);
  assert.equal(lapic.acknowledge(), 0xfe);
  write(at.icrLow, 0x05);
  write(at.esr, 0);
  assert.equal(read(at.esr), 0x20);
});

test("commands go where ICR says", () => {
  const { lapic, sent, write } = enabledLapic(2);
  write(at.icrHigh, 0x0500_0000);
  write(at.icrLow, 0x0040);
  write(at.icrHigh, 0xff00_0000);
  write(at.icrLow, 0x0841);
  write(at.icrLow, 0xc_0400); // NMI to all but self
  write(at.icrLow, 0x8_0042); // all
  write(at.icrLow, 0xc_8500); // INIT de-assert: nothing
  assert.deepEqual(sent, [
    "5 false 0 64", `${everyApic} true 0 65`, "all but 2 4 0", "all but -1 0 66",
  ]);
  write(at.icrLow, 0x4_0043);
  assert.equal(lapic.acknowledge(), 0x43);
});

test("logical destinations in the flat and the cluster model", () => {
  const { lapic, write } = enabledLapic(2);
  write(at.ldr, 0x0400_0000);
  assert.equal(lapic.isMeant(0x06, true), true);
  assert.equal(lapic.isMeant(0x03, true), false);
  write(at.dfr, 0x0fff_ffff);
  write(at.ldr, 0x2100_0000);
  assert.equal(lapic.isMeant(0x23, true), true);
  assert.equal(lapic.isMeant(0x22, true), false);
  assert.equal(lapic.isMeant(0x11, true), false);
  assert.equal(lapic.isMeant(2, false), true);
  assert.equal(lapic.isMeant(everyApic, false), true);
});

test("x2APIC: the page goes, MSRs answer, ids are 32 bits wide and LDR follows from them", () => {
  const { lapic, read } = enabledLapic(0x25);
  assert.equal(writeMsr(lapic, 0x1b, 0xfee0_0c00), true);
  assert.equal(read(at.id), 0xffff_ffff);
  assert.deepEqual(readMsr(lapic, 0x802), { lo: 0x25, hi: 0 });
  assert.deepEqual(readMsr(lapic, 0x80d), { lo: 0x2_0020, hi: 0 });
  assert.equal(lapic.isMeant(0x2_0030, true), true);
  assert.equal(lapic.isMeant(0x2_0010, true), false);
});

test("x2APIC: absent, read-only and reserved things raise #GP", () => {
  const { lapic } = enabledLapic();
  assert.equal(readMsr(lapic, 0x802), undefined, "not in x2APIC mode yet");
  writeMsr(lapic, 0x1b, 0xfee0_0c00);
  assert.equal(readMsr(lapic, 0x80e), undefined);
  assert.equal(readMsr(lapic, 0x831), undefined);
  assert.equal(readMsr(lapic, 0x80b), undefined);
  assert.equal(writeMsr(lapic, 0x802, 0), false);
  assert.equal(writeMsr(lapic, 0x80d, 0), false);
  assert.equal(writeMsr(lapic, 0x80b, 1), false);
  assert.equal(writeMsr(lapic, 0x808, 0x100), false);
  assert.equal(writeMsr(lapic, 0x808, 0, 1), false);
  assert.equal(writeMsr(lapic, 0x80b, 0), true);
  assert.equal(readMsr(lapic, 0x8ff), undefined);
});

test("x2APIC: ICR is one 64-bit register, and there is a self IPI", () => {
  const { lapic, sent } = enabledLapic();
  writeMsr(lapic, 0x1b, 0xfee0_0c00);
  assert.equal(writeMsr(lapic, 0x830, 0x4_0050 & ~0x4_0000, 0x1_0002), true);
  assert.deepEqual(sent, [`${0x1_0002} false 0 80`]);
  assert.deepEqual(readMsr(lapic, 0x830), { lo: 0x50, hi: 0x1_0002 });
  assert.equal(writeMsr(lapic, 0x83f, 0x66), true);
  assert.equal(lapic.acknowledge(), 0x66);
});

test("mode changes that the manual forbids raise #GP", () => {
  const { lapic } = enabledLapic();
  assert.equal(writeMsr(lapic, 0x1b, 0xfee0_0400), false, "x2APIC without enable");
  assert.equal(writeMsr(lapic, 0x1b, 0xfee0_0c00), true);
  assert.equal(writeMsr(lapic, 0x1b, 0xfee0_0800), false, "back to xAPIC");
  assert.equal(writeMsr(lapic, 0x1b, 0xfee0_0000), true, "off");
  assert.equal(writeMsr(lapic, 0x1b, 0xfee0_0c00), false, "from off to x2APIC");
  assert.equal(writeMsr(lapic, 0x1b, 0xfee0_0800), true);
  assert.deepEqual(readMsr(lapic, 0x1b), { lo: 0xfee0_0900, hi: 0 });
  assert.equal(writeMsr(lapic, 0x1b, 0xfee0_0801), false, "reserved bit");
  assert.equal(writeMsr(lapic, 0x1b, 0xfee0_0800, 0x8000_0000), false);
});

deviceContract({
  name: "lapic",
  plug: (guest) => {
    const { lapic } = plugLapic(guest);
    return {
      state: lapic.state,
      reset: () => lapic.reset(),
      sync: () => lapic.sync(),
      detach: () => {
        lapic.detach();
        guest.mmio.claims()[0]?.release();
      },
    };
  },
});
