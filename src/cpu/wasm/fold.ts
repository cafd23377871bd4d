/** Numeric instructions whose result is known, or is one of their arguments, without computing. */
import type { NumericOp } from "./opcodes.ts";

type Constant = number | bigint;

const bool = (value: boolean) => value ? 1 : 0;
const signed = (value: bigint) => BigInt.asIntN(64, value);
const unsigned = (value: bigint) => BigInt.asUintN(64, value);

const on32: Readonly<Record<string, (a: number, b: number) => number>> = {
  "i32.add": (a, b) => a + b, "i32.sub": (a, b) => a - b, "i32.mul": Math.imul,
  "i32.and": (a, b) => a & b, "i32.or": (a, b) => a | b, "i32.xor": (a, b) => a ^ b,
  "i32.shl": (a, b) => a << b, "i32.shr_u": (a, b) => a >>> b, "i32.shr_s": (a, b) => a >> b,
  "i32.eq": (a, b) => bool(a === b), "i32.ne": (a, b) => bool(a !== b),
  "i32.lt_u": (a, b) => bool(a >>> 0 < b >>> 0), "i32.gt_u": (a, b) => bool(a >>> 0 > b >>> 0),
  "i32.ge_u": (a, b) => bool(a >>> 0 >= b >>> 0), "i32.le_u": (a, b) => bool(a >>> 0 <= b >>> 0),
  "i32.lt_s": (a, b) => bool(a < b), "i32.gt_s": (a, b) => bool(a > b),
  "i32.ge_s": (a, b) => bool(a >= b), "i32.le_s": (a, b) => bool(a <= b),
};
const on64: Readonly<Record<string, (a: bigint, b: bigint) => bigint | number>> = {
  "i64.add": (a, b) => signed(a + b), "i64.sub": (a, b) => signed(a - b),
  "i64.mul": (a, b) => signed(a * b), "i64.and": (a, b) => a & b, "i64.or": (a, b) => a | b,
  "i64.xor": (a, b) => a ^ b, "i64.shl": (a, b) => signed(a << (b & 63n)),
  "i64.shr_u": (a, b) => signed(unsigned(a) >> (b & 63n)), "i64.shr_s": (a, b) => a >> (b & 63n),
  "i64.eq": (a, b) => bool(a === b), "i64.ne": (a, b) => bool(a !== b),
  "i64.lt_s": (a, b) => bool(a < b), "i64.gt_s": (a, b) => bool(a > b),
  "i64.lt_u": (a, b) => bool(unsigned(a) < unsigned(b)),
  "i64.gt_u": (a, b) => bool(unsigned(a) > unsigned(b)),
};
const unary: Readonly<Record<string, (a: Constant) => Constant>> = {
  "i32.eqz": (a) => bool(a === 0), "i64.eqz": (a) => bool(a === 0),
  "i32.wrap_i64": (a) => Number(BigInt.asIntN(32, BigInt(a))),
  "i64.extend_i32_u": (a) => Number(a) >>> 0, "i64.extend_i32_s": (a) => a,
};
/** Operations that leave their first argument alone when the second is zero. */
const neutralZero = new Set<string>(["i32", "i64"].flatMap((type) =>
  ["add", "sub", "or", "xor", "shl", "shr_u", "shr_s", "rotl", "rotr"]
    .map((what) => `${type}.${what}`)));

/**
 * The constant result of an instruction, "first" where it equals its first argument, or undefined
 * where it must be computed. Arguments that are not constant are undefined.
 */
export function foldConstants(
  name: NumericOp, a: Constant | undefined, b: Constant | undefined, binary: boolean,
): Constant | "first" | undefined {
  if (!binary) {
    return a === undefined ? undefined : unary[name]?.(a);
  }
  if (b === undefined) {
    return undefined;
  }
  if (a === undefined) {
    return b === 0 && neutralZero.has(name) ? "first" : undefined;
  }
  if (name.startsWith("i32")) {
    const value = on32[name]?.(Number(a), Number(b));
    return value === undefined ? undefined : value | 0;
  }
  return on64[name]?.(BigInt(a), BigInt(b));
}
