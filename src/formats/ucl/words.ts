/** Words of UCL without quotes: numbers with suffixes, and variables (libucl's README). */
import type { ReadOptions } from "../format.ts";

const multipliers = new Map([
  ["k", 1e3], ["m", 1e6], ["g", 1e9], ["kb", 2 ** 10], ["mb", 2 ** 20], ["gb", 2 ** 30],
  ["ms", 1e-3], ["s", 1], ["min", 60], ["h", 3600], ["d", 86400], ["w", 7 * 86400],
  ["y", 365 * 86400],
]);
const number = /^(-?(?:[0-9]+(?:\.[0-9]+)?))(kb|mb|gb|ms|min|[kmgshdwy])$/i;

/** A number with a suffix as a plain one: decimal thousands, binary with b, times in seconds. */
export function withoutSuffix(word: string): string | undefined {
  const [, digits, suffix = ""] = number.exec(word) ?? [];
  const factor = multipliers.get(suffix.toLowerCase());
  if (digits === undefined || factor === undefined) {
    return undefined;
  }
  const value = Number(digits) * factor;
  return Number.isFinite(value) && Math.abs(value) < 1e21 ? String(value) : undefined;
}

/** Puts in `$NAME` and `${NAME}`; `$$` is a dollar sign, and an unknown name stays as it is. */
export function expandVariables(
  text: string, variables: NonNullable<ReadOptions["variables"]>,
): string {
  return text.replace(/\$(?:\$|\{(\w+)\}|(\w+))/g, (whole, braced, plain) =>
    whole === "$$" ? "$" : variables.get(braced ?? plain) ?? whole);
}
