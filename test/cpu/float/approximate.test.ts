import { reciprocal32, reciprocalRoot32 } from "../../../src/cpu/float/approximate.ts";
import { assert, randomSource, seed, skipTest, test } from "../../support/harness.ts";
import { at, NativeBatch, nativeFpu } from "./native.ts";
import { pattern32 } from "./operands.ts";

const lane = new DataView(new ArrayBuffer(4));

function valueOf(bits: number): number {
  lane.setUint32(0, bits);
  return lane.getFloat32(0);
}

/** Both sides may err by 1.5 × 2^-12, so that they are at most twice that apart. */
const apartMax = 3 * 2 ** -12;

/** Here one side may have come out above and the other below, where both flush to zero. */
const minimumNormal = 2 ** -126;

function agree(ours: number, theirs: number): boolean {
  const a = valueOf(ours);
  const b = valueOf(theirs);
  if (b === 0 && Math.abs(a) <= minimumNormal) {
    return Math.sign(a) === 0 || Object.is(a > 0 ? 0 : -0, b);
  }
  return ours === theirs || Math.abs(a / b - 1) <= apartMax;
}

test("the relative error of both approximations is below 1.5 × 2^-12", () => {
  const random = randomSource();
  for (let done = 0; done < 20_000; done++) {
    const bits = 0x0100_0000 + (random() % 0x7c00_0000);
    const value = valueOf(bits);
    assert.ok(Math.abs(valueOf(reciprocal32(bits)) * value - 1) < 1.5 * 2 ** -12);
    const root = valueOf(reciprocalRoot32(bits)) * Math.sqrt(value);
    assert.ok(Math.abs(root - 1) < 1.5 * 2 ** -12, `seed ${seed}`);
  }
});

const native = nativeFpu();
if (typeof native === "string") {
  skipTest("special operands give what the processor of the host gives", native);
} else {
  test("special operands give what the processor of the host gives", () => {
    const random = randomSource();
    const batch = new NativeBatch(20_000);
    const operands = Array.from({ length: batch.count }, (_, index) => {
      const bits = pattern32(random);
      const base = batch.start(index, [0xf3, 0x0f, (index & 1) === 0 ? 0x53 : 0x52, 0xc1]);
      batch.view.setUint32(base + at.xmm + 16, bits, true);
      return bits;
    });
    const answers = native.run(batch);
    operands.forEach((bits, index) => {
      const theirs = answers.view.getUint32(answers.base(index) + at.xmm, true);
      const ours = (index & 1) === 0 ? reciprocal32(bits) : reciprocalRoot32(bits);
      assert.ok(agree(ours, theirs), `${bits.toString(16)} ${ours} ${theirs} seed ${seed}`);
    });
  });
}
