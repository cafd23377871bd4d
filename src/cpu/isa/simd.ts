/**
 * The vocabulary of vector semantics: instructions over XMM and MMX registers, as lanes of 128-bit
 * expressions. Operands of 64 and 32 bits are repeated over all lanes, so that one rule serves
 * MMX, scalar and packed forms alike.
 */
import { vector } from "../layout.ts";
import { i32, i64, onLane, op, select, simd, v128, type Node } from "../wasm/code.ts";
import type { VectorOp } from "../wasm/opcodes.ts";
import type { Operand, SemanticsBuilder } from "./builder.ts";
import { define, type SemanticFunction } from "./table.ts";
import { clean, unsigned64, Value, type Width } from "./value.ts";

export interface SimdOptions {
  /** 128-bit memory operands may stand anywhere. */
  readonly unaligned?: boolean;
  /** Hard cases go to the helper of the same name. */
  readonly helped?: boolean;
}

/** Says what a vector instruction does, once its registers may be used. */
export function defineSimd(
  mnemonic: string, run: SemanticFunction, options: SimdOptions = {},
): void {
  define(mnemonic, (x, ...operands) => {
    const mmx = operands.some((operand) => operand.file === "mmx");
    const xmm = operands.some((operand) => operand.file === "xmm");
    x.requireSimd(xmm, mmx);
    if (options.unaligned !== true) {
      requireAlignment(x, operands);
    }
    run(x, ...operands);
    if (mmx) {
      x.enterMmx();
    }
  }, { cold: true, helped: options.helped ?? false });
}

/** 128-bit memory operands stand at multiples of 16, else #GP(0) (SDM 1 §4.1.1). */
function requireAlignment(x: SemanticsBuilder, operands: readonly Operand[]): void {
  for (const operand of operands) {
    if (operand.kind === "memory" && operand.width === 128) {
      const low = x.truncate(x.address(operand), 32);
      x.when(new Value(op("i32.and", low.node, i32(15)), 32, true), () => x.raise(vector.gp),
        undefined, false);
    }
  }
}

/** The whole register behind an operand that names part of it. */
export function whole(operand: Operand): Operand {
  return { ...operand, width: 128 };
}

/** A value repeated over the lanes of 128 bits. */
export function spread(value: Value): Node {
  switch (value.width) {
    case 128: return value.node;
    case 64: return simd("i64x2.splat", value.node);
    case 32: return simd("i32x4.splat", value.node);
    case 16: return simd("i16x8.splat", value.node);
    default: return simd("i8x16.splat", value.node);
  }
}

/** The low `width` bits of a vector. */
export function lowOf(node: Node, width: Width): Value {
  switch (width) {
    case 128: return new Value(node, 128, true);
    case 64: return new Value(onLane("i64x2.extract_lane", 0, node), 64, true);
    default: return new Value(onLane("i32x4.extract_lane", 0, node), 32, true);
  }
}

export function readVector(x: SemanticsBuilder, operand: Operand): Node {
  return spread(x.read(operand));
}

/** The value with zeros above it, to fill a register. */
export function zeroAbove(value: Value): Value {
  if (value.width === 128) {
    return value;
  }
  const node = onLane("i64x2.replace_lane", 0, zero(), unsigned64(value));
  return new Value(node, 128, true);
}

export function zero(): Node {
  return v128(Array.from({ length: 16 }, () => 0));
}

/** A constant from lanes of `bits` bits each. */
export function lanes(bits: 8 | 16 | 32 | 64, values: readonly (number | bigint)[]): Node {
  const bytes: number[] = [];
  for (const value of values) {
    const unsigned = BigInt.asUintN(bits, BigInt(value));
    for (let shift = 0; shift < bits; shift += 8) {
      bytes.push(Number((unsigned >> BigInt(shift)) & 0xffn));
    }
  }
  return v128(bytes);
}

/** The same number in every lane. */
export function every(bits: 8 | 16 | 32 | 64, value: number | bigint): Node {
  return lanes(bits, Array.from({ length: 128 / bits }, () => value));
}

/** An immediate as an i32 node. */
export function immediate(x: SemanticsBuilder, operand: Operand): Node {
  return clean(x.read(operand));
}

/** `all` when the number is above `limit` (unsigned, 64 bits), else `some`. */
export function whereAbove(count: Node, limit: number, all: Node, some: Node): Node {
  return select(op("i64.gt_u", count, i64(limit)), all, some);
}

/** Bytes 0 to 15. */
export function byteNumbers(): Node {
  return lanes(8, Array.from({ length: 16 }, (_, index) => index));
}

/** i32, at most `limit`. */
export function atMost(value: Node, limit: number): Node {
  return select(op("i32.gt_u", value, i32(limit)), i32(limit), value);
}

export type Compute = (a: Node, b: Node) => Node;

/** A lane-wise operation as a function of both operands. */
export function by(name: VectorOp): Compute {
  return (a, b) => simd(name, a, b);
}

/** destination = compute(destination, source). */
export function combine(compute: Compute): SemanticFunction {
  return (x, target, source) => {
    const b = readVector(x, source);
    const a = readVector(x, target);
    x.write(target, lowOf(compute(a, b), target.width));
  };
}
