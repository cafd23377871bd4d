/**
 * The value of `vmm.soft.cpu`: a level of the x86-64 psABI, then features switched on and off,
 * as QEMU writes models: `x86-64-v3,+aes,-avx2`.
 */
import { nearest } from "./suggest.ts";
import type { Reading } from "./values.ts";

/** Features by name, with what they are nothing without. */
export const cpuFeatureNeeds = {
  sse3: [], pclmulqdq: [], ssse3: ["sse3"], fma: ["avx"], cx16: [], pcid: [],
  "sse4.1": ["ssse3"], "sse4.2": ["sse4.1"], movbe: [], popcnt: [], aes: [], xsave: [],
  avx: ["xsave", "sse4.2"], f16c: ["avx"], rdrand: [], fsgsbase: [], bmi1: [], avx2: ["avx"],
  smep: [], bmi2: [], erms: [], invpcid: [], rdseed: [], adx: [], smap: [], sha: [], umip: [],
  fsrm: [], serialize: [], xsaveopt: ["xsave"], xsavec: ["xsave"], xgetbv1: ["xsave"],
  "lahf-lm": [], lzcnt: [],
} as const;

export type CpuFeature = keyof typeof cpuFeatureNeeds;

const names = Object.keys(cpuFeatureNeeds);
const isFeature = (name: string): name is CpuFeature => Object.hasOwn(cpuFeatureNeeds, name);

/** What every level has here: none of it changes what programs may use. */
const always = ["pcid", "xsave", "xsaveopt", "rdrand", "rdseed", "fsgsbase", "smep", "smap",
  "invpcid", "erms", "fsrm", "umip",
  // Else Linux returns from an interrupt that was none after each piece of code that it patches.
  "serialize"] as const;
const second = ["cx16", "lahf-lm", "popcnt", "sse3", "ssse3", "sse4.1", "sse4.2"] as const;
const third = ["movbe", "lzcnt", "bmi1", "bmi2", "avx", "avx2", "fma", "f16c", "xsavec",
  "xgetbv1"] as const;

export const cpuLevels: Readonly<Record<string, readonly CpuFeature[]>> = {
  "x86-64-v1": always,
  "x86-64-v2": [...always, ...second],
  "x86-64-v3": [...always, ...second, ...third],
};

export const defaultCpuModel = "x86-64-v3,+aes,+pclmulqdq,+adx,+sha";

const levelNames = Object.keys(cpuLevels);

export const cpuModelHelp = `${levelNames.join(", ")}; then any of +NAME and -NAME, NAME being `
  + names.join(", ");

/** Switches a feature on with all that it needs, or off with all that needs it. */
function change(features: Set<string>, name: CpuFeature, on: boolean): void {
  if (on) {
    features.add(name);
    for (const other of cpuFeatureNeeds[name]) {
      change(features, other, true);
    }
    return;
  }
  features.delete(name);
  for (const [other, needs] of Object.entries<readonly string[]>(cpuFeatureNeeds)) {
    if (features.has(other) && needs.includes(name) && isFeature(other)) {
      change(features, other, false);
    }
  }
}

const suggestion = (word: string, known: readonly string[]) => {
  const near = nearest(word, known);
  return near === undefined ? "" : `; did you mean ${near}?`;
};

/** Reads a model: its features, or what is wrong with the text. */
export function readCpuModel(text: string): Reading<ReadonlySet<string>> {
  const [level = "", ...changes] = text.split(",").map((part) => part.trim());
  const start = Object.hasOwn(cpuLevels, level) ? cpuLevels[level] : undefined;
  if (start === undefined) {
    return { wrong: `"${level}" is no level${suggestion(level, levelNames)}; allowed: `
      + cpuModelHelp };
  }
  const features = new Set<string>(start);
  for (const part of changes) {
    const name = part.slice(1);
    if (!/^[+-]/.test(part)) {
      return { wrong: `"${part}" has no + or - in front; allowed: ${cpuModelHelp}` };
    }
    if (!isFeature(name)) {
      return { wrong: `"${name}" is no feature${suggestion(name, names)}; allowed: `
        + cpuModelHelp };
    }
    change(features, name, part.startsWith("+"));
  }
  return { value: features };
}
