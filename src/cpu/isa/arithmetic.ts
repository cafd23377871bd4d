/** Integer arithmetic and logic (Intel SDM volume 2): ADD to CMP, INC, NEG, MUL, DIV, TEST. */
import {
  rax, rdx, type Operand, type SemanticsBuilder,
} from "./builder.ts";
import { define, defineHelpers, row } from "./table.ts";
import type { Value, Width } from "./value.ts";
import { vector } from "../layout.ts";

/** Carries out of each position of a + b (+ carry) = result. */
function carriesOfAdd(x: SemanticsBuilder, a: Value, b: Value, result: Value): Value {
  return x.or(x.and(a, b), x.and(x.or(a, b), x.not(result)));
}

/** Borrows into each position of a - b (- borrow) = result. */
function carriesOfSub(x: SemanticsBuilder, a: Value, b: Value, result: Value): Value {
  const notA = x.not(a);
  return x.or(x.and(notA, b), x.and(x.or(notA, b), result));
}

function carryIn(x: SemanticsBuilder, width: Width): Value {
  return x.zeroExtend(x.flag("cf"), width);
}

type Binary = (x: SemanticsBuilder, a: Value, b: Value) => Value;

function defineAdditive(
  mnemonic: string, compute: Binary,
  carries: (x: SemanticsBuilder, a: Value, b: Value, result: Value) => Value, writes: boolean,
  origin?: "add" | "sub",
): void {
  define(mnemonic, (x, dst, src) => {
    const a = x.read(dst), b = x.read(src);
    const result = compute(x, a, b);
    x.carries(carries(x, a, b, result), origin && { operation: origin, a, b });
    x.setResultFlags(result);
    if (writes) {
      x.write(dst, result);
    }
  });
}

defineAdditive("add", (x, a, b) => x.add(a, b), carriesOfAdd, true, "add");
defineAdditive("adc", (x, a, b) => x.add(x.add(a, b), carryIn(x, a.width)), carriesOfAdd, true);
defineAdditive("sub", (x, a, b) => x.sub(a, b), carriesOfSub, true, "sub");
defineAdditive("sbb", (x, a, b) => x.sub(x.sub(a, b), carryIn(x, a.width)), carriesOfSub, true);
defineAdditive("cmp", (x, a, b) => x.sub(a, b), carriesOfSub, false, "sub");

function defineLogical(mnemonic: string, compute: Binary, writes: boolean): void {
  define(mnemonic, (x, dst, src) => {
    const a = x.read(dst), b = x.read(src);
    const result = compute(x, a, b);
    x.clearCarries(result.width);
    x.undefinedFlag("af");
    x.setResultFlags(result);
    if (writes) {
      x.write(dst, result);
    }
  });
}

defineLogical("or", (x, a, b) => x.or(a, b), true);
defineLogical("and", (x, a, b) => x.and(a, b), true);
defineLogical("xor", (x, a, b) => x.xor(a, b), true);
defineLogical("test", (x, a, b) => x.and(a, b), false);

const group1 = ["add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"];
for (const [number, mnemonic] of group1.entries()) {
  const lock = mnemonic !== "cmp";
  const at = (offset: number) => (number * 8 + offset).toString(16).toUpperCase().padStart(2, "0");
  row(mnemonic, "Eb,Gb", at(0), { lock });
  row(mnemonic, "Ev,Gv", at(1), { lock });
  row(mnemonic, "Gb,Eb", at(2));
  row(mnemonic, "Gv,Ev", at(3));
  row(mnemonic, "AL,Ib", at(4));
  row(mnemonic, "rAX,Iz", at(5));
  row(mnemonic, "Eb,Ib", `80 /${number}`, { lock });
  row(mnemonic, "Ev,Iz", `81 /${number}`, { lock });
  row(mnemonic, "Eb,Ib", `82 /${number}`, { lock, modes: "legacy" });
  row(mnemonic, "Ev,Ibs", `83 /${number}`, { lock });
}
row("test", "Eb,Gb", "84");
row("test", "Ev,Gv", "85");
row("test", "AL,Ib", "A8");
row("test", "rAX,Iz", "A9");
for (const extension of [0, 1]) {
  row("test", "Eb,Ib", `F6 /${extension}`);
  row("test", "Ev,Iz", `F7 /${extension}`);
}

// INC and DEC leave CF alone.
for (const [mnemonic, number] of [["inc", 0], ["dec", 1]] as const) {
  define(mnemonic, (x, dst) => {
    const a = x.read(dst);
    const one = x.constant(a.width, 1);
    const result = number === 0 ? x.add(a, one) : x.sub(a, one);
    const carriesOf = number === 0 ? carriesOfAdd : carriesOfSub;
    const carries = carriesOf(x, a, one, result);
    x.carries(carries);
    x.set("cf", x.flag("cf"));
    x.setResultFlags(result);
    x.write(dst, result);
  });
  row(mnemonic, "Eb", `FE /${number}`, { lock: true });
  row(mnemonic, "Ev", `FF /${number}`, { lock: true });
  row(mnemonic, "Zv", number === 0 ? "40" : "48", { modes: "legacy" });
}

define("neg", (x, dst) => {
  const a = x.read(dst);
  const zero = x.constant(a.width, 0);
  const result = x.sub(zero, a);
  x.carries(carriesOfSub(x, zero, a, result), { operation: "sub", a: zero, b: a });
  x.setResultFlags(result);
  x.write(dst, result);
});
row("neg", "Eb", "F6 /3", { lock: true });
row("neg", "Ev", "F7 /3", { lock: true });

define("not", (x, dst) => {
  x.write(dst, x.not(x.read(dst)));
});
row("not", "Eb", "F6 /2", { lock: true });
row("not", "Ev", "F7 /2", { lock: true });

/** High 64 bits of an unsigned product, by 32-bit parts. */
function multiplyHigh(x: SemanticsBuilder, a: Value, b: Value): Value {
  const low = (value: Value) => x.zeroExtend(x.truncate(value, 32), 64);
  const half = x.constant(32, 32);
  const high = (value: Value) => x.shr(value, half);
  const lowLow = x.mul(low(a), low(b));
  const middle = x.add(x.mul(high(a), low(b)), high(lowLow));
  const cross = x.add(x.mul(low(a), high(b)), low(middle));
  return x.add(x.add(x.mul(high(a), high(b)), high(middle)), high(cross));
}

function multiplyHighSigned(x: SemanticsBuilder, a: Value, b: Value): Value {
  const zero = x.constant(64, 0);
  const correction = (sign: Value, other: Value) => x.select(x.sign(sign), other, zero);
  return x.sub(x.sub(multiplyHigh(x, a, b), correction(a, b)), correction(b, a));
}

/** Low and high half of a product at the operands' width. */
export function multiply(
  x: SemanticsBuilder, a: Value, b: Value, isSigned: boolean,
): [Value, Value] {
  if (a.width === 64) {
    return [x.mul(a, b), isSigned ? multiplyHighSigned(x, a, b) : multiplyHigh(x, a, b)];
  }
  const widen = (value: Value) => isSigned ? x.signExtend(value, 64) : x.zeroExtend(value, 64);
  const product = x.bind(x.mul(widen(a), widen(b)));
  const high = x.shr(product, x.constant(32, a.width));
  return [x.truncate(product, a.width), x.truncate(high, a.width)];
}

/** CF = OF = the high half carries information; the rest the manual leaves open. */
function multiplyFlags(x: SemanticsBuilder, low: Value, high: Value, isSigned: boolean): void {
  const expected = isSigned
    ? x.sar(low, x.constant(32, low.width - 1)) : x.constant(low.width, 0);
  const overflow = x.xor(x.equal(high, expected), x.constant(1, 1));
  x.set("cf", overflow);
  x.set("of", overflow);
  x.undefinedFlag("sf", "zf", "af", "pf");
}

for (const [mnemonic, extension, isSigned] of [["mul", 4, false], ["imul", 5, true]] as const) {
  const one = `${mnemonic}.one`;
  define(one, (x, src) => {
    const b = x.read(src);
    const a = x.register(rax, b.width);
    const [low, high] = multiply(x, a, b, isSigned).map((half) => x.bind(half));
    if (low === undefined || high === undefined) {
      return;
    }
    multiplyFlags(x, low, high, isSigned);
    if (b.width === 8) {
      x.setRegister(rax, low);
      x.setRegister(rax, high, true);
    } else {
      x.setRegister(rax, low);
      x.setRegister(rdx, high);
    }
  });
  row(one, "Eb", `F6 /${extension}`);
  row(one, "Ev", `F7 /${extension}`);
}

function multiplyInto(x: SemanticsBuilder, dst: Operand, a: Value, b: Value): void {
  const [low, high] = multiply(x, a, b, true);
  multiplyFlags(x, low, high, true);
  x.write(dst, low);
}
define("imul", (x, dst, src) => multiplyInto(x, dst, x.read(dst), x.read(src)));
define("imul.three", (x, dst, src, factor) => multiplyInto(x, dst, x.read(src), x.read(factor)));
row("imul", "Gv,Ev", "0F AF");
row("imul.three", "Gv,Ev,Iz", "69");
row("imul.three", "Gv,Ev,Ibs", "6B");

/** Division of a double-width dividend that fits in 64 bits; #DE on zero and on overflow. */
function divideNarrow(x: SemanticsBuilder, src: Operand, isSigned: boolean): void {
  const divisor = x.read(src);
  const width = divisor.width;
  const raw = width === 8
    ? x.zeroExtend(x.register(rax, 16), 64)
    : x.or(x.shl(x.zeroExtend(x.register(rdx, width), 64), x.constant(32, width)),
      x.zeroExtend(x.register(rax, width), 64));
  const spare = x.constant(32, 64 - 2 * width);
  const dividend = x.bind(isSigned && width < 32 ? x.sar(x.shl(raw, spare), spare) : raw);
  const wide = x.bind(isSigned ? x.signExtend(divisor, 64) : x.zeroExtend(divisor, 64));
  x.when(x.isZero(wide), () => x.raise(vector.de), undefined, false);
  const minimum = x.constant(64, -(2n ** 63n));
  if (isSigned && width === 32) {
    // The quotient of -2^63 and -1 does not fit anywhere, and traps in wasm.
    x.when(x.and(x.equal(dividend, minimum), x.equal(wide, x.constant(64, -1))),
      () => x.raise(vector.de), undefined, false);
  }
  const quotient = x.bind(x.divide(dividend, wide, isSigned));
  const back = isSigned
    ? x.signExtend(x.truncate(quotient, width), 64) : x.zeroExtend(x.truncate(quotient, width), 64);
  x.when(x.xor(x.equal(back, quotient), x.constant(1, 1)), () => x.raise(vector.de), undefined,
    false);
  const remainder = x.bind(x.sub(dividend, x.mul(quotient, wide)));
  x.setRegister(rax, x.truncate(quotient, width));
  x.setRegister(width === 8 ? rax : rdx, x.truncate(remainder, width), width === 8);
}

/** 128 by 64 bits: fast while the dividend is a 64-bit number, else by the helper. */
function divideWide(x: SemanticsBuilder, src: Operand, isSigned: boolean): void {
  const divisor = x.bind(x.read(src));
  const low = x.bind(x.register(rax, 64)), high = x.register(rdx, 64);
  const expected = isSigned ? x.sar(low, x.constant(32, 63)) : x.constant(64, 0);
  // Zero, and -1 (whose quotient may overflow), go to the helper too.
  const odd = x.below(x.add(divisor, x.constant(64, 1)), x.constant(64, 2));
  const fits = x.and(x.equal(high, expected), x.xor(odd, x.constant(1, 1)));
  x.when(fits, () => {
    const quotient = x.bind(x.divide(low, divisor, isSigned));
    x.setRegister(rax, quotient);
    x.setRegister(rdx, x.sub(low, x.mul(quotient, divisor)));
  }, () => x.helper(), true);
}

for (const [mnemonic, extension, isSigned] of [["div", 6, false], ["idiv", 7, true]] as const) {
  define(mnemonic, (x, src) => {
    if (src.width === 64) {
      divideWide(x, src, isSigned);
    } else {
      divideNarrow(x, src, isSigned);
    }
    x.undefinedFlag("cf", "of", "sf", "zf", "af", "pf");
  });
  row(mnemonic, "Eb", `F6 /${extension}`);
  row(mnemonic, "Ev", `F7 /${extension}`);
}

// Sign extensions of the accumulator.
define("cbw", (x) => { // CBW, CWDE, CDQE
  const width = x.operandWidth;
  const half = width === 64 ? 32 : width === 32 ? 16 : 8;
  x.setRegister(rax, x.signExtend(x.register(rax, half), width));
});
define("cwd", (x) => { // CWD, CDQ, CQO
  const width = x.operandWidth;
  x.setRegister(rdx, x.sar(x.register(rax, width), x.constant(32, width - 1)));
});
row("cbw", "", "98");
row("cwd", "", "99");

// Decimal arithmetic exists outside 64-bit mode only.
defineHelpers("daa", "das", "aaa", "aas", "aam", "aad");
row("daa", "", "27", { modes: "legacy" });
row("das", "", "2F", { modes: "legacy" });
row("aaa", "", "37", { modes: "legacy" });
row("aas", "", "3F", { modes: "legacy" });
row("aam", "Ib", "D4", { modes: "legacy" });
row("aad", "Ib", "D5", { modes: "legacy" });
