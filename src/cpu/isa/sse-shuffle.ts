/** Shuffles, packs, blends, inserts and extracts (SDM 2, BLENDPD to UNPCKLPS). */
import { i32, onLane, op, select, shuffle, simd, type Node } from "../wasm/code.ts";
import type { VectorOp } from "../wasm/opcodes.ts";
import {
  atMost, byteNumbers, defineSimd, defineSse, defineVex, every, immediate, lanes, lowOf,
  ownImmediate, read, readVector, spread, vexRow, write, zero,
} from "./simd.ts";
import { row } from "./table.ts";
import { truncate, Value } from "./value.ts";

/** Destination in the low half and source in the high half, for MMX operands. */
const joined = (a: Node, b: Node) => simd("v128.bitselect", a, b, lanes(64, [-1, 0]));

const wideFeature = "avx2";

// Packs and interleaves.

const packs: readonly (readonly [string, string, VectorOp])[] = [
  ["packsswb", "63", "i8x16.narrow_i16x8_s"], ["packuswb", "67", "i8x16.narrow_i16x8_u"],
  ["packssdw", "6B", "i16x8.narrow_i32x4_s"],
];
for (const [mnemonic, opcode, name] of packs) {
  defineSimd(mnemonic, (x, target, source) => {
    const b = readVector(x, source), a = readVector(x, target);
    const result = target.width === 64
      ? simd(name, joined(a, b), joined(a, b)) : simd(name, a, b);
    write(x, target, lowOf(result, target.width));
  });
  row(mnemonic, "Pq,Qq", `np 0F ${opcode}`);
  row(mnemonic, "Vo,Wo", `66 0F ${opcode}`);
  vexRow(mnemonic, "Vx,Hx,Wx", `66 0F ${opcode}`, { wideFeature });
}

/** Lanes of `bytes` from both operands in turn, from byte `start` on. */
function interleaved(bytes: number, start: number): number[] {
  return Array.from({ length: 16 }, (_, index) => {
    const lane = Math.floor(index / bytes);
    return start + Math.floor(lane / 2) * bytes + index % bytes + (lane % 2) * 16;
  });
}

const unpacks: readonly (readonly [string, string, string, number])[] = [
  ["bw", "60", "68", 1], ["wd", "61", "69", 2], ["dq", "62", "6A", 4], ["qdq", "6C", "6D", 8],
];
for (const [suffix, low, high, bytes] of unpacks) {
  defineSimd(`punpckl${suffix}`, (x, target, source) => {
    const b = readVector(x, source), a = readVector(x, target);
    write(x, target, lowOf(shuffle(interleaved(bytes, 0), a, b), target.width));
  });
  defineSimd(`punpckh${suffix}`, (x, target, source) => {
    const b = readVector(x, source), a = readVector(x, target);
    const start = target.width === 64 ? 4 : 8;
    write(x, target, lowOf(shuffle(interleaved(bytes, start), a, b), target.width));
  });
  if (bytes < 8) {
    row(`punpckl${suffix}`, "Pq,Qd", `np 0F ${low}`);
    row(`punpckh${suffix}`, "Pq,Qq", `np 0F ${high}`);
  }
  row(`punpckl${suffix}`, "Vo,Wo", `66 0F ${low}`);
  row(`punpckh${suffix}`, "Vo,Wo", `66 0F ${high}`);
  vexRow(`punpckl${suffix}`, "Vx,Hx,Wx", `66 0F ${low}`, { wideFeature });
  vexRow(`punpckh${suffix}`, "Vx,Hx,Wx", `66 0F ${high}`, { wideFeature });
}
for (const [prefix, suffix] of [["np", "dq"], ["66", "qdq"]] as const) {
  row(`punpckl${suffix}`, "Vo,Wo", `${prefix} 0F 14`); // UNPCKLPS, UNPCKLPD
  row(`punpckh${suffix}`, "Vo,Wo", `${prefix} 0F 15`);
  vexRow(`punpckl${suffix}`, "Vx,Hx,Wx", `${prefix} 0F 14`);
  vexRow(`punpckh${suffix}`, "Vx,Hx,Wx", `${prefix} 0F 15`);
}

// Shuffles by an immediate: two bits a lane become byte numbers for a swizzle.

/** Field i of two bits, in lane i of four. */
function fields32(control: Node): Node {
  const moved = simd("i32x4.mul", simd("i32x4.splat", control), lanes(32, [64, 16, 4, 1]));
  return simd("v128.and", simd("i32x4.shr_u", moved, i32(6)), every(32, 3));
}

const places32 = (control: Node) => simd("i32x4.add",
  simd("i32x4.mul", fields32(control), every(32, 0x0404_0404)), every(32, 0x0302_0100));

/** Byte numbers of words within the low half, in both halves. */
function places16(control: Node): Node {
  const moved = simd("i16x8.mul", simd("i16x8.splat", control),
    lanes(16, [64, 16, 4, 1, 64, 16, 4, 1]));
  const fields = simd("v128.and", simd("i16x8.shr_u", moved, i32(6)), every(16, 3));
  return simd("i16x8.add", simd("i16x8.mul", fields, every(16, 0x0202)), every(16, 0x0100));
}

const lowHalf = [0, 1, 2, 3, 4, 5, 6, 7];
const highHalf = lowHalf.map((byte) => byte + 8);

defineSimd("pshufd", (x, target, source, control) => {
  const a = readVector(x, source);
  write(x, target, lowOf(simd("i8x16.swizzle", a, places32(immediate(x, control))), 128));
});
row("pshufd", "Vo,Wo,Ib", "66 0F 70");
vexRow("pshufd", "Vx,Wx,Ib", "66 0F 70", { wideFeature });
// VPERMILPS is the same.
vexRow("pshufd", "Vx,Wx,Ib", "W0 66 0F 3A 04");
defineSimd("pshufw", (x, target, source, control) => {
  const a = readVector(x, source);
  write(x, target, lowOf(simd("i8x16.swizzle", a, places16(immediate(x, control))), 64));
});
row("pshufw", "Pq,Qq,Ib", "np 0F 70");
defineSimd("pshuflw", (x, target, source, control) => {
  const a = readVector(x, source);
  const moved = simd("i8x16.swizzle", a, places16(immediate(x, control)));
  write(x, target, lowOf(shuffle([...lowHalf, ...highHalf.map((byte) => byte + 16)], moved, a),
    128));
});
row("pshuflw", "Vo,Wo,Ib", "F2 0F 70");
vexRow("pshuflw", "Vx,Wx,Ib", "F2 0F 70", { wideFeature });
defineSimd("pshufhw", (x, target, source, control) => {
  const a = readVector(x, source);
  const places = simd("i16x8.add", places16(immediate(x, control)), every(16, 0x0808));
  const moved = simd("i8x16.swizzle", a, places);
  write(x, target, lowOf(shuffle([...lowHalf, ...highHalf.map((byte) => byte + 16)], a, moved),
    128));
});
row("pshufhw", "Vo,Wo,Ib", "F3 0F 70");
vexRow("pshufhw", "Vx,Wx,Ib", "F3 0F 70", { wideFeature });

defineSimd("shufps", (x, target, source, control) => {
  const b = readVector(x, source), a = readVector(x, target);
  const places = places32(immediate(x, control));
  const low = simd("i8x16.swizzle", a, places), high = simd("i8x16.swizzle", b, places);
  write(x, target, lowOf(shuffle([...lowHalf, ...highHalf.map((byte) => byte + 16)], low, high),
    128));
});
row("shufps", "Vo,Wo,Ib", "np 0F C6");
vexRow("shufps", "Vx,Hx,Wx,Ib", "np 0F C6");
/** One double of each operand, as bits 0 and 1 say. */
function pickDoubles(bits: Node, a: Node, b: Node): Node {
  const pick = (from: Node, bit: number) => select(op("i32.and", bits, i32(bit)),
    onLane("i64x2.extract_lane", 1, from), onLane("i64x2.extract_lane", 0, from));
  const low = onLane("i64x2.replace_lane", 0, zero(), pick(a, 1));
  return onLane("i64x2.replace_lane", 1, low, pick(b, 2));
}

defineSimd("shufpd", (x, target, source, control) => {
  const b = readVector(x, source), a = readVector(x, target);
  write(x, target, lowOf(pickDoubles(ownImmediate(x, control, target, 2), a, b), 128));
});
row("shufpd", "Vo,Wo,Ib", "66 0F C6");
vexRow("shufpd", "Vx,Hx,Wx,Ib", "66 0F C6");
// With both operands one it is VPERMILPD.
defineVex("vpermilpd", (x, target, source, control) => {
  const a = readVector(x, source);
  write(x, target, lowOf(pickDoubles(ownImmediate(x, control, target, 2), a, a), 128));
});
vexRow("permilpd", "Vx,Wx,Ib", "W0 66 0F 3A 05");

defineSimd("pshufb", (x, target, source) => {
  const b = readVector(x, source), a = readVector(x, target);
  // Bit 7 clears a byte; a number of 128 or more does so in a swizzle too.
  const places = simd("v128.and", b, every(8, target.width === 64 ? 0x87 : 0x8f));
  write(x, target, lowOf(simd("i8x16.swizzle", a, places), target.width));
});
row("pshufb", "Pq,Qq", "np 0F 38 00", { feature: "ssse3" });
row("pshufb", "Vo,Wo", "66 0F 38 00", { feature: "ssse3" });
vexRow("pshufb", "Vx,Hx,Wx", "66 0F 38 00", { wideFeature });

defineSimd("palignr", (x, target, source, control) => {
  const b = readVector(x, source), a = readVector(x, target);
  const count = simd("i8x16.splat", atMost(immediate(x, control), 32));
  const places = simd("i8x16.add", byteNumbers(), count);
  if (target.width === 64) {
    write(x, target, lowOf(simd("i8x16.swizzle", joined(b, a), places), 64));
    return;
  }
  const upper = simd("i8x16.swizzle", a, simd("i8x16.sub", places, every(8, 16)));
  write(x, target, lowOf(simd("v128.or", simd("i8x16.swizzle", b, places), upper), 128));
});
row("palignr", "Pq,Qq,Ib", "np 0F 3A 0F", { feature: "ssse3" });
row("palignr", "Vo,Wo,Ib", "66 0F 3A 0F", { feature: "ssse3" });
vexRow("palignr", "Vx,Hx,Wx,Ib", "66 0F 3A 0F", { wideFeature });

// Blends.

/** The mask is XMM0, behind VEX an operand. */
const signMasks = [
  ["pblendvb", "10", "4C", "i8x16.shr_s", 8], ["blendvps", "14", "4A", "i32x4.shr_s", 32],
  ["blendvpd", "15", "4B", "i64x2.shr_s", 64],
] as const;
for (const [mnemonic, opcode, vexOpcode, name, bits] of signMasks) {
  const blend = (a: Node, b: Node, signs: Node) =>
    lowOf(simd("v128.bitselect", b, a, simd(name, signs, i32(bits - 1))), 128);
  defineSse(mnemonic, (x, target, source) => {
    const b = readVector(x, source), a = readVector(x, target);
    write(x, target, blend(a, b, x.firstVector().node));
  });
  row(mnemonic, "Vo,Wo", `66 0F 38 ${opcode}`, { feature: "sse4.1" });
  defineVex(`v${mnemonic}`, (x, target, source, mask) => {
    const b = readVector(x, source), a = readVector(x, target);
    write(x, target, blend(a, b, readVector(x, mask)));
  });
  vexRow(mnemonic, "Vx,Hx,Wx,Lx", `W0 66 0F 3A ${vexOpcode}`,
    bits === 8 ? { wideFeature } : {});
}

const powers = (count: number) => Array.from({ length: count }, (_, index) => 2 ** index);
const immediateMasks = [
  ["blendps", "0C", "i32x4", 32], ["blendpd", "0D", "i64x2", 64], ["pblendw", "0E", "i16x8", 16],
] as const;
for (const [mnemonic, opcode, shape, bits] of immediateMasks) {
  defineSimd(mnemonic, (x, target, source, control) => {
    const b = readVector(x, source), a = readVector(x, target);
    // PBLENDW has one byte for both halves of 256 bits.
    const chosen = ownImmediate(x, control, target, bits === 16 ? 0 : 128 / bits);
    const repeated = bits === 64
      ? simd("i64x2.splat", op("i64.extend_i32_u", chosen)) : simd(`${shape}.splat`, chosen);
    const bit = lanes(bits, powers(128 / bits));
    const mask = simd(`${shape}.eq`, simd("v128.and", repeated, bit), bit);
    write(x, target, lowOf(simd("v128.bitselect", b, a, mask), 128));
  });
  row(mnemonic, "Vo,Wo,Ib", `66 0F 3A ${opcode}`, { feature: "sse4.1" });
  vexRow(mnemonic, "Vx,Hx,Wx,Ib", `66 0F 3A ${opcode}`, bits === 16 ? { wideFeature } : {});
}
vexRow("blendps", "Vx,Hx,Wx,Ib", "W0 66 0F 3A 02", { feature: "avx2", wideFeature }); // VPBLENDD

// Single lanes.

const numbers = (bits: 8 | 16 | 32 | 64) =>
  lanes(bits, Array.from({ length: 128 / bits }, (_, index) => index));

/** Puts a lane of `bits` at the place that the immediate names. */
function insert(
  bits: 8 | 16 | 32 | 64, shape: "i8x16" | "i16x8" | "i32x4" | "i64x2", target: Node,
  value: Node, place: Node, count: number,
): Node {
  const wanted = op("i32.and", place, i32(count - 1));
  const repeated = bits === 64
    ? simd("i64x2.splat", op("i64.extend_i32_u", wanted)) : simd(`${shape}.splat`, wanted);
  const mask = simd(`${shape}.eq`, numbers(bits), repeated);
  return simd("v128.bitselect", value, target, mask);
}

const inserts = [
  ["pinsrb", 8, "i8x16"], ["pinsrw", 16, "i16x8"], ["pinsrd", 32, "i32x4"],
  ["pinsrq", 64, "i64x2"],
] as const;
for (const [mnemonic, bits, shape] of inserts) {
  defineSimd(mnemonic, (x, target, source, control) => {
    const piece = read(x, source);
    const value = spread(piece.width === bits ? piece : truncate(piece, bits));
    const result = insert(bits, shape, readVector(x, target), value, immediate(x, control),
      target.width / bits);
    write(x, target, lowOf(result, target.width));
  });
}
row("pinsrw", "Pq,Rd,Ib", "np 0F C4 reg");
row("pinsrw", "Pq,Mw,Ib", "np 0F C4 mem");
row("pinsrw", "Vo,Rd,Ib", "66 0F C4 reg");
row("pinsrw", "Vo,Mw,Ib", "66 0F C4 mem");
row("pinsrb", "Vo,Rd,Ib", "66 0F 3A 20 reg", { feature: "sse4.1" });
row("pinsrb", "Vo,Mb,Ib", "66 0F 3A 20 mem", { feature: "sse4.1" });
row("pinsrd", "Vo,Ed,Ib", "66 0F 3A 22 W0", { feature: "sse4.1" });
row("pinsrq", "Vo,Eq,Ib", "66 0F 3A 22 W1", { feature: "sse4.1" });
vexRow("pinsrw", "Vo,Ho,Rd,Ib", "L0 66 0F C4 reg");
vexRow("pinsrw", "Vo,Ho,Mw,Ib", "L0 66 0F C4 mem");
vexRow("pinsrb", "Vo,Ho,Rd,Ib", "L0 66 0F 3A 20 reg");
vexRow("pinsrb", "Vo,Ho,Mb,Ib", "L0 66 0F 3A 20 mem");
vexRow("pinsrq", "Vo,Ho,Eq,Ib", "L0 66 0F 3A 22 W1", { modes: "long" });
vexRow("pinsrd", "Vo,Ho,Ed,Ib", "L0 66 0F 3A 22");

/** The lane of `bits` that the immediate names, in lane 0. */
function extracted(bits: 8 | 16 | 32, from: Node, place: Node, count: number): Node {
  const bytes = bits / 8;
  const first = op("i32.mul", op("i32.and", place, i32(count - 1)), i32(bytes));
  const places = simd("i8x16.add", simd("i8x16.splat", first), byteNumbers());
  const moved = simd("i8x16.swizzle", from, places);
  return bits === 8 ? onLane("i8x16.extract_lane_u", 0, moved)
    : bits === 16 ? onLane("i16x8.extract_lane_u", 0, moved)
      : onLane("i32x4.extract_lane", 0, moved);
}

for (const [mnemonic, bits] of [["pextrb", 8], ["pextrw", 16], ["pextrd", 32]] as const) {
  defineSimd(mnemonic, (x, target, source, control) => {
    const node = extracted(bits, readVector(x, source), immediate(x, control),
      source.width / bits);
    write(x, target, x.resize(new Value(node, bits, true), target.width));
  });
}
row("pextrw", "Gd,Nq,Ib", "np 0F C5");
row("pextrw", "Gd,Uo,Ib", "66 0F C5");
row("pextrb", "Rd,Vo,Ib", "66 0F 3A 14 reg", { feature: "sse4.1" });
row("pextrb", "Mb,Vo,Ib", "66 0F 3A 14 mem", { feature: "sse4.1" });
row("pextrw", "Rd,Vo,Ib", "66 0F 3A 15 reg", { feature: "sse4.1" });
row("pextrw", "Mw,Vo,Ib", "66 0F 3A 15 mem", { feature: "sse4.1" });
row("pextrd", "Ed,Vo,Ib", "66 0F 3A 16 W0", { feature: "sse4.1" });
row("pextrd", "Ed,Vo,Ib", "66 0F 3A 17", { feature: "sse4.1" }); // EXTRACTPS
vexRow("pextrw", "Gd,Uo,Ib", "L0 66 0F C5");
vexRow("pextrb", "Rd,Vo,Ib", "L0 66 0F 3A 14 reg");
vexRow("pextrb", "Mb,Vo,Ib", "L0 66 0F 3A 14 mem");
vexRow("pextrw", "Rd,Vo,Ib", "L0 66 0F 3A 15 reg");
vexRow("pextrw", "Mw,Vo,Ib", "L0 66 0F 3A 15 mem");
vexRow("pextrq", "Eq,Vo,Ib", "L0 66 0F 3A 16 W1", { modes: "long" });
vexRow("pextrd", "Ed,Vo,Ib", "L0 66 0F 3A 16");
vexRow("pextrd", "Ed,Vo,Ib", "L0 66 0F 3A 17");
defineSimd("pextrq", (x, target, source, control) => {
  const from = readVector(x, source);
  const high = op("i32.and", immediate(x, control), i32(1));
  const node = select(high, onLane("i64x2.extract_lane", 1, from),
    onLane("i64x2.extract_lane", 0, from));
  write(x, target, new Value(node, 64, true));
});
row("pextrq", "Eq,Vo,Ib", "66 0F 3A 16 W1", { feature: "sse4.1" });

defineSimd("insertps", (x, target, source, control) => {
  const from = readVector(x, source), a = readVector(x, target);
  const bits = immediate(x, control);
  const lane = source.kind === "memory" ? i32(0) : op("i32.shr_u", bits, i32(6));
  const value = simd("i32x4.splat", extracted(32, from, lane, 4));
  const placed = insert(32, "i32x4", a, value, op("i32.shr_u", bits, i32(4)), 4);
  const bit = lanes(32, [1, 2, 4, 8]);
  const cleared = simd("i32x4.eq",
    simd("v128.and", simd("i32x4.splat", op("i32.and", bits, i32(15))), bit), bit);
  write(x, target, lowOf(simd("v128.andnot", placed, cleared), 128));
});
row("insertps", "Vo,Uo,Ib", "66 0F 3A 21 reg", { feature: "sse4.1" });
row("insertps", "Vo,Md,Ib", "66 0F 3A 21 mem", { feature: "sse4.1" });
vexRow("insertps", "Vo,Ho,Uo,Ib", "L0 66 0F 3A 21 reg");
vexRow("insertps", "Vo,Ho,Md,Ib", "L0 66 0F 3A 21 mem");

// Widening moves.

const steps = { 8: "i16x8.extend_low_i8x16", 16: "i32x4.extend_low_i16x8",
  32: "i64x2.extend_low_i32x4" } as const;
const twice = { w: "d", d: "q", q: "o" } as const;
const widenings = [
  ["bw", "0", "q", 8, 16], ["bd", "1", "d", 8, 32], ["bq", "2", "w", 8, 64],
  ["wd", "3", "q", 16, 32], ["wq", "4", "d", 16, 64], ["dq", "5", "q", 32, 64],
] as const;
for (const [sign, high] of [["s", "2"], ["u", "3"]] as const) {
  for (const [suffix, digit, size, from, to] of widenings) {
    const mnemonic = `pmov${sign === "s" ? "sx" : "zx"}${suffix}`;
    defineSimd(mnemonic, (x, target, source) => {
      let node = readVector(x, source);
      for (const bits of [8, 16, 32] as const) {
        if (bits >= from && bits < to) {
          node = simd(`${steps[bits]}_${sign}`, node);
        }
      }
      write(x, target, lowOf(node, 128));
    });
    row(mnemonic, `Vo,W${size}`, `66 0F 38 ${high}${digit}`, { feature: "sse4.1" });
    vexRow(mnemonic, `Vo,W${size}`, `L0 66 0F 38 ${high}${digit}`);
    vexRow(mnemonic, `Vqq,W${twice[size]}`, `L1 66 0F 38 ${high}${digit}`, { feature: "avx2" });
  }
}
