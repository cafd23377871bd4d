/** Loads, stores, exchanges and constants: Intel SDM vol. 1 §8.3.3 and §8.3.4. */
import { roundOperand } from "../float/arithmetic.ts";
import { integerMagnitude, toInteger } from "../float/convert.ts";
import {
  binary32, binary64, exception, extended64, type Format, pack32, pack64, rounding,
} from "../float/environment.ts";
import {
  indefiniteSignificand, kind, unpack32, unpack64, type Unpacked, unpackInteger,
} from "../float/unpacked.ts";
import { indefiniteSignExponent, type Unit } from "./unit.ts";

/** Reads a memory operand into an unpacked one. */
export type Reader = (memory: DataView, into: Unpacked) => void;

export const readReal32: Reader = (memory, into) => unpack32(memory.getUint32(0, true), into);
export const readReal64: Reader = (memory, into) => unpack64(memory.getBigUint64(0, true), into);

export const readInteger: Readonly<Record<16 | 32 | 64, Reader>> = {
  16: (memory, into) => unpackInteger(BigInt(memory.getInt16(0, true)), into),
  32: (memory, into) => unpackInteger(BigInt(memory.getInt32(0, true)), into),
  64: (memory, into) => unpackInteger(memory.getBigInt64(0, true), into),
};

/** FLD m32, FLD m64 and FILD: pushes what the reader left in `unit.b`. */
export function loadNumber(unit: Unit): void {
  const { b, env } = unit;
  unit.begin();
  if (unit.isFull()) {
    unit.pushOverflow();
    return;
  }
  if (!unit.takeNan(b)) {
    if (b.kind === kind.infinity) {
      env.setInfinity(extended64, b.sign);
    } else {
      roundOperand(env, extended64, b);
    }
  }
  const loads = unit.commit();
  if (b.denormal) {
    // AMD's processors load a denormal even if this exception is unmasked.
    unit.state.status |= exception.denormal;
  }
  if (loads) {
    unit.push();
  }
}

/** FLD m80: bits, whatever they mean. */
export function loadExtended(unit: Unit, memory: DataView): void {
  unit.begin();
  if (unit.isFull()) {
    unit.pushOverflow();
    return;
  }
  unit.state.top -= 1;
  unit.state.put(0, memory.getUint16(8, true), memory.getBigUint64(0, true));
}

export function storeExtended(unit: Unit, memory: DataView): void {
  const state = unit.state;
  unit.begin();
  const register = state.physical(0);
  let signExponent = state.signExponentOf(register);
  let significand = state.significandOf(register);
  if (state.isEmpty(0)) {
    if (!unit.stackFault(false)) {
      return;
    }
    signExponent = indefiniteSignExponent;
    significand = indefiniteSignificand;
  }
  memory.setBigUint64(0, significand, true);
  memory.setUint16(8, signExponent, true);
  stored(unit, true);
}

/** Prepares ST(0) for a store; false if the instruction ends here with an unmasked fault. */
function loadForStore(unit: Unit): boolean {
  unit.begin();
  if (!unit.state.isEmpty(0)) {
    unit.load(0, unit.a);
    return true;
  }
  if (!unit.stackFault(false)) {
    return false;
  }
  // The masked response stores an indefinite, as an unsupported operand would.
  unit.a.kind = kind.unsupported;
  return true;
}

/** FST and FSTP m32 and m64. */
export function storeReal(unit: Unit, memory: DataView, bits: 32 | 64, pop: boolean): void {
  if (!loadForStore(unit)) {
    return;
  }
  const { a, env } = unit;
  const format: Format = bits === 32 ? binary32 : binary64;
  env.exponentWrap = 0;
  if (a.kind === kind.infinity) {
    env.setInfinity(format, a.sign);
  } else if (!takeNanFor(unit, format, a)) {
    roundOperand(env, format, a);
  }
  env.exponentWrap = 24576;
  if (!unit.commitStore()) {
    return;
  }
  if (bits === 32) {
    memory.setUint32(0, pack32(env), true);
  } else {
    memory.setBigUint64(0, pack64(env), true);
  }
  stored(unit, pop);
}

function takeNanFor(unit: Unit, format: Format, a: Unpacked): boolean {
  const found = unit.takeNan(a);
  if (found) {
    unit.env.biased = 2 * format.bias + 1;
  }
  return found;
}

function stored(unit: Unit, pop: boolean): void {
  unit.stored = true;
  if (pop) {
    unit.state.pop();
  }
}

/** FIST, FISTP and FISTTP. */
export function storeInteger(
  unit: Unit, memory: DataView, bits: 16 | 32 | 64, pop: boolean, truncate: boolean,
): void {
  if (!loadForStore(unit)) {
    return;
  }
  const env = unit.env;
  const value = toInteger(env, unit.a, bits, truncate ? rounding.zero : env.rounding);
  if (!unit.commitStore()) {
    return;
  }
  if (bits === 64) {
    memory.setBigInt64(0, value, true);
  } else if (bits === 32) {
    memory.setInt32(0, Number(value), true);
  } else {
    memory.setInt16(0, Number(value), true);
  }
  stored(unit, pop);
}

const decimalDigits = 18;
const decimalLimit = 10n ** BigInt(decimalDigits);

/** FBSTP: eighteen packed decimal digits and a sign. */
export function storeDecimal(unit: Unit, memory: DataView): void {
  if (!loadForStore(unit)) {
    return;
  }
  const { a, env } = unit;
  let magnitude = decimalLimit;
  if (a.kind === kind.zero || (a.kind === kind.finite && a.exponent < 64)) {
    magnitude = integerMagnitude(env, a, env.rounding);
  }
  if (magnitude >= decimalLimit) {
    env.flags = exception.invalid;
    env.roundedUp = false;
  }
  if (!unit.commitStore()) {
    return;
  }
  if (magnitude >= decimalLimit) {
    memory.setBigUint64(0, 0xc000_0000_0000_0000n, true);
    memory.setUint16(8, 0xffff, true);
  } else {
    writeDigits(memory, magnitude);
    memory.setUint8(9, a.sign << 7);
  }
  stored(unit, true);
}

function writeDigits(memory: DataView, magnitude: bigint): void {
  const digits = magnitude.toString().padStart(decimalDigits, "0");
  for (let at = 0; at < 9; at++) {
    const end = decimalDigits - 2 * at;
    memory.setUint8(at, Number.parseInt(digits.slice(end - 2, end), 16));
  }
}

/** FBLD; what digits above nine mean is undefined, here each counts for its value. */
export function readDecimal(memory: DataView, into: Unpacked): void {
  let magnitude = 0n;
  for (let at = 8; at >= 0; at--) {
    const pair = memory.getUint8(at);
    magnitude = magnitude * 100n + BigInt((pair >> 4) * 10 + (pair & 15));
  }
  unpackInteger(magnitude, into);
  into.sign = memory.getUint8(9) >> 7;
}

/** FLD ST(i). */
export function loadRegister(unit: Unit, index: number): void {
  const state = unit.state;
  unit.begin();
  if (state.isEmpty(index)) {
    if (unit.stackFault(false)) {
      state.top -= 1;
      unit.putIndefinite(0);
    }
    return;
  }
  if (unit.isFull()) {
    unit.pushOverflow();
    return;
  }
  const register = state.physical(index);
  const signExponent = state.signExponentOf(register);
  const significand = state.significandOf(register);
  state.top -= 1;
  state.put(0, signExponent, significand);
}

/** FST ST(i) and FSTP ST(i). */
export function storeRegister(unit: Unit, index: number, pop: boolean): void {
  const state = unit.state;
  unit.begin();
  if (state.isEmpty(0)) {
    if (!unit.underflowTo(index)) {
      return;
    }
  } else {
    const register = state.physical(0);
    state.put(index, state.signExponentOf(register), state.significandOf(register));
  }
  if (pop) {
    state.pop();
  }
}

/** D9 D8–DF, an FSTP ST(i) that does not mind an empty ST(0) and then only pops. */
export function storeUnchecked(unit: Unit, index: number): void {
  if (unit.state.isEmpty(0)) {
    unit.begin();
    unit.state.pop();
  } else {
    storeRegister(unit, index, true);
  }
}

/** FXCH: empty registers become indefinite, then both change places. */
export function exchange(unit: Unit, index: number): void {
  const state = unit.state;
  unit.begin();
  if (state.isEmpty(0) || state.isEmpty(index)) {
    if (!unit.stackFault(false)) {
      return;
    }
    for (const which of [0, index]) {
      if (state.isEmpty(which)) {
        unit.putIndefinite(which);
      }
    }
  }
  const top = state.physical(0);
  const signExponent = state.signExponentOf(top);
  const significand = state.significandOf(top);
  const other = state.physical(index);
  state.put(0, state.signExponentOf(other), state.significandOf(other));
  state.put(index, signExponent, significand);
}

/** FCMOVcc, with the condition decided by the caller; C1 changes with a stack fault only. */
export function moveIf(unit: Unit, index: number, condition: boolean): void {
  const state = unit.state;
  if (state.isEmpty(0) || state.isEmpty(index)) {
    unit.underflowTo(0);
  } else if (condition) {
    const register = state.physical(index);
    state.put(0, state.signExponentOf(register), state.significandOf(register));
  }
}

/** A constant: the first 128 bits of its significand, and the exponent of the leading one. */
export interface Constant {
  readonly exponent: number;
  readonly significand: bigint;
}

/** FLD1 and its kin: rounded by rounding control, to 64 bits whatever the precision control. */
export function loadConstant(unit: Unit, constant: Constant | undefined): void {
  const env = unit.env;
  unit.begin();
  if (unit.isFull()) {
    unit.pushOverflow();
    return;
  }
  if (constant === undefined) {
    env.setZero(0);
  } else {
    env.round(extended64, 0, constant.exponent, constant.significand, 128);
  }
  unit.push();
}
