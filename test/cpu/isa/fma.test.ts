/** FMA in generated code, against exact software: numbers that cancel, round and vanish. */
import { SseFloat } from "../../../src/cpu/float/sse.ts";
import { assert, randomSource, seed, test } from "../../support/harness.ts";
import { doubleBits, execute } from "./simd-machine.ts";

const exact = new SseFloat();
/** Round to nearest, all masked, and the precision flag set: what programs soon have. */
const usual = 0x1fa0;
const enabled = { cr4: 0x4_0620n, xcr0: 7, mxcsr: usual };

/** Few bits, or many, near one, or of any exponent. */
function double(next: () => number): number {
  const choice = next() % 6;
  const sign = (next() & 1) === 0 ? 1 : -1;
  if (choice === 0) {
    return sign * ([0, 1, 2 ** -1022, 2 ** 1023, 2 ** -537, 1 + 2 ** -52][next() % 6] ?? 0);
  }
  const bits = choice < 3 ? next() % 64 : (next() % 2 ** 26) * 2 ** 27 + next() % 2 ** 27;
  return sign * bits * 2 ** (choice === 5 ? next() % 600 - 300 : -(next() % 60));
}

test(`fused doubles and singles are exact software's (seed ${seed})`, () => {
  const next = randomSource(seed);
  const single = new DataView(new ArrayBuffer(4));
  for (let count = 0; count < 1000; count += 1) {
    const a = double(next), b = double(next);
    // Some addends cancel most of the product.
    const c = count % 3 === 0 ? -a * b * (1 + (next() % 3 - 1) * 2 ** -(20 + next() % 40))
      : double(next);
    const [p, q, r] = [a, b, c].map(doubleBits) as [bigint, bigint, bigint];
    exact.begin(usual);
    const expected = exact.multiplyAdd64(p, q, r, false, false);
    exact.finish();
    // VFMADD231SD xmm0, xmm1, xmm2
    const outcome = execute([0xc4, 0xe2, 0xf1, 0xb9, 0xc2],
      { ...enabled, xmm: { 0: [r, 5n], 1: [p, 6n], 2: [q, 7n] } });
    assert.equal(outcome.xmm(0)[0], expected, `${a} * ${b} + ${c}`);
    assert.equal(outcome.mxcsr, usual | exact.flags, `${a} * ${b} + ${c}`);
    const singles = [a, b, c].map((value) => {
      single.setFloat32(0, value);
      return single.getUint32(0);
    }) as [number, number, number];
    exact.begin(usual);
    const narrow = exact.multiplyAdd32(...singles, true, true);
    exact.finish();
    // VFNMSUB132SS xmm0, xmm1, xmm2
    const [x, y, z] = singles.map(BigInt) as [bigint, bigint, bigint];
    const other = execute([0xc4, 0xe2, 0x71, 0x9f, 0xc2],
      { ...enabled, xmm: { 0: [x, 5n], 1: [z, 6n], 2: [y, 7n] } });
    assert.equal(other.xmm(0)[0], BigInt(narrow), `-(${a} * ${b}) - ${c}`);
    assert.equal(other.mxcsr, usual | exact.flags);
  }
});
