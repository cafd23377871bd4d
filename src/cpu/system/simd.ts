/** Vector instructions that are no expressions, by mnemonic. */
import { avxHelpers } from "./avx.ts";
import { fmaHelpers } from "./simd-fma.ts";
import { x87Of } from "./fpu.ts";
import type { Helper } from "./helpers.ts";
import type { Processor } from "./processor.ts";
import { simdFloatHelpers } from "./simd-float.ts";
import { maskedMove, requireMmx } from "./simd-operands.ts";
import { simdStringHelpers } from "./simd-strings.ts";

function leaveMmx(cpu: Processor): void {
  requireMmx(cpu);
  x87Of(cpu).leaveMmx();
}

const shared: readonly (readonly [string, Helper])[] = [
  ["maskmov", maskedMove], ...simdFloatHelpers, ...simdStringHelpers,
];

/** Behind VEX stand the same ones, with a `v` in front, and some more. */
export const simdHelpers: ReadonlyMap<string, Helper> = new Map<string, Helper>([
  ["emms", leaveMmx], ...shared.map(([name, helper]): [string, Helper] => [`v${name}`, helper]),
  ...shared, ...avxHelpers, ...fmaHelpers,
]);
