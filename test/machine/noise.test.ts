/** A guest that writes anything anywhere: no access may throw, hang, or leave the machine. */
import { millisecondNs } from "../../src/base/units.ts";
import { buildMachine, scriptedHypervisor, slice, smallPc } from "../support/boot.ts";
import { assert, randomSource, seed, test } from "../support/harness.ts";

const accesses = 300_000;
const sizes = [1, 2, 4] as const;

function noisyMachine() {
  return buildMachine({
    ...smallPc, "memory.size": "4M", "exit.port": "on", "debug.console": "on",
    "pci.0.3.0.device": "virtio-blk", "pci.0.3.0.path": "/disk",
    "pci.0.4.0.device": "virtio-rnd", "pci.0.4.1.device": "virtio-rnd",
  }, scriptedHypervisor(function* nothing() {
    yield slice;
  }));
}

test(`random accesses to ports and registers never throw (seed ${seed})`, () => {
  const { machine, messages } = noisyMachine();
  const { ports, mmio, clock, driver } = machine;
  const random = randomSource();
  const pick = <T>(list: readonly T[]): T | undefined => list[random() % list.length];
  let highest = 0;
  for (let count = 0; count < accesses; count += 1) {
    const isPort = random() % 3 !== 0;
    const space = isPort ? ports : mmio;
    const size = pick(sizes) ?? 1;
    const claim = pick(space.claims());
    const anywhere = isPort ? random() & 0xffff : random();
    // The first bytes of a claim are registers more often than the rest is.
    const offset = (random() & 1) === 0 ? random() % 64 : random();
    const address = claim === undefined || random() % 16 === 0 ? anywhere
      : claim.base + offset % claim.size;
    if ((random() & 1) === 0) {
      const value = space.read(address, size);
      highest = Math.max(highest, value);
      assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** (size * 8),
        `0x${address.toString(16)} gives ${value} for ${size} bytes`);
    } else {
      space.write(address, size, random() & (2 ** (size * 8) - 1) >>> 0);
    }
    if (count % 64 === 0) {
      clock.timers.runDue(clock.nowNs() + (random() % 100) * millisecondNs);
    }
    if (count % 5000 === 0) {
      driver.serve();
      machine.reset();
    }
  }
  assert.equal(highest, 0xffff_ffff);
  assert.ok(messages.length < 20_000, `the guest filled the log with ${messages.length} lines`);
  machine.destroy();
  assert.deepEqual(ports.claims(), []);
  assert.deepEqual(mmio.claims(), []);
});
