/** Placeholder. */
import type { Unit } from "./unit.ts";
export const transcendentals: Readonly<Record<number, (unit: Unit) => void>> = {};
