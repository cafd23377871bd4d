/** FPREM and FPREM1: Intel SDM vol. 2, exact remainders with the last quotient bits in C0–C3. */
import { exception, extended64 } from "../float/environment.ts";
import { bitLength, kind, type Unpacked } from "../float/unpacked.ts";
import { status } from "./state.ts";
import type { Unit } from "./unit.ts";

/** An exponent difference below this is reduced in one step. */
const completeBelow = 64;

/** FPREM truncates the quotient; FPREM1 (`nearest`) rounds it to the nearest integer. */
export function remainder(unit: Unit, nearest: boolean): void {
  const { a, b, env } = unit;
  unit.begin();
  // Without a quotient only C2 and C1 change.
  unit.setConditions(status.c2, 0);
  if (unit.state.isEmpty(0) || unit.state.isEmpty(1)) {
    unit.underflowTo(0);
    return;
  }
  unit.load(0, a);
  unit.load(1, b);
  let conditions = 0;
  if (!unit.takeNan(a, b)) {
    conditions = reduce(unit, a, b, nearest);
  }
  const invalid = a.kind >= kind.quiet || b.kind >= kind.quiet
    || (env.flags & exception.invalid) !== 0;
  if (unit.commit()) {
    unit.put(0);
    if (!invalid) {
      unit.setConditions(status.conditions, conditions);
    }
  }
}

function reduce(unit: Unit, a: Unpacked, b: Unpacked, nearest: boolean): number {
  const env = unit.env;
  if (a.kind === kind.infinity || b.kind === kind.zero) {
    env.setInvalid(extended64);
    return 0;
  }
  if (unit.denormalStops(a, b)) {
    return 0;
  }
  if (a.kind === kind.zero) {
    env.setZero(a.sign);
    return 0;
  }
  const distance = a.exponent - b.exponent;
  if (b.kind === kind.infinity || distance < -1) {
    env.round(extended64, a.sign, a.exponent, a.significand, 64);
    return 0;
  }
  if (distance >= completeBelow) {
    return reducePartly(unit, a, b, distance);
  }
  const dividend = a.significand << BigInt(Math.max(distance, 0));
  const divisor = b.significand << BigInt(Math.max(-distance, 0));
  let quotient = dividend / divisor;
  let rest = dividend - quotient * divisor;
  const twice = rest << 1n;
  if (nearest && (twice > divisor || (twice === divisor && (quotient & 1n) === 1n))) {
    quotient += 1n;
    rest -= divisor;
  }
  setRest(unit, a.sign, rest, Math.min(a.exponent, b.exponent));
  return quotientBits(Number(quotient & 7n));
}

/** The result is rest × 2^(exponent − 63), which needs no rounding. */
function setRest(unit: Unit, sign: number, rest: bigint, exponent: number): void {
  if (rest === 0n) {
    unit.env.setZero(sign);
    return;
  }
  const magnitude = rest < 0n ? -rest : rest;
  const length = bitLength(magnitude);
  const resultSign = rest < 0n ? sign ^ 1 : sign;
  unit.env.round(extended64, resultSign, exponent + length - 64, magnitude, length);
}

/** One step of a long reduction: it takes 32 to 63 bits off the exponent and sets C2. */
function reducePartly(unit: Unit, a: Unpacked, b: Unpacked, distance: number): number {
  const step = (distance & 31) | 32;
  const rest = (a.significand << BigInt(step)) % b.significand;
  setRest(unit, a.sign, rest, b.exponent + distance - step);
  return status.c2;
}

function quotientBits(low: number): number {
  return ((low & 1) !== 0 ? status.c1 : 0) | ((low & 2) !== 0 ? status.c3 : 0)
    | ((low & 4) !== 0 ? status.c0 : 0);
}
