/** Disks in a thread of their own, by the keys that ask for one: the real threads. */
import { readFileSync } from "node:fs";
import { createLog } from "../../../src/base/log.ts";
import { ConfigError, HostError } from "../../../src/base/errors.ts";
import { blockOperation, type BlockRequest } from "../../../src/fabric/block-queue.ts";
import { WakeWord } from "../../../src/fabric/byte-ring.ts";
import type { BlockBackend } from "../../../src/fabric/device.ts";
import { MachineDisks } from "../../../src/machine/block.ts";
import { testFolder } from "../../support/folder.ts";
import { assert, randomSource, seed, test } from "../../support/harness.ts";

const folder = testFolder();
const diskBytes = 1024 * 1024;

function opened(values: Readonly<Record<string, string>>) {
  const wake = new WakeWord();
  const messages: string[] = [];
  const log = createLog((level, text) => messages.push(`${level}: ${text}`));
  const disks = new MachineDisks(wake, log);
  const disk: BlockBackend = disks.open({
    key: "pci.0.3.0", device: "virtio-blk", at: { bus: 0, slot: 3, func: 0 }, values,
  });
  /** Lives as a machine does between time slices, until the condition holds. */
  const runUntil = (condition: () => boolean) => {
    for (let count = wake.count(); !condition(); count = wake.count()) {
      disks.poll();
      if (!condition()) {
        wake.wait(count, 50);
      }
    }
  };
  return { disk, disks, messages, runUntil };
}

function request(
  operation: BlockRequest["operation"], offset: number, bytes: Uint8Array,
) {
  const half = bytes.length >> 1;
  return {
    operation, offset, length: bytes.length, abandoned: false, done: false,
    error: undefined as HostError | undefined,
    parts: {
      bytes, starts: Float64Array.of(0, half), lengths: Float64Array.of(half, bytes.length - half),
      count: 2, totalBytes: bytes.length,
    },
    complete(error: HostError | undefined) {
      assert.equal(this.done, false, "a request is completed once");
      this.done = true;
      this.error = error;
    },
  };
}

test("many requests at once come back, larger ones in pieces, and the file has it all", () => {
  const path = folder.put("many.img", new Uint8Array(diskBytes));
  const { disk, runUntil } = opened({ path, thread: "true" });
  const random = randomSource();
  const mirror = new Uint8Array(diskBytes);
  for (let round = 0; round < 20; round += 1) {
    const writes = Array.from({ length: 1 + random() % 100 }, (_none, index) => {
      const offset = index * 8192;
      const bytes = new Uint8Array(4096).fill(random());
      mirror.set(bytes, offset);
      return request(blockOperation.write, offset, bytes);
    });
    writes.forEach((each) => disk.queue?.submit(each));
    disk.queue?.kick();
    runUntil(() => writes.every(({ done }) => done));
  }
  const whole = request(blockOperation.read, 0, new Uint8Array(diskBytes));
  disk.queue?.submit(whole);
  disk.queue?.kick();
  runUntil(() => whole.done);
  assert.equal(whole.error, undefined);
  assert.deepEqual(whole.parts.bytes, mirror, `seed ${seed}`);
  disk.close();
  assert.deepEqual(new Uint8Array(readFileSync(path)), mirror);
});

test("a device that waits for each request finds the same disk", () => {
  const { disk } = opened({ path: "ram:1M", thread: "true" });
  disk.write(512, new Uint8Array(1024).fill(7));
  disk.flush();
  const back = new Uint8Array(2048);
  disk.read(0, back);
  assert.deepEqual([back[511], back[512], back[1535], back[1536]], [0, 7, 7, 0]);
  disk.close();
});

test("what was abandoned moves no memory, and what follows comes after it", () => {
  const { disk, runUntil } = opened({ path: "ram:1M", delay: "20ms" });
  const first = request(blockOperation.write, 0, new Uint8Array(512).fill(1));
  const lost = request(blockOperation.read, 0, new Uint8Array(512).fill(9));
  [first, lost].forEach((each) => disk.queue?.submit(each));
  disk.queue?.kick();
  lost.abandoned = true;
  disk.queue?.barrier();
  const second = request(blockOperation.write, 0, new Uint8Array(512).fill(2));
  disk.queue?.submit(second);
  disk.queue?.kick();
  runUntil(() => second.done);
  assert.ok(first.done);
  assert.ok(lost.parts.bytes.every((byte) => byte === 9));
  const back = new Uint8Array(512);
  disk.read(0, back);
  assert.equal(back[0], 2);
  disk.close();
});

test("a delay makes requests late, and lets others pass meanwhile", () => {
  const { disk, runUntil } = opened({ path: "ram:1M", delay: "30ms" });
  const all = Array.from({ length: 40 }, (_none, index) =>
    request(blockOperation.read, index * 512, new Uint8Array(512)));
  const startMs = performance.now();
  all.forEach((each) => disk.queue?.submit(each));
  disk.queue?.kick();
  runUntil(() => all.every(({ done }) => done));
  const tookMs = performance.now() - startMs;
  assert.ok(tookMs >= 29, `all are late: ${tookMs} ms`);
  assert.ok(tookMs < 40 * 30, `they wait together: ${tookMs} ms`);
  disk.close();
});

test("a limit on requests holds them back", () => {
  const { disk } = opened({ path: "ram:1M", iops: "200" });
  const startMs = performance.now();
  for (let index = 0; index < 60; index += 1) {
    disk.read(0, new Uint8Array(512));
  }
  // The first twenty may come in one burst.
  assert.ok(performance.now() - startMs >= 39 * 5 * 0.9);
  disk.close();
});

test("faults reach the device as errors that name the disk", () => {
  const { disk } = opened({ path: "ram:1M", thread: "true", "fault.read": "eio:1" });
  assert.throws(() => disk.read(0, new Uint8Array(512)),
    (error) => error instanceof HostError && /ram:1M: EIO/.test(error.message));
  disk.write(0, new Uint8Array(512));
  disk.close();
});

test("with onerror=stop a request waits until the host can again", () => {
  const { disk, messages, runUntil } = opened({
    path: "ram:1M", "fault.write": "enospc:0.7", "fault.seed": "5", onerror: "stop",
  });
  const write = request(blockOperation.write, 0, new Uint8Array(512).fill(3));
  disk.queue?.submit(write);
  disk.queue?.kick();
  runUntil(() => write.done);
  assert.equal(write.error, undefined);
  const back = new Uint8Array(512);
  disk.read(0, back);
  assert.equal(back[0], 3);
  disk.close();
  assert.ok(messages.some((text) => /warn: pci\.0\.3\.0: cannot write ram:1M: ENOSPC/.test(text)),
    messages.join("\n"));
});

test("a disk that cannot be had is refused with its key", () => {
  assert.throws(() => opened({ path: "/no/such/file", thread: "true" }),
    (error) => error instanceof ConfigError && error.problems[0]?.key === "pci.0.3.0.path");
});

test("a file that grows is noticed", () => {
  const path = folder.put("grows.img", new Uint8Array(4096));
  const { disk, runUntil } = opened({ path, thread: "true" });
  let resized = 0;
  disk.onResized?.(() => { resized += 1; });
  folder.put("grows.img", new Uint8Array(8192));
  runUntil(() => resized > 0);
  assert.equal(disk.sizeBytes, 8192);
  disk.close();
});
