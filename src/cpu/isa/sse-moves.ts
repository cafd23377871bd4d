/** Moves of MMX and XMM registers (SDM 2, MOVAPS to MOVQ2DQ; vol. 1 §10.4.1). */
import { onLane, op, i32, shuffle, simd } from "../wasm/code.ts";
import type { SemanticsBuilder } from "./builder.ts";
import {
  defineSimd, lowOf, read, readVector, spread, vexRow, whole, write, zeroAbove,
  type VectorOperand,
} from "./simd.ts";
import { defineHelpers, row } from "./table.ts";
import { Value } from "./value.ts";

const copy = (x: SemanticsBuilder, target: VectorOperand, source: VectorOperand) =>
  write(x, target, read(x, source));

/** A move in both directions, in both encodings. */
function loadAndStore(mnemonic: string, prefix: string, load: string, store: string): void {
  row(mnemonic, "Vo,Wo", `${prefix} 0F ${load}`);
  row(mnemonic, "Wo,Vo", `${prefix} 0F ${store}`);
  vexRow(mnemonic, "Vx,Wx", `${prefix} 0F ${load}`);
  vexRow(mnemonic, "Wx,Vx", `${prefix} 0F ${store}`);
}

defineSimd("mova", copy, { alignment: "strict" });
defineSimd("movu", copy, { alignment: "free" });
loadAndStore("movu", "np", "10", "11");
loadAndStore("movu", "66", "10", "11");
loadAndStore("movu", "F3", "6F", "7F");
loadAndStore("mova", "np", "28", "29");
loadAndStore("mova", "66", "28", "29");
loadAndStore("mova", "66", "6F", "7F");
row("movu", "Vo,Mo", "F2 0F F0", { feature: "sse3" }); // LDDQU
vexRow("movu", "Vx,Mx", "F2 0F F0");
// MOVNTPS and its kin: all our stores are in order.
for (const encoding of ["np 0F 2B", "66 0F 2B", "66 0F E7"]) {
  row("mova", "Mo,Vo", encoding);
  vexRow("mova", "Mx,Vx", encoding);
}
row("mova", "Vo,Mo", "66 0F 38 2A", { feature: "sse4.1" });
vexRow("mova", "Vx,Mx", "66 0F 38 2A", { wideFeature: "avx2" });
row("mova", "Mq,Pq", "np 0F E7");
row("mova", "Pq,Qq", "np 0F 6F");
row("mova", "Qq,Pq", "np 0F 7F");

/** Fills the register: what is moved, then zeros. */
defineSimd("movz", (x, target, source) => {
  const value = read(x, source);
  if (target.file === "mmx") {
    write(x, target, x.zeroExtend(value, 64));
  } else {
    write(x, whole(target), zeroAbove(value));
  }
});
/** Moves the low part of a register, and keeps the rest. */
defineSimd("movlow", copy);
row("movz", "Pq,Ey", "np 0F 6E");
row("movz", "Vo,Ey", "66 0F 6E");
row("movlow", "Ey,Pq", "np 0F 7E W1");
row("movlow", "Ey,Vq", "66 0F 7E W1");
row("movlow", "Ey,Pd", "np 0F 7E W0");
row("movlow", "Ey,Vd", "66 0F 7E W0");
vexRow("movz", "Vo,Ey", "L0 66 0F 6E");
vexRow("movlow", "Ey,Vy", "L0 66 0F 7E");
row("movz", "Vq,Wq", "F3 0F 7E");
row("movlow", "Mq,Vq", "66 0F D6 mem");
row("movz", "Uq,Vq", "66 0F D6 reg");
vexRow("movz", "Vq,Wq", "L0 F3 0F 7E");
vexRow("movlow", "Mq,Vq", "L0 66 0F D6 mem");
vexRow("movz", "Uq,Vq", "L0 66 0F D6 reg");
for (const [prefix, size] of [["F3", "d"], ["F2", "q"]] as const) {
  row("movz", `V${size},M${size}`, `${prefix} 0F 10 mem`);
  row("movlow", `V${size},U${size}`, `${prefix} 0F 10 reg`);
  row("movlow", `W${size},V${size}`, `${prefix} 0F 11`);
  vexRow("movz", `V${size},M${size}`, `${prefix} 0F 10 mem`);
  vexRow("movlow", `V${size},H${size},U${size}`, `${prefix} 0F 10 reg`);
  vexRow("movlow", `M${size},V${size}`, `${prefix} 0F 11 mem`);
  vexRow("movlow", `U${size},H${size},V${size}`, `${prefix} 0F 11 reg`);
}

// Halves.

defineSimd("movhigh", (x, target, source) => {
  if (target.kind === "memory") {
    const node = onLane("i64x2.extract_lane", 1, read(x, source).node);
    write(x, target, new Value(node, 64, true));
    return;
  }
  const half = read(x, source);
  const node = onLane("i64x2.replace_lane", 1, read(x, target).node, half.node);
  write(x, target, new Value(node, 128, true));
});
for (const prefix of ["np", "66"]) {
  row("movlow", "Vq,Mq", `${prefix} 0F 12 mem`);
  row("movlow", "Mq,Vq", `${prefix} 0F 13`);
  row("movhigh", "Vo,Mq", `${prefix} 0F 16 mem`);
  row("movhigh", "Mq,Vo", `${prefix} 0F 17`);
  vexRow("movlow", "Vq,Hq,Mq", `L0 ${prefix} 0F 12 mem`);
  vexRow("movlow", "Mq,Vq", `L0 ${prefix} 0F 13`);
  vexRow("movhigh", "Vo,Ho,Mq", `L0 ${prefix} 0F 16 mem`);
  vexRow("movhigh", "Mq,Vo", `L0 ${prefix} 0F 17`);
}
row("movhigh", "Vo,Uq", "np 0F 16 reg"); // MOVLHPS
vexRow("movhigh", "Vo,Ho,Uq", "L0 np 0F 16 reg");
defineSimd("movhlps", (x, target, source) => {
  const node = onLane("i64x2.extract_lane", 1, read(x, source).node);
  write(x, target, new Value(node, 64, true));
});
row("movhlps", "Vq,Uo", "np 0F 12 reg");
vexRow("movhlps", "Vq,Hq,Uo", "L0 np 0F 12 reg");

// Doubled lanes.

defineSimd("movddup", (x, target, source) => {
  const low = lowOf(readVector(x, source), 64); // Each half of 256 bits has its own.
  write(x, target, lowOf(spread(low), 128));
});
row("movddup", "Vo,Wq", "F2 0F 12", { feature: "sse3" });
vexRow("movddup", "Vo,Wq", "L0 F2 0F 12");
vexRow("movddup", "Vqq,Wqq", "L1 F2 0F 12");
const doubled = (order: readonly number[]) => order.flatMap((lane) =>
  [0, 1, 2, 3].map((byte) => lane * 4 + byte));
for (const [mnemonic, opcode, order] of [
  ["movsldup", "12", [0, 0, 2, 2]], ["movshdup", "16", [1, 1, 3, 3]],
] as const) {
  defineSimd(mnemonic, (x, target, source) => {
    const a = read(x, source).node;
    write(x, target, new Value(shuffle(doubled(order), a, a), 128, true));
  });
  row(mnemonic, "Vo,Wo", `F3 0F ${opcode}`, { feature: "sse3" });
  vexRow(mnemonic, "Vx,Wx", `F3 0F ${opcode}`);
}

// Between the files.

defineSimd("movq2dq", (x, target, source) => write(x, target, zeroAbove(read(x, source))));
row("movq2dq", "Vo,Nq", "F3 0F D6");
defineSimd("movdq2q", copy);
row("movdq2q", "Pq,Uq", "F2 0F D6");

// Masks of signs.

defineSimd("pmovmskb", (x, target, source) => {
  const mask = simd("i8x16.bitmask", readVector(x, source));
  const bits = source.width === 64 ? op("i32.and", mask, i32(0xff)) : mask;
  write(x, target, x.resize(new Value(bits, 32, true), target.width));
}, { maskBits: 16 });
row("pmovmskb", "Gd,Nq", "np 0F D7");
row("pmovmskb", "Gd,Uo", "66 0F D7");
vexRow("pmovmskb", "Gd,Ux", "66 0F D7", { wideFeature: "avx2" });
for (const [mnemonic, prefix, bitmask, maskBits] of [
  ["movmskps", "np", "i32x4.bitmask", 4], ["movmskpd", "66", "i64x2.bitmask", 2],
] as const) {
  defineSimd(mnemonic, (x, target, source) => {
    write(x, target, new Value(simd(bitmask, spread(read(x, source))), 32, true));
  }, { maskBits });
  row(mnemonic, "Gd,Uo", `${prefix} 0F 50`);
  vexRow(mnemonic, "Gd,Ux", `${prefix} 0F 50`);
}

defineHelpers("maskmov", "vmaskmov", "emms");
row("maskmov", "Vo,Uo", "66 0F F7");
vexRow("maskmov", "Vo,Uo", "L0 66 0F F7");
row("maskmov", "Pq,Nq", "np 0F F7");
row("emms", "", "np 0F 77");
