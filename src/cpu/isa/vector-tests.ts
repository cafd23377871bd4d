/** Comparisons of whole vectors by flags: PTEST, VTESTPS, VTESTPD (SDM 2). */
import { op, simd, type Node } from "../wasm/code.ts";
import type { Operand, SemanticsBuilder } from "./builder.ts";
import { defineSse, defineWhole, every, readVector, vexRow } from "./simd.ts";
import { row } from "./table.ts";
import { Value } from "./value.ts";

type Pair = readonly [a: Node, b: Node];

/** ZF: no bit of `mask` is in both; CF: none is in the second alone. */
function testPairs(x: SemanticsBuilder, pairs: readonly Pair[], mask: Node | undefined): void {
  const none = (compute: (a: Node, b: Node) => Node) => {
    const all = pairs.map(([a, b]) => compute(a, b))
      .reduce((first, second) => simd("v128.or", first, second));
    const some = simd("v128.any_true", mask === undefined ? all : simd("v128.and", all, mask));
    return new Value(op("i32.eqz", some), 1, true);
  };
  x.set("zf", none((a, b) => simd("v128.and", a, b)));
  x.set("cf", none((a, b) => simd("v128.andnot", b, a)));
  for (const flag of ["pf", "af", "sf", "of"] as const) {
    x.set(flag, x.constant(1, 0));
  }
}

/** All of two operands, in pairs of 128 bits. */
function pairsOf(x: SemanticsBuilder, first: Operand, second: Operand): Pair[] {
  if (first.width === 128) {
    const b = readVector(x, second);
    return [[readVector(x, first), b]];
  }
  const [bLow, bHigh] = x.readWide(second), [aLow, aHigh] = x.readWide(first);
  return [[aLow.node, bLow.node], [aHigh.node, bHigh.node]];
}

const noMask = undefined;
defineSse("ptest", (x, first, second) => testPairs(x, pairsOf(x, first, second), noMask));
row("ptest", "Vo,Wo", "66 0F 38 17", { feature: "sse4.1" });
defineWhole("vptest", (x, first, second) => testPairs(x, pairsOf(x, first, second), noMask));
vexRow("ptest", "Vx,Wx", "66 0F 38 17");
for (const [mnemonic, opcode, signs] of [
  ["testps", "0E", () => every(32, 0x8000_0000)], ["testpd", "0F", () => every(64, 1n << 63n)],
] as const) {
  defineWhole(`v${mnemonic}`, (x, first, second) =>
    testPairs(x, pairsOf(x, first, second), signs()));
  vexRow(mnemonic, "Vx,Wx", `W0 66 0F 38 ${opcode}`);
}
