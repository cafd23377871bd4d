/** Time slices, timers and sleep. */
import { millisecondNs } from "../../src/base/units.ts";
import { buildMachine, halt, scriptedHypervisor, slice, smallPc, type ScriptedGuest,
} from "../support/boot.ts";
import { assert, test } from "../support/harness.ts";

/** 8259 pair with vectors from 0x30 on, all inputs but `irq` masked. */
function setUpPic(guest: ScriptedGuest, irq: number): void {
  for (const [port, value] of [
    [0x20, 0x11], [0x21, 0x30], [0x21, 4], [0x21, 1], [0x21, 0xff & ~(1 << irq)],
  ] as const) {
    guest.portWrite(port, 1, value);
  }
}

function setPitRate(guest: ScriptedGuest, divisor: number): void {
  guest.portWrite(0x43, 1, 0x34);
  guest.portWrite(0x40, 1, divisor & 0xff);
  guest.portWrite(0x40, 1, divisor >>> 8);
}

test("a halted guest sleeps until the 8254 interrupts, on time and without spinning", () => {
  const ticks = 20;
  const wokenNs: number[] = [];
  let startNs = 0;
  const { machine, loop, run } = buildMachine(smallPc, scriptedHypervisor(function* idle(guest) {
    setUpPic(guest, 0);
    setPitRate(guest, 11_932); // 100 Hz
    startNs = machine.clock.nowNs();
    for (let tick = 0; tick < ticks; tick += 1) {
      do {
        yield halt;
      } while (guest.acknowledge() !== 0x30);
      wokenNs.push(machine.clock.nowNs());
      guest.portWrite(0x20, 1, 0x20);
    }
    guest.portWrite(0x404, 2, 0x3400);
    yield slice;
  }));
  assert.equal(run().status, 1);
  assert.equal(wokenNs.length, ticks);
  assert.ok(loop.sleptMs > 0, "it slept");
  // A busy host makes interrupts late; but for one that was pending, none may come early.
  for (const [index, ns] of wokenNs.entries()) {
    assert.ok(ns >= startNs + index * 10 * millisecondNs - millisecondNs, `${index}: ${ns}`);
  }
});

test("a timer armed within a slice cuts it short", () => {
  let kicks = 0;
  buildMachine(smallPc, scriptedHypervisor(function* arm(guest) {
    yield slice;
    const before = guest.kicks;
    setPitRate(guest, 100); // 84 microseconds
    kicks = guest.kicks - before;
    guest.portWrite(0x404, 2, 0x3400);
    yield slice;
  })).run();
  assert.ok(kicks > 0);
});

test("another thread's wake-up ends the sleep", () => {
  const { machine, wake, run } = buildMachine(smallPc, scriptedHypervisor(function* nap() {
    yield halt;
  }));
  const word = wake.shared;
  const started = performance.now();
  // The wake-up that comes before the sleep is the hard case: it must not be slept through.
  machine.clock.timer(() => {
    machine.driver.powerOff();
    new Int32Array(word)[0] = 1;
  }).arm(machine.clock.nowNs() + 5 * millisecondNs);
  assert.equal(run().status, 1);
  assert.ok(performance.now() - started < 500);
});

test("serial output reaches the line, and typed bytes raise the receive interrupt", () => {
  const { line, run } = buildMachine(smallPc, scriptedHypervisor(function* talk(guest) {
    setUpPic(guest, 4);
    guest.portWrite(0x3fc, 1, 0x08); // OUT2 lets the interrupt through.
    guest.portWrite(0x3f9, 1, 0x01);
    for (const byte of Buffer.from("login: ")) {
      guest.portWrite(0x3f8, 1, byte);
    }
    do {
      yield halt;
    } while (guest.acknowledge() !== 0x34);
    while ((guest.portRead(0x3fd, 1) & 1) !== 0) {
      guest.portWrite(0x3f8, 1, guest.portRead(0x3f8, 1));
    }
    guest.portWrite(0x404, 2, 0x3400);
    yield slice;
  }));
  line.onOutput = (each) => {
    if (each.output.endsWith("login: ")) {
      each.type("root");
    }
  };
  assert.equal(run().status, 1);
  assert.equal(line.output, "login: root");
  assert.ok(line.closed);
});
