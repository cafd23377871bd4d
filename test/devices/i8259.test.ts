import { I8259 } from "../../src/devices/i8259.ts";
import { fakeGuest } from "../../src/devices/testing/fake-guest.ts";
import { deviceContract } from "../support/device-contract.ts";
import { assert, test } from "../support/harness.ts";

const nonSpecificEoi = 0x20;

/** A pair initialised as PC firmware does, nothing masked. */
function initialisedPair() {
  const guest = fakeGuest();
  const intr = guest.line("intr");
  const pic = new I8259(intr);
  pic.attach(guest);
  for (const [base, vector, cascade] of [[0x20, 0x30, 4], [0xa0, 0x38, 2]] as const) {
    guest.outb(base, 0x11);
    guest.outb(base + 1, vector);
    guest.outb(base + 1, cascade);
    guest.outb(base + 1, 0x01);
    guest.outb(base + 1, 0);
  }
  const pulse = (irq: number) => {
    pic.setIrq(irq, true);
    pic.setIrq(irq, false);
  };
  return { guest, pic, intr, pulse };
}

test("an edge raises INTR and is acknowledged with its vector", () => {
  const { pic, intr, pulse } = initialisedPair();
  pulse(4);
  assert.equal(intr.level, true);
  assert.equal(pic.acknowledge(), 0x34);
  assert.equal(intr.level, false);
});

test("a slave interrupt passes the cascade and needs an EOI at both chips", () => {
  const { guest, pic, intr, pulse } = initialisedPair();
  pulse(12);
  assert.equal(pic.acknowledge(), 0x3c);
  pulse(14);
  assert.equal(intr.level, false, "lower priority than 12, which is in service");
  guest.outb(0xa0, nonSpecificEoi);
  assert.equal(intr.level, false, "the master still serves its input 2");
  guest.outb(0x20, nonSpecificEoi);
  assert.equal(intr.level, true);
  assert.equal(pic.acknowledge(), 0x3e);
});

test("a higher priority interrupts the service of a lower one, not the other way", () => {
  const { guest, pic, intr, pulse } = initialisedPair();
  pulse(5);
  pic.acknowledge();
  pulse(6);
  assert.equal(intr.level, false);
  pulse(1);
  assert.equal(pic.acknowledge(), 0x31);
  guest.outb(0x20, nonSpecificEoi); // ends 1
  assert.equal(intr.level, false);
  guest.outb(0x20, nonSpecificEoi); // ends 5
  assert.equal(pic.acknowledge(), 0x36);
});

test("a level-triggered line that stays high asks again after the EOI", () => {
  const { guest, pic, intr } = initialisedPair();
  guest.outb(0x4d1, 0x02); // IRQ 9
  pic.setIrq(9, true);
  assert.equal(pic.acknowledge(), 0x39);
  assert.equal(intr.level, false);
  guest.outb(0xa0, nonSpecificEoi);
  guest.outb(0x20, nonSpecificEoi);
  assert.equal(intr.level, true);
  pic.setIrq(9, false);
  assert.equal(intr.level, false);
});

test("an edge-triggered line that stays high asks once", () => {
  const { guest, pic, intr } = initialisedPair();
  pic.setIrq(3, true);
  pic.acknowledge();
  guest.outb(0x20, nonSpecificEoi);
  assert.equal(intr.level, false);
});

test("an acknowledge without a request gives the spurious vector and serves nothing", () => {
  const { guest, pic } = initialisedPair();
  assert.equal(pic.acknowledge(), 0x37);
  guest.outb(0x20, 0x0b);
  assert.equal(guest.inb(0x20), 0, "no ISR bit for a spurious IRQ 7");
});

test("a slave request that vanishes before the acknowledge becomes a spurious IRQ 7", () => {
  const { guest, pic, intr, pulse } = initialisedPair();
  pulse(10);
  guest.outb(0xa1, 0xff);
  assert.equal(intr.level, false);
  assert.equal(pic.acknowledge(), 0x37);
  guest.outb(0x20, 0x0b);
  assert.equal(guest.inb(0x20), 0);
});

test("masked requests wait in the IRR", () => {
  const { guest, pic, intr, pulse } = initialisedPair();
  guest.outb(0x21, 0x10);
  pulse(4);
  assert.equal(intr.level, false);
  guest.outb(0x20, 0x0a);
  assert.equal(guest.inb(0x20), 0x10);
  guest.outb(0x21, 0);
  assert.equal(pic.acknowledge(), 0x34);
});

test("rotating EOI makes the ended input the lowest", () => {
  const { guest, pic, pulse } = initialisedPair();
  pulse(0);
  pic.acknowledge();
  guest.outb(0x20, 0xa0);
  pulse(0);
  pulse(7);
  assert.equal(pic.acknowledge(), 0x37);
});

test("set-priority command rotates by itself", () => {
  const { guest, pic, pulse } = initialisedPair();
  guest.outb(0x20, 0xc0 | 4); // 5 becomes the highest
  pulse(4);
  pulse(5);
  assert.equal(pic.acknowledge(), 0x35);
});

test("special mask mode lets lower priorities through while a masked one is in service", () => {
  const { guest, pic, intr, pulse } = initialisedPair();
  pulse(1);
  pic.acknowledge();
  guest.outb(0x21, 0x02);
  guest.outb(0x20, 0x68);
  pulse(6);
  assert.equal(intr.level, true);
  assert.equal(pic.acknowledge(), 0x36);
});

test("automatic EOI leaves nothing in service", () => {
  const { guest, pic, pulse } = initialisedPair();
  guest.outb(0x20, 0x11);
  guest.outb(0x21, 0x30);
  guest.outb(0x21, 4);
  guest.outb(0x21, 0x03);
  guest.outb(0x21, 0);
  pulse(3);
  assert.equal(pic.acknowledge(), 0x33);
  pulse(6);
  assert.equal(pic.acknowledge(), 0x36);
});

test("the poll command acknowledges", () => {
  const { guest, intr, pulse } = initialisedPair();
  pulse(5);
  guest.outb(0x20, 0x0c);
  assert.equal(guest.inb(0x20), 0x85);
  assert.equal(intr.level, false);
  guest.outb(0x20, 0x0c);
  assert.equal(guest.inb(0x20), 0);
});

test("Linux's probe finds the chip: the mask register keeps what was written", () => {
  const { guest } = initialisedPair();
  guest.outb(0xa1, 0xff);
  guest.outb(0x21, 0xfb);
  assert.equal(guest.inb(0x21), 0xfb);
});

test("the edge/level registers keep the timer, keyboard, RTC and FPU lines as edges", () => {
  const { guest } = initialisedPair();
  guest.outw(0x4d0, 0xffff);
  assert.equal(guest.inw(0x4d0), 0xdef8);
});

deviceContract({
  name: "i8259",
  plug: (guest) => {
    const pic = new I8259(guest.line("intr"));
    pic.attach(guest);
    return pic;
  },
  disturb: (_guest, subject, random) => {
    if (subject instanceof I8259) {
      const irq = random() & 15;
      subject.setIrq(irq, true);
      if (random() % 4 === 0) {
        subject.acknowledge();
      }
      subject.setIrq(irq, false);
    }
  },
});
