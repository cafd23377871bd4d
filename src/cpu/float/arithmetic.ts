/**
 * Addition, multiplication, division, square root and fused multiply-add, IEEE 754-2008 §5.4.1.
 * Operands are never NaNs nor unsupported: the callers have dealt with these by their own rules.
 * Each operation raises what is known beforehand, stops if that is unmasked, then computes.
 */
import { exception, type FloatEnvironment, type Format, rounding } from "./environment.ts";
import { bitLength, kind, Unpacked } from "./unpacked.ts";

function raiseDenormal(env: FloatEnvironment, a: Unpacked, b: Unpacked): boolean {
  if (a.denormal || b.denormal) {
    env.raise(exception.denormal);
  }
  return env.stopped();
}

/** Rounds a finite operand into the format (a zero stays one). */
export function roundOperand(env: FloatEnvironment, format: Format, a: Unpacked): void {
  if (a.kind === kind.zero) {
    env.setZero(a.sign);
  } else {
    env.round(format, a.sign, a.exponent, a.significand, 64);
  }
}

/** a + b, or a − b with `negate` = 1. */
export function add(
  env: FloatEnvironment, format: Format, a: Unpacked, b: Unpacked, negate: number,
): void {
  const signB = b.sign ^ negate;
  if (a.kind === kind.infinity || b.kind === kind.infinity) {
    if (a.kind === b.kind && a.sign !== signB) {
      env.setInvalid(format);
      return;
    }
    raiseDenormal(env, a, b);
    env.setInfinity(format, a.kind === kind.infinity ? a.sign : signB);
    return;
  }
  if (raiseDenormal(env, a, b)) {
    return;
  }
  if (a.kind === kind.zero && b.kind === kind.zero) {
    env.setZero(a.sign === signB ? a.sign : zeroSign(env));
  } else if (a.kind === kind.zero) {
    env.round(format, signB, b.exponent, b.significand, 64);
  } else if (b.kind === kind.zero) {
    env.round(format, a.sign, a.exponent, a.significand, 64);
  } else {
    addWide(
      env, format, a.sign, a.exponent, a.significand, signB, b.exponent, b.significand, 64,
    );
  }
}

/** The sign of an exact zero difference, IEEE 754-2008 §6.3. */
function zeroSign(env: FloatEnvironment): number {
  return env.rounding === rounding.down ? 1 : 0;
}

/** Sum of two values with significands of exactly `width` bits. */
function addWide(
  env: FloatEnvironment, format: Format,
  signA: number, exponentA: number, a: bigint,
  signB: number, exponentB: number, b: bigint, width: number,
): void {
  if (exponentA < exponentB) {
    addWide(env, format, signB, exponentB, b, signA, exponentA, a, width);
    return;
  }
  const distance = exponentA - exponentB;
  let large = a;
  let small = b;
  let scale = distance;
  if (distance > width + 6) {
    // No bit of the smaller operand reaches the result; it only says "a little more or less".
    scale = 4;
    small = 1n;
  }
  large <<= BigInt(scale);
  const sum = signA === signB ? large + small : large - small;
  if (sum === 0n) {
    env.setZero(zeroSign(env));
    return;
  }
  const sign = sum < 0n ? signB : signA;
  const magnitude = sum < 0n ? -sum : sum;
  const length = bitLength(magnitude);
  env.round(format, sign, exponentA + length - width - scale, magnitude, length);
}

export function multiply(
  env: FloatEnvironment, format: Format, a: Unpacked, b: Unpacked,
): void {
  const sign = a.sign ^ b.sign;
  if (a.kind === kind.infinity || b.kind === kind.infinity) {
    if (a.kind === kind.zero || b.kind === kind.zero) {
      env.setInvalid(format);
      return;
    }
    raiseDenormal(env, a, b);
    env.setInfinity(format, sign);
    return;
  }
  if (raiseDenormal(env, a, b)) {
    return;
  }
  if (a.kind === kind.zero || b.kind === kind.zero) {
    env.setZero(sign);
    return;
  }
  const product = a.significand * b.significand;
  const carry = product >> 127n === 0n ? 0 : 1;
  env.round(format, sign, a.exponent + b.exponent + carry, product, 127 + carry);
}

export function divide(env: FloatEnvironment, format: Format, a: Unpacked, b: Unpacked): void {
  const sign = a.sign ^ b.sign;
  if (a.kind === b.kind && (a.kind === kind.infinity || a.kind === kind.zero)) {
    env.setInvalid(format);
    return;
  }
  if (b.kind === kind.zero && a.kind === kind.finite) {
    // The denormal exception has a lower priority and is not raised, §4.9.2.
    env.raise(exception.zeroDivide);
    env.setInfinity(format, sign);
    return;
  }
  if (raiseDenormal(env, a, b)) {
    return;
  }
  if (a.kind === kind.infinity) {
    env.setInfinity(format, sign);
    return;
  }
  if (a.kind === kind.zero || b.kind === kind.infinity) {
    env.setZero(sign);
    return;
  }
  const numerator = a.significand << 67n;
  let quotient = numerator / b.significand;
  if (quotient * b.significand !== numerator) {
    quotient |= 1n;
  }
  const width = quotient >> 67n === 0n ? 67 : 68;
  env.round(format, sign, a.exponent - b.exponent + width - 68, quotient, width);
}

export function squareRoot(env: FloatEnvironment, format: Format, a: Unpacked): void {
  if (a.kind === kind.zero) {
    env.setZero(a.sign);
    return;
  }
  if (a.sign === 1) {
    env.setInvalid(format);
    return;
  }
  if (raiseDenormal(env, a, a)) {
    return;
  }
  if (a.kind === kind.infinity) {
    env.setInfinity(format, 0);
    return;
  }
  // An even power of two is taken out; the root of 134 or 135 bits has 67 or 68.
  const scale = (a.exponent & 1) === 0 ? 71 : 72;
  const radicand = a.significand << BigInt(scale);
  let root = integerSquareRoot(radicand);
  if (root * root !== radicand) {
    root |= 1n;
  }
  const width = root >> 67n === 0n ? 67 : 68;
  env.round(format, 0, (a.exponent - 63 - scale) / 2 + width - 1, root, width);
}

/** Floor of the square root of an integer below 2^200. */
function integerSquareRoot(value: bigint): bigint {
  const start = BigInt(Math.floor(Math.sqrt(Number(value))));
  // One Newton step doubles the 52 good bits of the double, and never ends far from the root.
  let root = (start + value / start) >> 1n;
  while (root * root > value) {
    root -= 1n;
  }
  while ((root + 1n) * (root + 1n) <= value) {
    root += 1n;
  }
  return root;
}

/**
 * a × b + c with one rounding; `negateProduct` and `negateAddend` give the four FMA families.
 * Intel SDM vol. 1 §14.5.1 has the cases of infinities and zeros.
 */
export function multiplyAdd(
  env: FloatEnvironment, format: Format, a: Unpacked, b: Unpacked, c: Unpacked,
  negateProduct: number, negateAddend: number,
): void {
  const sign = a.sign ^ b.sign ^ negateProduct;
  const signC = c.sign ^ negateAddend;
  const infiniteProduct = a.kind === kind.infinity || b.kind === kind.infinity;
  const zeroProduct = a.kind === kind.zero || b.kind === kind.zero;
  if (infiniteProduct && (zeroProduct || (c.kind === kind.infinity && sign !== signC))) {
    env.setInvalid(format);
    return;
  }
  if (raiseDenormal(env, a, b) || raiseDenormal(env, c, c)) {
    return;
  }
  if (infiniteProduct || c.kind === kind.infinity) {
    env.setInfinity(format, infiniteProduct ? sign : signC);
    return;
  }
  if (zeroProduct) {
    if (c.kind === kind.zero) {
      env.setZero(sign === signC ? sign : zeroSign(env));
    } else {
      env.round(format, signC, c.exponent, c.significand, 64);
    }
    return;
  }
  const product = a.significand * b.significand;
  const carry = product >> 127n === 0n ? 0 : 1;
  const exponent = a.exponent + b.exponent + carry;
  if (c.kind === kind.zero) {
    env.round(format, sign, exponent, product, 127 + carry);
    return;
  }
  addWide(
    env, format, sign, exponent, product << BigInt(1 - carry),
    signC, c.exponent, c.significand << 64n, 128,
  );
}
