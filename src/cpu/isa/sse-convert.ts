/** Conversions of SSE (SDM 1 §11.4.4). */
import { f64, i64, op, simd, type Node } from "../wasm/code.ts";
import type { SemanticsBuilder } from "./builder.ts";
import {
  allLanes, condition, isNumber, isOrdinary, isZero, keepsControls, mayRound,
} from "./sse-checks.ts";
import {
  defineSimd, every, lowOf, read, readVector, vexRow, write, type VectorOperand,
} from "./simd.ts";
import { defineHelpers, row } from "./table.ts";
import { Value } from "./value.ts";

/** Writes the low part of a vector, or all of it, where `sound`; else the helper does it. */
function writeIf(x: SemanticsBuilder, sound: Node, target: VectorOperand, result: Node): void {
  x.when(condition(sound), () => write(x, target, lowOf(result, target.width)),
    () => x.helper(), true);
}

// Integers in general registers.

/** Numbers of up to this magnitude are exact in either format. */
const exactMagnitude = { sd: 1n << 53n, ss: 1n << 24n };
for (const [suffix, prefix, size] of [["sd", "F2", "q"], ["ss", "F3", "d"]] as const) {
  defineSimd(`cvtsi2${suffix}`, (x, into, source) => {
    const value = read(x, source).node;
    const from = source.width === 64 ? "i64" : "i32";
    const result = suffix === "sd"
      ? new Value(op("i64.reinterpret_f64", op(`f64.convert_${from}_s`, value)), 64, true)
      : new Value(op("i32.reinterpret_f32", op(`f32.convert_${from}_s`, value)), 32, true);
    if (suffix === "sd" && source.width === 32) {
      write(x, into, result);
      return;
    }
    const magnitude = exactMagnitude[suffix];
    const long = source.width === 64 ? value : op("i64.extend_i32_s", value);
    const exact = op("i64.le_u", op("i64.add", long, i64(magnitude)), i64(magnitude * 2n));
    x.when(condition(op("i32.or", exact, mayRound(x))), () => write(x, into, result),
      () => x.helper(), true);
  }, { helped: true });
  row(`cvtsi2${suffix}`, `V${size},Ey`, `${prefix} 0F 2A`);
  vexRow(`cvtsi2${suffix}`, `V${size},H${size},Ey`, `${prefix} 0F 2A`);
}

/** The source as one double, exactly. */
function scalar(x: SemanticsBuilder, source: VectorOperand): Node {
  const value = read(x, source).node;
  return source.width === 64 ? op("f64.reinterpret_i64", value)
    : op("f64.promote_f32", op("f32.reinterpret_i32", value));
}

for (const [suffix, prefix, from] of [["sd", "F2", "Wq"], ["ss", "F3", "Wd"]] as const) {
  for (const [mnemonic, opcode, rounding] of [
    ["cvtt", "2C", "f64.trunc"], ["cvt", "2D", "f64.nearest"],
  ] as const) {
    defineSimd(`${mnemonic}${suffix}2si`, (x, target, source) => {
      const a = scalar(x, source);
      const whole = op(rounding, a);
      const limit = target.width === 64 ? 2 ** 63 : 2 ** 31;
      const fits = op("i32.and", op("f64.ge", whole, f64(-limit)), op("f64.lt", whole, f64(limit)));
      const sound = op("i32.and", fits, op("i32.or", op("f64.eq", whole, a), mayRound(x)));
      // The conversion traps out of range, so it must not be computed before the test.
      x.when(condition(sound), () => {
        const name = target.width === 64 ? "i64.trunc_f64_s" : "i32.trunc_f64_s";
        write(x, target, new Value(op(name, whole), target.width, true));
      }, () => x.helper(), true);
    }, { helped: true });
    row(`${mnemonic}${suffix}2si`, `Gy,${from}`, `${prefix} 0F ${opcode}`);
    vexRow(`${mnemonic}${suffix}2si`, `Gy,${from}`, `${prefix} 0F ${opcode}`);
  }
}

// Between single and double.

for (const [mnemonic, operands, prefix] of [
  ["cvtss2sd", "Vq,Wd", "F3"], ["cvtps2pd", "Vo,Wq", "np"],
] as const) {
  defineSimd(mnemonic, (x, target, source) => {
    const a = readVector(x, source);
    writeIf(x, allLanes("f32x4", isNumber("f32x4", a)), target,
      simd("f64x2.promote_low_f32x4", a));
  }, { helped: true });
  row(mnemonic, operands, `${prefix} 0F 5A`);
}
vexRow("cvtss2sd", "Vq,Hq,Wd", "F3 0F 5A");
vexRow("cvtps2pd", "Vo,Wq", "L0 np 0F 5A");
vexRow("cvtps2pd", "Vqq,Wo", "L1 np 0F 5A");
for (const [mnemonic, operands, prefix] of [
  ["cvtsd2ss", "Vd,Wq", "F2"], ["cvtpd2ps", "Vo,Wo", "66"],
] as const) {
  defineSimd(mnemonic, (x, target, source) => {
    const a = readVector(x, source);
    const result = simd("f32x4.demote_f64x2_zero", a);
    const again = simd("f64x2.promote_low_f32x4", result);
    // Tested as singles: the upper lanes of the result are zero.
    const ordinary = allLanes("f64x2", simd("v128.or", isZero("f64x2", a),
      singlesAreOrdinary(again)));
    const same = allLanes("f64x2", simd("f64x2.eq", again, a));
    const quiet = op("i32.or", mayRound(x), op("i32.and", same, keepsControls(x)));
    writeIf(x, op("i32.and", ordinary, quiet), target, result);
  }, { helped: true });
  row(mnemonic, operands, `${prefix} 0F 5A`);
}
vexRow("cvtsd2ss", "Vd,Hd,Wq", "F2 0F 5A");
vexRow("cvtpd2ps", "Vo,Wo", "L0 66 0F 5A");
vexRow("cvtpd2ps", "Vo,Wqq", "L1 66 0F 5A");

/** Widened singles above the smallest normal one, and finite. */
function singlesAreOrdinary(widened: Node): Node {
  const smallest = every(64, BigInt(1023 - 126) << 52n);
  return simd("v128.and", isOrdinary("f64x2", widened),
    simd("f64x2.gt", simd("f64x2.abs", widened), smallest));
}

// Packed integers of 32 bits.

defineSimd("cvtdq2pd", (x, target, source) => {
  write(x, target, lowOf(simd("f64x2.convert_low_i32x4_s", readVector(x, source)), 128));
});
row("cvtdq2pd", "Vo,Wq", "F3 0F E6");
vexRow("cvtdq2pd", "Vo,Wq", "L0 F3 0F E6");
vexRow("cvtdq2pd", "Vqq,Wo", "L1 F3 0F E6");
defineSimd("cvtdq2ps", (x, target, source) => {
  const a = readVector(x, source);
  const magnitude = every(32, exactMagnitude.ss);
  const above = simd("i32x4.gt_u", simd("i32x4.add", a, magnitude),
    every(32, exactMagnitude.ss * 2n));
  const exact = op("i32.eqz", simd("v128.any_true", above));
  writeIf(x, op("i32.or", exact, mayRound(x)), target, simd("f32x4.convert_i32x4_s", a));
}, { helped: true });
row("cvtdq2ps", "Vo,Wo", "np 0F 5B");
vexRow("cvtdq2ps", "Vx,Wx", "np 0F 5B");

const singleLimits = { low: 0xcf00_0000, high: 0x4f00_0000 };
const doubleLimits = { low: 0xc1e0_0000_0000_0000n, high: 0x41e0_0000_0000_0000n };
for (const [mnemonic, prefix, rounding] of [
  ["cvttps2dq", "F3", "f32x4.trunc"], ["cvtps2dq", "66", "f32x4.nearest"],
] as const) {
  defineSimd(mnemonic, (x, target, source) => {
    const a = readVector(x, source);
    const whole = simd(rounding, a);
    const fits = allLanes("f32x4", simd("v128.and",
      simd("f32x4.ge", whole, every(32, singleLimits.low)),
      simd("f32x4.lt", whole, every(32, singleLimits.high))));
    const same = allLanes("f32x4", simd("f32x4.eq", whole, a));
    writeIf(x, op("i32.and", fits, op("i32.or", same, mayRound(x))), target,
      simd("i32x4.trunc_sat_f32x4_s", whole));
  }, { helped: true });
  row(mnemonic, "Vo,Wo", `${prefix} 0F 5B`);
  vexRow(mnemonic, "Vx,Wx", `${prefix} 0F 5B`);
}
for (const [mnemonic, prefix, rounding] of [
  ["cvttpd2dq", "66", "f64x2.trunc"], ["cvtpd2dq", "F2", "f64x2.nearest"],
] as const) {
  defineSimd(mnemonic, (x, target, source) => {
    const a = readVector(x, source);
    const whole = simd(rounding, a);
    const fits = allLanes("f64x2", simd("v128.and",
      simd("f64x2.ge", whole, every(64, doubleLimits.low)),
      simd("f64x2.lt", whole, every(64, doubleLimits.high))));
    const same = allLanes("f64x2", simd("f64x2.eq", whole, a));
    writeIf(x, op("i32.and", fits, op("i32.or", same, mayRound(x))), target,
      simd("i32x4.trunc_sat_f64x2_s_zero", whole));
  }, { helped: true });
  row(mnemonic, "Vo,Wo", `${prefix} 0F E6`);
  vexRow(mnemonic, "Vo,Wo", `L0 ${prefix} 0F E6`);
  vexRow(mnemonic, "Vo,Wqq", `L1 ${prefix} 0F E6`);
}

// With MMX registers: rare.

defineHelpers("cvtpi2ps", "cvtpi2pd", "cvtps2pi", "cvttps2pi", "cvtpd2pi", "cvttpd2pi");
row("cvtpi2ps", "Vq,Qq", "np 0F 2A");
row("cvtpi2pd", "Vo,Qq", "66 0F 2A");
row("cvttps2pi", "Pq,Wq", "np 0F 2C");
row("cvtps2pi", "Pq,Wq", "np 0F 2D");
row("cvttpd2pi", "Pq,Wo", "66 0F 2C");
row("cvtpd2pi", "Pq,Wo", "66 0F 2D");
