/**
 * Floating-point operands taken apart: IEEE 754-2008 §3.4 (binary32, binary64) and the 80-bit
 * extended format of the Intel SDM vol. 1 §4.2.2 and §8.2.2, all brought to one shape.
 */

/** What an operand is; a signalling NaN and an unsupported 80-bit pattern raise invalid. */
export const kind = {
  zero: 0, finite: 1, infinity: 2, quiet: 3, signalling: 4, unsupported: 5,
} as const;

export const integerBit = 0x8000_0000_0000_0000n;
export const quietBit = 0x4000_0000_0000_0000n;
/** Significand of the "real indefinite" and of all NaNs made by an invalid operation. */
export const indefiniteSignificand = integerBit | quietBit;

/**
 * A finite value is (-1)^sign × significand × 2^(exponent − 63), with bit 63 of the significand
 * set also for what was a denormal. A NaN keeps its payload at the top of the significand, so
 * that it has the same bits in all formats. Objects are made once and filled again and again.
 */
export class Unpacked {
  kind: number = kind.zero;
  sign = 0;
  exponent = 0;
  significand = 0n;
  denormal = false;

  isNan(): boolean {
    return this.kind === kind.quiet || this.kind === kind.signalling;
  }

  setZero(sign: number): void {
    this.kind = kind.zero;
    this.sign = sign;
    this.significand = 0n;
    this.denormal = false;
  }

  copyFrom(other: Unpacked): void {
    this.kind = other.kind;
    this.sign = other.sign;
    this.exponent = other.exponent;
    this.significand = other.significand;
    this.denormal = other.denormal;
  }
}

const scratch = new DataView(new ArrayBuffer(8));

/** Number of bits of a positive integer below 2^1023. */
export function bitLength(value: bigint): number {
  const approximate = Number(value);
  scratch.setFloat64(0, approximate);
  const length = (scratch.getUint16(0) >> 4) - 1022;
  // The conversion rounds, so that a run of ones may have become the next power of two.
  return (value >> BigInt(length - 1)) === 0n ? length - 1 : length;
}

/** Fills `into` from a pattern whose fraction stands left-aligned below bit 63. */
function unpackFields(
  into: Unpacked, sign: number, biased: number, fraction: bigint, bias: number,
): void {
  into.sign = sign;
  into.denormal = false;
  if (biased === 2 * bias + 1) {
    into.significand = fraction | integerBit;
    into.kind = fraction === 0n ? kind.infinity
      : (fraction & quietBit) === 0n ? kind.signalling : kind.quiet;
    return;
  }
  into.kind = kind.finite;
  if (biased !== 0) {
    into.significand = fraction | integerBit;
    into.exponent = biased - bias;
  } else if (fraction === 0n) {
    into.setZero(sign);
  } else {
    normalise(into, fraction, 1 - bias);
  }
}

/** A denormal: moves the leading one to bit 63. */
function normalise(into: Unpacked, significand: bigint, exponent: number): void {
  const shift = 64 - bitLength(significand);
  into.significand = significand << BigInt(shift);
  into.exponent = exponent - shift;
  into.denormal = true;
}

export function unpack16(bits: number, into: Unpacked): void {
  const fraction = BigInt(bits & 0x3ff) << 53n;
  unpackFields(into, bits >>> 15, (bits >>> 10) & 0x1f, fraction, 15);
}

export function unpack32(bits: number, into: Unpacked): void {
  const fraction = BigInt(bits & 0x7f_ffff) << 40n;
  unpackFields(into, bits >>> 31, (bits >>> 23) & 0xff, fraction, 127);
}

export function unpack64(bits: bigint, into: Unpacked): void {
  const high = Number(bits >> 52n);
  const fraction = (bits & 0xf_ffff_ffff_ffffn) << 11n;
  unpackFields(into, high >> 11, high & 0x7ff, fraction, 1023);
}

/** An 80-bit pattern; unnormals, pseudo-infinities and pseudo-NaNs come out as unsupported. */
export function unpack80(signExponent: number, significand: bigint, into: Unpacked): void {
  const biased = signExponent & 0x7fff;
  into.sign = signExponent >> 15;
  into.denormal = false;
  into.significand = significand;
  into.exponent = biased - 16383;
  const normal = significand >= integerBit;
  if (biased === 0) {
    if (significand === 0n) {
      into.setZero(into.sign);
      return;
    }
    into.kind = kind.finite;
    // A pseudo-denormal has the exponent of a denormal and is normalised already.
    normalise(into, significand, -16382);
  } else if (!normal) {
    into.kind = kind.unsupported;
  } else if (biased !== 0x7fff) {
    into.kind = kind.finite;
  } else {
    into.kind = significand === integerBit ? kind.infinity
      : (significand & quietBit) === 0n ? kind.signalling : kind.quiet;
  }
}

/** An integer as an operand; every int64 is exact. */
export function unpackInteger(value: bigint, into: Unpacked): void {
  if (value === 0n) {
    into.setZero(0);
    return;
  }
  const magnitude = value < 0n ? -value : value;
  normalise(into, magnitude, 63);
  into.kind = kind.finite;
  into.sign = value < 0n ? 1 : 0;
  into.denormal = false;
}
