import { ClaimList, type Board } from "../../../src/fabric/board.ts";
import type { FakeGuest } from "../../../src/devices/testing/fake-guest.ts";
import {
  contractChecks, type ContractSubject,
} from "../../../src/devices/testing/contract.ts";
import { registerMap } from "../../../src/fabric/register-map.ts";
import { assert, seed, test } from "../../support/harness.ts";

/** A scratch register and what may be wrong with it. */
class Scratch implements ContractSubject {
  readonly state = { value: 0 };
  hidden = 0;
  readonly #claims = new ClaimList();
  readonly #fault: string;
  readonly #guest: FakeGuest;

  constructor(guest: FakeGuest, fault: string) {
    this.#guest = guest;
    this.#fault = fault;
    this.#attach(guest);
  }

  #attach(board: Board): void {
    this.#claims.add(board.ports, { name: "scratch", base: 0x100 }, registers, this);
  }

  write(value: number): void {
    this.state.value = value;
    this.hidden = value;
    this.sync();
    if (this.#fault === "throws" && value === 0xff) {
      throw new RangeError("value");
    }
  }

  sync(): void {
    const level = this.#fault === "hides state" ? this.hidden : this.state.value;
    this.#guest.line("irq").set((level & 1) !== 0);
  }

  reset(): void {
    if (this.#fault !== "keeps state") {
      this.state.value = 0;
    }
    this.hidden = 0;
    this.sync();
  }

  detach(): void {
    if (this.#fault !== "keeps claims") {
      this.#claims.release();
    }
    if (this.#fault !== "keeps line") {
      this.#guest.line("irq").set(false);
    }
  }
}

const registers = registerMap<Scratch>({
  size: 1,
  rows: [[0, "SCR", "rw", { field: "value", write: (scratch, value) => scratch.write(value) }]],
});

function failures(fault: string): string[] {
  const plug = (guest: FakeGuest) => new Scratch(guest, fault);
  const checks = contractChecks({ name: "scratch", plug }, seed);
  return checks.filter((check) => {
    try {
      check.run();
      return false;
    } catch {
      return true;
    }
  }).map((check) => check.name);
}

test("a device that keeps its promises passes every check", () => {
  assert.deepEqual(failures("none"), []);
});

for (const [fault, check] of [
  ["throws", "any width"], ["keeps state", "after reset"],
  ["hides state", "save, restore"], ["keeps claims", "detach"], ["keeps line", "detach"],
] as const) {
  test(`a device that ${fault} fails the check for it`, () => {
    assert.ok(failures(fault).some((name) => name.includes(check)), failures(fault).join());
  });
}
