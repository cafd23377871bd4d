/**
 * The string comparisons of SSE4.2 (SDM 2B §4.1). What C libraries compare strings and search
 * characters with, PCMPISTRI over bytes, is computed here; the helpers do the other forms.
 */
import { i32, op, select, shuffle, simd, type Node } from "../wasm/code.ts";
import { rcx, type SemanticsBuilder } from "./builder.ts";
import { condition } from "./sse-checks.ts";
import { byteNumbers, defineSimd, immediate, readVector, vexRow, zero } from "./simd.ts";
import { defineHelpers, row } from "./table.ts";
import { Value } from "./value.ts";

const allPlaces = 0xffff;
const count = 16;
/** Bits of the immediate. */
const control = { words: 1, ordered: 4, each: 8, negative: 0x10, masked: 0x20, last: 0x40 };

/** How many bytes stand before the first zero. */
function lengthOf(x: SemanticsBuilder, text: Node): Node {
  const zeros = simd("i8x16.bitmask", simd("i8x16.eq", text, zero()));
  return x.code.bind(op("i32.ctz", op("i32.or", zeros, i32(1 << count))));
}

const firstBits = (length: Node) => op("i32.sub", op("i32.shl", i32(1), length), i32(1));

/** Bytes of `second` that are in `first`: the invalid ones of that become zeros, and match none. */
function members(first: Node, second: Node, firstLength: Node, secondBits: Node): Node {
  const valid = simd("i8x16.gt_s", simd("i8x16.splat", firstLength), byteNumbers());
  const set = simd("v128.and", first, valid);
  let found = zero();
  for (let index = 0; index < count; index += 1) {
    const one = shuffle(Array.from({ length: count }, () => index), set, set);
    found = simd("v128.or", found, simd("i8x16.eq", second, one));
  }
  return op("i32.and", simd("i8x16.bitmask", found), secondBits);
}

function pairs(first: Node, second: Node, firstBitsOf: Node, secondBits: Node): Node {
  const same = simd("i8x16.bitmask", simd("i8x16.eq", first, second));
  const bothValid = op("i32.and", firstBitsOf, secondBits);
  const bothEnded = op("i32.xor", op("i32.or", firstBitsOf, secondBits), i32(allPlaces));
  return op("i32.or", op("i32.and", same, bothValid), bothEnded);
}

defineSimd("pcmpistri", (x, first, source, immediateOperand) => {
  const { code } = x;
  const b = readVector(x, source), a = readVector(x, first);
  const bits = immediate(x, immediateOperand);
  const has = (bit: number) => op("i32.and", bits, i32(bit));
  x.when(condition(op("i32.eqz", has(control.words | control.ordered))), () => {},
    () => x.helper(), true);
  const lengthA = lengthOf(x, a), lengthB = lengthOf(x, b);
  const validA = firstBits(lengthA), validB = firstBits(lengthB);
  const matches = code.local("i32");
  x.when(condition(has(control.each)), () => code.set(matches, pairs(a, b, validA, validB)),
    () => code.set(matches, members(a, b, lengthA, validB)));
  const turned = select(has(control.masked), validB, i32(allPlaces));
  const result = code.bind(op("i32.xor", code.get(matches),
    select(has(control.negative), turned, i32(0))));
  const lowest = op("i32.ctz", op("i32.or", result, i32(1 << count)));
  const highest = op("i32.sub", i32(31), op("i32.clz", result));
  const found = select(has(control.last), select(result, highest, i32(count)), lowest);
  x.setRegister(rcx, new Value(found, 32, true));
  const flag = (node: Node) => new Value(node, 1, true);
  x.set("cf", flag(op("i32.ne", result, i32(0))));
  x.set("zf", flag(op("i32.lt_u", lengthB, i32(count))));
  x.set("sf", flag(op("i32.lt_u", lengthA, i32(count))));
  x.set("of", flag(op("i32.and", result, i32(1))));
  x.set("af", x.constant(1, 0));
  x.set("pf", x.constant(1, 0));
}, { alignment: "free", helped: true });

const forms = [["pcmpestrm", "60"], ["pcmpestri", "61"], ["pcmpistrm", "62"],
  ["pcmpistri", "63"]] as const;
for (const [mnemonic, opcode] of forms) {
  if (mnemonic !== "pcmpistri") {
    defineHelpers(mnemonic, `v${mnemonic}`);
  }
  row(mnemonic, "Vo,Wo,Ib", `66 0F 3A ${opcode}`, { feature: "sse4.2" });
  vexRow(mnemonic, "Vo,Wo,Ib", `L0 66 0F 3A ${opcode}`);
}
