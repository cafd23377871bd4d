/** Packed integer arithmetic, comparisons, logic and shifts (SDM 2, PABSB to PXOR). */
import { i32, onLane, op, shuffle, simd, type Node } from "../wasm/code.ts";
import type { VectorOp } from "../wasm/opcodes.ts";
import {
  atMost, by, byteNumbers, combine, defineSimd, every, immediate, lanes, lowOf, ownImmediate, read,
  readVector, vexRow, whereAbove, write, zero, type Compute,
} from "./simd.ts";
import { row, type RowOptions } from "./table.ts";
import { unsigned64 } from "./value.ts";

const wideFeature = "avx2";

/** An instruction with the same opcode for MMX and vector registers. */
function both(
  mnemonic: string, opcode: string, compute: Compute, options: RowOptions = {}, vex = "Vx,Hx,Wx",
): void {
  defineSimd(mnemonic, combine(compute));
  row(mnemonic, "Pq,Qq", `np 0F ${opcode}`, options);
  row(mnemonic, "Vo,Wo", `66 0F ${opcode}`, options);
  vexRow(mnemonic, vex, `66 0F ${opcode}`, { wideFeature });
}

/** An instruction of vector registers only. */
function wide(mnemonic: string, opcode: string, compute: Compute, feature: string): void {
  defineSimd(mnemonic, combine(compute));
  row(mnemonic, "Vo,Wo", `66 0F ${opcode}`, { feature });
  vexRow(mnemonic, "Vx,Hx,Wx", `66 0F ${opcode}`, { wideFeature });
}

const plain: readonly (readonly [string, string, VectorOp])[] = [
  ["paddb", "FC", "i8x16.add"], ["paddw", "FD", "i16x8.add"], ["paddd", "FE", "i32x4.add"],
  ["paddq", "D4", "i64x2.add"], ["psubb", "F8", "i8x16.sub"], ["psubw", "F9", "i16x8.sub"],
  ["psubd", "FA", "i32x4.sub"], ["psubq", "FB", "i64x2.sub"],
  ["paddsb", "EC", "i8x16.add_sat_s"], ["paddsw", "ED", "i16x8.add_sat_s"],
  ["paddusb", "DC", "i8x16.add_sat_u"], ["paddusw", "DD", "i16x8.add_sat_u"],
  ["psubsb", "E8", "i8x16.sub_sat_s"], ["psubsw", "E9", "i16x8.sub_sat_s"],
  ["psubusb", "D8", "i8x16.sub_sat_u"], ["psubusw", "D9", "i16x8.sub_sat_u"],
  ["pminub", "DA", "i8x16.min_u"], ["pmaxub", "DE", "i8x16.max_u"],
  ["pminsw", "EA", "i16x8.min_s"], ["pmaxsw", "EE", "i16x8.max_s"],
  ["pavgb", "E0", "i8x16.avgr_u"], ["pavgw", "E3", "i16x8.avgr_u"],
  ["pcmpeqb", "74", "i8x16.eq"], ["pcmpeqw", "75", "i16x8.eq"], ["pcmpeqd", "76", "i32x4.eq"],
  ["pcmpgtb", "64", "i8x16.gt_s"], ["pcmpgtw", "65", "i16x8.gt_s"],
  ["pcmpgtd", "66", "i32x4.gt_s"],
  ["pmullw", "D5", "i16x8.mul"], ["pmaddwd", "F5", "i32x4.dot_i16x8_s"],
  ["pand", "DB", "v128.and"], ["por", "EB", "v128.or"], ["pxor", "EF", "v128.xor"],
];
for (const [mnemonic, opcode, name] of plain) {
  both(mnemonic, opcode, by(name));
}
const andNot: Compute = (a, b) => simd("v128.andnot", b, a);
both("pandn", "DF", andNot);

const sse41: readonly (readonly [string, string, VectorOp])[] = [
  ["pcmpeqq", "29", "i64x2.eq"], ["pminsb", "38", "i8x16.min_s"], ["pminsd", "39", "i32x4.min_s"],
  ["pminuw", "3A", "i16x8.min_u"], ["pminud", "3B", "i32x4.min_u"],
  ["pmaxsb", "3C", "i8x16.max_s"], ["pmaxsd", "3D", "i32x4.max_s"],
  ["pmaxuw", "3E", "i16x8.max_u"], ["pmaxud", "3F", "i32x4.max_u"], ["pmulld", "40", "i32x4.mul"],
  ["packusdw", "2B", "i16x8.narrow_i32x4_u"],
];
for (const [mnemonic, opcode, name] of sse41) {
  wide(mnemonic, `38 ${opcode}`, by(name), "sse4.1");
}
wide("pcmpgtq", "38 37", by("i64x2.gt_s"), "sse4.2");

// Logic on floating-point registers is the same.
for (const [mnemonic, opcode, compute] of [
  ["andp", "54", by("v128.and")], ["andnp", "55", andNot], ["orp", "56", by("v128.or")],
  ["xorp", "57", by("v128.xor")],
] as const) {
  defineSimd(mnemonic, combine(compute));
  for (const prefix of ["np", "66"]) {
    row(mnemonic, "Vo,Wo", `${prefix} 0F ${opcode}`);
    vexRow(mnemonic, "Vx,Hx,Wx", `${prefix} 0F ${opcode}`);
  }
}

// Products.

const highWords = (low: Node, high: Node) => shuffle(
  [2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31], low, high);
both("pmulhw", "E5", (a, b) => highWords(
  simd("i32x4.extmul_low_i16x8_s", a, b), simd("i32x4.extmul_high_i16x8_s", a, b)));
both("pmulhuw", "E4", (a, b) => highWords(
  simd("i32x4.extmul_low_i16x8_u", a, b), simd("i32x4.extmul_high_i16x8_u", a, b)));
const evenWords = (a: Node) => shuffle([0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11], a, a);
both("pmuludq", "F4", (a, b) =>
  simd("i64x2.extmul_low_i32x4_u", evenWords(a), evenWords(b)));
wide("pmuldq", "38 28", (a, b) =>
  simd("i64x2.extmul_low_i32x4_s", evenWords(a), evenWords(b)), "sse4.1");
both("pmulhrsw", "38 0B", (a, b) => {
  // Where both are -1 the sum of the rounding overflows; WebAssembly saturates, x86 wraps.
  const lowest = every(16, 0x8000);
  const overflows = simd("v128.and", simd("i16x8.eq", a, lowest), simd("i16x8.eq", b, lowest));
  return simd("v128.xor", simd("i16x8.q15mulr_sat_s", a, b), overflows);
}, { feature: "ssse3" });
both("pmaddubsw", "38 04", (a, b) => {
  const eight = i32(8);
  const even = simd("i16x8.mul", simd("v128.and", a, every(16, 0xff)),
    simd("i16x8.shr_s", simd("i16x8.shl", b, eight), eight));
  const odd = simd("i16x8.mul", simd("i16x8.shr_u", a, eight), simd("i16x8.shr_s", b, eight));
  return simd("i16x8.add_sat_s", even, odd);
}, { feature: "ssse3" });

// Sums.

both("psadbw", "F6", (a, b) => {
  const difference = simd("i8x16.sub", simd("i8x16.max_u", a, b), simd("i8x16.min_u", a, b));
  const quarters = simd("i32x4.extadd_pairwise_i16x8_u",
    simd("i16x8.extadd_pairwise_i8x16_u", difference));
  return simd("i64x2.add", simd("i64x2.shr_u", quarters, i32(32)),
    simd("v128.and", quarters, every(64, 0xffff_ffffn)));
});

/** Even and odd lanes of destination and source, in order; MMX has both in one vector. */
function pairs(bytes: 2 | 4, a: Node, b: Node, isMmx: boolean): [Node, Node] {
  const pick = (odd: 0 | 1) => Array.from({ length: 16 }, (_, index) =>
    Math.floor(index / bytes) * 2 * bytes + odd * bytes + index % bytes);
  if (!isMmx) {
    return [shuffle(pick(0), a, b), shuffle(pick(1), a, b)];
  }
  const joined = simd("v128.bitselect", a, b, lanes(64, [-1, 0]));
  return [shuffle(pick(0), joined, joined), shuffle(pick(1), joined, joined)];
}

const horizontal: readonly (readonly [string, string, 2 | 4, VectorOp])[] = [
  ["phaddw", "01", 2, "i16x8.add"], ["phaddd", "02", 4, "i32x4.add"],
  ["phaddsw", "03", 2, "i16x8.add_sat_s"], ["phsubw", "05", 2, "i16x8.sub"],
  ["phsubd", "06", 4, "i32x4.sub"], ["phsubsw", "07", 2, "i16x8.sub_sat_s"],
];
for (const [mnemonic, opcode, bytes, name] of horizontal) {
  defineSimd(mnemonic, (x, target, source) => {
    const b = readVector(x, source), a = readVector(x, target);
    const [even, odd] = pairs(bytes, a, b, target.width === 64);
    write(x, target, lowOf(simd(name, even, odd), target.width));
  });
  row(mnemonic, "Pq,Qq", `np 0F 38 ${opcode}`, { feature: "ssse3" });
  row(mnemonic, "Vo,Wo", `66 0F 38 ${opcode}`, { feature: "ssse3" });
  vexRow(mnemonic, "Vx,Hx,Wx", `66 0F 38 ${opcode}`, { wideFeature });
}

const signs = [
  ["b", "08", "1C", 8, "i8x16"], ["w", "09", "1D", 16, "i16x8"], ["d", "0A", "1E", 32, "i32x4"],
] as const;
for (const [letter, sign, absolute, bits, shape] of signs) {
  both(`psign${letter}`, `38 ${sign}`, (a, b) => {
    const negative = simd(`${shape}.shr_s`, b, i32(bits - 1));
    const turned = simd(`${shape}.sub`, simd("v128.xor", a, negative), negative);
    return simd("v128.andnot", turned, simd(`${shape}.eq`, b, zero()));
  }, { feature: "ssse3" });
  both(`pabs${letter}`, `38 ${absolute}`, (_a, b) => simd(`${shape}.abs`, b),
    { feature: "ssse3" }, "Vx,Wx");
}

// Shifts.

type Shift = readonly [mnemonic: string, opcode: string, group: string, reg: number, name: VectorOp,
  bits: 16 | 32 | 64];
const shifts: readonly Shift[] = [
  ["psrlw", "D1", "71", 2, "i16x8.shr_u", 16], ["psrld", "D2", "72", 2, "i32x4.shr_u", 32],
  ["psrlq", "D3", "73", 2, "i64x2.shr_u", 64], ["psraw", "E1", "71", 4, "i16x8.shr_s", 16],
  ["psrad", "E2", "72", 4, "i32x4.shr_s", 32], ["psllw", "F1", "71", 6, "i16x8.shl", 16],
  ["pslld", "F2", "72", 6, "i32x4.shl", 32], ["psllq", "F3", "73", 6, "i64x2.shl", 64],
];
for (const [mnemonic, opcode, group, reg, name, bits] of shifts) {
  const shifted = (a: Node, count: Node): Node => {
    const some = simd(name, a, op("i32.wrap_i64", count));
    const all = name.endsWith("shr_s") ? simd(name, a, i32(bits - 1)) : zero();
    return whereAbove(count, bits - 1, all, some);
  };
  defineSimd(mnemonic, (x, target, source) => {
    const count = read(x, source);
    const amount = source.kind === "immediate"
      ? unsigned64(count) : onLane("i64x2.extract_lane", 0, readVector(x, source));
    write(x, target, lowOf(shifted(readVector(x, target), amount), target.width));
  }, { sharedSource: true });
  row(mnemonic, "Pq,Qq", `np 0F ${opcode}`);
  row(mnemonic, "Vo,Wo", `66 0F ${opcode}`);
  row(mnemonic, "Nq,Ib", `np 0F ${group} /${reg}`);
  row(mnemonic, "Uo,Ib", `66 0F ${group} /${reg}`);
  vexRow(mnemonic, "Vx,Hx,Wo", `66 0F ${opcode}`, { wideFeature });
  vexRow(mnemonic, "Hx,Ux,Ib", `66 0F ${group} /${reg}`, { wideFeature });
}
for (const [mnemonic, reg, name] of [
  ["psrldq", 3, "i8x16.add"], ["pslldq", 7, "i8x16.sub"],
] as const) {
  defineSimd(mnemonic, (x, target, source) => {
    const count = simd("i8x16.splat", atMost(immediate(x, source), 16));
    const places = simd(name, byteNumbers(), count);
    write(x, target, lowOf(simd("i8x16.swizzle", readVector(x, target), places), 128));
  });
  row(mnemonic, "Uo,Ib", `66 0F 73 /${reg}`);
  vexRow(mnemonic, "Hx,Ux,Ib", `66 0F 73 /${reg}`, { wideFeature });
}

// SSE4.1: minimum with its place, sums of differences.

defineSimd("phminposuw", (x, target, source) => {
  const words = readVector(x, source);
  // Value and place in one number of 32 bits each; the smallest of all, by halves.
  const numbered = (high: boolean) => {
    const name = high ? "i32x4.extend_high_i16x8_u" : "i32x4.extend_low_i16x8_u";
    const places = lanes(32, high ? [4, 5, 6, 7] : [0, 1, 2, 3]);
    return simd("v128.or", simd("i32x4.shl", simd(name, words), i32(16)), places);
  };
  const four = simd("i32x4.min_u", numbered(false), numbered(true));
  const two = simd("i32x4.min_u", four,
    shuffle([8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15], four, four));
  const one = simd("i32x4.min_u", two,
    shuffle([4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7], two, two));
  const found = onLane("i32x4.extract_lane", 0, one);
  const swapped = op("i32.rotl", found, i32(16));
  write(x, target, lowOf(onLane("i32x4.replace_lane", 0, zero(), swapped), 128));
});
row("phminposuw", "Vo,Wo", "66 0F 38 41", { feature: "sse4.1" });
vexRow("phminposuw", "Vo,Wo", "L0 66 0F 38 41");

defineSimd("mpsadbw", (x, target, source, control) => {
  const b = readVector(x, source), a = readVector(x, target);
  const bits = ownImmediate(x, control, target, 3);
  const splatByte = (value: Node) => simd("i8x16.splat", value);
  const block = op("i32.shl", op("i32.and", bits, i32(3)), i32(2));
  const start = op("i32.and", bits, i32(4));
  let sum = zero();
  for (let index = 0; index < 4; index += 1) {
    const one = simd("i8x16.swizzle", b, splatByte(op("i32.add", block, i32(index))));
    const places = simd("i8x16.add", byteNumbers(), splatByte(op("i32.add", start, i32(index))));
    const many = simd("i8x16.swizzle", a, places);
    const gap = simd("i8x16.sub", simd("i8x16.max_u", one, many), simd("i8x16.min_u", one, many));
    sum = simd("i16x8.add", sum, simd("i16x8.extend_low_i8x16_u", gap));
  }
  write(x, target, lowOf(sum, 128));
});
row("mpsadbw", "Vo,Wo,Ib", "66 0F 3A 42", { feature: "sse4.1" });
vexRow("mpsadbw", "Vx,Hx,Wx,Ib", "66 0F 3A 42", { wideFeature });
