import { GuestMemory } from "../../src/fabric/memory.ts";
import { gpa, MiB } from "../../src/base/units.ts";
import { assert, test } from "../support/harness.ts";

const base = 0x2000;
const end = MiB;

function ram() {
  const buffer = new ArrayBuffer(base + MiB + 0x1000);
  new Uint8Array(buffer).fill(0xee);
  return { buffer, memory: new GuestMemory(buffer, base, MiB) };
}

test("numbers are little-endian and lie where the address says", () => {
  const { buffer, memory } = ram();
  memory.setU64(gpa(0x10), 0x1_2345_6789);
  assert.equal(memory.u8(gpa(0x10)), 0x89);
  assert.equal(memory.u16(gpa(0x11)), 0x4567);
  assert.equal(memory.u32(gpa(0x14)), 1);
  assert.equal(memory.u64(gpa(0x10)), 0x1_2345_6789);
  assert.equal(new Uint8Array(buffer)[base + 0x10], 0x89);
});

test("outside RAM reads give ones, writes vanish, and nothing next to it is touched", () => {
  const { buffer, memory } = ram();
  for (const address of [end, end - 1, end - 3, -1, -8, 2 ** 52, 0xffff_fffc, Number.NaN]) {
    const at = gpa(address);
    memory.setU32(at, 0);
    memory.setU64(at, 0);
    memory.write(at, new Uint8Array(4));
    assert.equal(memory.u32(at), 0xffff_ffff);
    assert.deepEqual(memory.read(at, 4), new Uint8Array(4).fill(0xff));
    assert.equal(memory.window(at, 4), undefined);
    assert.equal(memory.contains(at, 4), false);
  }
  const bytes = new Uint8Array(buffer);
  assert.ok(bytes.subarray(0, base).every((byte) => byte === 0xee));
  assert.ok(bytes.subarray(base + MiB).every((byte) => byte === 0xee));
  assert.ok(bytes.subarray(base, base + MiB).every((byte) => byte === 0xee));
});

test("a hostile length is outside RAM", () => {
  const { memory } = ram();
  for (const length of [end + 1, 2 ** 40, -1]) {
    assert.equal(memory.contains(gpa(0), length), false);
  }
  assert.equal(memory.contains(gpa(end), 0), true);
});

test("writes to watched pages are told, whichever way they come", () => {
  const { memory } = ram();
  const seen: string[] = [];
  memory.onWatchedWrite = (offset, length) => seen.push(`${offset}+${length}`);
  memory.watchedPages[2] = 1;
  memory.setU8(gpa(0x1fff), 1);
  memory.setU16(gpa(0x1fff), 1);
  memory.write(gpa(0x2ffe), new Uint8Array(4));
  memory.noteWrite(gpa(0x1000), 0x2000);
  memory.setU32(gpa(0x3000), 1);
  assert.deepEqual(seen, [`${0x1fff}+2`, `${0x2ffe}+4`, `${0x1000}+${0x2000}`]);
});
