import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { SharedByteRing, WakeWord } from "../../src/fabric/byte-ring.ts";
import { assert, randomSource, seed, test } from "../support/harness.ts";

test("bytes come out in order, across the wrap, and a full ring refuses", () => {
  const ring = SharedByteRing.create(8);
  for (let round = 0; round < 5; round += 1) {
    assert.equal(ring.write(Uint8Array.of(1, 2, 3, 4, 5)), 5);
    assert.equal(ring.put(6), true);
    assert.equal(ring.write(Uint8Array.of(7, 8, 9)), 2);
    assert.equal(ring.put(9), false);
    assert.equal(ring.space(), 0);
    const into = new Uint8Array(5);
    assert.equal(ring.read(into), 5);
    assert.deepEqual([...into], [1, 2, 3, 4, 5]);
    assert.deepEqual([ring.get(), ring.get(), ring.get(), ring.get()], [6, 7, 8, -1]);
  }
});

test("what was written before closing is still read", () => {
  const ring = SharedByteRing.create(8);
  ring.put(0xff);
  ring.close();
  const other = SharedByteRing.from(ring.parts);
  assert.equal(other.closed, true);
  assert.equal(other.get(), 0xff);
  assert.equal(other.get(), -1);
});

test("a wake-up between looking and waiting is not lost", async () => {
  const wake = new WakeWord();
  const seen = wake.count();
  wake.signal();
  await wake.changed(seen);
  wake.wait(seen);
});

test("rings that share a wake word wake its one sleeper", async () => {
  const wake = new WakeWord();
  const rings = [SharedByteRing.create(8, wake), SharedByteRing.create(8, wake)];
  for (const ring of rings) {
    const woken = wake.changed(wake.count());
    ring.put(1);
    await woken;
  }
});

/** Sends bytes through a ring, another thread and a second ring. */
async function echo(capacity: number, length: number, start: number): Promise<void> {
  const there = SharedByteRing.create(capacity);
  const back = SharedByteRing.create(capacity);
  const worker = new Worker(new URL("./byte-ring-worker.js", import.meta.url), {
    workerData: { from: there.parts, to: back.parts, seed: start },
  });
  const random = randomSource(start + 1);
  const sent = Uint8Array.from({ length }, () => random() & 0xff);
  const received = new Uint8Array(length + 1);
  const produce = async () => {
    for (let done = 0; done < length;) {
      const seen = there.spaceWake.count();
      const end = done + 1 + random() % 300;
      const count = there.write(sent.subarray(done, end));
      done += count;
      if (count === 0) await there.spaceWake.changed(seen);
    }
    there.close();
  };
  const consume = async () => {
    let done = 0;
    for (;;) {
      const seen = back.dataWake.count();
      const closed = back.closed;
      const count = back.read(received.subarray(done, done + 1 + random() % 300));
      done += count;
      if (count === 0 && closed) break;
      if (count === 0) await back.dataWake.changed(seen);
    }
    assert.equal(done, length);
  };
  await Promise.all([produce(), consume(), once(worker, "exit")]);
  assert.ok(Buffer.from(sent).equals(Buffer.from(received.subarray(0, length))));
}

for (const [capacity, length] of [[1, 300], [16, 20_000], [1024, 400_000]] as const) {
  test(`two threads exchange ${length} bytes through rings of ${capacity}, none lost`, async () => {
    const start = (seed + capacity) >>> 0;
    await echo(capacity, length, start).catch((error: unknown) => {
      throw new Error(`seed ${seed}`, { cause: error });
    });
  });
}
