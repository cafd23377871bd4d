/**
 * Scalar lanes of the SSE floating-point instructions, exact: Intel SDM vol. 1 §11.5 (exceptions
 * and their priorities), §4.8.3.5 (NaNs), vol. 2 for the single instructions.
 *
 * One instruction is `begin(mxcsr)`, one call per lane, then `finish()`:
 *
 *     sse.begin(mxcsr);
 *     const low = sse.binary64(sseOperation.add, aLow, bLow);
 *     const high = sse.binary64(sseOperation.add, aHigh, bHigh);
 *     const fault = sse.finish();      // true: raise #XM and write no result
 *     mxcsr |= sse.flags;              // in both cases
 *
 * Patterns of 64 bits are BigInt (unsigned), patterns of 32 bits are numbers (unsigned). Nothing
 * is allocated but BigInts. Rounding, masks, DAZ and FTZ are those of the MXCSR handed to
 * `begin`; flags already set in it have no influence.
 */
import { add, divide, multiply, multiplyAdd, roundOperand, squareRoot } from "./arithmetic.ts";
import { compare, relation, toInteger, toIntegral } from "./convert.ts";
import {
  allExceptions, binary16, binary32, binary64, exception, FloatEnvironment, type Format, pack16,
  pack32, pack64,
  preComputation, rounding,
} from "./environment.ts";
import { kind, unpack16, unpack32, unpack64, Unpacked, unpackInteger } from "./unpacked.ts";

export const sseOperation = {
  add: 0, subtract: 1, multiply: 2, divide: 3, minimum: 4, maximum: 5,
} as const;

/** Fields of MXCSR, Intel SDM vol. 1 §10.2.3. */
const denormalsAreZeroBit = 1 << 6;
const masksShift = 7;
const roundingShift = 13;
const flushToZeroBit = 1 << 15;

/** Values for `toInteger…` and `round…` where the instruction does not use MXCSR's rounding. */
export const roundingOf = { ...rounding, current: 4 } as const;

/** EFLAGS bits as COMISS and its kin set them. */
const orderFlags = { less: 0x01, equal: 0x40, greater: 0, unordered: 0x45 } as const;

/** For each compare predicate: for which relations it holds (1 less, 2 equal, 4 greater, 8 not). */
const predicateTruth = [2, 1, 3, 8, 13, 14, 12, 7, 10, 9, 11, 0, 5, 6, 4, 15] as const;
/** Predicates that raise invalid for a quiet NaN as well; those above 15 do the opposite. */
const signallingPredicates = 0b0110_0110_0110_0110;

export class SseFloat {
  /** Exceptions raised since `begin`, as bits of MXCSR. */
  flags = 0;

  readonly #env = new FloatEnvironment();
  readonly #a = new Unpacked();
  readonly #b = new Unpacked();
  readonly #c = new Unpacked();
  #denormalsAreZero = false;

  begin(mxcsr: number): void {
    const env = this.#env;
    this.flags = 0;
    env.masks = (mxcsr >> masksShift) & allExceptions;
    env.rounding = (mxcsr >> roundingShift) & 3;
    env.flushToZero = (mxcsr & flushToZeroBit) !== 0;
    this.#denormalsAreZero = (mxcsr & denormalsAreZeroBit) !== 0;
  }

  /** Completes `flags`; true if one of them is unmasked, so that no result may be written. */
  finish(): boolean {
    const unmasked = this.flags & ~this.#env.masks;
    if ((unmasked & preComputation) !== 0) {
      // The packed instruction stopped before any lane was computed.
      this.flags &= preComputation;
    }
    return unmasked !== 0;
  }

  /** `sseOperation` on two binary32 lanes. */
  binary32(operation: number, a: number, b: number): number {
    this.#load32(a, this.#a);
    this.#load32(b, this.#b);
    if (operation >= sseOperation.minimum) {
      return this.#first(operation) ? this.#flushed32(a, this.#a) : this.#flushed32(b, this.#b);
    }
    this.#operate(operation, binary32);
    return this.#result32();
  }

  /** `sseOperation` on two binary64 lanes. */
  binary64(operation: number, a: bigint, b: bigint): bigint {
    this.#load64(a, this.#a);
    this.#load64(b, this.#b);
    if (operation >= sseOperation.minimum) {
      return this.#first(operation) ? this.#flushed64(a, this.#a) : this.#flushed64(b, this.#b);
    }
    this.#operate(operation, binary64);
    return this.#result64();
  }

  squareRoot32(a: number): number {
    this.#load32(a, this.#a);
    this.#squareRoot(binary32);
    return this.#result32();
  }

  squareRoot64(a: bigint): bigint {
    this.#load64(a, this.#a);
    this.#squareRoot(binary64);
    return this.#result64();
  }

  /** ±(a × b) ± c; NaNs are taken in the order a, b, c. */
  multiplyAdd32(
    a: number, b: number, c: number, negateProduct: boolean, negateAddend: boolean,
  ): number {
    this.#load32(a, this.#a);
    this.#load32(b, this.#b);
    this.#load32(c, this.#c);
    this.#multiplyAdd(binary32, negateProduct, negateAddend);
    return this.#result32();
  }

  multiplyAdd64(
    a: bigint, b: bigint, c: bigint, negateProduct: boolean, negateAddend: boolean,
  ): bigint {
    this.#load64(a, this.#a);
    this.#load64(b, this.#b);
    this.#load64(c, this.#c);
    this.#multiplyAdd(binary64, negateProduct, negateAddend);
    return this.#result64();
  }

  /** CMPPS predicates 0–7 and the VEX ones up to 31; the caller makes a mask of the answer. */
  compare32(predicate: number, a: number, b: number): boolean {
    this.#load32(a, this.#a);
    this.#load32(b, this.#b);
    return this.#compare(predicate);
  }

  compare64(predicate: number, a: bigint, b: bigint): boolean {
    this.#load64(a, this.#a);
    this.#load64(b, this.#b);
    return this.#compare(predicate);
  }

  /** ZF, PF and CF at their places in EFLAGS; `signalling` is COMISS, else UCOMISS. */
  order32(a: number, b: number, signalling: boolean): number {
    this.#load32(a, this.#a);
    this.#load32(b, this.#b);
    return this.#order(signalling);
  }

  order64(a: bigint, b: bigint, signalling: boolean): number {
    this.#load64(a, this.#a);
    this.#load64(b, this.#b);
    return this.#order(signalling);
  }

  /** CVTSS2SD and its kin. */
  widen(a: number): bigint {
    this.#load32(a, this.#a);
    this.#convert(binary64);
    return this.#result64();
  }

  /** CVTSD2SS and its kin. */
  narrow(a: bigint): number {
    this.#load64(a, this.#a);
    this.#convert(binary32);
    return this.#result32();
  }

  /** VCVTPH2PS: denormal halves are exact, and raise nothing. */
  fromHalf(a: number): number {
    unpack16(a, this.#a);
    this.#a.denormal = false;
    this.#convert(binary32);
    return this.#result32();
  }

  /** VCVTPS2PH with its immediate; tiny results are never flushed to zero. */
  toHalf(a: number, immediate: number): number {
    const env = this.#env;
    const { rounding: own, flushToZero } = env;
    env.rounding = (immediate & 4) !== 0 ? own : immediate & 3;
    env.flushToZero = false;
    this.#load32(a, this.#a);
    this.#convert(binary16);
    this.flags |= env.flags;
    env.rounding = own;
    env.flushToZero = flushToZero;
    return pack16(env);
  }

  /** Signed integer of 32 or 64 bits; `mode` is one of `roundingOf`. */
  integerFrom32(a: number, bits: number, mode: number): bigint {
    this.#load32(a, this.#a);
    return this.#toInteger(bits, mode);
  }

  integerFrom64(a: bigint, bits: number, mode: number): bigint {
    this.#load64(a, this.#a);
    return this.#toInteger(bits, mode);
  }

  /** A signed integer of up to 64 bits as binary32. */
  fromInteger32(value: bigint): number {
    unpackInteger(value, this.#a);
    this.#convert(binary32);
    return this.#result32();
  }

  fromInteger64(value: bigint): bigint {
    unpackInteger(value, this.#a);
    this.#convert(binary64);
    return this.#result64();
  }

  /** ROUNDSS with its immediate: bits 1:0 rounding, 2 take MXCSR's, 3 do not raise precision. */
  round32(a: number, immediate: number): number {
    this.#load32(a, this.#a);
    this.#round(binary32, immediate);
    return this.#result32();
  }

  round64(a: bigint, immediate: number): bigint {
    this.#load64(a, this.#a);
    this.#round(binary64, immediate);
    return this.#result64();
  }

  #load32(bits: number, into: Unpacked): void {
    unpack32(bits, into);
    this.#flushOperand(into);
  }

  #load64(bits: bigint, into: Unpacked): void {
    unpack64(bits, into);
    this.#flushOperand(into);
  }

  #flushOperand(operand: Unpacked): void {
    if (operand.denormal && this.#denormalsAreZero) {
      operand.setZero(operand.sign);
    }
  }

  #result32(): number {
    this.flags |= this.#env.flags;
    return pack32(this.#env);
  }

  #result64(): bigint {
    this.flags |= this.#env.flags;
    return pack64(this.#env);
  }

  #flushed32(bits: number, operand: Unpacked): number {
    return operand.kind === kind.zero ? (bits & 0x8000_0000) >>> 0 : bits;
  }

  #flushed64(bits: bigint, operand: Unpacked): bigint {
    return operand.kind === kind.zero ? bits & 0x8000_0000_0000_0000n : bits;
  }

  /** The first NaN becomes the result, quieted; false if there is none. */
  #takeNan(format: Format, a: Unpacked, b: Unpacked = a, c: Unpacked = b): boolean {
    const found = a.isNan() ? a : b.isNan() ? b : c;
    if (!found.isNan()) {
      return false;
    }
    if (a.kind === kind.signalling || b.kind === kind.signalling || c.kind === kind.signalling) {
      this.#env.raise(exception.invalid);
    }
    this.#env.setNan(format, found.sign, found.significand);
    return true;
  }

  #operate(operation: number, format: Format): void {
    const env = this.#env;
    const a = this.#a;
    const b = this.#b;
    env.begin();
    if (a.kind >= kind.quiet || b.kind >= kind.quiet) {
      this.#takeNan(format, a, b);
    } else if (operation === sseOperation.multiply) {
      multiply(env, format, a, b);
    } else if (operation === sseOperation.divide) {
      divide(env, format, a, b);
    } else {
      add(env, format, a, b, operation === sseOperation.subtract ? 1 : 0);
    }
  }

  /** MINSS and MAXSS: whether the first operand is the result; the second wins all ties. */
  #first(operation: number): boolean {
    const env = this.#env;
    const order = compare(this.#a, this.#b);
    env.begin();
    if (order === relation.unordered) {
      env.raise(exception.invalid);
    } else if (this.#a.denormal || this.#b.denormal) {
      env.raise(exception.denormal);
    }
    this.flags |= env.flags;
    return order === (operation === sseOperation.minimum ? relation.less : relation.greater);
  }

  #squareRoot(format: Format): void {
    this.#env.begin();
    if (!this.#takeNan(format, this.#a)) {
      squareRoot(this.#env, format, this.#a);
    }
  }

  #multiplyAdd(format: Format, negateProduct: boolean, negateAddend: boolean): void {
    const env = this.#env;
    env.begin();
    if (!this.#takeNan(format, this.#a, this.#b, this.#c)) {
      multiplyAdd(
        env, format, this.#a, this.#b, this.#c, negateProduct ? 1 : 0, negateAddend ? 1 : 0,
      );
    }
  }

  /** Compares and raises: `signalling` says whether a quiet NaN is invalid too. */
  #relation(signalling: boolean): number {
    const a = this.#a;
    const b = this.#b;
    const order = compare(a, b);
    if (order === relation.unordered) {
      const signals = a.kind === kind.signalling || b.kind === kind.signalling;
      this.flags |= signals || signalling ? exception.invalid : 0;
    } else if (a.denormal || b.denormal) {
      this.flags |= exception.denormal;
    }
    return order;
  }

  #compare(predicate: number): boolean {
    const base = predicate & 15;
    const signalling = ((signallingPredicates >> base) & 1) !== (predicate >> 4);
    const truth = predicateTruth[base] ?? 0;
    return ((truth >> (this.#relation(signalling) + 1)) & 1) === 1;
  }

  #order(signalling: boolean): number {
    switch (this.#relation(signalling)) {
      case relation.less:
        return orderFlags.less;
      case relation.equal:
        return orderFlags.equal;
      case relation.greater:
        return orderFlags.greater;
      default:
        return orderFlags.unordered;
    }
  }

  #convert(format: Format): void {
    const env = this.#env;
    const a = this.#a;
    env.begin();
    if (this.#takeNan(format, a)) {
      return;
    }
    if (a.kind === kind.infinity) {
      env.setInfinity(format, a.sign);
      return;
    }
    if (a.denormal) {
      env.raise(exception.denormal);
    }
    if (!env.stopped()) {
      roundOperand(env, format, a);
    }
  }

  #toInteger(bits: number, mode: number): bigint {
    const env = this.#env;
    env.begin();
    const value = toInteger(
      env, this.#a, bits, mode === roundingOf.current ? env.rounding : mode,
    );
    this.flags |= env.flags;
    return value;
  }

  #round(format: Format, immediate: number): void {
    const env = this.#env;
    const a = this.#a;
    env.begin();
    if (this.#takeNan(format, a)) {
      return;
    }
    if (a.kind === kind.infinity) {
      env.setInfinity(format, a.sign);
      return;
    }
    toIntegral(env, a, (immediate & 4) !== 0 ? env.rounding : immediate & 3);
    roundOperand(env, format, a);
    if ((immediate & 8) !== 0) {
      env.flags &= ~exception.precision;
    }
  }
}
