/** Vector instructions that are no expressions, by mnemonic. */
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

export const simdHelpers: ReadonlyMap<string, Helper> = new Map<string, Helper>([
  ["emms", leaveMmx], ["maskmov", maskedMove], ...simdFloatHelpers, ...simdStringHelpers,
]);
