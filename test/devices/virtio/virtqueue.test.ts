import { FakeGuest, SeededEntropy } from "../../../src/devices/testing/fake-guest.ts";
import { plugPci } from "../../../src/devices/testing/pci-slot.ts";
import { VirtioDriver, type DriverOptions } from "../../../src/devices/testing/virtio-driver.ts";
import { virtioRnd } from "../../../src/devices/virtio/rnd.ts";
import { assignState, copyState } from "../../../src/fabric/state.ts";
import { gpa } from "../../../src/base/units.ts";
import { assert, seed, test } from "../../support/harness.ts";

// The entropy source is the simplest device, so it stands for all of them here.
const indirect = 28;
const eventIndex = 29;
const layouts: Readonly<Record<string, DriverOptions>> = {
  legacy: { interface: "legacy" }, modern: { interface: "modern" },
  packed: { interface: "modern", packed: true },
};

function plug(guest: FakeGuest) {
  return plugPci<unknown, Parameters<typeof virtioRnd.create>[0]>(
    guest, virtioRnd, { transport: "transitional" });
}

function started(options: DriverOptions) {
  const guest = new FakeGuest({ memoryBytes: 4 * 1024 * 1024 });
  const { host, device } = plug(guest);
  const driver = new VirtioDriver(guest, options);
  assert.ok(driver.start());
  return { guest, host, device, driver, queue: driver.queue(0) };
}

const needsReset = (driver: VirtioDriver) => (driver.status() & 64) !== 0;

for (const [each, layout] of Object.entries(layouts)) {
  test(`${each}: a chain comes back with what was written to it`, () => {
    const { queue } = started(layout);
    const reply = queue.send({ writable: [3, 5] });
    assert.equal(reply.usedBytes, 8);
    assert.deepEqual(reply.written.map((bytes) => bytes.length), [3, 5]);
    assert.ok(reply.written.some((bytes) => bytes.some((byte) => byte !== 0)));
  });

  test(`${each}: indirect chains work when they were agreed on`, () => {
    const { queue } = started({ ...layout, features: [indirect] });
    assert.equal(queue.send({ writable: [1, 2, 3], indirect: true }).usedBytes, 6);
  });

  test(`${each}: indirect chains break the queue when they were not`, () => {
    const { driver, queue } = started(layout);
    queue.add({ writable: [4], indirect: true });
    queue.kick();
    assert.ok(needsReset(driver));
    assert.equal(queue.collect().size, 0);
  });

  test(`${each}: indexes wrap around the ring and around 2^16`, () => {
    const { queue } = started({ ...layout, features: [eventIndex] });
    for (let count = 0; count < 66_000; count += 100) {
      const heads = Array.from({ length: 60 }, () => queue.add({ writable: [1] }));
      queue.kick();
      assert.equal(queue.collect().size, heads.length);
    }
  });
}

for (const packed of [false, true]) {
  const name = packed ? "packed" : "split";
  const options: DriverOptions = { interface: "modern", packed, msix: true };

  test(`${name}: a batch of chains is answered with one interrupt`, () => {
    const { guest, queue } = started(options);
    for (let count = 0; count < 20; count += 1) {
      queue.add({ writable: [4] });
    }
    queue.kick();
    assert.equal(queue.collect().size, 20);
    assert.deepEqual(guest.msi.messages, [{ address: 0xfee0_0000, data: 0x41 }]);
  });

  test(`${name}: a driver that wants no interrupts gets none`, () => {
    const { guest, queue } = started(options);
    queue.suppressInterrupts(true);
    queue.send({ writable: [4] });
    assert.equal(guest.msi.messages.length, 0);
    queue.suppressInterrupts(false);
    queue.send({ writable: [4] });
    assert.equal(guest.msi.messages.length, 1);
  });

  test(`${name}: EVENT_IDX: the interrupt comes when the position asked for is passed`, () => {
    const { guest, queue } = started({ ...options, features: [eventIndex] });
    // Often enough to go round the ring: positions before and behind its end.
    for (let round = 0; round < 100; round += 1) {
      const before = guest.msi.messages.length;
      queue.ring.interruptAfter(2);
      for (const expected of [0, 0, 1]) {
        queue.add({ writable: [4] });
        queue.kick();
        assert.equal(guest.msi.messages.length - before, expected, `round ${round}`);
      }
      assert.equal(queue.collect().size, 3);
    }
  });

  test(`${name}: EVENT_IDX: the device asks to hear of the next chain`, () => {
    const { queue } = started({ ...options, features: [eventIndex] });
    const wrap = packed ? 0x8000 : 0;
    assert.equal(queue.availableEvent, 0);
    queue.send({ writable: [4] });
    assert.equal(queue.availableEvent, 1 | wrap);
    queue.add({ writable: [4] });
    queue.add({ writable: [4] });
    queue.kick();
    assert.equal(queue.availableEvent, 3 | wrap);
  });
}

test("a doorbell without chains does nothing", () => {
  const { guest, driver, queue } = started({ interface: "modern", msix: true });
  queue.kick();
  assert.equal(guest.msi.messages.length, 0);
  assert.ok(!needsReset(driver));
});

type Sabotage = (queue: VirtioDriver["queues"][number], guest: FakeGuest) => void;
const sabotages: { readonly [what: string]: Sabotage } = {
  "a chain that leads back to itself": (queue) => {
    queue.describe(0, 0x1000, 16, 3, 1);
    queue.describe(1, 0x1000, 16, 3, 0);
    queue.offer(0);
  },
  "a head beyond the table": (queue) => queue.offer(64),
  "a link beyond the table": (queue) => {
    queue.describe(0, 0x1000, 16, 3, 64);
    queue.offer(0);
  },
  "a buffer outside RAM": (queue) => {
    queue.describe(0, 4 * 1024 * 1024 - 8, 16, 2, 0);
    queue.offer(0);
  },
  "a buffer that wraps around the address space": (queue) => {
    queue.describe(0, 0xffff_ffff_0000, 0xffff_ffff, 2, 0);
    queue.offer(0);
  },
  "an empty buffer": (queue) => {
    queue.describe(0, 0x1000, 0, 2, 0);
    queue.offer(0);
  },
  "a readable buffer behind a writable one": (queue) => {
    queue.describe(0, 0x1000, 16, 3, 1);
    queue.describe(1, 0x1000, 16, 0, 0);
    queue.offer(0);
  },
  "an available index that runs ahead": (queue, guest) => {
    queue.describe(0, 0x1000, 16, 2, 0);
    guest.memory.setU16(gpa(queue.available + 2), 65);
  },
  "an indirect table of half a descriptor": (queue) => {
    queue.describe(0, 0x1000, 24, 4, 0);
    queue.offer(0);
  },
  "an indirect table in an indirect table": (queue, guest) => {
    guest.memory.setU32(gpa(0x2008), 16);
    guest.memory.setU32(gpa(0x2000), 0x2000);
    guest.memory.setU16(gpa(0x200c), 4);
    queue.describe(0, 0x2000, 16, 4, 0);
    queue.offer(0);
  },
  "an indirect table that goes on": (queue) => {
    queue.describe(0, 0x2000, 16, 5, 1);
    queue.offer(0);
  },
  "an indirect chain longer than the queue": (queue, guest) => {
    const table = guest.allocate(65 * 16);
    for (let index = 0; index < 65; index += 1) {
      guest.memory.setU32(gpa(table + index * 16), 0x1000);
      guest.memory.setU32(gpa(table + index * 16 + 8), 1);
      guest.memory.setU16(gpa(table + index * 16 + 12), 3);
      guest.memory.setU16(gpa(table + index * 16 + 14), index + 1);
    }
    queue.describe(0, table, 65 * 16, 4, 0);
    queue.offer(0);
  },
};

for (const [what, sabotage] of Object.entries(sabotages)) {
  test(`${what} stops the device until a reset, and the driver hears of it`, () => {
    const { guest, driver, queue } = started({
      interface: "modern", features: [indirect], msix: true,
    });
    sabotage(queue, guest);
    queue.kick();
    queue.kick();
    assert.ok(needsReset(driver));
    assert.equal(queue.collect().size, 0);
    assert.deepEqual(guest.msi.messages.map(({ data }) => data), [0x40]);
    const again = new VirtioDriver(guest, { interface: "modern" });
    assert.ok(again.start());
    assert.equal(again.queue(0).send({ writable: [7] }).usedBytes, 7);
  });
}

test("chains before a broken one are still answered", () => {
  const { queue } = started({ interface: "legacy" });
  const head = queue.add({ writable: [4] });
  queue.offer(64);
  queue.kick();
  assert.deepEqual([...queue.collect().keys()], [head]);
});

test("rings outside RAM break the queue, not the machine", () => {
  const { guest, driver } = started({ interface: "legacy" });
  guest.outl(driver.ioBase + 8, 0xffff_ffff);
  guest.outw(driver.ioBase + 16, 0);
  assert.ok(needsReset(driver));
});

test("garbage in rings neither throws nor hangs", () => {
  for (let round = 0; round < 300; round += 1) {
    const random = new SeededEntropy(seed + round);
    const { guest, device, driver, queue } = started({
      interface: round % 2 === 0 ? "legacy" : "modern", features: [indirect, eventIndex],
    });
    const noise = new Uint8Array(64 * 16 + 6 + 128);
    for (let kick = 0; kick < 5; kick += 1) {
      random.fill(noise);
      // Small addresses and lengths let some chains pass the first checks.
      for (let index = 0; index < 64; index += 1) {
        noise.fill(0, index * 16 + 2, index * 16 + 8);
        noise.fill(0, index * 16 + 9 + (random.next() & 1), index * 16 + 12);
        noise.fill(random.next() & 7, index * 16 + 12, index * 16 + 13);
        noise.fill(random.next() & 63, index * 16 + 14, index * 16 + 15);
        noise[index * 16 + 15] = 0;
      }
      guest.memory.write(queue.descriptors, noise.subarray(0, 64 * 16));
      for (let index = 0; index < 64; index += 1) {
        guest.memory.setU16(gpa(queue.available + 4 + index * 2), random.next() & 63);
      }
      guest.memory.setU16(gpa(queue.available + 2), random.next() & 63);
      queue.kick();
    }
    device.reset();
    assert.equal(driver.status(), 0, `seed ${seed + round}`);
  }
});

for (const [each, layout] of Object.entries(layouts)) {
  test(`${each}: another device goes on where the first was, given its state`, () => {
    const { guest, device, host, queue } = started({
      ...layout, features: [eventIndex, indirect], msix: true,
    });
    queue.send({ writable: [4] });
    const saved = copyState(device.state);
    device.detach();
    host.detach();
    const next = plug(guest);
    assignState(next.device.state, saved);
    next.device.sync();
    assert.equal(queue.send({ writable: [9], indirect: true }).usedBytes, 9);
    assert.equal(guest.msi.messages.length, 2);
  });
}

test("a smaller ring may be chosen, but no odd one", () => {
  const { guest, device, driver } = started({ interface: "modern" });
  driver.setStatus(0);
  const { address } = driver.structure(1);
  const sizeAfter = (size: number) => {
    guest.mmio.write(address + 24, 2, size);
    return guest.mmio.read(address + 24, 2);
  };
  assert.deepEqual([16, 24, 0, 128, 64].map(sizeAfter), [16, 16, 16, 16, 64]);
  device.reset();
});

