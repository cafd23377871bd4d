/**
 * Elementary functions in fixed point, for the x87: every value is an integer number of
 * 2^-`fixedBits`. Errors stay below 2^-180, so that results of 64 bits are rounded rightly but in
 * very rare cases. The series are the ones of Abramowitz and Stegun §4.1, §4.2, §4.3 and §4.4.
 */

const bits = 192;
export const fixedBits = bits;
const shift = BigInt(bits);
export const fixedOne = 1n << shift;

/** π and ln 2 with 254 fraction bits and more, cut to the fixed point. */
export const fixedPi =
  0x3_243f_6a88_85a3_08d3_1319_8a2e_0370_7344_a409_3822_299f_31d0_082e_fa98_ec4en >> 48n;
export const fixedLn2 =
  0xb172_17f7_d1cf_79ab_c9e3_b398_03f2_f6af_40f3_4326_7298_b62d_8a0d_175b_8baa_fa2bn >> 64n;

function multiply(a: bigint, b: bigint): bigint {
  return (a * b) >> shift;
}

function divide(a: bigint, b: bigint): bigint {
  return (a << shift) / b;
}

/** Sine of |x| ≤ 1. */
export function fixedSine(x: bigint): bigint {
  const square = multiply(x, x);
  let term = x;
  let sum = x;
  for (let n = 2n; term !== 0n && term !== -1n; n += 2n) {
    term = -multiply(term, square) / (n * (n + 1n));
    sum += term;
  }
  return sum;
}

/** Cosine of |x| ≤ 1. */
export function fixedCosine(x: bigint): bigint {
  const square = multiply(x, x);
  let term = fixedOne;
  let sum = fixedOne;
  for (let n = 1n; term !== 0n && term !== -1n; n += 2n) {
    term = -multiply(term, square) / (n * (n + 1n));
    sum += term;
  }
  return sum;
}

/** e^x − 1 for |x| ≤ 1. */
export function fixedExpMinusOne(x: bigint): bigint {
  let term = x;
  let sum = x;
  for (let n = 2n; term !== 0n && term !== -1n; n += 1n) {
    term = multiply(term, x) / n;
    sum += term;
  }
  return sum;
}

/** x + s x³/3 + x⁵/5 + s x⁷/7 …: arctangent with s = −1, area tangent with s = 1. */
function oddSeries(x: bigint, s: bigint): bigint {
  const square = multiply(x, x) * s;
  let power = x;
  let sum = x;
  for (let n = 3n; power !== 0n && power !== -1n; n += 2n) {
    power = multiply(power, square);
    sum += power / n;
  }
  return sum;
}

/** Base-2 logarithm of (1 + d), which is to lie between 0.7 and 1.5. */
export function fixedLog2(d: bigint): bigint {
  const ratio = divide(d, 2n * fixedOne + d);
  return divide(2n * oddSeries(ratio, 1n), fixedLn2);
}

const tableSteps = 16;
const arctangents: bigint[] = [0n];

/** Arctangent of k/16, each made of the one before by the addition theorem. */
function tabulated(step: number): bigint {
  for (let k = arctangents.length; k <= step; k++) {
    const before = BigInt(k - 1);
    const difference = (fixedOne * 16n) / (256n + before * (before + 1n));
    arctangents.push((arctangents[k - 1] ?? 0n) + oddSeries(difference, -1n));
  }
  return arctangents[step] ?? 0n;
}

/** Arctangent of 0 ≤ x ≤ 1. */
export function fixedArctangent(x: bigint): bigint {
  const step = Number((x * BigInt(2 * tableSteps) + fixedOne) >> (shift + 1n));
  const corner = (BigInt(step) * fixedOne) / BigInt(tableSteps);
  const reduced = divide(x - corner, fixedOne + multiply(x, corner));
  return tabulated(step) + oddSeries(reduced, -1n);
}
