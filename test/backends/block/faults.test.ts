import { FaultyImage, readFault } from "../../../src/backends/block/faults.ts";
import { RamImage } from "../../../src/backends/block/ram.ts";
import { HostError } from "../../../src/base/errors.ts";
import { assert, test } from "../../support/harness.ts";

const diskBytes = 64 * 1024;

/** What the first requests come to: `.` for a read that works, `x` for one that does not. */
function readsWith(seed: number): string {
  const image = new FaultyImage(new RamImage(diskBytes), {
    read: readFault("eio:0.2"), seed,
  }, "a disk");
  return Array.from({ length: 200 }, () => {
    try {
      image.read(0, new Uint8Array(512));
      return ".";
    } catch (error) {
      assert.ok(error instanceof HostError);
      return "x";
    }
  }).join("");
}

test("the same seed gives the same sequence of faults, another seed another one", () => {
  assert.equal(readsWith(7), readsWith(7));
  assert.notEqual(readsWith(7), readsWith(8));
  const failed = readsWith(7).replaceAll(".", "").length;
  assert.ok(failed > 20 && failed < 60, `about a fifth fails: ${failed} of 200`);
});

test("a torn write leaves whole sectors of its front, and tells of an error", () => {
  const inner = new RamImage(diskBytes);
  const image = new FaultyImage(inner, { write: readFault("torn:1"), seed: 3 }, "a disk");
  const lengths = new Set<number>();
  for (let round = 0; round < 50; round += 1) {
    inner.writeZeroes(0, diskBytes);
    assert.throws(() => image.write(0, new Uint8Array(4096).fill(1)), HostError);
    const back = new Uint8Array(4096);
    inner.read(0, back);
    const written = back.lastIndexOf(1) + 1;
    assert.equal(written % 512, 0);
    assert.ok(written < 4096);
    assert.ok(back.subarray(0, written).every((byte) => byte === 1));
    lengths.add(written);
  }
  assert.ok(lengths.size > 4);
});

test("without a fault of its kind a request passes", () => {
  const image = new FaultyImage(new RamImage(diskBytes), { flush: readFault("eio:1"), seed: 1 },
    "a disk");
  image.write(0, new Uint8Array(512).fill(5));
  const back = new Uint8Array(512);
  image.read(0, back);
  assert.equal(back[0], 5);
  assert.throws(() => image.flush(), HostError);
});
