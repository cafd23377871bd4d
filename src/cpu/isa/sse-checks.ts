/** When a result of WebAssembly's floating point is what x86 would give, flags included. */
import { i32, onLane, op, simd, type Node } from "../wasm/code.ts";
import type { SemanticsBuilder } from "./builder.ts";
import { every, zero } from "./simd.ts";
import { Value } from "./value.ts";

export type Shape = "f32x4" | "f64x2";

const limits = {
  f32x4: { bits: 32, infinity: 0x7f80_0000, smallest: 0x0080_0000 },
  f64x2: { bits: 64, infinity: 0x7ffn << 52n, smallest: 1n << 52n },
} as const;

const infinity = (shape: Shape) => every(limits[shape].bits, limits[shape].infinity);
const smallestNormal = (shape: Shape) => every(limits[shape].bits, limits[shape].smallest);

export function condition(node: Node): Value {
  return new Value(node, 32, true);
}

/** Every lane of a mask is set. */
export function allLanes(shape: Shape, mask: Node): Node {
  return simd(shape === "f32x4" ? "i32x4.all_true" : "i64x2.all_true", mask);
}

export function isZero(shape: Shape, a: Node): Node {
  return simd(`${shape}.eq`, a, zero());
}

/** Neither a NaN, which may be invalid, nor a denormal number, which has a flag of its own. */
export function isNumber(shape: Shape, a: Node): Node {
  const normal = simd(`${shape}.ge`, simd(`${shape}.abs`, a), smallestNormal(shape));
  return simd("v128.or", normal, isZero(shape, a));
}

/**
 * Neither overflow nor underflow nor the result of something invalid. The smallest normal number
 * is left out: a tiny result may have been rounded up to it.
 */
export function isOrdinary(shape: Shape, result: Node): Node {
  const magnitude = simd(`${shape}.abs`, result);
  return simd("v128.and", simd(`${shape}.gt`, magnitude, smallestNormal(shape)),
    simd(`${shape}.lt`, magnitude, infinity(shape)));
}

const controls = { mask: 0xffc0, initial: 0x1f80, precision: 0x20 };

function mxcsrIs(x: SemanticsBuilder, mask: number, value: number): Node {
  return op("i32.eq", op("i32.and", x.mxcsr().node, i32(mask)), i32(value));
}

/** MXCSR has its initial controls, so that results round to nearest and nothing is flushed. */
export function keepsControls(x: SemanticsBuilder): Node {
  return mxcsrIs(x, controls.mask, controls.initial);
}

/** The same, and an inexact result changes no flag: the precision flag is set. */
export function mayRound(x: SemanticsBuilder): Node {
  return mxcsrIs(x, controls.mask | controls.precision, controls.initial | controls.precision);
}

/** Which sums of ordinary doubles are exact (Knuth's two-sum gives the error itself). */
export function exactAddition(a: Node, b: Node, sum: Node): Node {
  return isZero("f64x2", sumError(a, b, sum));
}

/** What a rounded sum lacks, exactly. */
export function sumError(a: Node, b: Node, sum: Node): Node {
  const rest = simd("f64x2.sub", sum, a);
  return simd("f64x2.add", simd("f64x2.sub", a, simd("f64x2.sub", sum, rest)),
    simd("f64x2.sub", b, rest));
}

/**
 * Which products a × b are exactly `product`, where all exponents are moderate: Dekker's
 * sum of the partial products gives the error itself.
 */
export function exactProduct(a: Node, b: Node, product: Node): Node {
  const error = productError(a, b, product);
  const zeroProduct = simd("v128.and", isZero("f64x2", product),
    simd("v128.or", isZero("f64x2", a), isZero("f64x2", b)));
  const moderate = [a, b, product].map(isModerate)
    .reduce((all, each) => simd("v128.and", all, each));
  return simd("v128.or", zeroProduct,
    simd("v128.and", moderate, isZero("f64x2", error)));
}

/** What a rounded product lacks, exactly, where all exponents are moderate. */
export function productError(a: Node, b: Node, product: Node): Node {
  const [aHigh, aLow] = split(a), [bHigh, bLow] = split(b);
  const part = (x: Node, y: Node) => simd("f64x2.mul", x, y);
  return simd("f64x2.add", part(aLow, bLow), simd("f64x2.add", part(aLow, bHigh),
    simd("f64x2.add", part(aHigh, bLow), simd("f64x2.sub", part(aHigh, bHigh), product))));
}

/** A significand in two signed halves of 26 bits (Veltkamp's split, with 2^27 + 1). */
function split(a: Node): [Node, Node] {
  const large = simd("f64x2.mul", a, every(64, 0x41a0_0000_0200_0000n));
  const high = simd("f64x2.sub", large, simd("f64x2.sub", large, a));
  return [high, simd("f64x2.sub", a, high)];
}

/** Magnitudes between 2^-400 and 2^400: no part of a product is lost or too large. */
export function isModerate(a: Node): Node {
  const magnitude = simd("f64x2.abs", a);
  const power = (exponent: number) => every(64, BigInt(exponent + 1023) << 52n);
  return simd("v128.and", simd("f64x2.gt", magnitude, power(-400)),
    simd("f64x2.lt", magnitude, power(400)));
}

/** ZF, PF and CF of two numbers; the other flags become zero. */
export function compareFlags(x: SemanticsBuilder, shape: Shape, a: Node, b: Node): void {
  const bit = (name: "eq" | "lt") => {
    const mask = onLane("i32x4.extract_lane", 0, simd(`${shape}.${name}`, a, b));
    return new Value(op("i32.and", mask, i32(1)), 1, true);
  };
  x.set("zf", bit("eq"));
  x.set("cf", bit("lt"));
  for (const flag of ["pf", "af", "sf", "of"] as const) {
    x.set(flag, x.constant(1, 0));
  }
}
