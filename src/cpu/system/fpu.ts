/** Helpers of the floating-point and SIMD units. */
import type { Helper } from "./helpers.ts";

export const fpuHelpers: ReadonlyMap<string, Helper> = new Map<string, Helper>();
