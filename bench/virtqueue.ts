/**
 * What does a virtqueue cost a request, beside the disk? Chains of three descriptors in batches
 * of 64, and whole reads of 4 KiB from a disk in memory; also the bytes of garbage each leaves.
 */
import { gpa, KiB, MiB } from "../src/base/units.ts";
import { optionsFrom } from "../src/devices/testing/defaults.ts";
import { FakeGuest } from "../src/devices/testing/fake-guest.ts";
import { plugPci } from "../src/devices/testing/pci-slot.ts";
import { RamDisk } from "../src/devices/testing/ram-disk.ts";
import { VirtioDriver } from "../src/devices/testing/virtio-driver.ts";
import { virtioBlk } from "../src/devices/virtio/blk.ts";
import { Virtqueue } from "../src/devices/virtio/virtqueue.ts";

const batch = 32;
const eventIndex = 29;

/** Best of several runs of `rounds` batches, in nanoseconds a chain. */
function measure(name: string, runBatch: () => void): void {
  const rounds = 20_000;
  let best = Infinity;
  let garbage = Infinity;
  for (let run = 0; run < 7; run += 1) {
    const heap = process.memoryUsage().heapUsed;
    const start = process.hrtime.bigint();
    for (let round = 0; round < rounds; round += 1) {
      runBatch();
    }
    best = Math.min(best, Number(process.hrtime.bigint() - start) / (rounds * batch));
    const left = (process.memoryUsage().heapUsed - heap) / (rounds * batch);
    garbage = left >= 0 ? Math.min(garbage, left) : garbage;
  }
  console.log(`${name}: ${best.toFixed(0)} ns a chain, ${garbage.toFixed(1)} bytes of garbage`);
}

/** A ring whose chains are offered again and again by moving the available index on. */
function ring(transferBytes: number) {
  const guest = new FakeGuest({ memoryBytes: 8 * MiB });
  plugPci<unknown, Parameters<typeof virtioBlk.create>[0]>(guest, virtioBlk,
    optionsFrom(virtioBlk, { path: "/disk", virtio: "modern" }), { block: new RamDisk(MiB) });
  const driver = new VirtioDriver(guest, { interface: "modern", features: [9, eventIndex] });
  driver.start();
  const queue = driver.queue(0);
  const heads = Array.from({ length: batch }, () =>
    queue.add({ readable: [new Uint8Array(16)], writable: [transferBytes, 1] }));
  for (let slot = 0; slot < queue.size; slot += 1) {
    guest.memory.setU16(gpa(queue.available + 4 + slot * 2), heads[slot % batch] ?? 0);
  }
  let index = 0;
  const offer = () => {
    index = (index + batch) & 0xffff;
    guest.memory.setU16(gpa(queue.available + 2), index);
  };
  return { guest, queue, offer };
}

const whole = ring(4 * KiB);
measure("virtio-blk, 4 KiB reads from memory", () => {
  whole.offer();
  whole.queue.kick();
});

const bare = ring(4 * KiB);
const device = new Virtqueue(0, { name: "bare", size: 128 }, bare.guest.memory, {
  interrupt: () => {}, fault: (_queue, reason) => {
    throw new Error(reason);
  },
});
for (const [part, address] of [
  bare.queue.descriptors, bare.queue.available, bare.queue.used,
].entries()) {
  device.state.addresses[part * 2] = address;
}
device.negotiate({ packed: false, indirect: false, eventIndex: true });
device.enable();
const serve = (row: number) => device.complete(row, 1);
measure("ring walk alone, three descriptors", () => {
  bare.offer();
  device.drain(serve);
});
