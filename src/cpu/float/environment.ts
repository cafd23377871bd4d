/**
 * Rounding, exceptions and results: Intel SDM vol. 1 §4.8.4 and §4.9 (x87 and SSE alike).
 * Tininess is detected after rounding, as all x86 processors do.
 */
import { indefiniteSignificand, integerBit } from "./unpacked.ts";

/** Bits of the flag fields (status word, MXCSR 5:0) and of the mask fields alike. */
export const exception = {
  invalid: 1, denormal: 2, zeroDivide: 4, overflow: 8, underflow: 16, precision: 32,
} as const;

/** The exceptions found before anything is computed; an unmasked one leaves no result. */
export const preComputation = exception.invalid | exception.denormal | exception.zeroDivide;
export const allExceptions = 0x3f;

/** The values of the rounding-control field. */
export const rounding = { nearest: 0, down: 1, up: 2, zero: 3 } as const;

/** A destination: its precision in bits, and its exponent range (bias = largest exponent). */
export interface Format {
  readonly precision: number;
  readonly bias: number;
}

export const binary16: Format = { precision: 11, bias: 15 };
export const binary32: Format = { precision: 24, bias: 127 };
export const binary64: Format = { precision: 53, bias: 1023 };
/** Register formats of the x87 by precision control; the value 1 is reserved and acts as 3. */
export const extended: readonly Format[] = [24, 64, 53, 64].map(
  (precision) => ({ precision, bias: 16383 }),
);
export const extended64: Format = { precision: 64, bias: 16383 };

/**
 * Settings of one operation, the flags it raises, and its result as fields: `biased` exponent as
 * stored, `significand` with explicit integer bit at 63. One object serves all operations of a
 * unit; it is never allocated per operation.
 */
export class FloatEnvironment {
  rounding = 0;
  /** Set bits are masked exceptions. */
  masks = allExceptions;
  flushToZero = false;
  /** What an unmasked overflow or underflow adds to the exponent (x87 registers); 0: no result. */
  exponentWrap = 0;

  flags = 0;
  /** The magnitude of the result was rounded up (C1 of the x87). */
  roundedUp = false;
  sign = 0;
  biased = 0;
  significand = 0n;

  begin(): void {
    this.flags = 0;
    this.roundedUp = false;
  }

  raise(flags: number): void {
    this.flags |= flags;
  }

  /** Some exception raised so far is not masked. */
  stopped(): boolean {
    return (this.flags & ~this.masks) !== 0;
  }

  setZero(sign: number): void {
    this.sign = sign;
    this.biased = 0;
    this.significand = 0n;
  }

  setInfinity(format: Format, sign: number): void {
    this.sign = sign;
    this.biased = 2 * format.bias + 1;
    this.significand = integerBit;
  }

  /** A quiet NaN with this payload, cut to the precision of the format by packing. */
  setNan(format: Format, sign: number, significand: bigint): void {
    this.sign = sign;
    this.biased = 2 * format.bias + 1;
    this.significand = significand | indefiniteSignificand;
  }

  /** The operation is invalid: its masked response is the real indefinite. */
  setInvalid(format: Format): void {
    this.raise(exception.invalid);
    this.setNan(format, 1, indefiniteSignificand);
  }

  /**
   * Rounds the exact (-1)^sign × significand × 2^(exponent − width + 1) into the format.
   * `significand` has exactly `width` bits; where that is more than two above the precision, its
   * last bit may stand for all that follows it.
   */
  round(format: Format, sign: number, exponent: number, significand: bigint, width: number): void {
    const shift = width - format.precision;
    this.sign = sign;
    let rounded = this.#cut(sign, significand, shift);
    let leading = exponent;
    if (rounded >> BigInt(format.precision) !== 0n) {
      rounded >>= 1n;
      leading += 1;
    }
    const inexact = this.#inexact;
    if (leading < 1 - format.bias) {
      this.#underflow(format, exponent, significand, shift, leading, rounded, inexact);
      return;
    }
    if (leading > format.bias) {
      this.#overflow(format, leading, rounded, inexact);
      return;
    }
    if (inexact) {
      this.flags |= exception.precision;
    }
    this.#finish(format, leading, rounded);
  }

  #inexact = false;

  /** The significand without its last `shift` bits, rounded; notes inexactness and direction. */
  #cut(sign: number, significand: bigint, shift: number): bigint {
    if (shift <= 0) {
      this.#inexact = false;
      this.roundedUp = false;
      return significand << BigInt(-shift);
    }
    const distance = BigInt(shift);
    const kept = significand >> distance;
    const lost = significand - (kept << distance);
    this.#inexact = lost !== 0n;
    this.roundedUp = this.#inexact && roundsUp(this.rounding, sign, kept, lost, shift);
    return this.roundedUp ? kept + 1n : kept;
  }

  #finish(format: Format, exponent: number, rounded: bigint): void {
    this.biased = exponent + format.bias;
    this.significand = rounded << BigInt(64 - format.precision);
  }

  #overflow(format: Format, leading: number, rounded: bigint, inexact: boolean): void {
    this.flags |= exception.overflow;
    if ((this.masks & exception.overflow) === 0) {
      if (this.exponentWrap !== 0 && leading - this.exponentWrap > format.bias) {
        // Only FSCALE gets here: its result is out of range even with the exponent wrapped.
        this.setInfinity(format, this.sign);
        this.roundedUp = true;
        this.flags |= exception.precision;
        return;
      }
      if (inexact) {
        this.flags |= exception.precision;
      }
      this.#finish(format, leading - this.exponentWrap, rounded);
      return;
    }
    this.flags |= exception.precision;
    const toInfinity = this.rounding === rounding.nearest
      || this.rounding === (this.sign === 0 ? rounding.up : rounding.down);
    this.roundedUp = toInfinity;
    if (toInfinity) {
      this.setInfinity(format, this.sign);
    } else {
      this.#finish(format, format.bias, (1n << BigInt(format.precision)) - 1n);
    }
  }

  #underflow(
    format: Format, exponent: number, significand: bigint, shift: number,
    leading: number, rounded: bigint, inexact: boolean,
  ): void {
    if ((this.masks & exception.underflow) === 0) {
      if (this.exponentWrap !== 0 && leading + this.exponentWrap < 1 - format.bias) {
        this.setZero(this.sign);
        this.roundedUp = false;
        this.flags |= exception.underflow | exception.precision;
        return;
      }
      this.flags |= exception.underflow | (inexact ? exception.precision : 0);
      this.#finish(format, leading + this.exponentWrap, rounded);
      return;
    }
    if (this.flushToZero) {
      this.flags |= exception.underflow | exception.precision;
      this.roundedUp = false;
      this.setZero(this.sign);
      return;
    }
    const minimum = 1 - format.bias;
    // Past every bit of the significand one more place is as good as a thousand.
    const extra = Math.min(minimum - exponent, format.precision + 3);
    const kept = this.#cut(this.sign, significand, shift + extra);
    if (this.#inexact) {
      this.flags |= exception.underflow | exception.precision;
    }
    this.significand = kept << BigInt(64 - format.precision);
    this.biased = this.significand >= integerBit ? 1 : 0;
  }
}

/** Whether the magnitude grows; `lost` is the non-zero rest below `kept`, `shift` bits wide. */
export function roundsUp(
  mode: number, sign: number, kept: bigint, lost: bigint, shift: number,
): boolean {
  switch (mode) {
    case rounding.nearest: {
      const half = 1n << BigInt(shift - 1);
      return lost > half || (lost === half && (kept & 1n) === 1n);
    }
    case rounding.down:
      return sign === 1;
    case rounding.up:
      return sign === 0;
    default:
      return false;
  }
}

/** The bit patterns of a result. */
export function pack16(from: FloatEnvironment): number {
  const fraction = Number((from.significand >> 53n) & 0x3ffn);
  return (from.sign << 15) | (from.biased << 10) | fraction;
}

export function pack32(from: FloatEnvironment): number {
  const fraction = Number((from.significand >> 40n) & 0x7f_ffffn);
  return ((from.sign << 31) | (from.biased << 23) | fraction) >>> 0;
}

export function pack64(from: FloatEnvironment): bigint {
  const high = BigInt((from.sign << 11) | from.biased) << 52n;
  return high | ((from.significand >> 11n) & 0xf_ffff_ffff_ffffn);
}
