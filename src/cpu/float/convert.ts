/** Comparison and conversion to integers, IEEE 754-2008 §5.3.1, §5.8 and §5.11. */
import { exception, type FloatEnvironment, roundsUp } from "./environment.ts";
import { bitLength, kind, type Unpacked } from "./unpacked.ts";

/** The outcome of a comparison. */
export const relation = { less: -1, equal: 0, greater: 1, unordered: 2 } as const;

/** Compares a and b; raises nothing. Unsupported operands are unordered, like NaNs. */
export function compare(a: Unpacked, b: Unpacked): number {
  if (a.kind >= kind.quiet || b.kind >= kind.quiet) {
    return relation.unordered;
  }
  if (a.kind === kind.zero && b.kind === kind.zero) {
    return relation.equal;
  }
  if (a.kind === kind.zero) {
    return b.sign === 1 ? relation.greater : relation.less;
  }
  const above = a.sign === 1 ? relation.less : relation.greater;
  if (b.kind === kind.zero || a.sign !== b.sign) {
    return above;
  }
  return compareMagnitudes(a, b) * above;
}

function compareMagnitudes(a: Unpacked, b: Unpacked): number {
  if (a.kind !== b.kind) {
    return a.kind === kind.infinity ? 1 : -1;
  }
  if (a.kind === kind.infinity) {
    return 0;
  }
  if (a.exponent !== b.exponent) {
    return a.exponent > b.exponent ? 1 : -1;
  }
  return a.significand === b.significand ? 0 : a.significand > b.significand ? 1 : -1;
}

/**
 * The magnitude of a finite operand (or zero) rounded to an integer. Raises precision and sets
 * `roundedUp`. Operands of 2^64 and more are integers already and come out exact.
 */
export function integerMagnitude(env: FloatEnvironment, a: Unpacked, mode: number): bigint {
  env.roundedUp = false;
  if (a.kind === kind.zero) {
    return 0n;
  }
  const shift = 63 - a.exponent;
  if (shift <= 0) {
    return a.significand << BigInt(-shift);
  }
  // Below a half all values round alike; a bounded shift keeps the sticky meaning.
  const bounded = Math.min(shift, 66);
  const distance = BigInt(bounded);
  const kept = a.significand >> distance;
  const lost = a.significand - (kept << distance);
  if (lost === 0n) {
    return kept;
  }
  env.raise(exception.precision);
  env.roundedUp = roundsUp(mode, a.sign, kept, lost, bounded);
  return env.roundedUp ? kept + 1n : kept;
}

/** The most negative integer: the response to an invalid conversion, "integer indefinite". */
export function integerIndefinite(bits: number): bigint {
  return -(1n << BigInt(bits - 1));
}

/** Converts to a signed integer of `bits` bits; out of range, NaN or infinity is invalid. */
export function toInteger(
  env: FloatEnvironment, a: Unpacked, bits: number, mode: number,
): bigint {
  const indefinite = integerIndefinite(bits);
  const tooLarge = a.kind > kind.finite || (a.kind === kind.finite && a.exponent >= bits);
  if (!tooLarge) {
    const magnitude = integerMagnitude(env, a, mode);
    const value = a.sign === 1 ? -magnitude : magnitude;
    if (value >= indefinite && value < -indefinite) {
      return value;
    }
  }
  // Invalid takes the place of an inexact result.
  env.flags &= ~exception.precision;
  env.roundedUp = false;
  env.raise(exception.invalid);
  return indefinite;
}

/** Rounds an operand to an integral value in place, for the formats of up to 64 bits. */
export function toIntegral(env: FloatEnvironment, a: Unpacked, mode: number): void {
  if (a.kind !== kind.finite || a.exponent >= 63) {
    return;
  }
  const magnitude = integerMagnitude(env, a, mode);
  if (magnitude === 0n) {
    a.setZero(a.sign);
    return;
  }
  const length = bitLength(magnitude);
  a.significand = magnitude << BigInt(64 - length);
  a.exponent = length - 1;
  a.denormal = false;
}
