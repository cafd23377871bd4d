/**
 * What every device model promises, as checks that any test runner can register. The checks see a
 * device through `ContractSubject` only, so that board chips and PCI functions share them.
 */
import { assert } from "../../base/assert.ts";
import { onesOf } from "../../base/bits.ts";
import { millisecondNs } from "../../base/units.ts";
import type { AddressSpace } from "../../fabric/address-space.ts";
import type { DeviceState } from "../../fabric/device.ts";
import { assignState, copyState, describeState } from "../../fabric/state.ts";
import { FakeGuest, SeededEntropy } from "./fake-guest.ts";

/** A device as the contract sees it. */
export interface ContractSubject {
  readonly state: DeviceState;
  reset(): void;
  /** Sets lines and timers from `state`, after a snapshot was loaded into it. */
  sync?(): void;
  detach(): void;
}

export interface ContractDescription {
  readonly name: string;
  /** Makes the device and plugs it into the guest's spaces; called for each check anew. */
  plug(guest: FakeGuest): ContractSubject;
  /** One more kind of random misuse (rings, configuration space); between register accesses. */
  disturb?(guest: FakeGuest, subject: ContractSubject, random: () => number): void;
  /** Register accesses of a garbage run; 4,000 when absent. */
  readonly steps?: number;
}

export interface ContractCheck {
  readonly name: string;
  run(): void;
}

/** A claim of megabytes is probed at its start, its end and at random. */
const offsetsMax = 0x2000;
const widths = [1, 2, 4];

interface Plugged {
  readonly guest: FakeGuest;
  readonly subject: ContractSubject;
}

function plugAt(description: ContractDescription, nowNs: number, seed: number): Plugged {
  const guest = new FakeGuest({ seed });
  guest.clock.advance(nowNs);
  return { guest, subject: description.plug(guest) };
}

/** Levels of all lines, and the next timer: what a device shows besides its state. */
function outputs(guest: FakeGuest): string {
  const high = [...guest.lines].filter(([, line]) => line.level).map(([name]) => `${name} high`);
  return [...high.sort(), `next timer ${guest.clock.timers.nextDeadlineNs()}`].join("\n");
}

function same(actual: string, expected: string, what: string): void {
  if (actual !== expected) {
    const theirs = expected.split("\n");
    const at = actual.split("\n").findIndex((line, index) => line !== theirs[index]);
    const show = (text: string) => text.split("\n").slice(Math.max(0, at - 6), at + 2).join("\n");
    assert(false, `${what}; it is\n${show(actual)}\nand should be\n${show(expected)}`);
  }
}

function accessRandomly(space: AddressSpace, random: () => number): void {
  const claims = space.claims();
  const claim = claims[random() % Math.max(1, claims.length)];
  if (claim === undefined) {
    return;
  }
  const size = widths[random() % widths.length] ?? 1;
  const near = random() % 4 === 0 ? claim.size : Math.min(claim.size, 0x40);
  const address = claim.base + (random() % near);
  if (random() % 3 === 0) {
    const value = space.read(address, size);
    assert(value >= 0 && value <= onesOf(size) && Number.isInteger(value),
      `a read of ${claim.name} gives an unsigned number of its size, not ${value}`);
  } else {
    const value = random() % 3 === 0 ? random() & 0xff : random();
    space.write(address, size, (value & onesOf(size)) >>> 0);
  }
}

/** Misuses the device for a while, the same way for the same seed. */
function harass(description: ContractDescription, plugged: Plugged, seed: number): void {
  const entropy = new SeededEntropy(seed);
  const random = () => entropy.next();
  const { guest, subject } = plugged;
  const steps = description.steps ?? 4000;
  for (let step = 0; step < steps; step += 1) {
    accessRandomly(random() % 2 === 0 ? guest.ports : guest.mmio, random);
    if (random() % 16 === 0) {
      guest.clock.advance(random() % (random() % 8 === 0 ? 20 * millisecondNs : 10_000));
    }
    description.disturb?.(guest, subject, random);
  }
}

function probeEverywhere(space: AddressSpace): void {
  const claims = space.claims().slice(); // Writes may move claims (PCI BARs).
  for (const claim of claims) {
    const probed = Math.min(claim.size, offsetsMax);
    for (let index = 0; index < probed; index += 1) {
      const offset = index < probed / 2 ? index : claim.size - probed + index;
      for (const size of widths) {
        const value = space.read(claim.base + offset, size);
        assert(value >= 0 && value <= onesOf(size), `a read at ${claim.name}+${offset} fits`);
        for (const pattern of [0, 0xffff_ffff, 0x5555_aaaa]) {
          space.write(claim.base + offset, size, (pattern & onesOf(size)) >>> 0);
        }
      }
    }
  }
}

function checkReset(description: ContractDescription, seed: number): void {
  const used = plugAt(description, 0, seed);
  harass(description, used, seed);
  used.subject.reset();
  const fresh = plugAt(description, used.guest.clock.nowNs(), seed);
  same(describeState(used.subject.state), describeState(fresh.subject.state),
    "after reset the state equals that of a new device");
  same(outputs(used.guest), outputs(fresh.guest), "after reset lines and timers are as new");
}

function checkRestore(description: ContractDescription, seed: number): void {
  const used = plugAt(description, 0, seed);
  harass(description, used, seed);
  const saved = copyState(used.subject.state);
  const restored = plugAt(description, used.guest.clock.nowNs(), seed);
  assignState(restored.subject.state, saved);
  restored.subject.sync?.();
  same(describeState(restored.subject.state), describeState(saved),
    "save, restore, save gives the same");
  // Both go on from here side by side: what was not in the state would now show.
  same(outputs(restored.guest), outputs(used.guest), "restored lines and timers are the same");
  used.guest.clock.advance(50 * millisecondNs);
  restored.guest.clock.advance(50 * millisecondNs);
  same(describeState(restored.subject.state), describeState(used.subject.state),
    "a restored device goes on like the one it was copied from");
}

function checkDetach(description: ContractDescription, seed: number): void {
  const plugged = plugAt(description, 0, seed);
  harass(description, plugged, seed);
  const { guest } = plugged;
  plugged.subject.detach();
  const claims = [...guest.ports.claims(), ...guest.mmio.claims()].map((claim) => claim.name);
  same(claims.join("\n"), "", "detach releases all claims");
  const high = [...guest.lines].filter(([, line]) => line.level).map(([name]) => name);
  same(high.join("\n"), "", "detach leaves every line low");
  assert(guest.clock.timers.nextDeadlineNs() === Infinity, "detach leaves no timer armed");
}

/** The checks of the contract; `seed` steers the random ones. */
export function contractChecks(description: ContractDescription, seed: number): ContractCheck[] {
  const seeded = (run: (seed: number) => void) => () => {
    for (let round = 0; round < 4; round += 1) {
      try {
        run(seed + round);
      } catch (error) {
        throw new Error(`${description.name}, seed ${seed + round}: ${String(error)}`,
          { cause: error });
      }
    }
  };
  const { name } = description;
  return [
    {
      name: `${name}: any width at any offset neither throws nor hangs`,
      run: () => {
        const { guest } = plugAt(description, 0, seed);
        probeEverywhere(guest.ports);
        probeEverywhere(guest.mmio);
        guest.clock.advance(millisecondNs);
      },
    },
    { name: `${name}: after reset it equals a new one`,
      run: seeded((each) => checkReset(description, each)) },
    { name: `${name}: save, restore, save gives the same`,
      run: seeded((each) => checkRestore(description, each)) },
    { name: `${name}: detach leaves nothing behind`,
      run: seeded((each) => checkDetach(description, each)) },
  ];
}
