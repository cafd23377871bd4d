/** What a processor model may offer beyond the base of x86-64, by the names that QEMU has, too. */
import { assert } from "../../base/assert.ts";

/** A register of a CPUID leaf. */
export type CpuidWord = "1.ecx" | "7.ebx" | "7.ecx" | "7.edx" | "d.1.eax" | "80000001.ecx";

interface Feature {
  readonly word: CpuidWord;
  readonly bit: number;
  /** Without these it makes no sense. */
  readonly needs: readonly string[];
}

const feature = (word: CpuidWord, bit: number, ...needs: readonly string[]): Feature =>
  ({ word, bit, needs });

/** Intel SDM 2A, CPUID; a row of the instruction tables names the feature that it needs. */
export const featureTable: Readonly<Record<string, Feature>> = {
  sse3: feature("1.ecx", 0),
  pclmulqdq: feature("1.ecx", 1),
  ssse3: feature("1.ecx", 9, "sse3"),
  fma: feature("1.ecx", 12, "avx"),
  cx16: feature("1.ecx", 13),
  pcid: feature("1.ecx", 17),
  "sse4.1": feature("1.ecx", 19, "ssse3"),
  "sse4.2": feature("1.ecx", 20, "sse4.1"),
  movbe: feature("1.ecx", 22),
  popcnt: feature("1.ecx", 23),
  aes: feature("1.ecx", 25),
  xsave: feature("1.ecx", 26),
  avx: feature("1.ecx", 28, "xsave", "sse4.2"),
  f16c: feature("1.ecx", 29, "avx"),
  rdrand: feature("1.ecx", 30),
  fsgsbase: feature("7.ebx", 0),
  bmi1: feature("7.ebx", 3),
  avx2: feature("7.ebx", 5, "avx"),
  smep: feature("7.ebx", 7),
  bmi2: feature("7.ebx", 8),
  erms: feature("7.ebx", 9),
  invpcid: feature("7.ebx", 10),
  rdseed: feature("7.ebx", 18),
  adx: feature("7.ebx", 19),
  smap: feature("7.ebx", 20),
  sha: feature("7.ebx", 29),
  umip: feature("7.ecx", 2),
  fsrm: feature("7.edx", 4),
  xsaveopt: feature("d.1.eax", 0, "xsave"),
  xsavec: feature("d.1.eax", 1, "xsave"),
  xgetbv1: feature("d.1.eax", 2, "xsave"),
  "lahf-lm": feature("80000001.ecx", 0),
  lzcnt: feature("80000001.ecx", 5),
};

export type Features = ReadonlySet<string>;

/** All features of a model, as bits of one register of CPUID. */
export function featureBits(features: Features, word: CpuidWord): number {
  let bits = 0;
  for (const name of features) {
    const known = featureTable[name];
    assert(known !== undefined, `${name} is a feature`);
    bits |= known.word === word ? 1 << known.bit : 0;
  }
  return bits >>> 0;
}

/** What every level has here: none of it changes what programs may use. */
const always = ["pcid", "xsave", "xsaveopt", "rdrand", "rdseed", "fsgsbase", "smep", "smap",
  "invpcid", "erms", "fsrm", "umip"];
const second = ["cx16", "lahf-lm", "popcnt", "sse3", "ssse3", "sse4.1", "sse4.2"];
const third = ["movbe", "lzcnt", "bmi1", "bmi2", "avx", "avx2", "xsavec", "xgetbv1"];

/** The levels of the x86-64 psABI. */
export const levels: Readonly<Record<string, readonly string[]>> = {
  "x86-64-v1": always,
  "x86-64-v2": [...always, ...second],
  "x86-64-v3": [...always, ...second, ...third],
};

export const defaultFeatures: Features = new Set(levels["x86-64-v2"]);
/** Everything that there is. */
export const allFeatures: Features = new Set(Object.keys(featureTable));
