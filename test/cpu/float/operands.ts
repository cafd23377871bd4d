/** Operands that have broken floating-point units before: all classes, borders and near-ties. */

export type Random = () => number;

export function bits64(random: Random): bigint {
  return (BigInt(random()) << 32n) | BigInt(random());
}

function pick<T>(random: Random, list: readonly T[]): T {
  const value = list[random() % list.length];
  if (value === undefined) {
    throw new Error("empty list");
  }
  return value;
}

/** A fraction of `width` bits: few ones, few zeros, a tie, runs, or anything. */
function fraction(random: Random, width: number): bigint {
  const mask = (1n << BigInt(width)) - 1n;
  const bit = () => 1n << BigInt(random() % width);
  switch (random() % 8) {
    case 0: return 0n;
    case 1: return mask;
    case 2: return bit();
    case 3: return mask ^ bit();
    case 4: return (mask << BigInt(random() % width)) & mask;
    case 5: return mask >> BigInt(random() % width);
    case 6: return (bit() | bit() | bit()) & mask;
    default: return bits64(random) & mask;
  }
}

/** An exponent field: the borders, around one, or anything. */
function exponentField(random: Random, bits: number): number {
  const top = (1 << bits) - 1;
  const middle = top >> 1;
  switch (random() % 8) {
    case 0: return 0;
    case 1: return top;
    case 2: return 1 + (random() % 3);
    case 3: return top - 1 - (random() % 3);
    case 4: case 5: return middle + (random() % 140) - 70 & top;
    case 6: return middle + (random() % 5) - 2;
    default: return random() & top;
  }
}

/** A binary32 or binary64 pattern. */
export function pattern(random: Random, exponentBits: number, fractionBits: number): bigint {
  const high = BigInt((random() & 1) << exponentBits | exponentField(random, exponentBits));
  return (high << BigInt(fractionBits)) | fraction(random, fractionBits);
}

export function pattern32(random: Random): number {
  return Number(pattern(random, 8, 23));
}

export function pattern64(random: Random): bigint {
  return pattern(random, 11, 52);
}

/** Like `a`, but with another sign or a neighbouring fraction or exponent: for cancellation. */
export function relative(random: Random, a: bigint, width: number, fractionBits: number): bigint {
  const mask = (1n << BigInt(width)) - 1n;
  const step = BigInt((random() % 5) - 2) << BigInt(pick(random, [0, 0, fractionBits]));
  const sign = BigInt(random() & 1) << BigInt(width - 1);
  return ((a ^ sign) + step) & mask;
}

export interface Pattern80 {
  readonly signExponent: number;
  readonly significand: bigint;
}

/** An 80-bit pattern; one in sixteen has the wrong integer bit for its exponent. */
export function pattern80(random: Random): Pattern80 {
  const field = exponentField(random, 15);
  const wrong = random() % 16 === 0;
  const integer = (field !== 0) !== wrong ? 1n << 63n : 0n;
  const significand = integer | roundish(random);
  return { signExponent: (random() & 1) << 15 | field, significand };
}

/** 63 bits of fraction; often one that just fits, or just does not fit, 24 or 53 bits. */
function roundish(random: Random): bigint {
  const any = fraction(random, 63);
  const lost = pick(random, [0n, 0n, 11n, 40n]);
  if (lost === 0n) {
    return any;
  }
  const half = 1n << (lost - 1n);
  const tail = pick(random, [0n, 1n, half - 1n, half, half + 1n, (half << 1n) - 1n]);
  return (any >> lost << lost) | tail;
}

/** An operand whose exponent is near that of another, so that sums and quotients are rounded. */
export function neighbour80(random: Random, a: Pattern80): Pattern80 {
  const field = (a.signExponent & 0x7fff) + (random() % 9) - 4;
  const significand = random() % 4 === 0
    ? a.significand + BigInt((random() % 5) - 2) : (1n << 63n) | roundish(random);
  return {
    signExponent: (random() & 1) << 15 | Math.min(Math.max(field, 0), 0x7fff),
    significand: BigInt.asUintN(64, significand),
  };
}

/** An MXCSR: any rounding, DAZ and FTZ, mostly all masked. */
export function someMxcsr(random: Random): number {
  const masks = random() % 3 === 0 ? random() & 0x3f : 0x3f;
  const flushing = random() % 3 === 0 ? random() & 0x8040 : 0;
  return masks << 7 | (random() & 3) << 13 | flushing;
}

/** An x87 control word: any rounding and precision, mostly all masked. */
export function someControlWord(random: Random): number {
  const masks = random() % 3 === 0 ? random() & 0x3f : 0x3f;
  const precision = pick(random, [0, 2, 3, 3]);
  return 0x40 | masks | precision << 8 | (random() & 3) << 10;
}
