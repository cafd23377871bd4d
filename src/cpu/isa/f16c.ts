/** F16C: halves to singles and back (SDM 1 §14.4). */
import { i32, op, simd } from "../wasm/code.ts";
import { condition } from "./sse-checks.ts";
import { defineVex, every, lowOf, readVector, vexRow, write } from "./simd.ts";
import { defineHelpers } from "./table.ts";

const half = { sign: 0x8000, magnitude: 0x7fff, infinity: 0x7c00, quiet: 0x200 } as const;
/** 2^112: between the biases of the formats. */
const rebias = 0x7780_0000, infinity = 0x7f80_0000;
const wider = 13;

defineVex("vcvtph2ps", (x, target, source) => {
  const halves = simd("i32x4.extend_low_i16x8_u", readVector(x, source));
  const magnitude = simd("v128.and", halves, every(32, half.magnitude));
  const sign = simd("i32x4.shl", simd("v128.and", halves, every(32, half.sign)), i32(16));
  const shifted = simd("i32x4.shl", magnitude, i32(wider));
  // A product by a power of two is exact, also for what looks like a denormal single.
  const finite = simd("f32x4.mul", shifted, every(32, rebias));
  const special = simd("i32x4.gt_s", magnitude, every(32, half.infinity - 1));
  const number = simd("v128.bitselect", simd("v128.or", shifted, every(32, infinity)), finite,
    special);
  const isNan = simd("i32x4.gt_s", magnitude, every(32, half.infinity));
  const isQuiet = simd("v128.and", halves, every(32, half.quiet));
  const signalling = simd("v128.and", isNan, simd("i32x4.eq", isQuiet, every(32, 0)));
  x.when(condition(op("i32.eqz", simd("v128.any_true", signalling))),
    () => write(x, target, lowOf(simd("v128.or", number, sign), 128)), () => x.helper(), true);
}, { helped: true });
vexRow("cvtph2ps", "Vo,Wq", "L0 W0 66 0F 38 13", { feature: "f16c" });
vexRow("cvtph2ps", "Vqq,Wo", "L1 W0 66 0F 38 13", { feature: "f16c" });

defineHelpers("vcvtps2ph");
vexRow("cvtps2ph", "Wq,Vo,Ib", "L0 W0 66 0F 3A 1D", { feature: "f16c" });
vexRow("cvtps2ph", "Wo,Vqq,Ib", "L1 W0 66 0F 3A 1D", { feature: "f16c" });
