/** How a machine ends, and with which status of bhyve(8). */
import type { RunResult } from "../../src/vmm/hypervisor.ts";
import { buildMachine, halt, scriptedHypervisor, slice, smallPc, type GuestScript, type Keys,
} from "../support/boot.ts";
import { assert, test } from "../support/harness.ts";

function endingOf(script: GuestScript, keys: Keys = {}) {
  return buildMachine({ ...smallPc, ...keys }, scriptedHypervisor(script)).run();
}

/** A guest that writes once and would go on. */
function writer(port: number, size: number, value: number): GuestScript {
  return function* write(guest) {
    guest.portWrite(port, size, value);
    for (;;) {
      yield slice;
    }
  };
}

test("sleep type 5 with sleep enable powers the machine off: 1", () => {
  assert.deepEqual(endingOf(writer(0x404, 2, 0x3400)), { status: 1 });
});

test("a reset ends the machine with 0: by 0xCF9, keyboard controller and port 0x92", () => {
  assert.deepEqual(endingOf(writer(0xcf9, 1, 6)), { status: 0 });
  assert.deepEqual(endingOf(writer(0x64, 1, 0xfe)), { status: 0 });
  assert.deepEqual(endingOf(writer(0x92, 1, 3)), { status: 0 });
});

test("a triple fault ends the machine with 3", () => {
  assert.deepEqual(endingOf(function* fault() {
    yield { reason: "tripleFault" };
  }), { status: 3 });
});

test("HLT that no interrupt can end ends the machine with 2", () => {
  assert.deepEqual(endingOf(function* stop() {
    yield { reason: "halt", interruptible: false };
  }), { status: 2 });
});

test("a back end that cannot go on ends the machine with 4 and says why", () => {
  const failure: RunResult = { reason: "failed", report: "no such instruction" };
  assert.deepEqual(endingOf(function* fail() {
    yield failure;
  }), { status: 4, report: "no such instruction" });
});

test("the exit port ends with (v << 1) | 1, and is absent unless configured", () => {
  assert.deepEqual(endingOf(writer(0xf4, 1, 0x10), { "exit.port": "on" }), { status: 0x21 });
  let seen = 0;
  endingOf(function* look(guest) {
    guest.portWrite(0xf4, 1, 0x10);
    yield slice;
    seen = guest.portRead(0xf4, 1);
    guest.portWrite(0xcf9, 1, 6);
    yield slice;
  });
  assert.equal(seen, 0xff);
});

test("x86.strictio ends the machine at a port that nobody has", () => {
  assert.deepEqual(endingOf(function* probe(guest) {
    guest.portRead(0x1234, 1);
    yield slice;
  }, { "x86.strictio": "true" }), { status: 4, report: "Unhandled inb 0x1234 at 0x0" });
});

test("the first of several endings counts, and asking again and again changes nothing", () => {
  assert.deepEqual(endingOf(function* both(guest) {
    for (let count = 0; count < 1000; count += 1) {
      guest.portWrite(0x404, 2, 0x3400);
      guest.portWrite(0xcf9, 1, 6);
    }
    yield slice;
  }), { status: 1 });
});

test("the power button reaches a guest in ACPI mode, and ends a machine that is deaf", () => {
  const { machine, run } = buildMachine(smallPc, scriptedHypervisor(function* press(guest) {
    guest.portWrite(0xb2, 1, 0xa0); // ACPI on, power button event enabled.
    guest.portWrite(0x402, 2, 0x100);
    machine.driver.ask({ kind: "powerButton", ifDeaf: 143 });
    yield slice;
    assert.equal(guest.portRead(0x400, 2) & 0x100, 0x100);
    guest.portWrite(0x404, 2, 0x3400);
    yield slice;
  }));
  assert.deepEqual(run(), { status: 1 });
  const deaf = buildMachine(smallPc, scriptedHypervisor(function* work() {
    deaf.machine.driver.ask({ kind: "powerButton", ifDeaf: 143 });
    for (;;) {
      yield halt;
    }
  }));
  assert.deepEqual(deaf.run(), { status: 143 });
});
