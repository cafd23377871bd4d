/** Moves of MMX and XMM registers (SDM 2, MOVAPS to MOVQ2DQ; vol. 1 §10.4.1). */
import { onLane, op, i32, shuffle, simd } from "../wasm/code.ts";
import type { Operand, SemanticsBuilder } from "./builder.ts";
import { defineSimd, lowOf, readVector, spread, whole, zeroAbove } from "./simd.ts";
import { defineHelpers, row } from "./table.ts";
import { Value } from "./value.ts";

const copy = (x: SemanticsBuilder, target: Operand, source: Operand) =>
  x.write(target, x.read(source));

function aligned(mnemonic: string, prefix: string, load: string, store: string): void {
  row(mnemonic, "Vo,Wo", `${prefix} 0F ${load}`);
  row(mnemonic, "Wo,Vo", `${prefix} 0F ${store}`);
}

defineSimd("mova", copy);
defineSimd("movu", copy, { unaligned: true });
aligned("movu", "np", "10", "11");
aligned("movu", "66", "10", "11");
aligned("movu", "F3", "6F", "7F");
aligned("mova", "np", "28", "29");
aligned("mova", "66", "28", "29");
aligned("mova", "66", "6F", "7F");
row("movu", "Vo,Mo", "F2 0F F0", { feature: "sse3" }); // LDDQU
row("mova", "Mo,Vo", "np 0F 2B"); // MOVNTPS and its kin: all our stores are in order.
row("mova", "Mo,Vo", "66 0F 2B");
row("mova", "Mo,Vo", "66 0F E7");
row("mova", "Vo,Mo", "66 0F 38 2A", { feature: "sse4.1" });
row("mova", "Mq,Pq", "np 0F E7");
row("mova", "Pq,Qq", "np 0F 6F");
row("mova", "Qq,Pq", "np 0F 7F");

/** Fills the register: what is moved, then zeros. */
defineSimd("movz", (x, target, source) => {
  const value = x.read(source);
  if (target.file === "mmx") {
    x.write(target, x.zeroExtend(value, 64));
  } else {
    x.write(whole(target), zeroAbove(value));
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
row("movz", "Vq,Wq", "F3 0F 7E");
row("movlow", "Mq,Vq", "66 0F D6 mem");
row("movz", "Uq,Vq", "66 0F D6 reg");
for (const [prefix, size] of [["F3", "d"], ["F2", "q"]] as const) {
  row("movz", `V${size},M${size}`, `${prefix} 0F 10 mem`);
  row("movlow", `V${size},U${size}`, `${prefix} 0F 10 reg`);
  row("movlow", `W${size},V${size}`, `${prefix} 0F 11`);
}

// Halves.

defineSimd("movhigh", (x, target, source) => {
  if (target.kind === "memory") {
    const node = onLane("i64x2.extract_lane", 1, x.read(source).node);
    x.write(target, new Value(node, 64, true));
    return;
  }
  const half = x.read(source);
  const node = onLane("i64x2.replace_lane", 1, x.read(target).node, half.node);
  x.write(target, new Value(node, 128, true));
});
for (const prefix of ["np", "66"]) {
  row("movlow", "Vq,Mq", `${prefix} 0F 12 mem`);
  row("movlow", "Mq,Vq", `${prefix} 0F 13`);
  row("movhigh", "Vo,Mq", `${prefix} 0F 16 mem`);
  row("movhigh", "Mq,Vo", `${prefix} 0F 17`);
}
row("movhigh", "Vo,Uq", "np 0F 16 reg"); // MOVLHPS
defineSimd("movhlps", (x, target, source) => {
  const node = onLane("i64x2.extract_lane", 1, x.read(source).node);
  x.write(target, new Value(node, 64, true));
});
row("movhlps", "Vq,Uo", "np 0F 12 reg");

// Doubled lanes.

defineSimd("movddup", (x, target, source) => {
  x.write(target, lowOf(readVector(x, source), 128));
});
row("movddup", "Vo,Wq", "F2 0F 12", { feature: "sse3" });
const doubled = (order: readonly number[]) => order.flatMap((lane) =>
  [0, 1, 2, 3].map((byte) => lane * 4 + byte));
for (const [mnemonic, opcode, order] of [
  ["movsldup", "12", [0, 0, 2, 2]], ["movshdup", "16", [1, 1, 3, 3]],
] as const) {
  defineSimd(mnemonic, (x, target, source) => {
    const a = x.read(source).node;
    x.write(target, new Value(shuffle(doubled(order), a, a), 128, true));
  });
  row(mnemonic, "Vo,Wo", `F3 0F ${opcode}`, { feature: "sse3" });
}

// Between the files.

defineSimd("movq2dq", (x, target, source) => x.write(target, zeroAbove(x.read(source))));
row("movq2dq", "Vo,Nq", "F3 0F D6");
defineSimd("movdq2q", copy);
row("movdq2q", "Pq,Uq", "F2 0F D6");

// Masks of signs.

defineSimd("pmovmskb", (x, target, source) => {
  const mask = simd("i8x16.bitmask", readVector(x, source));
  const bits = source.width === 64 ? op("i32.and", mask, i32(0xff)) : mask;
  x.write(target, x.resize(new Value(bits, 32, true), target.width));
});
row("pmovmskb", "Gd,Nq", "np 0F D7");
row("pmovmskb", "Gd,Uo", "66 0F D7");
for (const [mnemonic, prefix, bitmask] of [
  ["movmskps", "np", "i32x4.bitmask"], ["movmskpd", "66", "i64x2.bitmask"],
] as const) {
  defineSimd(mnemonic, (x, target, source) => {
    x.write(target, new Value(simd(bitmask, spread(x.read(source))), 32, true));
  });
  row(mnemonic, "Gd,Uo", `${prefix} 0F 50`);
}

defineHelpers("maskmov", "emms");
row("maskmov", "Vo,Uo", "66 0F F7");
row("maskmov", "Pq,Nq", "np 0F F7");
row("emms", "", "np 0F 77");
