/** AES-NI and PCLMULQDQ (SDM 2, AESDEC to AESKEYGENASSIST, PCLMULQDQ; FIPS 197). */
import { i32, onLane, op, select, shuffle, simd, type Node } from "../wasm/code.ts";
import {
  combine, defineSimd, every, immediate, lanes, lowOf, readVector, vexRow, write, type Compute,
} from "./simd.ts";
import { row } from "./table.ts";

const feature = "aes";

// The S-box: inverses modulo x^8 + x^4 + x^3 + x + 1, and an affine map (FIPS 197 §5.1.1).

function multiply(a: number, b: number): number {
  let product = 0;
  for (let power = a, rest = b; rest !== 0; rest >>= 1) {
    product ^= (rest & 1) !== 0 ? power : 0;
    power = (power << 1) ^ ((power & 0x80) !== 0 ? 0x11b : 0);
  }
  return product;
}

const allBytes = Array.from({ length: 256 }, (_, byte) => byte);

function substitute(byte: number): number {
  const inverse = allBytes.find((other) => multiply(byte, other) === 1) ?? 0;
  const rotated = [1, 2, 3, 4].map((count) => (inverse << count | inverse >> (8 - count)) & 0xff);
  return rotated.reduce((sum, each) => sum ^ each, inverse) ^ 0x63;
}

const sBox = allBytes.map(substitute);
const inverseBox = allBytes.map((byte) => sBox.indexOf(byte));

/** Looks bytes up in a table of 256: a swizzle gives zero outside its 16 bytes. */
function lookUp(table: readonly number[], bytes: Node): Node {
  let found: Node | undefined;
  for (let start = 0; start < 256; start += 16) {
    const piece = lanes(8, table.slice(start, start + 16));
    const part = simd("i8x16.swizzle", piece, simd("i8x16.sub", bytes, every(8, start)));
    found = found === undefined ? part : simd("v128.or", found, part);
  }
  return found ?? bytes;
}

/** Byte r of column c comes from column c + r × step. */
const rowOrder = (step: 1 | -1) => Array.from({ length: 16 }, (_, index) => {
  const inColumn = index % 4, column = Math.floor(index / 4);
  return (column + step * inColumn + 4) % 4 * 4 + inColumn;
});

function shiftRows(a: Node, step: 1 | -1): Node {
  return shuffle(rowOrder(step), a, a);
}

/** Each byte becomes the one `count` below it in its column. */
function turned(a: Node, count: number): Node {
  return shuffle(Array.from({ length: 16 }, (_, index) =>
    (index & ~3) | (index + count & 3)), a, a);
}

function doubled(a: Node): Node {
  const carry = simd("v128.and", simd("i8x16.shr_s", a, i32(7)), every(8, 0x1b));
  return simd("v128.xor", simd("i8x16.shl", a, i32(1)), carry);
}

const sum = (...all: readonly [Node, ...Node[]]) => all.reduce((a, b) => simd("v128.xor", a, b));

function mixColumns(a: Node): Node {
  const next = turned(a, 1);
  return sum(doubled(sum(a, next)), next, turned(a, 2), turned(a, 3));
}

function unmixColumns(a: Node): Node {
  return mixColumns(sum(a, doubled(doubled(sum(a, turned(a, 2))))));
}

const rounds: readonly (readonly [string, string, Compute])[] = [
  ["aesenc", "DC", (a, key) => sum(mixColumns(lookUp(sBox, shiftRows(a, 1))), key)],
  ["aesenclast", "DD", (a, key) => sum(lookUp(sBox, shiftRows(a, 1)), key)],
  ["aesdec", "DE", (a, key) => sum(unmixColumns(lookUp(inverseBox, shiftRows(a, -1))), key)],
  ["aesdeclast", "DF", (a, key) => sum(lookUp(inverseBox, shiftRows(a, -1)), key)],
];
for (const [mnemonic, opcode, compute] of rounds) {
  defineSimd(mnemonic, combine(compute));
  row(mnemonic, "Vo,Wo", `66 0F 38 ${opcode}`, { feature });
  vexRow(mnemonic, "Vo,Ho,Wo", `L0 66 0F 38 ${opcode}`, { feature });
}

defineSimd("aesimc", (x, target, source) => {
  write(x, target, lowOf(unmixColumns(readVector(x, source)), 128));
});
row("aesimc", "Vo,Wo", "66 0F 38 DB", { feature });
vexRow("aesimc", "Vo,Wo", "L0 66 0F 38 DB", { feature });

/** Doublewords 1 and 3, substituted, each also turned by a byte and with the constant. */
defineSimd("aeskeygenassist", (x, target, source, constant) => {
  const words = lookUp(sBox, readVector(x, source));
  const placed = shuffle([4, 5, 6, 7, 5, 6, 7, 4, 12, 13, 14, 15, 13, 14, 15, 12], words, words);
  const odd = simd("v128.and", simd("i32x4.splat", immediate(x, constant)),
    lanes(32, [0, -1, 0, -1]));
  write(x, target, lowOf(sum(placed, odd), 128));
});
row("aeskeygenassist", "Vo,Wo,Ib", "66 0F 3A DF", { feature });
vexRow("aeskeygenassist", "Vo,Wo,Ib", "L0 66 0F 3A DF", { feature });

// Carry-less products: with only every fourth bit set carries of ordinary ones stay in the gaps.

const reversedNibble = [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15];

/** Both quadwords with their bits in reverse order. */
function reversed(a: Node): Node {
  const high = simd("i8x16.swizzle", lanes(8, reversedNibble.map((bits) => bits << 4)),
    simd("v128.and", a, every(8, 15)));
  const low = simd("i8x16.swizzle", lanes(8, reversedNibble), simd("i8x16.shr_u", a, i32(4)));
  const bytes = simd("v128.or", high, low);
  return shuffle([7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8], bytes, bytes);
}

/** The lower halves of the products of both pairs of quadwords. */
function lowProducts(a: Node, b: Node): Node {
  const gaps = (number: number) => every(64, 0x1111_1111_1111_1111n << BigInt(number));
  const pieces = (node: Node) => [0, 1, 2, 3].map((number) =>
    simd("v128.and", node, gaps(number)));
  const as = pieces(a), bs = pieces(b);
  const results = [0, 1, 2, 3].map((number) => {
    const terms = as.map((each, index) =>
      simd("i64x2.mul", each, bs[(number - index + 4) % 4] ?? each));
    return simd("v128.and", terms.reduce((p, q) => simd("v128.xor", p, q)), gaps(number));
  });
  return results.reduce((p, q) => simd("v128.or", p, q));
}

const lowHalf = [0, 1, 2, 3, 4, 5, 6, 7], otherHigh = lowHalf.map((byte) => byte + 24);

defineSimd("pclmulqdq", (x, target, source, control) => {
  const b = readVector(x, source), a = readVector(x, target);
  const bits = immediate(x, control);
  /** The quadword chosen, and the same in reverse, whose product has the upper half. */
  const pair = (from: Node, bit: number) => {
    const chosen = simd("i64x2.splat", select(op("i32.and", bits, i32(bit)),
      onLane("i64x2.extract_lane", 1, from), onLane("i64x2.extract_lane", 0, from)));
    return shuffle([...lowHalf, ...otherHigh], chosen, reversed(chosen));
  };
  const products = lowProducts(pair(a, 1), pair(b, 16));
  const upper = simd("i64x2.shr_u", reversed(products), i32(1));
  write(x, target, lowOf(shuffle([...lowHalf, ...otherHigh], products, upper), 128));
});
row("pclmulqdq", "Vo,Wo,Ib", "66 0F 3A 44", { feature: "pclmulqdq" });
vexRow("pclmulqdq", "Vo,Ho,Wo,Ib", "L0 66 0F 3A 44", { feature: "pclmulqdq" });
