/**
 * FMA: a × b + c with one rounding (SDM 1 §14.5). Every opcode is one of four instructions here,
 * with a constant that says which operand is which and what is negated. As for SSE, the result
 * computed here counts where no new flag can appear; exact software does the rest.
 */
import { i32, op, select, shuffle, simd, type Node } from "../wasm/code.ts";
import type { SemanticsBuilder } from "./builder.ts";
import {
  allLanes, condition, isModerate, isNumber, isOrdinary, isZero, mayRound, productError, sumError,
  type Shape,
} from "./sse-checks.ts";
import {
  defineVex, every, immediate, lanes, lowOf, readVector, vexRow, write, type VectorRule,
} from "./simd.ts";

/** The constant: which operands are multiplied, and signs of the product and of the addend. */
export const fmaConstant = {
  /** 132: first × third + second; 213: second × first + third; 231: second × third + first. */
  form213: 1, form231: 2, negateProduct: 4, negateEven: 8, negateOdd: 16,
} as const;

const { form213, form231, negateProduct, negateEven, negateOdd } = fmaConstant;
/** By the lower half of the opcode, packed; the scalar ones follow at the next one. */
const kinds = [
  ["6", negateEven], ["7", negateOdd], ["8", 0], ["A", negateEven | negateOdd],
  ["C", negateProduct], ["E", negateProduct | negateEven | negateOdd],
] as const;
const forms = [["9", 0], ["A", form213], ["B", form231]] as const;

/** The sum of two doubles rounded to odd: a second rounding to less precision is then right. */
function oddSum(a: Node, b: Node): Node {
  const sum = simd("f64x2.add", a, b);
  const error = sumError(a, b, sum);
  const even = simd("i64x2.eq", simd("v128.and", sum, every(64, 1)), every(64, 0));
  const inexact = simd("v128.not", isZero("f64x2", error));
  // Away from zero by one place where the error has the sign of the sum, else towards it.
  const against = simd("i64x2.shr_s", simd("v128.xor", sum, error), i32(63));
  const step = simd("v128.or", against, every(64, 1));
  return simd("i64x2.add", sum, simd("v128.and", step, simd("v128.and", even, inexact)));
}

/** Boldo and Melquiond's fused operation: the error of the product joins before the last sum. */
function fusedDoubles(a: Node, b: Node, c: Node): { result: Node; sound: Node } {
  const product = simd("f64x2.mul", a, b);
  const low = productError(a, b, product);
  const small = simd("f64x2.add", c, low), smallError = sumError(c, low, small);
  const large = simd("f64x2.add", product, small), largeError = sumError(product, small, large);
  const exact = simd("f64x2.add", large, oddSum(smallError, largeError));
  // Nothing is lost where one side is zero, and only so zeros keep their signs.
  const simple = simd("v128.or", isZero("f64x2", c),
    simd("v128.or", isZero("f64x2", a), isZero("f64x2", b)));
  const plain = simd("f64x2.add", product, c);
  const result = simd("v128.bitselect", plain, exact, simple);
  const zeroProduct = simd("v128.or", isZero("f64x2", a), isZero("f64x2", b));
  const moderate = [a, b, product].map(isModerate)
    .reduce((all, each) => simd("v128.and", all, each));
  const factors = simd("v128.or", moderate, zeroProduct);
  const addend = simd("v128.or", isModerate(c), isZero("f64x2", c));
  const inputs = simd("v128.and", simd("v128.and", isNumber("f64x2", a), isNumber("f64x2", b)),
    simd("v128.and", factors, addend));
  // With moderate exponents a zero is exact.
  const output = simd("v128.or", isOrdinary("f64x2", result), isZero("f64x2", result));
  return { result, sound: allLanes("f64x2", simd("v128.and", inputs, output)) };
}

const lowPair = [0, 1, 2, 3, 4, 5, 6, 7], highPair = lowPair.map((byte) => byte + 8);

/** Singles: products are exact as doubles, and sums rounded to odd survive a second rounding. */
function fusedSingles(a: Node, b: Node, c: Node): { result: Node; sound: Node } {
  const half = (upper: boolean) => {
    const wide = (node: Node) => simd("f64x2.promote_low_f32x4",
      upper ? shuffle([...highPair, ...highPair], node, node) : node);
    return oddSum(simd("f64x2.mul", wide(a), wide(b)), wide(c));
  };
  const sums = [half(false), half(true)] as const;
  const [low, high] = sums.map((sum) => simd("f32x4.demote_f64x2_zero", sum));
  const result = shuffle([...lowPair, ...lowPair.map((byte) => byte + 16)],
    low ?? sums[0], high ?? sums[1]);
  const zeros = shuffle([0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27],
    isZero("f64x2", sums[0]), isZero("f64x2", sums[1]));
  const inputs = [a, b, c].map((node) => isNumber("f32x4", node))
    .reduce((all, each) => simd("v128.and", all, each));
  const output = simd("v128.or", isOrdinary("f32x4", result), zeros);
  return { result, sound: allLanes("f32x4", simd("v128.and", inputs, output)) };
}

function signs(shape: Shape, bits: Node): Node {
  const single = shape === "f32x4";
  const sign = single ? 0x8000_0000 : 1n << 63n;
  const where = (bit: number, mask: Node) => simd("v128.and", mask, simd("i32x4.splat",
    op("i32.sub", i32(0), op("i32.and", op("i32.shr_u", bits, i32(Math.log2(bit))), i32(1)))));
  const lane = (even: boolean) => lanes(single ? 32 : 64, Array.from({ length: single ? 4 : 2 },
    (_, index) => (index % 2 === 0) === even ? sign : 0));
  return simd("v128.or", where(negateEven, lane(true)), where(negateOdd, lane(false)));
}

function fused(shape: Shape): VectorRule {
  return (x: SemanticsBuilder, target, second, third, control) => {
    const bits = immediate(x, control ?? third);
    const w = x.code.bind(readVector(x, third)), h = x.code.bind(readVector(x, second));
    const v = x.code.bind(readVector(x, target));
    const has = (bit: number) => op("i32.and", bits, i32(bit));
    const first132 = op("i32.eqz", has(form213 | form231));
    const sign = every(shape === "f32x4" ? 32 : 64, shape === "f32x4" ? 0x8000_0000 : 1n << 63n);
    const negated = simd("v128.and", sign, simd("i32x4.splat",
      op("i32.sub", i32(0), op("i32.shr_u", has(negateProduct), i32(2)))));
    const a = x.code.bind(simd("v128.xor", select(first132, v, h), negated));
    const b = x.code.bind(select(has(form213), v, w));
    const addend = select(first132, h, select(has(form231), v, w));
    const c = x.code.bind(simd("v128.xor", addend, signs(shape, bits)));
    const { result, sound } = shape === "f32x4" ? fusedSingles(a, b, c) : fusedDoubles(a, b, c);
    x.when(condition(op("i32.and", mayRound(x), sound)),
      () => write(x, target, lowOf(result, target.width)), () => x.helper(), true);
  };
}

for (const [suffix, wide, shape, size] of [
  ["ps", "W0", "f32x4", "x"], ["pd", "W1", "f64x2", "x"], ["ss", "W0", "f32x4", "d"],
  ["sd", "W1", "f64x2", "q"],
] as const) {
  defineVex(`vfma.${suffix}`, fused(shape), { accumulates: true, helped: true });
  for (const [digit, form] of forms) {
    for (const [lower, kind] of kinds) {
      const alternates = kind === negateEven || kind === negateOdd;
      if (size === "x") {
        vexRow(`fma.${suffix}`, "Vx,Hx,Wx,K", `${wide} 66 0F 38 ${digit}${lower}`,
          { feature: "fma", wideFeature: "fma", constant: form | kind });
      } else if (!alternates) {
        const opcode = (parseInt(digit + lower, 16) + 1).toString(16).toUpperCase();
        vexRow(`fma.${suffix}`, `V${size},H${size},W${size},K`, `${wide} 66 0F 38 ${opcode}`,
          { feature: "fma", constant: form | kind });
      }
    }
  }
}
