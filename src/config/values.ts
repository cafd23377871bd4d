/** Texts of configuration values, read the way bhyve 15.1 and its C library read them. */
import { exitStatus } from "../base/errors.ts";

/** A value read, or what was allowed instead. */
export type Reading<T> = { readonly value: T } | Wrong;

interface Wrong {
  readonly wrong: string;
  /** Exit status, where bhyve's is not 4. */
  readonly status?: number;
}

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
  const wrong = { wrong: `allowed: ${sizeHelp}`, status: exitStatus.usage };
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

/** The source of a regular expression for one `%d` of sscanf(3): blanks, a sign, digits. */
export const scanned = "[ \\t\\n\\v\\f\\r]*([+-]?[0-9]+)";
const threeNumbers = new RegExp(`^${scanned}:${scanned}:${scanned}`);
const twoNumbers = new RegExp(`^${scanned}:${scanned}`);
const oneNumber = new RegExp(`^${scanned}`);

/** An `int` as sscanf(3) stores it: clamped to 64 bits, then cut to 32. */
export function scannedInt(digits: string): number {
  const limit = 1n << 63n;
  const value = BigInt(digits.replace("+", ""));
  const clamped = value >= limit ? limit - 1n : value < -limit ? -limit : value;
  return Number(BigInt.asIntN(32, clamped));
}

/** What `sscanf("%d:%d:%d")`, then `%d:%d`, then `%d` make of a text: trailing junk is ignored. */
export function readSlot(text: string): Reading<PciSlot> {
  const [, ...numbers] = threeNumbers.exec(text) ?? twoNumbers.exec(text)
    ?? oneNumber.exec(text) ?? [];
  const [first, second, third] = numbers.map(scannedInt);
  const found = third !== undefined ? { bus: first ?? -1, slot: second ?? -1, func: third }
    : { bus: 0, slot: first ?? -1, func: second ?? 0 };
  const inRange = (value: number, max: number) => value >= 0 && value <= max;
  if (inRange(found.bus, pciLimits.bus) && inRange(found.slot, pciLimits.slot)
    && inRange(found.func, pciLimits.func)) {
    return { value: found };
  }
  return { wrong: `allowed: ${slotHelp}` };
}

/** Host CPUs that a list may name. */
const cpuMax = 1023;
export const cpuListHelp = `CPUs from 0 to ${cpuMax} and ranges of them, joined by commas: 0,2-3`;

/** A list of CPU numbers, `0,2-3`, each in base 0; sorted and without repeats. */
export function readCpuList(text: string): Reading<readonly number[]> {
  const wrong = { wrong: `allowed: ${cpuListHelp}` };
  const found = new Set<number>();
  for (const item of text.split(",")) {
    const first = numberPrefix(item);
    const last = item.charAt(first.length) === "-" ? numberPrefix(item.slice(first.length + 1))
      : { value: first.value, length: -1 };
    // No separator was read if there is no range.
    const length = first.length + 1 + last.length;
    const inRange = first.value >= 0n && first.value <= last.value && last.value <= BigInt(cpuMax);
    if (first.length === 0 || last.length === 0 || length !== item.length || !inRange) {
      return wrong;
    }
    for (let cpu = Number(first.value); cpu <= Number(last.value); cpu += 1) {
      found.add(cpu);
    }
  }
  return { value: [...found].sort((a, b) => a - b) };
}

/** How virtual CPUs are arranged. */
export interface Topology {
  readonly sockets: number;
  readonly cores: number;
  readonly threads: number;
  readonly cpus: number;
}

export const cpusMax = 65535;

/** Completes a topology as bhyve does: sockets default to the number of CPUs, or to one. */
export function completeTopology(given: {
  readonly cpus: number | undefined; readonly sockets: number | undefined;
  readonly cores: number; readonly threads: number;
}): Reading<Topology> {
  const { cores, threads } = given;
  const sockets = given.sockets ?? given.cpus ?? 1;
  const cpus = sockets * cores * threads;
  if (cpus > cpusMax) {
    return { wrong: `${sockets} sockets, ${cores} cores and ${threads} threads make ${cpus} CPUs; `
      + `allowed: up to ${cpusMax}` };
  }
  if (given.cpus !== undefined && given.cpus !== cpus) {
    return { wrong: `${sockets} sockets, ${cores} cores and ${threads} threads make ${cpus} CPUs; `
      + `allowed: ${given.cpus}, the value of cpus (sockets default to it)` };
  }
  return { value: { sockets, cores, threads, cpus } };
}
