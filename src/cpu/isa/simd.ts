/**
 * The vocabulary of vector semantics: instructions over XMM and MMX registers, as lanes of 128-bit
 * expressions. Operands of 64 and 32 bits are repeated over all lanes, so that one rule serves
 * MMX, scalar and packed forms alike.
 */
import { vector } from "../layout.ts";
import { i32, i64, onLane, op, select, simd, v128, type Node } from "../wasm/code.ts";
import type { VectorOp } from "../wasm/opcodes.ts";
import type { Operand, SemanticsBuilder } from "./builder.ts";
import { define, row, type RowOptions, type SemanticFunction } from "./table.ts";
import { clean, unsigned64, Value, type Width } from "./value.ts";
import { runBehindVex } from "./vex.ts";

/** An operand of a vector rule. */
export interface VectorOperand extends Operand {
  /** Stands for 128 bits of an operand: read before, or to be written later (see vex.ts). */
  readonly part?: {
    readonly value?: Value;
    readonly put?: (value: Value) => void;
    /** Which half of a register of 256 bits. */
    readonly half: 0 | 1;
  };
}

/** What a vector instruction does; the first operand is source and destination. */
export type VectorRule = (x: SemanticsBuilder, ...operands: VectorOperand[]) => void;

export interface SimdOptions {
  /** Wide memory operands may stand anywhere, or nowhere but at multiples of their size even
   * behind VEX. */
  readonly alignment?: "free" | "strict";
  /** Hard cases go to the helper of the same name. */
  readonly helped?: boolean;
  /** A source of 128 bits counts for both halves of 256, where else each has its own part. */
  readonly sharedSource?: boolean;
  /** Behind VEX, too, the destination is a source, and keeps what is not written. */
  readonly accumulates?: boolean;
  /** How many bits of a general register each half fills. */
  readonly maskBits?: number;
}

/** Says what a vector instruction does once its registers may be used, and its form behind VEX,
 * which has a `v` in front of its name. */
export function defineSimd(mnemonic: string, run: VectorRule, options: SimdOptions = {}): void {
  defineSse(mnemonic, run, options);
  defineVex(`v${mnemonic}`, run, options);
}

/** Says what an MMX or SSE instruction does. */
export function defineSse(mnemonic: string, run: VectorRule, options: SimdOptions = {}): void {
  define(mnemonic, (x, ...operands) => {
    const mmx = operands.some((operand) => operand.file === "mmx");
    const xmm = operands.some((operand) => operand.file === "xmm");
    x.requireSimd(xmm, mmx);
    if (options.alignment !== "free") {
      requireAlignment(x, operands);
    }
    run(x, ...operands);
    if (mmx) {
      x.enterMmx();
    }
  }, { cold: true, helped: options.helped ?? false });
}

/** Says what an instruction does that exists behind VEX only. */
export function defineVex(mnemonic: string, run: VectorRule, options: SimdOptions = {}): void {
  define(mnemonic, (x, ...operands) => {
    x.requireAvx();
    if (options.alignment === "strict") {
      requireAlignment(x, operands);
    }
    runBehindVex(x, run, operands, options);
  }, { cold: true, helped: options.helped ?? false });
}

/** The same for one whose halves depend on each other: the rule gets operands of 256 bits. */
export function defineWhole(mnemonic: string, run: SemanticFunction): void {
  define(mnemonic, (x, ...operands) => {
    x.requireAvx();
    run(x, ...operands);
  }, { cold: true });
}

/** Adds the form of an instruction that stands behind VEX. */
export function vexRow(
  mnemonic: string, operands: string, encoding: string, options: RowOptions = {},
): void {
  row(`v${mnemonic}`, operands, `VEX ${encoding}`, { feature: "avx", ...options });
}

/** Wide memory operands stand at multiples of their size, else #GP(0) (SDM 1 §4.1.1, §14.9). */
function requireAlignment(x: SemanticsBuilder, operands: readonly Operand[]): void {
  for (const operand of operands) {
    if (operand.kind === "memory" && operand.width >= 128) {
      const low = x.truncate(x.address(operand), 32);
      const rest = op("i32.and", low.node, i32(operand.width / 8 - 1));
      x.when(new Value(rest, 32, true), () => x.raise(vector.gp), undefined, false);
    }
  }
}

export function read(x: SemanticsBuilder, operand: VectorOperand): Value {
  return operand.part?.value ?? x.read(operand);
}

export function write(x: SemanticsBuilder, operand: VectorOperand, value: Value): void {
  if (operand.part?.put === undefined) {
    x.write(operand, value);
  } else {
    operand.part.put(value);
  }
}

/** The whole register behind an operand that names part of it. */
export function whole(operand: VectorOperand): VectorOperand {
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

export function readVector(x: SemanticsBuilder, operand: VectorOperand): Node {
  return spread(read(x, operand));
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
export function immediate(x: SemanticsBuilder, operand: VectorOperand): Node {
  return clean(x.read(operand));
}

/** The part of an immediate that is about this half: each has `bits` of its own. */
export function ownImmediate(
  x: SemanticsBuilder, control: VectorOperand, target: VectorOperand, bits: number,
): Node {
  const all = immediate(x, control);
  return target.part?.half === 1 ? op("i32.shr_u", all, i32(bits)) : all;
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
export function combine(compute: Compute): VectorRule {
  return (x, target, source) => {
    const b = readVector(x, source);
    const a = readVector(x, target);
    write(x, target, lowOf(compute(a, b), target.width));
  };
}
