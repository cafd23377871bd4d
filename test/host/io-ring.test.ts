import { constants, readFileSync, writeFileSync } from "node:fs";
import { HostError } from "../../src/base/errors.ts";
import { IoRing, ringOp } from "../../src/host/io-ring.ts";
import { checked, nativeAddon, type NativeAddon } from "../../src/host/native.ts";
import { testFolder } from "../support/folder.ts";
import { assert, skipTest } from "../support/harness.ts";
import { nativeTest } from "../support/native.ts";
import { sharedPages } from "../support/shared-pages.ts";

const folder = testFolder();

function refusal(): string | undefined {
  const addon = nativeAddon();
  if (addon === undefined) {
    return undefined; // Said by nativeTest.
  }
  try {
    new IoRing(addon, 2).close();
    return undefined;
  } catch (error) {
    if (error instanceof HostError) {
      return error.message;
    }
    throw error;
  }
}

const why = refusal();

function ringTest(name: string, body: (addon: NativeAddon) => void): void {
  if (why === undefined) {
    nativeTest(name, body);
  } else {
    skipTest(name, why);
  }
}

ringTest("writes and reads of a file go through the rings", (addon) => {
  const path = folder.file("disk");
  writeFileSync(path, Buffer.alloc(16384));
  const fd = checked("open", addon.open(path, constants.O_RDWR));
  const memory = sharedPages(65536);
  const base = addon.addressOf(memory);
  memory.fill(0x5a, 0, 4096);
  const ring = new IoRing(addon, 8);
  const at = { fd, length: 4096, flags: 0 };
  assert.ok(ring.add({ ...at, op: ringOp.write, address: base, position: 8192, tag: 1 }));
  assert.equal(ring.submit(1), 1);
  assert.ok(ring.take());
  assert.deepEqual([ring.tag, ring.result], [1, 4096]);
  ring.add({ ...at, op: ringOp.read, address: base + 4096, position: 8192, tag: 0xffff_ffff });
  ring.add({ ...at, op: ringOp.read, address: base + 8192, position: 16384, tag: 3 });
  assert.equal(ring.submit(2), 2);
  const results = new Map<number, number>();
  while (ring.take()) {
    results.set(ring.tag, ring.result);
  }
  assert.deepEqual([...results].sort(([a], [b]) => a - b), [[3, 0], [0xffff_ffff, 4096]]);
  assert.deepEqual(memory.slice(4096, 8192), memory.slice(0, 4096));
  assert.deepEqual(readFileSync(path).subarray(8192, 12288), Buffer.alloc(4096, 0x5a));
  assert.ok(!ring.take());
  ring.close();
  addon.close(fd);
});

ringTest("a full ring says so, and takes more than its size over time", (addon) => {
  const ring = new IoRing(addon, 4);
  const nop = { op: ringOp.nop, fd: -1, address: 0, length: 0, position: 0 };
  let tag = 0;
  const seen: number[] = [];
  for (let round = 0; round < 100; round += 1) {
    while (ring.add({ ...nop, tag })) {
      tag += 1;
    }
    assert.equal(ring.submit(ring.entries), ring.entries);
    while (ring.take()) {
      seen.push(ring.tag);
    }
  }
  assert.equal(seen.length, 100 * ring.entries);
  assert.deepEqual(seen, Array.from({ length: tag }, (_, index) => index));
  ring.close();
});

ringTest("completions signal an eventfd", (addon) => {
  const ring = new IoRing(addon, 4);
  const signal = checked("eventfd", addon.eventfd(0, false));
  ring.signalTo(signal);
  const rows = Int32Array.of(signal, 1, 0);
  assert.equal(addon.poll(rows, 0), 0);
  ring.add({ op: ringOp.nop, fd: -1, address: 0, length: 0, position: 0, tag: 0 });
  ring.submit();
  assert.equal(addon.poll(rows, 5000), 1);
  ring.close();
  addon.close(signal);
});
