/** Shifts, rotates and bit instructions (Intel SDM volume 2). */
import type { Operand, SemanticsBuilder } from "./builder.ts";
import { define, row } from "./table.ts";
import type { Value } from "./value.ts";

/** The shift count as the processor masks it: 5 bits, 6 for 64-bit operands. */
function shiftCount(x: SemanticsBuilder, width: number, count: Value): Value {
  return x.and(x.zeroExtend(count, 32), x.constant(32, width === 64 ? 63 : 31));
}

type Shifted = { result: Value; cf: Value; of: Value };
type ShiftRule = (x: SemanticsBuilder, a: Value, count: Value) => Shifted;

/** Bit `index` of a value that may be wider than it: a count of the width or more gives 0. */
function bitAt(x: SemanticsBuilder, wide: Value, index: Value): Value {
  return x.bit(x.shr(wide, index), 0);
}

const shlRule: ShiftRule = (x, a, count) => {
  const width = a.width;
  if (width >= 32) {
    const result = x.shl(a, count);
    const cf = bitAt(x, a, x.and(x.sub(x.constant(32, width), count), x.constant(32, width - 1)));
    return { result, cf, of: x.xor(x.sign(result), cf) };
  }
  const wide = x.shl(x.zeroExtend(a, 64), count);
  const result = x.truncate(wide, width);
  const cf = x.bit(wide, width);
  return { result, cf, of: x.xor(x.sign(result), cf) };
};

/** The last bit shifted out to the right. */
function outOnRight(x: SemanticsBuilder, a: Value, count: Value): Value {
  return bitAt(x, a, x.sub(count, x.constant(32, 1)));
}

const shrRule: ShiftRule = (x, a, count) => {
  const wide = a.width < 32 ? x.zeroExtend(a, 32) : a;
  const result = x.truncate(x.shr(wide, count), a.width);
  return { result, cf: outOnRight(x, wide, count), of: x.sign(a) };
};

const sarRule: ShiftRule = (x, a, count) => {
  const wide = a.width < 32 ? x.signExtend(a, 32) : a;
  const result = x.truncate(x.sar(wide, count), a.width);
  return { result, cf: outOnRight(x, wide, count), of: x.constant(1, 0) };
};

function defineShift(mnemonic: string, rule: ShiftRule): void {
  define(mnemonic, (x, dst, by) => {
    const a = x.read(dst);
    const count = shiftCount(x, a.width, x.read(by));
    const { result, cf, of } = rule(x, a, count);
    x.set("cf", cf);
    x.set("of", of);
    x.set("af", x.constant(1, 0));
    x.setResultFlags(result);
    x.undefinedFlag("af", "of"); // OF is defined for a count of 1.
    x.flagsOnlyIf(x.xor(x.isZero(count), x.constant(1, 1)));
    x.write(dst, result);
  });
}
defineShift("shl", shlRule);
defineShift("shr", shrRule);
defineShift("sar", sarRule);

/** ROL and ROR set CF and OF when the masked count is not zero, even if nothing moves. */
function defineRotate(mnemonic: string, left: boolean): void {
  define(mnemonic, (x, dst, by) => {
    const a = x.read(dst);
    const width = a.width;
    const masked = shiftCount(x, width, x.read(by));
    const within = x.and(masked, x.constant(32, width - 1));
    const turn = left
      ? within : x.and(x.sub(x.constant(32, width), within), x.constant(32, width - 1));
    const result = x.rotateLeft(a, turn);
    const cf = left ? x.bit(result, 0) : x.sign(result);
    x.set("cf", cf);
    x.set("of", left ? x.xor(x.sign(result), cf) : x.xor(x.sign(result), x.bit(result, width - 2)));
    x.undefinedFlag("of"); // Defined for a count of 1.
    x.flagsOnlyIf(x.xor(x.isZero(masked), x.constant(1, 1)));
    x.write(dst, result);
  });
}
defineRotate("rol", true);
defineRotate("ror", false);

/** RCL and RCR rotate through CF: width + 1 bits, count taken modulo that. */
function defineRotateCarry(mnemonic: string, left: boolean): void {
  define(mnemonic, (x, dst, by) => {
    const a = x.bind(x.read(dst));
    const width = a.width;
    const masked = x.bind(shiftCount(x, width, x.read(by)));
    const count = width < 32 ? x.bind(x.modulo(masked, width + 1)) : masked;
    const carry = x.bind(x.flag("cf"));
    // Two half-open shifts join around the carry; a count of zero must leave the value alone.
    const one = x.constant(32, 1);
    const up = left ? count : x.sub(x.constant(32, width + 1), count);
    const down = left ? x.sub(x.constant(32, width + 1), count) : count;
    const high = shiftOut(x, a, up, true), low = shiftOut(x, a, down, false);
    const middle = shiftOut(x, x.resize(carry, width), left ? x.sub(count, one)
      : x.sub(x.constant(32, width), count), true);
    const zero = x.isZero(count);
    const result = x.bind(x.select(zero, a, x.or(x.or(high, low), middle)));
    const last = left
      ? x.bit(shiftOut(x, a, x.sub(x.constant(32, width), count), false), 0)
      : x.bit(shiftOut(x, a, x.sub(count, one), false), 0);
    const cf = x.bind(x.select(zero, carry, last));
    x.set("cf", cf);
    x.set("of", left ? x.xor(x.sign(result), cf)
      : x.xor(x.sign(result), x.bit(result, width - 2)));
    x.undefinedFlag("of"); // Defined for a count of 1.
    x.flagsOnlyIf(x.xor(x.isZero(masked), x.constant(1, 1)));
    x.write(dst, result);
  }, { cold: true });
}

/** A shift whose count may reach the width: then nothing is left. */
function shiftOut(x: SemanticsBuilder, a: Value, count: Value, left: boolean): Value {
  const inside = x.below(count, x.constant(32, a.width));
  const safe = x.and(count, x.constant(32, a.width - 1));
  const shifted = left ? x.shl(a, safe) : x.shr(a, safe);
  return x.select(inside, shifted, x.constant(a.width, 0));
}
defineRotateCarry("rcl", true);
defineRotateCarry("rcr", false);

const group2 = ["rol", "ror", "rcl", "rcr", "shl", "shr", "shl", "sar"];
for (const [number, mnemonic] of group2.entries()) {
  row(mnemonic, "Eb,Ib", `C0 /${number}`);
  row(mnemonic, "Ev,Ib", `C1 /${number}`);
  row(mnemonic, "Eb,1", `D0 /${number}`);
  row(mnemonic, "Ev,1", `D1 /${number}`);
  row(mnemonic, "Eb,CL", `D2 /${number}`);
  row(mnemonic, "Ev,CL", `D3 /${number}`);
}

/** SHLD and SHRD; counts above the width of 16-bit operands shift the pair dst:src:dst. */
function defineDouble(mnemonic: string, left: boolean): void {
  define(mnemonic, (x, dst, src, by) => {
    const a = x.bind(x.read(dst)), b = x.bind(x.read(src));
    const width = a.width;
    const count = x.bind(shiftCount(x, width, x.read(by)));
    const opposite = x.sub(x.constant(32, width), count);
    let result: Value;
    let cf: Value;
    if (width === 16) {
      const [top, bottom] = left ? [a, b] : [b, a];
      const pair = x.or(x.shl(x.zeroExtend(top, 64), x.constant(32, 16)), x.zeroExtend(bottom, 64));
      const again = left
        ? x.or(x.shl(pair, x.constant(32, 16)), x.zeroExtend(a, 64))
        : x.or(pair, x.shl(x.zeroExtend(a, 64), x.constant(32, 32)));
      const shifted = left ? x.shl(again, count) : x.shr(again, count);
      result = x.truncate(left ? x.shr(shifted, x.constant(32, 32)) : shifted, 16);
      cf = left ? x.bit(shifted, 48)
        : x.bit(x.shr(again, x.and(x.sub(count, x.constant(32, 1)), x.constant(32, 63))), 0);
    } else {
      result = left
        ? x.or(shiftOut(x, a, count, true), shiftOut(x, b, opposite, false))
        : x.or(shiftOut(x, a, count, false), shiftOut(x, b, opposite, true));
      cf = x.bit(shiftOut(x, a, left ? opposite : x.sub(count, x.constant(32, 1)), false), 0);
    }
    const bound = x.bind(result);
    x.set("cf", cf);
    x.set("of", x.xor(x.sign(bound), x.sign(a)));
    x.set("af", x.constant(1, 0));
    x.setResultFlags(bound);
    x.undefinedFlag("af", "of"); // OF is defined for a count of 1.
    x.flagsOnlyIf(x.xor(x.isZero(count), x.constant(1, 1)));
    x.write(dst, bound);
  });
}
defineDouble("shld", true);
defineDouble("shrd", false);
row("shld", "Ev,Gv,Ib", "0F A4");
row("shld", "Ev,Gv,CL", "0F A5");
row("shrd", "Ev,Gv,Ib", "0F AC");
row("shrd", "Ev,Gv,CL", "0F AD");

// Bit tests. A register offset reaches beyond a memory operand, an immediate does not.

const bitChanges: readonly [string, number, ((x: SemanticsBuilder, a: Value, bit: Value) => Value)
  | undefined][] = [
  ["bt", 4, undefined],
  ["bts", 5, (x, a, bit) => x.or(a, bit)],
  ["btr", 6, (x, a, bit) => x.and(a, x.not(bit))],
  ["btc", 7, (x, a, bit) => x.xor(a, bit)],
];

for (const [mnemonic, extension, change] of bitChanges) {
  const act = (x: SemanticsBuilder, dst: Operand, position: Value) => {
    const a = x.bind(x.read(dst));
    const within = x.and(x.resize(position, 32), x.constant(32, a.width - 1));
    x.set("cf", x.bit(x.shr(a, within), 0));
    x.undefinedFlag("sf", "pf", "af", "of");
    if (change !== undefined) {
      x.write(dst, change(x, a, x.shl(x.constant(a.width, 1), within)));
    }
  };
  define(mnemonic, (x, dst, by) => {
    const position = x.read(by);
    if (dst.kind !== "memory" || by.kind === "immediate") {
      act(x, dst, position);
      return;
    }
    const offset = x.bind(x.signExtend(position, 64));
    const element = x.sar(offset, x.constant(32, Math.log2(dst.width)));
    const bytes = x.shl(element, x.constant(32, Math.log2(dst.width / 8)));
    x.moveAddress(dst, bytes);
    act(x, dst, x.truncate(offset, 32));
  }, { movesAddress: true });
  const opcode = (0x83 + extension * 8).toString(16).toUpperCase();
  const lock = mnemonic !== "bt";
  row(mnemonic, "Ev,Gv", `0F ${opcode}`, { lock });
  row(mnemonic, "Ev,Ib", `0F BA /${extension}`, { lock });
}

/** BSF and BSR keep the destination when the source is zero, as all processors do. */
function defineScan(mnemonic: string, forward: boolean): void {
  define(mnemonic, (x, dst, src) => {
    const a = x.bind(x.read(src));
    const index = forward
      ? x.count("ctz", a)
      : x.sub(x.constant(a.width, a.width - 1), x.count("clz", a));
    x.set("zf", x.isZero(a));
    x.undefinedFlag("cf", "of", "sf", "af", "pf");
    x.when(x.isZero(a), () => {}, () => x.write(dst, index), false);
  });
}
defineScan("bsf", true);
defineScan("bsr", false);
row("bsf", "Gv,Ev", "0F BC");
row("bsr", "Gv,Ev", "0F BD");

function defineCount(mnemonic: string, kind: "ctz" | "clz"): void {
  define(mnemonic, (x, dst, src) => {
    const a = x.bind(x.read(src));
    const zero = x.isZero(a);
    const result = x.bind(x.select(zero, x.constant(a.width, a.width), x.count(kind, a)));
    x.set("cf", zero);
    x.set("zf", x.isZero(result));
    x.undefinedFlag("of", "sf", "af", "pf");
    x.write(dst, result);
  });
}
defineCount("tzcnt", "ctz");
defineCount("lzcnt", "clz");
row("tzcnt", "Gv,Ev", "F3 0F BC", { feature: "bmi1" });
row("lzcnt", "Gv,Ev", "F3 0F BD", { feature: "lzcnt" });

define("popcnt", (x, dst, src) => {
  const a = x.bind(x.read(src));
  for (const flag of ["cf", "of", "sf", "af", "pf"] as const) {
    x.set(flag, x.constant(1, 0));
  }
  x.set("zf", x.isZero(a));
  x.write(dst, x.count("popcnt", a));
});
row("popcnt", "Gv,Ev", "F3 0F B8", { feature: "popcnt" });

/** CRC-32C (polynomial 11EDC6F41h, reflected), a bit at a time. */
define("crc32", (x, dst, src) => {
  const data = x.read(src);
  let crc = x.truncate(x.read(dst), 32);
  const polynomial = x.constant(32, 0x82f6_3b78);
  const one = x.constant(32, 1);
  for (let byte = 0; byte < data.width; byte += 8) {
    const piece = x.resize(x.shr(data, x.constant(32, byte)), 32);
    crc = x.bind(x.xor(crc, x.and(piece, x.constant(32, 0xff))));
    for (let bit = 0; bit < 8; bit += 1) {
      const mask = x.neg(x.and(crc, one));
      crc = x.bind(x.xor(x.shr(crc, one), x.and(polynomial, mask)));
    }
  }
  x.write(dst, x.resize(crc, dst.width));
}, { cold: true });
row("crc32", "Gy,Eb", "F2 0F 38 F0", { feature: "sse4.2" });
row("crc32", "Gy,Ev", "F2 0F 38 F1", { feature: "sse4.2" });

