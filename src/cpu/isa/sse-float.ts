/**
 * Floating-point arithmetic and comparisons of SSE (SDM 1 §11.5). WebAssembly computes as x86 does
 * for ordinary numbers; it knows no exception flags and is vague about NaNs. So its result counts
 * only where no flag can appear that is not set already; all else goes to exact software.
 */
import { i32, op, select, shuffle, simd, type Node } from "../wasm/code.ts";
import type { VectorOp } from "../wasm/opcodes.ts";
import type { SemanticsBuilder } from "./builder.ts";
import {
  allLanes, compareFlags, condition, exactAddition, exactProduct, isNumber, isOrdinary, isZero,
  keepsControls, mayRound, type Shape,
} from "./sse-checks.ts";
import {
  defineSimd, every, immediate, lanes, lowOf, readVector, vexRow, write, zero, type Compute,
  type VectorOperand,
} from "./simd.ts";
import { defineHelpers, row, type RowOptions } from "./table.ts";

type Check = (shape: Shape, a: Node, b: Node, result: Node) => Node;

/** The four forms of an instruction: packed and scalar, single and double. */
const forms = [
  ["ps", "np", "Vo,Wo", "f32x4", "Vx,Hx,Wx"], ["pd", "66", "Vo,Wo", "f64x2", "Vx,Hx,Wx"],
  ["ss", "F3", "Vd,Wd", "f32x4", "Vd,Hd,Wd"], ["sd", "F2", "Vq,Wq", "f64x2", "Vq,Hq,Wq"],
] as const;
/** Packed forms of one operand need no first source. */
const unary = (vex: string) => vex.replace("Hx,", "");

/** Writes `result` where `sound`, else has the helper do it all. */
function guarded(
  x: SemanticsBuilder, target: VectorOperand, sound: Node, result: Node,
): void {
  x.when(condition(sound), () => write(x, target, lowOf(result, target.width)),
    () => x.helper(), true);
}

interface Arithmetic {
  readonly compute: (shape: Shape) => Compute;
  /** The source stands for both operands: the old destination has no part in it. */
  readonly unary?: true;
  /** A zero result is exact. */
  readonly exactZero: Check;
  /** No bit was lost, so that even the precision flag stays. */
  readonly exact: Check;
}

/** destination = compute(destination, source), rounded. */
function rounded(
  x: SemanticsBuilder, target: VectorOperand, source: VectorOperand, shape: Shape,
  how: Arithmetic,
): void {
  const b = readVector(x, source), a = how.unary ? b : readVector(x, target);
  const result = how.compute(shape)(a, b);
  const usual = op("i32.and", ordinaryLanes(shape, how, a, b, result), mayRound(x));
  if (shape === "f32x4") {
    guarded(x, target, usual, result);
    return;
  }
  x.when(condition(usual), () => write(x, target, lowOf(result, target.width)), () => {
    const sound = op("i32.and", keepsControls(x), op("i32.and",
      ordinaryLanes(shape, how, a, b, result), allLanes(shape, how.exact(shape, a, b, result))));
    guarded(x, target, sound, result);
  }, true);
}

function ordinaryLanes(shape: Shape, how: Arithmetic, a: Node, b: Node, result: Node): Node {
  const inputs = simd("v128.and", isNumber(shape, a), isNumber(shape, b));
  const output = simd("v128.or", isOrdinary(shape, result),
    simd("v128.and", isZero(shape, result), how.exactZero(shape, a, b, result)));
  return allLanes(shape, simd("v128.and", inputs, output));
}

const always: Check = () => every(32, -1);
const operation = (name: "add" | "sub" | "mul" | "div") => (shape: Shape): Compute =>
  (a, b) => simd(`${shape}.${name}`, a, b);
const add: Arithmetic = {
  compute: operation("add"), exactZero: always,
  exact: (_shape, a, b, sum) => exactAddition(a, b, sum),
};
const subtract: Arithmetic = {
  compute: operation("sub"), exactZero: always,
  exact: (_shape, a, b, difference) => exactAddition(a, simd("f64x2.neg", b), difference),
};
const multiply: Arithmetic = {
  compute: operation("mul"),
  exactZero: (shape, a, b) => simd("v128.or", isZero(shape, a), isZero(shape, b)),
  exact: (_shape, a, b, product) => exactProduct(a, b, product),
};
const divide: Arithmetic = {
  compute: operation("div"), exactZero: (shape, a) => isZero(shape, a),
  exact: (_shape, a, b, quotient) => exactProduct(quotient, b, a),
};
const squareRoot: Arithmetic = {
  unary: true, compute: (shape) => (_a, b) => simd(`${shape}.sqrt`, b),
  exactZero: (shape, _a, b) => isZero(shape, b),
  exact: (_shape, _a, b, root) => exactProduct(root, root, b),
};

for (const [mnemonic, opcode, how] of [
  ["add", "58", add], ["mul", "59", multiply], ["sub", "5C", subtract], ["div", "5E", divide],
] as const) {
  for (const [suffix, prefix, operands, shape, vex] of forms) {
    defineSimd(mnemonic + suffix, (x, target, source) =>
      rounded(x, target, source, shape, how), { helped: true });
    row(mnemonic + suffix, operands, `${prefix} 0F ${opcode}`);
    vexRow(mnemonic + suffix, vex, `${prefix} 0F ${opcode}`);
  }
}
for (const [suffix, prefix, operands, shape, vex] of forms) {
  defineSimd(`sqrt${suffix}`, (x, target, source) => {
    rounded(x, target, source, shape, squareRoot);
  }, { helped: true });
  row(`sqrt${suffix}`, operands, `${prefix} 0F 51`);
  vexRow(`sqrt${suffix}`, unary(vex), `${prefix} 0F 51`);
}

// Minimum and maximum: the source wins where neither is smaller.

for (const [mnemonic, opcode, name] of [["min", "5D", "pmin"], ["max", "5F", "pmax"]] as const) {
  for (const [suffix, prefix, operands, shape, vex] of forms) {
    defineSimd(mnemonic + suffix, (x, target, source) => {
      const b = readVector(x, source), a = readVector(x, target);
      const numbers = simd("v128.and", isNumber(shape, a), isNumber(shape, b));
      guarded(x, target, allLanes(shape, numbers), simd(`${shape}.${name}`, b, a));
    }, { helped: true });
    row(mnemonic + suffix, operands, `${prefix} 0F ${opcode}`);
    vexRow(mnemonic + suffix, vex, `${prefix} 0F ${opcode}`);
  }
}

// Horizontal and alternating sums.

const pick = (bytes: 4 | 8, odd: 0 | 1) => Array.from({ length: 16 }, (_, index) =>
  Math.floor(index / bytes) * 2 * bytes + odd * bytes + index % bytes);
const sse3: RowOptions = { feature: "sse3" };
for (const [suffix, prefix, shape, bytes] of [
  ["ps", "F2", "f32x4", 4], ["pd", "66", "f64x2", 8],
] as const) {
  for (const [mnemonic, opcode, how] of [["hadd", "7C", add], ["hsub", "7D", subtract]] as const) {
    defineSimd(mnemonic + suffix, (x, target, source) => {
      const b = readVector(x, source), a = readVector(x, target);
      const even = shuffle(pick(bytes, 0), a, b), odd = shuffle(pick(bytes, 1), a, b);
      const result = how.compute(shape)(even, odd);
      guarded(x, target, op("i32.and", mayRound(x),
        ordinaryLanes(shape, how, even, odd, result)), result);
    }, { helped: true });
    row(mnemonic + suffix, "Vo,Wo", `${prefix} 0F ${opcode}`, sse3);
    vexRow(mnemonic + suffix, "Vx,Hx,Wx", `${prefix} 0F ${opcode}`);
  }
  const evenSigns = bytes === 4 ? lanes(32, [1 << 31, 0, 1 << 31, 0])
    : lanes(64, [1n << 63n, 0]);
  defineSimd(`addsub${suffix}`, (x, target, source) => {
    const b = simd("v128.xor", readVector(x, source), evenSigns), a = readVector(x, target);
    const result = add.compute(shape)(a, b);
    guarded(x, target, op("i32.and", mayRound(x), ordinaryLanes(shape, add, a, b, result)),
      result);
  }, { helped: true });
  row(`addsub${suffix}`, "Vo,Wo", `${prefix} 0F D0`, sse3);
  vexRow(`addsub${suffix}`, "Vx,Hx,Wx", `${prefix} 0F D0`);
}

// Comparisons.

/** Of the 32 predicates behind VEX those that differ in bits above 2 differ for NaNs only. */
function predicate(shape: Shape, control: Node, a: Node, b: Node): Node {
  const among = (bit: number, yes: Node, no: Node) =>
    select(op("i32.and", control, i32(bit)), yes, no);
  const of = (name: "eq" | "lt" | "le") => simd(`${shape}.${name}`, a, b);
  // Unordered is never true of numbers; the predicates 4 to 7 are the opposites.
  const positive = among(2, among(1, zero(), of("le")), among(1, of("lt"), of("eq")));
  return among(4, simd("v128.not", positive), positive);
}

for (const [suffix, prefix, operands, shape, vex] of forms) {
  defineSimd(`cmp${suffix}`, (x, target, source, control) => {
    const b = readVector(x, source), a = readVector(x, target);
    const numbers = simd("v128.and", isNumber(shape, a), isNumber(shape, b));
    guarded(x, target, allLanes(shape, numbers), predicate(shape, immediate(x, control), a, b));
  }, { helped: true });
  row(`cmp${suffix}`, `${operands},Ib`, `${prefix} 0F C2`);
  vexRow(`cmp${suffix}`, `${vex},Ib`, `${prefix} 0F C2`);
}

for (const [mnemonic, opcode] of [["ucomi", "2E"], ["comi", "2F"]] as const) {
  for (const [suffix, prefix, operands, shape] of [
    ["ss", "np", "Vd,Wd", "f32x4"], ["sd", "66", "Vq,Wq", "f64x2"],
  ] as const) {
    defineSimd(mnemonic + suffix, (x, target, source) => {
      const b = readVector(x, source), a = readVector(x, target);
      const numbers = simd("v128.and", isNumber(shape, a), isNumber(shape, b));
      x.when(condition(allLanes(shape, numbers)), () => {}, () => x.helper(), true);
      compareFlags(x, shape, a, b);
    }, { helped: true });
    row(mnemonic + suffix, operands, `${prefix} 0F ${opcode}`);
    vexRow(mnemonic + suffix, operands, `${prefix} 0F ${opcode}`);
  }
}

// ROUNDPS and its kin.

const roundings = ["nearest", "floor", "ceil", "trunc"] as const;
for (const [number, [suffix, , operands, shape, vex]] of forms.entries()) {
  const opcode = `0${(8 + number).toString(16).toUpperCase()}`;
  defineSimd(`round${suffix}`, (x, target, source, control) => {
    const a = readVector(x, source);
    const bits = immediate(x, control);
    const [nearest, down, up, cut] = roundings.map((name): Node => {
      const vectorOp: VectorOp = `${shape}.${name}`;
      return simd(vectorOp, a);
    });
    const own = op("i32.and", bits, i32(3));
    const current = op("i32.and", op("i32.shr_u", x.mxcsr().node, i32(13)), i32(3));
    const mode = select(op("i32.and", bits, i32(4)), current, own);
    const choose = (bit: number, yes: Node | undefined, no: Node | undefined) =>
      select(op("i32.and", mode, i32(bit)), yes ?? zero(), no ?? zero());
    const result = choose(2, choose(1, cut, up), choose(1, down, nearest));
    // Inexact results set a flag unless the immediate says no, or it is set.
    const same = allLanes(shape, simd(`${shape}.eq`, result, a));
    const quiet = op("i32.and", bits, i32(8));
    const sound = op("i32.and", allLanes(shape, isNumber(shape, a)),
      op("i32.ne", op("i32.or", op("i32.or", same, quiet), mayRound(x)), i32(0)));
    guarded(x, target, sound, result);
  }, { helped: true });
  row(`round${suffix}`, `${operands},Ib`, `66 0F 3A ${opcode}`, { feature: "sse4.1" });
  vexRow(`round${suffix}`, `${unary(vex)},Ib`, `66 0F 3A ${opcode}`);
}

// Rare, or approximate: all in the helper.

for (const [mnemonic, opcode] of [["rsqrt", "52"], ["rcp", "53"]] as const) {
  for (const [suffix, prefix, operands, , vex] of [forms[0], forms[2]]) {
    defineHelpers(mnemonic + suffix, `v${mnemonic}${suffix}`);
    row(mnemonic + suffix, operands, `${prefix} 0F ${opcode}`);
    vexRow(mnemonic + suffix, unary(vex), `${prefix} 0F ${opcode}`);
  }
}
defineHelpers("dpps", "dppd", "vdpps", "vdppd");
row("dpps", "Vo,Wo,Ib", "66 0F 3A 40", { feature: "sse4.1" });
row("dppd", "Vo,Wo,Ib", "66 0F 3A 41", { feature: "sse4.1" });
vexRow("dpps", "Vx,Hx,Wx,Ib", "66 0F 3A 40");
vexRow("dppd", "Vo,Ho,Wo,Ib", "L0 66 0F 3A 41");
