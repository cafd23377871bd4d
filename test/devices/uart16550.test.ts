import { Uart16550 } from "../../src/devices/uart16550.ts";
import { fakeGuest, type FakeGuest } from "../../src/devices/testing/fake-guest.ts";
import type { CharBackend } from "../../src/fabric/device.ts";
import { millisecondNs } from "../../src/base/units.ts";
import { deviceContract } from "../support/device-contract.ts";
import { assert, test } from "../support/harness.ts";

const base = 0x3f8;
const at = {
  data: base, ier: base + 1, iir: base + 2, fcr: base + 2, lcr: base + 3, mcr: base + 4,
  lsr: base + 5, msr: base + 6, scr: base + 7,
} as const;
const out2 = 8;
/** After a driver has set the receiver up, nothing arrives for this long. */
const settleNs = 10 * millisecondNs;

/** The host side: collects output, gives what the test typed. */
class FakeTerminal implements CharBackend {
  readonly output: number[] = [];
  readonly #input: number[] = [];
  #listener = () => {};
  accepts = () => true;

  put(byte: number): boolean {
    if (this.accepts()) {
      this.output.push(byte);
      return true;
    }
    return false;
  }

  get(): number {
    return this.#input.shift() ?? -1;
  }

  onReadable(listener: () => void): void {
    this.#listener = listener;
  }

  type(...bytes: number[]): void {
    this.#input.push(...bytes);
    this.#listener();
  }

  /** Forgets what the port had no room for. */
  drop(): void {
    this.#input.length = 0;
  }

  close(): void {}
}

function plugUart(guest: FakeGuest) {
  const terminal = new FakeTerminal();
  const irq = guest.line("irq4");
  const env = { clock: guest.clock, irq, backend: terminal };
  const uart = new Uart16550({ name: "COM1", base }, env);
  uart.attach(guest);
  return { guest, terminal, irq, uart };
}

/** A port with its FIFO on (trigger at 8) and the interrupt wired, as drivers set it up. */
function openUart(interrupts: number) {
  const plugged = plugUart(fakeGuest());
  const { guest } = plugged;
  guest.outb(at.lcr, 0x83);
  guest.outb(at.data, 1);
  guest.outb(at.ier, 0);
  guest.outb(at.lcr, 0x03);
  guest.outb(at.fcr, 0x81);
  guest.outb(at.mcr, out2 | 3);
  guest.outb(at.ier, interrupts);
  guest.clock.advance(settleNs);
  return plugged;
}

test("Linux's autoconfiguration takes it for a 16550A", () => {
  const { guest } = plugUart(fakeGuest());
  // autoconfig(): the IER keeps four bits and no more.
  guest.outb(at.ier, 0);
  assert.equal(guest.inb(at.ier) & 0x0f, 0);
  guest.outb(at.ier, 0x0f);
  assert.equal(guest.inb(at.ier), 0x0f);
  guest.outb(at.ier, 0);
  // The loop-back test: RTS and OUT2 come back as CTS and DCD.
  guest.outb(at.mcr, 0x10 | 0x0a);
  assert.equal(guest.inb(at.msr) & 0xf0, 0x90);
  guest.outb(at.mcr, 0);
  // FIFO detection, and no extended registers behind LCR = 0xBF.
  guest.outb(at.lcr, 0xbf);
  assert.notEqual(guest.inb(at.fcr), undefined);
  guest.outb(at.fcr, 0);
  guest.outb(at.lcr, 0);
  guest.outb(at.fcr, 1);
  assert.equal(guest.inb(at.iir) >>> 6, 3);
  // autoconfig_16550a(): 64-byte FIFO (TI 16750) is absent, and so is the XScale UUE bit.
  guest.outb(at.fcr, 0x21);
  assert.equal(guest.inb(at.iir) & 0x20, 0);
  guest.outb(at.ier, 0x40);
  assert.equal(guest.inb(at.ier) & 0x40, 0);
  for (const value of [0xaa, 0x55]) {
    guest.outb(at.scr, value);
    assert.equal(guest.inb(at.scr), value);
  }
});

test("output reaches the host in order, and the transmitter is empty again at once", () => {
  const { guest, terminal } = openUart(0);
  for (const byte of [0x48, 0x69]) {
    assert.equal(guest.inb(at.lsr) & 0x60, 0x60);
    guest.outb(at.data, byte);
  }
  assert.deepEqual(terminal.output, [0x48, 0x69]);
});

test("enabling the transmitter interrupt raises it; reading IIR takes it back", () => {
  const { guest, irq } = openUart(0);
  guest.outb(at.ier, 2);
  assert.equal(irq.level, true);
  assert.equal(guest.inb(at.iir), 0xc2);
  assert.equal(irq.level, false);
  assert.equal(guest.inb(at.iir), 0xc1);
  guest.outb(at.data, 0x41);
  assert.equal(irq.level, true);
});

test("Linux's test for a lost transmitter interrupt passes", () => {
  // serial8250_do_startup(): IER off and on again must raise it twice.
  const { guest } = openUart(0);
  guest.outb(at.ier, 2);
  const first = guest.inb(at.iir);
  guest.outb(at.ier, 0);
  guest.outb(at.ier, 2);
  const second = guest.inb(at.iir);
  assert.equal(first & 0x0f, 2);
  assert.equal(second & 0x0f, 2);
});

test("without OUT2 no interrupt leaves the board", () => {
  const { guest, irq } = openUart(2);
  assert.equal(irq.level, true);
  guest.outb(at.mcr, 3);
  assert.equal(irq.level, false);
});

test("at its trigger level the FIFO interrupts, and stops below it", () => {
  const { guest, terminal, irq } = openUart(1);
  terminal.type(1, 2, 3, 4, 5, 6, 7);
  assert.equal(irq.level, false);
  terminal.type(8);
  assert.equal(guest.inb(at.iir), 0xc4);
  assert.equal(guest.inb(at.data), 1);
  assert.equal(irq.level, false);
});

test("fewer bytes than the trigger level are reported after four characters' time", () => {
  const { guest, terminal, irq } = openUart(1);
  terminal.type(0x61);
  assert.equal(irq.level, false);
  guest.clock.advance(millisecondNs);
  assert.equal(irq.level, true);
  assert.equal(guest.inb(at.iir), 0xcc);
  assert.equal(guest.inb(at.lsr) & 1, 1);
  assert.equal(guest.inb(at.data), 0x61);
  assert.equal(irq.level, false);
  assert.equal(guest.inb(at.lsr) & 1, 0);
});

test("a paste larger than the FIFO arrives whole: the rest waits at the host", () => {
  const { guest, terminal } = openUart(1);
  const text = Array.from({ length: 200 }, (_, index) => index & 0xff);
  terminal.type(...text);
  const got: number[] = [];
  while ((guest.inb(at.lsr) & 1) !== 0) {
    got.push(guest.inb(at.data));
  }
  assert.deepEqual(got, text);
  assert.equal(guest.inb(at.lsr) & 2, 0, "no overrun");
});

test("without FIFO one byte is held and interrupts at once", () => {
  const { guest, terminal, irq } = openUart(1);
  guest.outb(at.fcr, 0);
  guest.clock.advance(settleNs);
  terminal.type(0x61, 0x62);
  assert.equal(irq.level, true);
  assert.equal(guest.inb(at.iir), 0x04);
  assert.equal(guest.inb(at.data), 0x61);
  assert.equal(guest.inb(at.data), 0x62);
});

test("a host that cannot take a byte is asked again; the guest sees a busy transmitter", () => {
  const { guest, terminal, irq } = openUart(2);
  guest.inb(at.iir);
  let busy = true;
  terminal.accepts = () => !busy;
  guest.outb(at.data, 0x41);
  guest.outb(at.data, 0x42);
  assert.equal(guest.inb(at.lsr) & 0x60, 0);
  assert.equal(irq.level, false);
  busy = false;
  guest.clock.advance(2 * millisecondNs);
  assert.deepEqual(terminal.output, [0x41, 0x42]);
  assert.equal(guest.inb(at.lsr) & 0x60, 0x60);
  assert.equal(irq.level, true);
});

test("looped back, bytes come back and nothing leaves; too many are an overrun", () => {
  const { guest, terminal } = openUart(0);
  guest.outb(at.mcr, 0x1b);
  for (let byte = 0; byte < 17; byte += 1) {
    guest.outb(at.data, byte);
  }
  assert.equal(guest.inb(at.lsr) & 0x03, 0x03);
  assert.equal(guest.inb(at.lsr) & 0x02, 0, "reading clears the error");
  for (let byte = 0; byte < 16; byte += 1) {
    assert.equal(guest.inb(at.data), byte);
  }
  assert.deepEqual(terminal.output, []);
});

test("line errors come before data, data before the transmitter, modem changes last", () => {
  const { guest, terminal } = openUart(0x0f);
  guest.outb(at.mcr, 0x1b); // loop: RTS and DTR on, so CTS and DSR stay, DCD stays, RI stays
  guest.outb(at.mcr, 0x19); // RTS off: delta CTS
  for (let byte = 0; byte < 17; byte += 1) {
    guest.outb(at.data, byte);
  }
  assert.equal(guest.inb(at.iir) & 0x0f, 6);
  guest.inb(at.lsr);
  assert.equal(guest.inb(at.iir) & 0x0f, 4);
  guest.outb(at.fcr, 0x83);
  assert.equal(guest.inb(at.iir) & 0x0f, 2);
  assert.equal(guest.inb(at.iir) & 0x0f, 0);
  assert.equal(guest.inb(at.msr) & 0x0f, 1);
  assert.equal(guest.inb(at.iir) & 0x0f, 1);
  assert.deepEqual(terminal.output, []);
});

test("a break is seen when looped back", () => {
  const { guest } = openUart(0);
  guest.outb(at.mcr, 0x10);
  guest.outb(at.lcr, 0x43);
  assert.equal(guest.inb(at.lsr) & 0x11, 0x11);
  assert.equal(guest.inb(at.data), 0);
});

test("the divisor hides behind its latch bit", () => {
  const { guest, terminal } = openUart(0);
  guest.outb(at.lcr, 0x83);
  guest.outw(at.data, 0x0102);
  assert.equal(guest.inw(at.data), 0x0102);
  guest.outb(at.lcr, 0x03);
  assert.equal(guest.inb(at.ier), 0);
  assert.deepEqual(terminal.output, []);
});

/** A port whose input came before the machine. */
function typedAhead(...bytes: number[]) {
  const guest = fakeGuest();
  const terminal = new FakeTerminal();
  terminal.type(...bytes);
  const uart = new Uart16550({ name: "COM1", base },
    { clock: guest.clock, irq: guest.line("irq4"), backend: terminal });
  uart.attach(guest);
  return { guest, terminal };
}

/** Sends a text as drivers do before they have interrupts. */
function print(guest: FakeGuest, text: string): void {
  for (const character of text) {
    guest.inb(at.lsr);
    guest.outb(at.data, character.charCodeAt(0));
  }
  guest.inb(at.lsr);
}

test("a guest that polls finds what was typed before the machine was there", () => {
  const { guest } = typedAhead(0x78, 0x79);
  const read: number[] = [];
  for (let look = 0; look < 40; look += 1) {
    if ((guest.inb(at.lsr) & 1) !== 0) {
      read.push(guest.inb(at.data));
    }
  }
  assert.deepEqual(read, [0x78, 0x79]);
});

test("input that came early survives a driver that prints, probes, clears and then opens", () => {
  const early = Array.from({ length: 20 }, (_, index) => 0x61 + index);
  const { guest, terminal } = typedAhead(...early);
  for (let line = 0; line < 50; line += 1) {
    const enabled = guest.inb(at.ier);
    guest.outb(at.ier, 0);
    print(guest, "a line of the kernel's log\n");
    guest.outb(at.ier, enabled);
  }
  guest.outb(at.fcr, 0x01); // Linux, serial8250_startup: clear everything, twice, then open.
  guest.outb(at.fcr, 0x07);
  guest.outb(at.fcr, 0x00);
  for (let again = 0; again < 2; again += 1) {
    for (const register of [at.lsr, at.data, at.iir, at.msr]) {
      guest.inb(register);
    }
  }
  terminal.type(0x7a);
  guest.outb(at.ier, 0x05);
  guest.clock.advance(settleNs / 2);
  guest.outb(at.fcr, 0x01); // serial8250_do_set_termios: only now the FIFO.
  guest.outb(at.fcr, 0x81);
  guest.clock.advance(settleNs);
  const read: number[] = [];
  while ((guest.inb(at.lsr) & 1) !== 0) {
    read.push(guest.inb(at.data));
  }
  assert.deepEqual(read, [...early, 0x7a]);
});

test("a host that is slow makes a printing guest look again; that is no wish for input", () => {
  const { guest, terminal } = typedAhead(0x78);
  terminal.accepts = () => false;
  guest.outb(at.data, 0x21);
  for (let look = 0; look < 100; look += 1) {
    assert.equal(guest.inb(at.lsr) & 1, 0);
  }
});

let contractTerminal = new FakeTerminal();
deviceContract({
  name: "uart16550",
  plug: (guest) => {
    const { uart, terminal } = plugUart(guest);
    // Busy by the clock, so that two ports at the same time meet the same host.
    terminal.accepts = () => Math.floor(guest.clock.nowNs() / (3 * millisecondNs)) % 2 === 0;
    contractTerminal = terminal;
    return uart;
  },
  disturb: (_guest, _uart, random) => {
    if (random() % 8 === 0) {
      contractTerminal.type(random() & 0xff, random() & 0xff);
      contractTerminal.drop();
    }
  },
});
