/** Instructions that exist behind VEX only: AVX and AVX2 (SDM 2, VBROADCAST to VZEROUPPER). */
import { i32, i64, onLane, op, select, simd, type Node } from "../wasm/code.ts";
import type { Operand, SemanticsBuilder } from "./builder.ts";
import {
  defineVex, defineWhole, every, immediate, readVector, vexRow, write, zero,
} from "./simd.ts";
import { defineHelpers, row } from "./table.ts";
import { Value } from "./value.ts";

const avx2 = { feature: "avx2" };
const vector = (node: Node) => new Value(node, 128, true);

// Broadcasts: an operand narrower than the vector is repeated when it is read.

for (const [mnemonic, opcode, size, wideOnly, feature] of [
  ["broadcastss", "18", "d", false, "avx"], ["broadcastsd", "19", "q", true, "avx"],
  ["pbroadcastb", "78", "b", false, "avx2"], ["pbroadcastw", "79", "w", false, "avx2"],
  ["pbroadcastd", "58", "d", false, "avx2"], ["pbroadcastq", "59", "q", false, "avx2"],
  ["broadcastf128", "1A", "o", true, "avx"], ["broadcasti128", "5A", "o", true, "avx2"],
] as const) {
  defineVex(`v${mnemonic}`, (x, target, source) =>
    write(x, target, vector(readVector(x, source))), { sharedSource: true });
  for (const length of wideOnly ? ["qq"] : ["o", "qq"]) {
    const encoding = `${length === "o" ? "L0" : "L1"} W0 66 0F 38 ${opcode}`;
    vexRow(mnemonic, `V${length},M${size}`, `${encoding} mem`, { feature });
    if (size !== "o") {
      vexRow(mnemonic, `V${length},U${size}`, `${encoding} reg`, avx2);
    }
  }
}

// Halves.

for (const [mnemonic, insert, extract, permute, feature] of [
  ["f128", "18", "19", "06", "avx"], ["i128", "38", "39", "46", "avx2"],
] as const) {
  defineWhole(`vinsert${mnemonic}`, (x, target, first, source, control) => {
    const half = vector(x.read(source).node);
    const [low, high] = x.readWide(first);
    const upper = new Value(op("i32.and", immediate(x, control), i32(1)), 1, true);
    x.writeWide(target, x.bind(x.select(upper, low, half)), x.bind(x.select(upper, half, high)));
  });
  vexRow(`insert${mnemonic}`, "Vqq,Hqq,Wo,Ib", `L1 W0 66 0F 3A ${insert}`, { feature });
  defineWhole(`vextract${mnemonic}`, (x, target, source, control) => {
    const [low, high] = x.readWide(source);
    const upper = new Value(op("i32.and", immediate(x, control), i32(1)), 1, true);
    writeSingle(x, target, x.select(upper, high, low).node);
  });
  vexRow(`extract${mnemonic}`, "Wo,Vqq,Ib", `L1 W0 66 0F 3A ${extract}`, { feature });
  defineWhole(`vperm2${mnemonic}`, (x, target, first, second, control) => {
    const [c, d] = x.readWide(second), [a, b] = x.readWide(first);
    const bits = immediate(x, control);
    const pick = (field: Node) => {
      const among = (bit: number, yes: Node, no: Node) =>
        select(op("i32.and", field, i32(bit)), yes, no);
      const chosen = among(2, among(1, d.node, c.node), among(1, b.node, a.node));
      return vector(among(8, zero(), chosen));
    };
    x.writeWide(target, x.bind(pick(bits)), x.bind(pick(op("i32.shr_u", bits, i32(4)))));
  });
  vexRow(`perm2${mnemonic}`, "Vqq,Hqq,Wqq,Ib", `L1 W0 66 0F 3A ${permute}`, { feature });
}

/** 128 bits into memory, or into a register whose upper half becomes zero. */
function writeSingle(x: SemanticsBuilder, target: Operand, node: Node): void {
  if (target.kind === "memory") {
    x.write(target, vector(node));
  } else {
    x.writeWide(target, vector(node), vector(zero()));
  }
}

// Permutations across halves: byte numbers below 32 pick from two vectors.

/** Bytes of a pair by number; a swizzle gives zero beyond 15. */
function pickBytes(low: Node, high: Node, places: Node): Node {
  const above = simd("i8x16.sub", places, every(8, 16));
  return simd("v128.or", simd("i8x16.swizzle", low, places), simd("i8x16.swizzle", high, above));
}

/** Byte numbers of the doublewords whose numbers stand in `indexes`. */
const places32 = (indexes: Node) => simd("i32x4.add",
  simd("i32x4.mul", simd("v128.and", indexes, every(32, 7)), every(32, 0x0404_0404)),
  every(32, 0x0302_0100));

for (const [mnemonic, opcode] of [["permps", "16"], ["permd", "36"]] as const) {
  defineWhole(`v${mnemonic}`, (x, target, control, source) => {
    const [low, high] = x.readWide(source), [first, second] = x.readWide(control);
    const [a, b] = [first, second].map(({ node }) =>
      x.bind(vector(pickBytes(low.node, high.node, places32(node)))));
    x.writeWide(target, a ?? low, b ?? high);
  });
  vexRow(mnemonic, "Vqq,Hqq,Wqq", `L1 W0 66 0F 38 ${opcode}`, avx2);
}
for (const [mnemonic, opcode] of [["permq", "00"], ["permpd", "01"]] as const) {
  defineWhole(`v${mnemonic}`, (x, target, source, control) => {
    const [low, high] = x.readWide(source);
    const bits = immediate(x, control);
    const lane = (number: number) => {
      const field = op("i32.shr_u", bits, i32(number * 2));
      const has = (bit: number) => op("i32.and", field, i32(bit));
      const from = select(has(2), high.node, low.node);
      return select(has(1), onLane("i64x2.extract_lane", 1, from),
        onLane("i64x2.extract_lane", 0, from));
    };
    const pair = (first: number) => x.bind(vector(onLane("i64x2.replace_lane", 1,
      simd("i64x2.splat", lane(first)), lane(first + 1))));
    x.writeWide(target, pair(0), pair(2));
  });
  vexRow(mnemonic, "Vqq,Wqq,Ib", `L1 W1 66 0F 3A ${opcode}`, avx2);
}

// Permutations within a half, by a vector of numbers.

defineVex("vpermilps.variable", (x, target, control) => {
  const indexes = simd("v128.and", readVector(x, control), every(32, 3));
  const result = simd("i8x16.swizzle", readVector(x, target), places32(indexes));
  write(x, target, vector(result));
});
defineVex("vpermilpd.variable", (x, target, control) => {
  const a = readVector(x, target);
  const upper = simd("i64x2.shr_s", simd("i64x2.shl", readVector(x, control), i32(62)), i32(63));
  const both = (lane: number) => simd("i64x2.splat", onLane("i64x2.extract_lane", lane, a));
  write(x, target, vector(simd("v128.bitselect", both(1), both(0), upper)));
});
vexRow("permilps.variable", "Vx,Hx,Wx", "W0 66 0F 38 0C");
vexRow("permilpd.variable", "Vx,Hx,Wx", "W0 66 0F 38 0D");

// Shifts with a count for each lane.

type Shift64 = "i64.shl" | "i64.shr_u" | "i64.shr_s";
const below64 = (count: Node) => select(op("i64.gt_u", count, i64(63)), i64(63), count);

/** Lanes of 32 bits move as 64: a count of up to 63 then leaves nothing, or the sign. */
function shift32(name: Shift64, value: Node, count: Node): Node {
  const wide = op(name === "i64.shr_s" ? "i64.extend_i32_s" : "i64.extend_i32_u", value);
  return op("i32.wrap_i64", op(name, wide, below64(op("i64.extend_i32_u", count))));
}

function shift64(name: Shift64, value: Node, count: Node): Node {
  return select(op("i64.gt_u", count, i64(63)), i64(0), op(name, value, count));
}

for (const [mnemonic, opcode, wide, name] of [
  ["psrlvd", "45", false, "i64.shr_u"], ["psrlvq", "45", true, "i64.shr_u"],
  ["psravd", "46", false, "i64.shr_s"], ["psllvd", "47", false, "i64.shl"],
  ["psllvq", "47", true, "i64.shl"],
] as const) {
  defineVex(`v${mnemonic}`, (x, target, counts) => {
    const b = readVector(x, counts), a = readVector(x, target);
    let result = zero();
    for (let lane = 0; lane < (wide ? 2 : 4); lane += 1) {
      const of = (node: Node) =>
        onLane(wide ? "i64x2.extract_lane" : "i32x4.extract_lane", lane, node);
      result = wide
        ? onLane("i64x2.replace_lane", lane, result, shift64(name, of(a), of(b)))
        : onLane("i32x4.replace_lane", lane, result, shift32(name, of(a), of(b)));
    }
    write(x, target, vector(result));
  });
  vexRow(mnemonic, "Vx,Hx,Wx", `${wide ? "W1" : "W0"} 66 0F 38 ${opcode}`,
    { feature: "avx2", wideFeature: "avx2" });
}

// Moves under a mask and gathers: a lane at a time, in the helper.

for (const [mnemonic, load, store, encoding, feature] of [
  ["maskmovps", "2C", "2E", "W0", "avx"], ["maskmovpd", "2D", "2F", "W0", "avx"],
  ["pmaskmovd", "8C", "8E", "W0", "avx2"], ["pmaskmovq", "8C", "8E", "W1", "avx2"],
] as const) {
  defineHelpers(`v${mnemonic}`, `v${mnemonic}.store`);
  vexRow(mnemonic, "Vx,Hx,Mx", `${encoding} 66 0F 38 ${load}`, { feature, wideFeature: feature });
  vexRow(`${mnemonic}.store`, "Mx,Hx,Vx", `${encoding} 66 0F 38 ${store}`,
    { feature, wideFeature: feature });
}
/** Index and element sizes; which operand has half a vector where they differ. */
for (const [mnemonic, opcode, wide] of [
  ["pgatherdd", "90", "W0"], ["pgatherdq", "90", "W1"], ["pgatherqd", "91", "W0"],
  ["pgatherqq", "91", "W1"], ["gatherdps", "92", "W0"], ["gatherdpd", "92", "W1"],
  ["gatherqps", "93", "W0"], ["gatherqpd", "93", "W1"],
] as const) {
  defineHelpers(`v${mnemonic}`);
  const narrow = opcode.endsWith("1") || opcode.endsWith("3") ? wide === "W0" : false;
  for (const length of ["L0", "L1"] as const) {
    const size = length === "L1" && !narrow ? "qq" : "o";
    vexRow(mnemonic, `V${size},M${wide === "W0" ? "d" : "q"},H${size}`,
      `${length} ${wide} 66 0F 38 ${opcode}`, { feature: "avx2", vsib: true });
  }
}

// Zeros.

defineHelpers("vzeroupper", "vzeroall");
row("vzeroupper", "", "VEX L0 np 0F 77", { feature: "avx" });
row("vzeroall", "", "VEX L1 np 0F 77", { feature: "avx" });
