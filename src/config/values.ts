/** Texts of configuration values, read the way bhyve 15.1 and its C library read them. */

/** A value read, or what was allowed instead. */
export type Reading<T> = { readonly value: T } | { readonly wrong: string };

const trueWords = new Set(["true", "on", "yes"]);
const falseWords = new Set(["false", "off", "no"]);
export const boolHelp = "true, on, yes or 1; false, off, no or 0";

/** Words in any case, digits exactly, no blanks. */
export function readBool(text: string): Reading<boolean> {
  const word = asciiLower(text);
  if (trueWords.has(word) || text === "1") {
    return { value: true };
  }
  if (falseWords.has(word) || text === "0") {
    return { value: false };
  }
  return { wrong: `allowed: ${boolHelp}` };
}

/** C compares ASCII letters only; `toLowerCase` would also fold the Kelvin sign. */
export function asciiLower(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** What C's `strtol` family found at the start of a text. */
export interface NumberPrefix {
  readonly value: bigint;
  /** Length of what was read, blanks and sign included; 0 if there was no number. */
  readonly length: number;
}

const digitsByBase = new Map([
  [2, /^[01]+/], [8, /^[0-7]+/], [10, /^[0-9]+/], [16, /^[0-9a-fA-F]+/],
]);
const prefixByBase = new Map([[2, "0b"], [8, "0o"], [10, ""], [16, "0x"]]);

/** `strtol` without its clamping: base 0 takes 0x, 0b (C23) and a leading 0 as hints. */
export function numberPrefix(text: string, base: 0 | 10 | 16 = 0): NumberPrefix {
  const start = /^[ \t\n\v\f\r]*([+-]?)/.exec(text);
  const lead = start?.[0].length ?? 0;
  const rest = text.slice(lead);
  const hex = /^0[xX](?=[0-9a-fA-F])/.test(rest) && base !== 10;
  const binary = base === 0 && /^0[bB](?=[01])/.test(rest);
  let used = base;
  let actual = 10;
  if (hex) {
    actual = 16;
  } else if (binary) {
    actual = 2;
  } else if (used === 0) {
    actual = rest.startsWith("0") ? 8 : 10;
  } else {
    actual = used;
  }
  const skip = hex || binary ? 2 : 0;
  const digits = digitsByBase.get(actual)?.exec(rest.slice(skip))?.[0] ?? "";
  if (digits === "") {
    return { value: 0n, length: 0 };
  }
  const magnitude = BigInt((prefixByBase.get(actual) ?? "") + digits);
  const value = start?.[1] === "-" ? -magnitude : magnitude;
  return { value, length: lead + skip + digits.length };
}

export interface IntegerLimits {
  readonly min?: number;
  readonly max?: number;
}

/** A whole text that is one integer, in base 0. */
export function readInteger(text: string, limits: IntegerLimits = {}): Reading<number> {
  const min = limits.min ?? Number.MIN_SAFE_INTEGER;
  const max = limits.max ?? Number.MAX_SAFE_INTEGER;
  const { value, length } = numberPrefix(text);
  if (length === 0 || length !== text.length || value < BigInt(min) || value > BigInt(max)) {
    return { wrong: `allowed: ${describeIntegers(limits)}` };
  }
  return { value: Number(value) };
}

export function describeIntegers(limits: IntegerLimits): string {
  if (limits.min === undefined && limits.max === undefined) {
    return "a whole number";
  }
  if (limits.max === undefined) {
    return `a whole number from ${limits.min}`;
  }
  return limits.min === undefined ? `a whole number up to ${limits.max}`
    : `a whole number from ${limits.min} to ${limits.max}`;
}

const shifts = new Map([["k", 10n], ["m", 20n], ["g", 30n], ["t", 40n], ["p", 50n], ["e", 60n]]);
const wordMax = (1n << 64n) - 1n;
const mebibyte = 1n << 20n;
export const sizeHelp = "a number of MiB, or of bytes from 1048576 on, "
  + "or a number with K, M, G or T";

/** A memory size in bytes: below 1 MiB a plain number counts MiB; expand_number(3) suffixes. */
export function readSize(text: string): Reading<bigint> {
  const { value, length } = numberPrefix(text);
  const wrong = { wrong: `allowed: ${sizeHelp}` };
  if (length === 0) {
    return wrong;
  }
  if (length === text.length) {
    // strtoul(3): a minus sign wraps, too much saturates; neither is an error here.
    const wrapped = value < 0n ? BigInt.asUintN(64, value) : value;
    const plain = wrapped > wordMax || value < -wordMax ? wordMax : wrapped;
    return { value: plain < mebibyte ? plain * mebibyte : plain };
  }
  const suffix = asciiLower(text.slice(length));
  const shift = suffix === "b" ? 0n : shifts.get(suffix.charAt(0));
  const tail = suffix.slice(1);
  if (shift === undefined || (tail !== "" && tail !== "b") || value < 0n) {
    return wrong;
  }
  const bytes = value << shift;
  return bytes > wordMax ? wrong : { value: bytes };
}

/** A slot `[bus:]slot[:function]` as a value; three numbers in plain decimal. */
export interface PciSlot {
  readonly bus: number;
  readonly slot: number;
  readonly func: number;
}

export const pciLimits = { bus: 255, slot: 31, func: 7 } as const;
export const slotHelp = "slot, slot:function or bus:slot:function; bus up to 255, slot 31, "
  + "function 7";

/** One `%d` of sscanf(3): blanks, a sign, decimal digits. */
const scanned = "[ \\t\\n\\v\\f\\r]*([+-]?[0-9]+)";
const threeNumbers = new RegExp(`^${scanned}:${scanned}:${scanned}`);
const twoNumbers = new RegExp(`^${scanned}:${scanned}`);
const oneNumber = new RegExp(`^${scanned}`);

/** What `sscanf("%d:%d:%d")`, then `%d:%d`, then `%d` make of a text: trailing junk is ignored. */
export function readSlot(text: string): Reading<PciSlot> {
  const [, ...numbers] = threeNumbers.exec(text) ?? twoNumbers.exec(text)
    ?? oneNumber.exec(text) ?? [];
  const [first, second, third] = numbers.map(Number);
  const found = third !== undefined ? { bus: first ?? -1, slot: second ?? -1, func: third }
    : { bus: 0, slot: first ?? -1, func: second ?? 0 };
  const inRange = (value: number, max: number) => value >= 0 && value <= max;
  if (inRange(found.bus, pciLimits.bus) && inRange(found.slot, pciLimits.slot)
    && inRange(found.func, pciLimits.func)) {
    // `-0` satisfies the range; a key must not show it.
    return { value: { bus: found.bus + 0, slot: found.slot + 0, func: found.func + 0 } };
  }
  return { wrong: `allowed: ${slotHelp}` };
}
