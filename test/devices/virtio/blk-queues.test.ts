/** virtio-blk with several queues, with requests that take their time, and on a disk that grows. */
import { HostError } from "../../../src/base/errors.ts";
import { MiB } from "../../../src/base/units.ts";
import { optionsFrom } from "../../../src/devices/testing/defaults.ts";
import { FakeGuest } from "../../../src/devices/testing/fake-guest.ts";
import { plugPci } from "../../../src/devices/testing/pci-slot.ts";
import { RamDisk } from "../../../src/devices/testing/ram-disk.ts";
import { VirtioDriver } from "../../../src/devices/testing/virtio-driver.ts";
import { virtioBlk } from "../../../src/devices/virtio/blk.ts";
import { blockOperation, eachPart, type BlockQueue, type BlockRequest,
} from "../../../src/fabric/block-queue.ts";
import { assert, test } from "../../support/harness.ts";

const flush = 9;
const multiQueue = 12;
type Options = Parameters<typeof virtioBlk.create>[0];

/** A queue whose requests are done when the test says so. */
class SlowQueue implements BlockQueue {
  readonly waiting: BlockRequest[] = [];
  barriers = 0;
  #batch: () => void = () => {};

  submit(request: BlockRequest): void {
    this.waiting.push(request);
  }

  kick(): void {}

  onBatch(listener: () => void): void {
    this.#batch = listener;
  }

  barrier(): void {
    this.barriers += 1;
  }

  drain(): void {
    this.finish();
  }

  /** Answers all that waits: reads with this byte. */
  finish(byte = 0, error?: HostError): void {
    for (const request of this.waiting.splice(0)) {
      if (request.operation === blockOperation.read && !request.abandoned) {
        eachPart(request.parts, (part) => part.fill(byte));
      }
      request.complete(error);
    }
    this.#batch();
  }
}

function started(values: Readonly<Record<string, string>> = {}, slow?: SlowQueue) {
  const guest = new FakeGuest({ memoryBytes: 8 * MiB });
  const disk = Object.assign(new RamDisk(MiB), slow && { queue: slow });
  const options: Options = optionsFrom(virtioBlk, { path: "/disk", ...values });
  plugPci<unknown, Options>(guest, virtioBlk, options, { block: disk });
  const queues = Number(values["queues"] ?? 1);
  const driver = new VirtioDriver(guest, {
    interface: "modern", queues, msix: true,
    features: [flush, ...(queues > 1 ? [multiQueue] : [])],
  });
  assert.ok(driver.start());
  return { guest, disk, driver };
}

function readOf(sector: number) {
  const header = new Uint8Array(16);
  new DataView(header.buffer).setUint32(8, sector, true);
  return { readable: [header], writable: [512, 1] };
}

test("each queue is served, and interrupts by its own vector", () => {
  const { guest, disk, driver } = started({ queues: "4" });
  assert.equal(driver.deviceConfig(34, 2), 4);
  for (const index of [3, 0, 2, 1]) {
    const reply = driver.queue(index).send(readOf(index));
    assert.deepEqual(reply.written[0], disk.bytes.slice(index * 512, index * 512 + 512));
  }
  assert.deepEqual(guest.msi.messages.map(({ data }) => data), [0x44, 0x41, 0x43, 0x42]);
});

test("one queue offers no more than one", () => {
  assert.equal((started().driver.offered(0) >>> multiQueue) & 1, 0);
});

test("requests come back when the disk is done, with one interrupt for all", () => {
  const slow = new SlowQueue();
  const { guest, driver } = started({}, slow);
  const queue = driver.queue(0);
  const ids = Array.from({ length: 5 }, (_none, sector) => queue.add(readOf(sector)));
  queue.kick();
  assert.equal(slow.waiting.length, 5);
  assert.equal(queue.collect().size, 0);
  assert.equal(guest.msi.messages.length, 0);
  slow.finish(0x77);
  const replies = queue.collect();
  assert.deepEqual([...replies.keys()], ids);
  assert.ok([...replies.values()].every(({ written }) => written[0]?.[0] === 0x77));
  assert.equal(guest.msi.messages.length, 1);
});

test("a reset takes the guest's memory back from requests under way", () => {
  const slow = new SlowQueue();
  const { driver, guest } = started({}, slow);
  driver.queue(0).add(readOf(0));
  driver.queue(0).kick();
  driver.setStatus(0);
  assert.ok(slow.waiting.every(({ abandoned }) => abandoned));
  assert.ok(slow.barriers > 0);
  slow.finish(0x55);
  assert.equal(guest.msi.messages.length, 0);
  const again = new VirtioDriver(guest, { interface: "modern" });
  assert.ok(again.start());
  const id = again.queue(0).add(readOf(1));
  again.queue(0).kick();
  slow.finish(0x66);
  assert.equal(again.queue(0).collect().get(id)?.written[0]?.[0], 0x66);
});

test("a late failure is an I/O error of its request", () => {
  const slow = new SlowQueue();
  const { driver } = started({}, slow);
  const id = driver.queue(0).add(readOf(0));
  driver.queue(0).kick();
  slow.finish(0, new HostError("the disk", "EIO"));
  assert.equal(driver.queue(0).collect().get(id)?.written[1]?.[0], 1);
});

test("a disk that grows tells its driver, and takes requests up to its new end", () => {
  const { guest, disk, driver } = started();
  assert.equal(driver.queue(0).send(readOf(2048)).written[1]?.[0], 1);
  guest.msi.messages.splice(0);
  const { address } = driver.structure(1);
  const before = guest.mmio.read(address + 21, 1);
  disk.resize(2 * MiB);
  assert.equal(driver.deviceConfig(0, 4), 4096);
  assert.notEqual(guest.mmio.read(address + 21, 1), before);
  assert.deepEqual(guest.msi.messages.map(({ data }) => data), [0x40]);
  assert.equal(driver.queue(0).send(readOf(2048)).written[1]?.[0], 0);
});
