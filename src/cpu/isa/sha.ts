/** The SHA extensions (SDM 2, SHA1MSG1 to SHA256RNDS2; FIPS 180-4). */
import { i32, onLane, op, select, shuffle, simd, type Node } from "../wasm/code.ts";
import type { SemanticsBuilder } from "./builder.ts";
import {
  defineSse, immediate, lanes, lowOf, readVector, write, type Compute,
} from "./simd.ts";
import { row } from "./table.ts";

const feature = "sha";
const add = (...all: readonly [Node, ...Node[]]) => all.reduce((a, b) => op("i32.add", a, b));
const xor = (...all: readonly [Node, ...Node[]]) => all.reduce((a, b) => op("i32.xor", a, b));
const and = (a: Node, b: Node) => op("i32.and", a, b);
const left = (a: Node, count: number) => op("i32.rotl", a, i32(count));
const right = (a: Node, count: number) => op("i32.rotr", a, i32(count));

/** The four doublewords, from the lowest on. */
type Words = readonly [Node, Node, Node, Node];
const word = (a: Node, lane: number) => onLane("i32x4.extract_lane", lane, a);
const wordsOf = (a: Node): Words => [word(a, 0), word(a, 1), word(a, 2), word(a, 3)];

function joined(words: Words): Node {
  let vector = lanes(32, [0, 0, 0, 0]);
  for (const [lane, each] of words.entries()) {
    vector = onLane("i32x4.replace_lane", lane, vector, each);
  }
  return vector;
}

const choose = (a: Node, b: Node, c: Node) => xor(c, and(a, xor(b, c)));
const majority = (a: Node, b: Node, c: Node) => xor(and(a, b), and(c, xor(a, b)));

function define(mnemonic: string, opcode: string, compute: Compute): void {
  defineSse(mnemonic, (x, target, source) => {
    const b = readVector(x, source), a = readVector(x, target);
    write(x, target, lowOf(compute(a, b), 128));
  });
  row(mnemonic, "Vo,Wo", `np 0F 38 ${opcode}`, { feature });
}

// SHA-1: A stands highest.

const constants = [0x5a82_7999, 0x6ed9_eba1, 0x8f1b_bcdc, 0xca62_c1d6];

defineSse("sha1rnds4", (x, target, source, control) => {
  const bits = immediate(x, control);
  const has = (bit: number) => and(bits, i32(bit));
  const among = (values: readonly Node[]) => {
    const [p, q, r, s] = [0, 1, 2, 3].map((index) => values[index] ?? i32(0));
    return select(has(2), select(has(1), s ?? i32(0), r ?? i32(0)),
      select(has(1), q ?? i32(0), p ?? i32(0)));
  };
  const constant = x.code.bind(among(constants.map((value) => i32(value))));
  const [w3, w2, w1, w0] = wordsOf(x.code.bind(readVector(x, source)));
  let [d, c, b, a] = wordsOf(x.code.bind(readVector(x, target)));
  let e = i32(0); // The first word has it added.
  for (const w of [w0, w1, w2, w3]) {
    const mixed = among([choose(b, c, d), xor(b, c, d), majority(b, c, d), xor(b, c, d)]);
    const next = x.code.bind(add(mixed, left(a, 5), w, e, constant));
    [e, d, c, b, a] = [d, c, x.code.bind(left(b, 30)), a, next];
  }
  write(x, target, lowOf(joined([d, c, b, a]), 128));
});
row("sha1rnds4", "Vo,Wo,Ib", "np 0F 3A CC", { feature });

define("sha1nexte", "C8", (a, b) => onLane("i32x4.replace_lane", 3, b,
  add(word(b, 3), left(word(a, 3), 30))));
define("sha1msg1", "C9", (a, b) => simd("v128.xor", a,
  shuffle([24, 25, 26, 27, 28, 29, 30, 31, 0, 1, 2, 3, 4, 5, 6, 7], a, b)));
define("sha1msg2", "CA", (a, b) => {
  const [a19, a18, a17, a16] = wordsOf(a), [w15, w14, w13] = wordsOf(b);
  const w16 = left(xor(a16, w13), 1);
  return joined([left(xor(a19, w16), 1), left(xor(a18, w15), 1), left(xor(a17, w14), 1), w16]);
});

// SHA-256.

const bigSigma0 = (a: Node) => xor(right(a, 2), right(a, 13), right(a, 22));
const bigSigma1 = (e: Node) => xor(right(e, 6), right(e, 11), right(e, 25));
const sigma0 = (w: Node) => xor(right(w, 7), right(w, 18), op("i32.shr_u", w, i32(3)));
const sigma1 = (w: Node) => xor(right(w, 17), right(w, 19), op("i32.shr_u", w, i32(10)));

/** The state of the compression, a to h. */
type State = readonly [Node, Node, Node, Node, Node, Node, Node, Node];

function compress(x: SemanticsBuilder, [a, b, c, d, e, f, g, h]: State, w: Node): State {
  const first = x.code.bind(add(choose(e, f, g), bigSigma1(e), w, h));
  const next = x.code.bind(add(first, majority(a, b, c), bigSigma0(a)));
  return [next, a, b, c, x.code.bind(add(first, d)), e, f, g];
}

defineSse("sha256rnds2", (x, target, source) => {
  const words = wordsOf(x.code.bind(x.firstVector().node));
  const [f, e, b, a] = wordsOf(x.code.bind(readVector(x, source)));
  const [h, g, d, c] = wordsOf(x.code.bind(readVector(x, target)));
  const after = compress(x, compress(x, [a, b, c, d, e, f, g, h], words[0]), words[1]);
  write(x, target, lowOf(joined([after[5], after[4], after[1], after[0]]), 128));
});
row("sha256rnds2", "Vo,Wo", "np 0F 38 CB", { feature });

define("sha256msg1", "CC", (a, b) => {
  const [w0, w1, w2, w3] = wordsOf(a), w4 = word(b, 0);
  return joined([add(w0, sigma0(w1)), add(w1, sigma0(w2)), add(w2, sigma0(w3)),
    add(w3, sigma0(w4))]);
});
define("sha256msg2", "CD", (a, b) => {
  const [a16, a17, a18, a19] = wordsOf(a);
  const w16 = add(a16, sigma1(word(b, 2))), w17 = add(a17, sigma1(word(b, 3)));
  return joined([w16, w17, add(a18, sigma1(w16)), add(a19, sigma1(w17))]);
});
