/** FADD to FDIVR, FSQRT, FSCALE, FXTRACT, FRNDINT, FCHS, FABS: Intel SDM vol. 1 §8.3.5. */
import { add, divide, multiply, roundOperand, squareRoot } from "../float/arithmetic.ts";
import { toIntegral } from "../float/convert.ts";
import { exception, extended64 } from "../float/environment.ts";
import { kind, type Unpacked, unpackInteger } from "../float/unpacked.ts";
import type { Unit } from "./unit.ts";

/** The operations in the order of the opcodes' middle bits; 2 and 3 are comparisons. */
export const arithmeticCode = {
  add: 0, multiply: 1, subtract: 4, subtractReverse: 5, divide: 6, divideReverse: 7,
} as const;

/** Computes `code` on ST(`target`) and the other operand, which is ready in `unit.b`. */
export function arithmeticWith(unit: Unit, code: number, target: number): boolean {
  unit.load(target, unit.a);
  return finish(unit, code, unit.a, unit.b, target);
}

/** ST(`target`) with a register; the subtraction and division forms name what is left. */
export function arithmeticRegisters(
  unit: Unit, code: number, target: number, source: number,
): boolean {
  unit.begin();
  if (unit.state.isEmpty(target) || unit.state.isEmpty(source)) {
    return unit.underflowTo(target);
  }
  unit.load(source, unit.b);
  return arithmeticWith(unit, code, target);
}

/** ST(0) with a memory operand in `unit.b`. */
export function arithmeticMemory(unit: Unit, code: number): void {
  unit.begin();
  if (unit.state.isEmpty(0)) {
    unit.underflowTo(0);
    return;
  }
  arithmeticWith(unit, code, 0);
}

function finish(unit: Unit, code: number, a: Unpacked, b: Unpacked, target: number): boolean {
  if (!unit.takeNan(a, b)) {
    operate(unit, code, a, b);
  }
  const written = unit.commit();
  if (written) {
    unit.put(target);
  }
  return written;
}

function operate(unit: Unit, code: number, a: Unpacked, b: Unpacked): void {
  const env = unit.env;
  const format = unit.format();
  switch (code) {
    case arithmeticCode.add:
      return add(env, format, a, b, 0);
    case arithmeticCode.multiply:
      return multiply(env, format, a, b);
    case arithmeticCode.subtract:
      return add(env, format, a, b, 1);
    case arithmeticCode.subtractReverse:
      return add(env, format, b, a, 1);
    case arithmeticCode.divide:
      return divide(env, format, a, b);
    default:
      return divide(env, format, b, a);
  }
}

/** An instruction on ST(0) alone: `compute` leaves its result in the environment. */
function unary(unit: Unit, compute: (a: Unpacked) => void): void {
  unit.begin();
  if (unit.state.isEmpty(0)) {
    unit.underflowTo(0);
    return;
  }
  const a = unit.a;
  unit.load(0, a);
  if (!unit.takeNan(a)) {
    compute(a);
  }
  if (unit.commit()) {
    unit.put(0);
  }
}

export function squareRootTop(unit: Unit): void {
  unary(unit, (a) => squareRoot(unit.env, unit.format(), a));
}

export function roundTop(unit: Unit): void {
  unary(unit, (a) => {
    if (a.kind === kind.infinity) {
      unit.env.setInfinity(extended64, a.sign);
    } else if (!unit.denormalStops(a)) {
      toIntegral(unit.env, a, unit.env.rounding);
      const up = unit.env.roundedUp;
      roundOperand(unit.env, extended64, a);
      unit.env.roundedUp = up;
    }
  });
}

/** FCHS and FABS: no operand is invalid, and no flag but those of the stack is raised. */
export function changeSign(unit: Unit, absolute: boolean): void {
  unit.begin();
  const state = unit.state;
  if (state.isEmpty(0)) {
    unit.underflowTo(0);
    return;
  }
  const register = state.physical(0);
  const value = state.signExponentOf(register);
  state.put(0, absolute ? value & 0x7fff : value ^ 0x8000, state.significandOf(register));
}

/** Beyond this any operand has overflowed or underflowed, also after the exponent is wrapped. */
const scaleMax = 0x1_0000;

/** FSCALE: ST(0) × 2^trunc(ST(1)). */
export function scale(unit: Unit): void {
  unit.begin();
  const { a, b } = unit;
  if (unit.state.isEmpty(0) || unit.state.isEmpty(1)) {
    unit.underflowTo(0);
    return;
  }
  unit.load(0, a);
  unit.load(1, b);
  if (!unit.takeNan(a, b)) {
    scaleNumbers(unit, a, b);
  }
  if (unit.commit()) {
    unit.put(0);
  }
}

function scaleNumbers(unit: Unit, a: Unpacked, b: Unpacked): void {
  const env = unit.env;
  if (b.kind === kind.infinity) {
    const grows = b.sign === 0;
    if (a.kind === (grows ? kind.zero : kind.infinity)) {
      env.setInvalid(extended64);
    } else if (!unit.denormalStops(a)) {
      if (grows) {
        env.setInfinity(extended64, a.sign);
      } else {
        env.setZero(a.sign);
      }
    }
    return;
  }
  if (unit.denormalStops(a, b)) {
    return;
  }
  if (a.kind === kind.infinity) {
    env.setInfinity(extended64, a.sign);
    return;
  }
  if (a.kind === kind.zero) {
    env.setZero(a.sign);
    return;
  }
  const exponent = a.exponent + truncated(b);
  env.round(extended64, a.sign, exponent, a.significand, 64);
}

/** The operand without its fraction, kept within ±`scaleMax`. */
function truncated(b: Unpacked): number {
  if (b.kind === kind.zero || b.exponent < 0) {
    return 0;
  }
  const magnitude = b.exponent > 16 ? scaleMax : Number(b.significand >> BigInt(63 - b.exponent));
  const bounded = Math.min(magnitude, scaleMax);
  return b.sign === 1 ? -bounded : bounded;
}

/** FXTRACT: ST(0) becomes the exponent, and the significand is pushed. */
export function extract(unit: Unit): void {
  unit.begin();
  const { a, env, state } = unit;
  if (state.isEmpty(0)) {
    if (unit.underflowTo(0)) {
      state.top -= 1;
      unit.putIndefinite(0);
    }
    return;
  }
  if (unit.isFull()) {
    if (unit.stackFault(true)) {
      unit.putIndefinite(0);
      state.top -= 1;
      unit.putIndefinite(0);
    }
    return;
  }
  unit.load(0, a);
  if (unit.takeNan(a)) {
    if (unit.commit()) {
      unit.put(0);
      unit.push();
    }
    return;
  }
  const sign = a.sign;
  if (a.kind === kind.zero) {
    env.raise(exception.zeroDivide);
  } else {
    unit.denormalStops(a);
  }
  if (!unit.commit()) {
    return;
  }
  if (a.kind !== kind.finite) {
    env.setInfinity(extended64, a.kind === kind.zero ? 1 : 0);
    unit.put(0);
    state.top -= 1;
    state.put(0, sign << 15 | (a.kind === kind.zero ? 0 : 0x7fff), a.significand);
    return;
  }
  const significand = a.significand;
  unpackInteger(BigInt(a.exponent), a);
  roundOperand(env, extended64, a);
  unit.put(0);
  state.top -= 1;
  state.put(0, sign << 15 | 0x3fff, significand);
}
