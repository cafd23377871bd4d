/** BMI1, BMI2 and ADX: bit manipulation, mostly behind VEX prefixes (Intel SDM volume 2). */
import { op } from "../wasm/code.ts";
import { rdx, type SemanticsBuilder } from "./builder.ts";
import { multiply } from "./arithmetic.ts";
import { define, row, type SemanticFunction } from "./table.ts";
import { Value } from "./value.ts";

/** Compilers use them here and there; none is worth a place among the hot cases. */
function defineCold(mnemonic: string, run: SemanticFunction): void {
  define(mnemonic, run, { cold: true });
}

const one = (x: SemanticsBuilder, a: Value) => x.constant(a.width, 1);
const not = (x: SemanticsBuilder, bit: Value) => x.xor(bit, x.constant(1, 1));

defineCold("andn", (x, dst, inverted, src) => {
  const result = x.and(x.not(x.read(inverted)), x.read(src));
  x.clearCarries(result.width);
  x.setResultFlags(result);
  x.undefinedFlag("af", "pf");
  x.write(dst, result);
});
row("andn", "Gy,By,Ey", "VEX L0 np 0F 38 F2", { feature: "bmi1" });

/** Flags of BLSR and its kin; `carry` is whether the source was zero, or was not. */
function lowest(mnemonic: string, reg: number, carryOnZero: boolean,
  compute: (x: SemanticsBuilder, a: Value) => Value): void {
  defineCold(mnemonic, (x, dst, src) => {
    const a = x.read(src);
    const result = x.bind(compute(x, a));
    const zero = x.isZero(a);
    x.set("cf", carryOnZero ? zero : not(x, zero));
    x.set("of", x.constant(1, 0));
    x.setResultFlags(result);
    x.undefinedFlag("af", "pf");
    x.write(dst, result);
  });
  row(mnemonic, "By,Ey", `VEX L0 np 0F 38 F3 /${reg}`, { feature: "bmi1" });
}
lowest("blsr", 1, true, (x, a) => x.and(a, x.sub(a, one(x, a))));
lowest("blsmsk", 2, true, (x, a) => x.xor(a, x.sub(a, one(x, a))));
lowest("blsi", 3, false, (x, a) => x.and(a, x.neg(a)));

/** Bits below `count`, an unsigned number; all of them from the width on. */
function lowBits(x: SemanticsBuilder, a: Value, count: Value): Value {
  const { width } = a;
  const mask = x.sub(x.shl(one(x, a), x.and(count, x.constant(32, width - 1))), one(x, a));
  return x.select(x.below(count, x.constant(32, width)), x.and(a, mask), a);
}

defineCold("bextr", (x, dst, src, control) => {
  const a = x.read(src);
  const bits = x.resize(x.read(control), 32);
  const byte = (value: Value) => x.and(value, x.constant(32, 0xff));
  const start = x.bind(byte(bits)), length = x.bind(byte(x.shr(bits, x.constant(32, 8))));
  const inside = x.shr(a, x.and(start, x.constant(32, a.width - 1)));
  const moved = x.bind(x.select(x.below(start, x.constant(32, a.width)), inside,
    x.constant(a.width, 0)));
  const result = x.bind(lowBits(x, moved, length));
  x.clearCarries(result.width);
  x.setResultFlags(result);
  x.undefinedFlag("af", "sf", "pf");
  x.write(dst, result);
});
row("bextr", "Gy,Ey,By", "VEX L0 np 0F 38 F7", { feature: "bmi1" });

defineCold("bzhi", (x, dst, src, index) => {
  const a = x.read(src);
  const count = x.bind(x.and(x.resize(x.read(index), 32), x.constant(32, 0xff)));
  const result = x.bind(lowBits(x, a, count));
  x.set("cf", not(x, x.below(count, x.constant(32, a.width))));
  x.set("of", x.constant(1, 0));
  x.setResultFlags(result);
  x.undefinedFlag("af", "pf");
  x.write(dst, result);
});
row("bzhi", "Gy,Ey,By", "VEX L0 np 0F 38 F5", { feature: "bmi2" });

for (const [mnemonic, prefix, shift] of [
  ["shlx", "66", "shl"], ["shrx", "F2", "shr"], ["sarx", "F3", "sar"],
] as const) {
  defineCold(mnemonic, (x, dst, src, by) => {
    const a = x.read(src);
    x.write(dst, x[shift](a, x.and(x.resize(x.read(by), 32), x.constant(32, a.width - 1))));
  });
  row(mnemonic, "Gy,Ey,By", `VEX L0 ${prefix} 0F 38 F7`, { feature: "bmi2" });
}
defineCold("rorx", (x, dst, src, by) => {
  const a = x.read(src);
  const count = x.zeroExtend(x.read(by), 32);
  const mask = x.constant(32, a.width - 1);
  x.write(dst, x.rotateLeft(a, x.and(x.sub(x.constant(32, a.width), x.and(count, mask)), mask)));
});
row("rorx", "Gy,Ey,Ib", "VEX L0 F2 0F 3A F0", { feature: "bmi2" });

defineCold("mulx", (x, high, low, src) => {
  const b = x.read(src);
  const [lowHalf, highHalf] = multiply(x, x.register(rdx, b.width), b, false);
  const bound = x.bind(highHalf);
  x.write(low, lowHalf);
  x.write(high, bound); // With the same register twice the high half stays.
});
row("mulx", "Gy,By,Ey", "VEX L0 F2 0F 38 F6", { feature: "bmi2" });

/** Runs `each` for the bits of `mask` (64 bits wide) from the lowest on, with the next place. */
function forEachBit(
  x: SemanticsBuilder, mask: Value, each: (bit: Value, place: Value, sum: Value) => Value,
): Value {
  const { code } = x;
  const long = (local: number) => new Value(code.get(local), 64, true);
  const rest = code.local("i64"), place = code.local("i64"), sum = code.local("i64");
  code.set(rest, mask.node);
  code.set(place, x.constant(64, 1).node);
  code.set(sum, x.constant(64, 0).node);
  code.block((done) => {
    code.br(done, op("i64.eqz", code.get(rest)));
    code.loop((again) => {
      const bit = x.bind(x.and(long(rest), x.neg(long(rest))));
      code.set(sum, each(bit, long(place), long(sum)).node);
      code.set(place, x.shl(long(place), x.constant(32, 1)).node);
      code.set(rest, x.xor(long(rest), bit).node);
      code.br(again, op("i64.ne", code.get(rest), x.constant(64, 0).node));
    });
  });
  return long(sum);
}

const none = (x: SemanticsBuilder) => x.constant(64, 0);
defineCold("pdep", (x, dst, src, selector) => {
  const from = x.bind(x.zeroExtend(x.read(src), 64));
  const result = forEachBit(x, x.zeroExtend(x.read(selector), 64), (bit, place, sum) =>
    x.or(sum, x.select(x.isZero(x.and(from, place)), none(x), bit)));
  x.write(dst, x.resize(result, dst.width));
});
defineCold("pext", (x, dst, src, selector) => {
  const from = x.bind(x.zeroExtend(x.read(src), 64));
  const result = forEachBit(x, x.zeroExtend(x.read(selector), 64), (bit, place, sum) =>
    x.or(sum, x.select(x.isZero(x.and(from, bit)), none(x), place)));
  x.write(dst, x.resize(result, dst.width));
});
row("pdep", "Gy,By,Ey", "VEX L0 F2 0F 38 F5", { feature: "bmi2" });
row("pext", "Gy,By,Ey", "VEX L0 F3 0F 38 F5", { feature: "bmi2" });

// Additions with two separate carries.

for (const [mnemonic, prefix, flag] of [["adcx", "66", "cf"], ["adox", "F3", "of"]] as const) {
  defineCold(mnemonic, (x, dst, src) => {
    const a = x.read(dst), b = x.read(src);
    const partial = x.bind(x.add(a, b));
    const result = x.bind(x.add(partial, x.zeroExtend(x.flag(flag), a.width)));
    x.set(flag, x.or(x.below(partial, a), x.below(result, partial)));
    x.write(dst, result);
  });
  row(mnemonic, "Gy,Ey", `${prefix} 0F 38 F6`, { feature: "adx" });
}
