import { ClaimConflict, MmioSpace, PortSpace } from "../../src/fabric/address-space.ts";
import { assert, randomSource, seed, test } from "../support/harness.ts";

/** Remembers accesses; reads give a value that tells where they went. */
function recorder(tag: number) {
  const writes: string[] = [];
  return {
    writes,
    read: (offset: number, size: number) =>
      ((tag << 8) | (offset << 4) | size) & (2 ** (size * 8) - 1),
    write: (offset: number, size: number, value: number) => {
      writes.push(`${offset}/${size}=${value.toString(16)}`);
    },
  };
}

for (const [name, create] of [
  ["ports", () => new PortSpace()], ["memory", () => new MmioSpace()],
] as const) {
  test(`${name}: where nothing answers reads give ones, writes vanish, both are told`, () => {
    const space = create();
    const seen: number[] = [];
    space.unclaimed = (address) => seen.push(address);
    assert.deepEqual([1, 2, 4].map((size) => space.read(0x40, size)), [0xff, 0xffff, 0xffff_ffff]);
    space.write(0x41, 1, 7);
    assert.deepEqual(seen, [0x40, 0x40, 0x40, 0x41]);
  });

  test(`${name}: accesses reach the claim with their offset`, () => {
    const space = create();
    const device = recorder(5);
    space.claim("device", 0x100, 8, device);
    assert.equal(space.read(0x104, 2), 0x542);
    space.write(0x107, 1, 0xab);
    assert.deepEqual(device.writes, ["7/1=ab"]);
    assert.equal(space.read(0x108, 1), 0xff);
  });

  test(`${name}: a conflict names both sides and leaves the space as it was`, () => {
    const space = create();
    space.claim("one", 0x100, 8, recorder(1));
    assert.throws(() => space.claim("two", 0x107, 2, recorder(2)),
      (error) => error instanceof ClaimConflict && /two.*0x107-0x108.*one/.test(error.message));
    space.claim("three", 0x108, 8, recorder(3));
    assert.deepEqual(space.claims().map((claim) => claim.name), ["one", "three"]);
  });

  test(`${name}: a released range is free again, and a second release does no harm`, () => {
    const space = create();
    const first = space.claim("one", 0x100, 8, recorder(1));
    space.read(0x100, 1);
    first.release();
    assert.equal(space.read(0x100, 1), 0xff);
    space.claim("two", 0x100, 8, recorder(2));
    first.release();
    assert.equal(space.find(0x103)?.name, "two");
  });

  test(`${name}: random claims and releases agree with a plain list (seed ${seed})`, () => {
    const random = randomSource();
    const space = create();
    let held: { base: number; size: number; release: () => void }[] = [];
    for (let step = 0; step < 2000; step += 1) {
      const base = random() % 500;
      const size = 1 + (random() % 40);
      const clash = held.some((each) => each.base < base + size && base < each.base + each.size);
      if (random() % 3 === 0) {
        held.splice(random() % Math.max(1, held.length), 1)[0]?.release();
      } else if (clash) {
        assert.throws(() => space.claim("x", base, size, recorder(0)), ClaimConflict);
      } else {
        held = [...held, space.claim("x", base, size, recorder(0))];
      }
      const at = random() % 500;
      const owner = held.find((each) => at >= each.base && at < each.base + each.size);
      assert.equal(space.find(at)?.base, owner?.base);
    }
  });
}

test("a port access across the end of a claim reaches the neighbour byte by byte", () => {
  const space = new PortSpace();
  const left = recorder(1);
  const right = recorder(2);
  space.claim("left", 0x100, 2, left);
  space.claim("right", 0x102, 2, right);
  space.write(0x101, 4, 0x44332211);
  assert.deepEqual(left.writes, ["1/1=11"]);
  assert.deepEqual(right.writes, ["0/1=22", "1/1=33"]);
  assert.equal(space.read(0x103, 2), 0xff11);
});
