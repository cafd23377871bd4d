/**
 * F2XM1, FYL2X, FYL2XP1, FPTAN, FPATAN, FSIN, FCOS, FSINCOS: Intel SDM vol. 1 §8.3.7–8.3.10.
 *
 * Results are those of the exact function, rounded by rounding control to 64 bits; processors are
 * within one unit in the last place of that. Angles are reduced by a π of 66 bits, as hardware
 * does. What the manual leaves undefined (operands out of range, precision and underflow of exact
 * results) follows AMD's Zen.
 */
import {
  fixedArctangent, fixedBits, fixedCosine, fixedExpMinusOne, fixedLn2, fixedLog2, fixedOne, fixedPi,
  fixedSine,
} from "../float/functions.ts";
import { exception, extended64 } from "../float/environment.ts";
import { bitLength, kind, type Unpacked } from "../float/unpacked.ts";
import { status } from "./state.ts";
import type { Unit } from "./unit.ts";

/** Below 2^this, x − x³/6 and its kin differ from x only beyond all 64 bits. */
const tinyExponent = -34;
/** Angles of 2^63 and more are not reduced: C2 is set instead. */
const angleLimit = 63;
const fixedShift = BigInt(fixedBits);

/** Rounds a positive fixed-point value × 2^`scale`; it is never exact. */
function setFixed(unit: Unit, sign: number, value: bigint, scale = 0): void {
  const sticky = value << 1n | 1n;
  const length = bitLength(sticky);
  unit.env.round(extended64, sign, length - 2 - fixedBits + scale, sticky, length);
  noteInexact(unit);
}

/** The operand itself, a little more (`above`) or less. */
function setNear(unit: Unit, a: Unpacked, above: boolean): void {
  const value = above ? (a.significand << 64n) + 1n : (a.significand << 64n) - 1n;
  const length = bitLength(value);
  unit.env.round(extended64, a.sign, a.exponent + length - 128, value, length);
  noteInexact(unit);
}

/** A computed result counts as inexact, and as an underflow if it is a denormal. */
function noteInexact(unit: Unit): void {
  const env = unit.env;
  env.raise(exception.precision);
  if (env.biased === 0) {
    env.raise(exception.underflow);
  }
}

/** A finite operand in fixed point; bits below it are cut off. */
function toFixed(a: Unpacked): bigint {
  const distance = a.exponent - 63 + fixedBits;
  const magnitude = distance >= 0
    ? a.significand << BigInt(distance) : a.significand >> BigInt(-distance);
  return a.sign === 1 ? -magnitude : magnitude;
}

/** An instruction on ST(0) alone. */
function unary(unit: Unit, compute: (unit: Unit, a: Unpacked) => void): void {
  unit.begin();
  if (unit.state.isEmpty(0)) {
    unit.underflowTo(0);
    return;
  }
  const a = unit.a;
  unit.load(0, a);
  if (!unit.takeNan(a)) {
    compute(unit, a);
  }
  if (unit.commit()) {
    unit.put(0);
  }
}

/** 2^x − 1. */
function exponential(unit: Unit, a: Unpacked): void {
  const env = unit.env;
  if (a.kind === kind.zero) {
    env.setZero(a.sign);
  } else if (a.kind === kind.infinity) {
    if (a.sign === 0) {
      env.setInfinity(extended64, 0);
    } else {
      env.round(extended64, 1, 0, 1n, 1);
    }
  } else if (!unit.denormalStops(a)) {
    exponentialFinite(unit, a);
  }
}

function exponentialFinite(unit: Unit, a: Unpacked): void {
  const outside = a.exponent > 0 || (a.exponent === 0 && a.significand !== 1n << 63n);
  if (outside) {
    unit.env.round(extended64, a.sign, a.exponent, a.significand, 64);
    noteInexact(unit);
  } else if (a.exponent < -68) {
    // x ln 2 is exact enough: the next term of the series is 2^-69 of it.
    setFixed(unit, a.sign, a.significand * fixedLn2, a.exponent - 63);
  } else if (a.exponent === 0) {
    unit.env.round(extended64, a.sign, -a.sign, 1n, 1);
    noteInexact(unit);
  } else {
    const value = fixedExpMinusOne((toFixed(a) * fixedLn2) >> fixedShift);
    setFixed(unit, a.sign, value < 0n ? -value : value);
  }
}

/** An angle brought to ±π/4, with the number of quarter turns (mod 4) taken from it. */
interface Reduced {
  readonly angle: bigint;
  readonly quarter: number;
}

/** The first 66 bits of π, as a multiple of 2^-65 they are π/2. */
const halfPi66 = 0xc90f_daa2_2168_c234n << 2n | 3n;
const halfPiBits = 65;

function reduce(a: Unpacked): Reduced {
  const grid = Math.max(halfPiBits, 63 - a.exponent);
  const angle = a.significand << BigInt(grid - 63 + a.exponent);
  const quarterTurn = halfPi66 << BigInt(grid - halfPiBits);
  const turns = (2n * angle + quarterTurn) / (2n * quarterTurn);
  const rest = (angle - turns * quarterTurn) << BigInt(fixedBits - grid);
  const low = Number(turns & 3n);
  return a.sign === 1 ? { angle: -rest, quarter: (4 - low) & 3 } : { angle: rest, quarter: low };
}

function setSigned(unit: Unit, value: bigint): void {
  setFixed(unit, value < 0n ? 1 : 0, value < 0n ? -value : value);
}

function setSine(unit: Unit, a: Unpacked): void {
  if (a.exponent < tinyExponent) {
    setNear(unit, a, false);
    return;
  }
  const { angle, quarter } = reduce(a);
  const value = (quarter & 1) === 0 ? fixedSine(angle) : fixedCosine(angle);
  setSigned(unit, (quarter & 2) === 0 ? value : -value);
}

function setCosine(unit: Unit, a: Unpacked): void {
  if (a.exponent < tinyExponent) {
    setFixed(unit, 0, fixedOne - 1n);
    return;
  }
  const { angle, quarter } = reduce(a);
  const value = (quarter & 1) === 0 ? fixedCosine(angle) : fixedSine(angle);
  setSigned(unit, quarter === 0 || quarter === 3 ? value : -value);
}

function setTangent(unit: Unit, a: Unpacked): void {
  if (a.exponent < tinyExponent) {
    setNear(unit, a, true);
    return;
  }
  const { angle, quarter } = reduce(a);
  const sine = fixedSine(angle);
  const cosine = fixedCosine(angle);
  setSigned(unit, ((quarter & 1) === 0 ? sine << fixedShift : -cosine << fixedShift)
    / ((quarter & 1) === 0 ? cosine : sine));
}

/** Whether the operand is too large to be reduced; C2 says so, and nothing else happens. */
function outOfRange(unit: Unit, a: Unpacked): boolean {
  const outside = a.kind === kind.finite && a.exponent >= angleLimit;
  unit.setConditions(status.c2, outside ? status.c2 : 0);
  return outside;
}

/** FSIN and FCOS. */
function circular(unit: Unit, cosine: boolean): void {
  unit.begin();
  if (unit.state.isEmpty(0)) {
    unit.setConditions(status.c2, 0);
    unit.underflowTo(0);
    return;
  }
  const { a, env } = unit;
  unit.load(0, a);
  if (outOfRange(unit, a)) {
    return;
  }
  if (!unit.takeNan(a)) {
    if (a.kind === kind.infinity) {
      env.setInvalid(extended64);
    } else if (a.kind === kind.zero) {
      setZeroAngle(unit, a.sign, cosine);
    } else if (!unit.denormalStops(a)) {
      (cosine ? setCosine : setSine)(unit, a);
    }
  }
  if (unit.commit()) {
    unit.put(0);
  }
}

/** sin ±0 = ±0 and cos ±0 = 1, both exact. */
function setZeroAngle(unit: Unit, sign: number, cosine: boolean): void {
  if (cosine) {
    unit.env.round(extended64, 0, 0, 1n, 1);
  } else {
    unit.env.setZero(sign);
  }
}

/** FSINCOS and FPTAN: the result in ST(0), then the cosine or 1.0 pushed. */
function circularPair(unit: Unit, tangent: boolean): void {
  const { a, env, state } = unit;
  unit.begin();
  unit.setConditions(status.c2, 0);
  if (state.isEmpty(0) || unit.isFull()) {
    if (unit.stackFault(!state.isEmpty(0))) {
      unit.putIndefinite(0);
      state.top -= 1;
      unit.putIndefinite(0);
    }
    return;
  }
  unit.load(0, a);
  if (outOfRange(unit, a)) {
    return;
  }
  if (unit.takeNan(a) || a.kind === kind.infinity) {
    if (a.kind === kind.infinity) {
      env.setInvalid(extended64);
    }
    if (unit.commit()) {
      unit.put(0);
      unit.push();
    }
    return;
  }
  if (a.kind === kind.zero) {
    env.setZero(a.sign);
    unit.put(0);
    env.round(extended64, 0, 0, 1n, 1);
    unit.push();
    return;
  }
  if (unit.denormalStops(a)) {
    unit.commit();
    return;
  }
  (tangent ? setTangent : setSine)(unit, a);
  unit.put(0);
  if (tangent) {
    const up = env.roundedUp;
    env.round(extended64, 0, 0, 1n, 1);
    env.roundedUp = up;
  } else {
    setCosine(unit, a);
  }
  unit.commit();
  unit.push();
}

/** An instruction on ST(0) and ST(1) that pops and leaves its result in the new ST(0). */
function binary(unit: Unit, compute: (unit: Unit, x: Unpacked, y: Unpacked) => void): void {
  const { a, b, state } = unit;
  unit.begin();
  if (state.isEmpty(0) || state.isEmpty(1)) {
    if (unit.underflowTo(1)) {
      state.pop();
    }
    return;
  }
  unit.load(0, a);
  unit.load(1, b);
  if (!unit.takeNan(a, b)) {
    compute(unit, a, b);
  }
  if (unit.commit()) {
    unit.put(1);
    state.pop();
  }
}

/** y log₂ x. */
function logarithm(unit: Unit, x: Unpacked, y: Unpacked): void {
  const env = unit.env;
  if (x.kind === kind.zero) {
    logarithmOfZero(unit, y);
    return;
  }
  const one = x.kind === kind.finite && x.exponent === 0 && x.significand === 1n << 63n;
  const invalid = x.sign === 1 || (x.kind === kind.infinity && y.kind === kind.zero)
    || (one && y.kind === kind.infinity);
  if (invalid) {
    env.setInvalid(extended64);
    return;
  }
  if (unit.denormalStops(x, y)) {
    return;
  }
  const below = x.kind === kind.finite && x.exponent < 0;
  const sign = below ? y.sign ^ 1 : y.sign;
  if (x.kind === kind.infinity || y.kind === kind.infinity) {
    env.setInfinity(extended64, sign);
  } else if (one || y.kind === kind.zero) {
    env.setZero(sign);
  } else {
    setProduct(unit, y, logarithmOf(x));
  }
}

/** log₂ 0 is −∞: a division by zero, unless the other operand decides. */
function logarithmOfZero(unit: Unit, y: Unpacked): void {
  const env = unit.env;
  if (y.kind === kind.zero) {
    env.setInvalid(extended64);
    return;
  }
  if (y.kind !== kind.infinity) {
    env.raise(exception.zeroDivide);
  }
  env.setInfinity(extended64, y.sign ^ 1);
}

/** log₂ of a positive finite operand, which is brought between 0.75 and 1.5 for it. */
function logarithmOf(x: Unpacked): bigint {
  const high = x.significand >= 3n << 62n;
  const exponent = high ? x.exponent + 1 : x.exponent;
  const mantissa = x.significand << BigInt(fixedBits - 63 - (high ? 1 : 0));
  return (BigInt(exponent) << fixedShift) + fixedLog2(mantissa - fixedOne);
}

/** y × a fixed-point value × 2^`scale`. */
function setProduct(unit: Unit, y: Unpacked, value: bigint, scale = 0): void {
  const sign = value < 0n ? y.sign ^ 1 : y.sign;
  const magnitude = value < 0n ? -value : value;
  const product = y.significand * magnitude;
  const length = bitLength(product);
  unit.env.round(
    extended64, sign, y.exponent + length - 64 - fixedBits + scale, product, length,
  );
  noteInexact(unit);
}

/** y log₂ (x + 1). */
function logarithmPlusOne(unit: Unit, x: Unpacked, y: Unpacked): void {
  const env = unit.env;
  const invalid = (x.kind === kind.infinity && (x.sign === 1 || y.kind === kind.zero))
    || (x.kind === kind.zero && y.kind === kind.infinity);
  if (invalid) {
    env.setInvalid(extended64);
    return;
  }
  if (unit.denormalStops(x, y)) {
    return;
  }
  const sign = x.sign ^ y.sign;
  if (x.kind === kind.infinity || y.kind === kind.infinity) {
    env.setInfinity(extended64, sign);
  } else if (x.kind === kind.zero || y.kind === kind.zero) {
    env.setZero(sign);
  } else if (x.sign === 1 && x.exponent >= 0) {
    env.round(extended64, x.sign, x.exponent, x.significand, 64);
    noteInexact(unit);
  } else {
    logarithmPlusOneFinite(unit, x, y);
  }
}

function logarithmPlusOneFinite(unit: Unit, x: Unpacked, y: Unpacked): void {
  if (x.exponent < -66) {
    // x / ln 2; the next term of the series is 2^-67 of it.
    const value = ((x.significand << (2n * fixedShift)) / fixedLn2) >> 64n;
    setProduct(unit, y, x.sign === 1 ? -value : value, x.exponent + 1);
    return;
  }
  if (x.exponent < 100) {
    const sum = fixedOne + toFixed(x);
    const length = bitLength(sum);
    const high = sum >> BigInt(length - 2) === 3n;
    const exponent = length - 1 - fixedBits + (high ? 1 : 0);
    const mantissa = exponent >= 0 ? sum >> BigInt(exponent) : sum << BigInt(-exponent);
    setProduct(unit, y, (BigInt(exponent) << fixedShift) + fixedLog2(mantissa - fixedOne));
    return;
  }
  setProduct(unit, y, logarithmOf(x));
}

/** Quotients below 2^this equal their arctangent to more than 64 bits. */
const tinyQuotient = -40;

/** The angle of the point (x, y): ST(0) is x, ST(1) is y. */
function arctangent(unit: Unit, x: Unpacked, y: Unpacked): void {
  const env = unit.env;
  if (unit.denormalStops(x, y)) {
    return;
  }
  const left = x.sign === 1;
  if (y.kind === kind.zero || (x.kind === kind.infinity && y.kind !== kind.infinity)) {
    if (left) {
      setFixed(unit, y.sign, fixedPi);
    } else {
      env.setZero(y.sign);
    }
  } else if (x.kind === kind.zero || (y.kind === kind.infinity && x.kind !== kind.infinity)) {
    setFixed(unit, y.sign, fixedPi >> 1n);
  } else if (y.kind === kind.infinity) {
    setFixed(unit, y.sign, left ? (3n * fixedPi) >> 2n : fixedPi >> 2n);
  } else {
    arctangentFinite(unit, x, y);
  }
}

function arctangentFinite(unit: Unit, x: Unpacked, y: Unpacked): void {
  const distance = y.exponent - x.exponent;
  if (x.sign === 0 && distance < tinyQuotient) {
    const quotient = (y.significand << 128n) / x.significand;
    const value = (quotient << 1n) - 1n;
    const length = bitLength(value);
    unit.env.round(extended64, y.sign, distance + length - 130, value, length);
    noteInexact(unit);
    return;
  }
  const steep = distance > 0 || (distance === 0 && y.significand > x.significand);
  const quotient = steep ? quotientOf(x, y) : quotientOf(y, x);
  const inner = fixedArctangent(quotient);
  // From the positive x axis to the steep half, to the left, and to both.
  let angle = inner;
  if (steep) {
    angle = x.sign === 1 ? (fixedPi >> 1n) + inner : (fixedPi >> 1n) - inner;
  } else if (x.sign === 1) {
    angle = fixedPi - inner;
  }
  setFixed(unit, y.sign, angle);
}

/** |a / b| ≤ 1 in fixed point. */
function quotientOf(a: Unpacked, b: Unpacked): bigint {
  const scale = fixedBits + a.exponent - b.exponent;
  return scale < 0 ? 0n : (a.significand << BigInt(scale)) / b.significand;
}

/** By the ModRM byte after D9. */
export const transcendentals: Readonly<Record<number, (unit: Unit) => void>> = {
  0xf0: (unit) => unary(unit, exponential),
  0xf1: (unit) => binary(unit, logarithm),
  0xf2: (unit) => circularPair(unit, true),
  0xf3: (unit) => binary(unit, arctangent),
  0xf9: (unit) => binary(unit, logarithmPlusOne),
  0xfb: (unit) => circularPair(unit, false),
  0xfe: (unit) => circular(unit, false),
  0xff: (unit) => circular(unit, true),
};
