/** What only packed rings have: descriptors that both sides write, and a wrap counter. */
import { gpa } from "../../../src/base/units.ts";
import { FakeGuest, SeededEntropy } from "../../../src/devices/testing/fake-guest.ts";
import { plugPci } from "../../../src/devices/testing/pci-slot.ts";
import type { DriverQueue } from "../../../src/devices/testing/driver-queue.ts";
import { VirtioDriver } from "../../../src/devices/testing/virtio-driver.ts";
import { virtioRnd } from "../../../src/devices/virtio/rnd.ts";
import { assert, randomSource, seed, test } from "../../support/harness.ts";

const indirect = 28;
const ringReset = 40;
const flag = { next: 1, write: 2, indirect: 4, available: 0x80, used: 0x8000 } as const;

function started(features: readonly number[] = [indirect]) {
  const guest = new FakeGuest({ memoryBytes: 4 * 1024 * 1024 });
  const { device } = plugPci<unknown, Parameters<typeof virtioRnd.create>[0]>(
    guest, virtioRnd, { transport: "modern" });
  const driver = new VirtioDriver(guest, { interface: "modern", packed: true, features });
  assert.ok(driver.start());
  return { guest, device, driver, queue: driver.queue(0) };
}

/** A descriptor with its id in the third place and flags in the fourth. */
function put(
  queue: DriverQueue, slot: number, address: number, length: number, flags: number,
): void {
  queue.describe(slot, address, length, slot, flags);
}

const needsReset = (driver: VirtioDriver) => (driver.status() & 64) !== 0;

test("chains of every length wrap around the ring's end", () => {
  const { queue } = started();
  const random = randomSource();
  for (let round = 0; round < 500; round += 1) {
    const sizes = Array.from({ length: 1 + (random() % 9) }, () => 1 + (random() % 5));
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    const ids = Array.from({ length: 1 + (random() % 6) }, () =>
      queue.add({ writable: sizes, indirect: random() % 3 === 0 }));
    queue.kick();
    const replies = queue.collect();
    assert.deepEqual([...replies.keys()], ids, `seed ${seed}, round ${round}`);
    assert.ok([...replies.values()].every(({ usedBytes }) => usedBytes === bytes));
  }
});

test("a table's NEXT flags mean nothing", () => {
  const { guest, queue } = started();
  const table = guest.allocate(32);
  for (const [index, flags] of [flag.write, flag.write | flag.next].entries()) {
    guest.memory.setU64(gpa(table + index * 16), 0x1000);
    guest.memory.setU32(gpa(table + index * 16 + 8), 3);
    guest.memory.setU16(gpa(table + index * 16 + 14), flags);
  }
  put(queue, 0, table, 32, flag.indirect | flag.available);
  queue.kick();
  assert.equal(guest.memory.u32(gpa(queue.descriptors + 8)), 6);
});

const sabotages: Readonly<Record<string, (queue: DriverQueue, guest: FakeGuest) => void>> = {
  "a chain without an end": (queue) => {
    for (let slot = 0; slot < queue.size; slot += 1) {
      put(queue, slot, 0x1000, 16, flag.write | flag.next | flag.available);
    }
  },
  "a buffer outside RAM": (queue) => put(queue, 0, 2 ** 40, 16, flag.write | flag.available),
  "an empty buffer": (queue) => put(queue, 0, 0x1000, 0, flag.write | flag.available),
  "a table of half a descriptor": (queue) =>
    put(queue, 0, 0x1000, 24, flag.indirect | flag.available),
  "a table that goes on": (queue) =>
    put(queue, 0, 0x1000, 16, flag.indirect | flag.next | flag.available),
  "a table in a table": (queue, guest) => {
    guest.memory.setU64(gpa(0x2000), 0x2000);
    guest.memory.setU32(gpa(0x2008), 16);
    guest.memory.setU16(gpa(0x200e), flag.indirect);
    put(queue, 0, 0x2000, 16, flag.indirect | flag.available);
  },
  "a table of gigabytes": (queue) =>
    put(queue, 0, 0x1000, 0xffff_fff0, flag.indirect | flag.available),
  "a readable buffer behind a writable one": (queue) => {
    put(queue, 0, 0x1000, 16, flag.write | flag.next | flag.available);
    put(queue, 1, 0x1000, 16, flag.available);
  },
};

for (const [what, sabotage] of Object.entries(sabotages)) {
  test(`${what} stops the device until a reset`, () => {
    const { guest, driver, queue } = started();
    sabotage(queue, guest);
    queue.kick();
    queue.kick();
    assert.ok(needsReset(driver));
    assert.equal(queue.collect().size, 0);
    const again = new VirtioDriver(guest, { interface: "modern", packed: true });
    assert.ok(again.start());
    assert.equal(again.queue(0).send({ writable: [7] }).usedBytes, 7);
  });
}

test("a queue that was reset starts anew, and only where that was agreed on", () => {
  for (const agreed of [true, false]) {
    const { guest, driver, queue } = started(agreed ? [ringReset] : []);
    const { address } = driver.structure(1);
    assert.equal(queue.send({ writable: [5] }).usedBytes, 5);
    queue.reset();
    assert.equal(guest.mmio.read(address + 28, 2), agreed ? 0 : 1);
    if (agreed) {
      queue.kick();
      assert.equal(queue.collect().size, 0);
      guest.memory.write(queue.descriptors, new Uint8Array(queue.size * 16));
      queue.enable();
      put(queue, 0, 0x3000, 9, flag.write | flag.available);
      queue.kick();
      assert.equal(guest.memory.u32(gpa(queue.descriptors + 8)), 9);
    }
  }
});

test("a ring of any size up to the device's works", () => {
  const { guest, driver, queue } = started([ringReset]);
  const { address } = driver.structure(1);
  queue.reset();
  guest.mmio.write(address + 24, 2, 5);
  assert.equal(guest.mmio.read(address + 24, 2), 5);
  guest.memory.write(queue.descriptors, new Uint8Array(queue.size * 16));
  queue.enable();
  for (let position = 0; position < 23; position += 1) {
    const available = Math.floor(position / 5) % 2 === 0 ? flag.available : flag.used;
    put(queue, position % 5, 0x3000, 1 + position, flag.write | available);
    queue.kick();
    assert.equal(guest.memory.u32(gpa(queue.descriptors + (position % 5) * 16 + 8)), 1 + position);
  }
});

test("garbage in packed rings neither throws nor hangs", () => {
  for (let round = 0; round < 300; round += 1) {
    const random = new SeededEntropy(seed + round);
    const { guest, device, driver, queue } = started();
    for (let kick = 0; kick < 5; kick += 1) {
      for (let slot = 0; slot < queue.size; slot += 1) {
        const flags = (random.next() & 7) | (random.next() & 3 ? flag.available : random.next());
        put(queue, slot, random.next() & 0x3f_ffff, random.next() & 0xffff, flags & 0xffff);
      }
      guest.memory.setU32(queue.available, random.next());
      queue.kick();
    }
    device.reset();
    assert.equal(driver.status(), 0, `seed ${seed + round}`);
  }
});
