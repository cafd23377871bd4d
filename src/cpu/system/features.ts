/** Where CPUID tells of the features of a processor model. */
import { assert } from "../../base/assert.ts";
import { defaultCpuModel, readCpuModel, type CpuFeature } from "../../config/cpu-model.ts";

/** A register of a CPUID leaf. */
export type CpuidWord = "1.ecx" | "7.ebx" | "7.ecx" | "7.edx" | "d.1.eax" | "80000001.ecx";

interface Feature {
  readonly word: CpuidWord;
  readonly bit: number;
}

const feature = (word: CpuidWord, bit: number): Feature => ({ word, bit });

/** Intel SDM 2A, CPUID; a row of the instruction tables names the feature that it needs. */
export const featureTable: Readonly<Record<CpuFeature, Feature>> = {
  sse3: feature("1.ecx", 0),
  pclmulqdq: feature("1.ecx", 1),
  ssse3: feature("1.ecx", 9),
  fma: feature("1.ecx", 12),
  cx16: feature("1.ecx", 13),
  pcid: feature("1.ecx", 17),
  "sse4.1": feature("1.ecx", 19),
  "sse4.2": feature("1.ecx", 20),
  movbe: feature("1.ecx", 22),
  popcnt: feature("1.ecx", 23),
  aes: feature("1.ecx", 25),
  xsave: feature("1.ecx", 26),
  avx: feature("1.ecx", 28),
  f16c: feature("1.ecx", 29),
  rdrand: feature("1.ecx", 30),
  fsgsbase: feature("7.ebx", 0),
  bmi1: feature("7.ebx", 3),
  avx2: feature("7.ebx", 5),
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
  serialize: feature("7.edx", 14),
  xsaveopt: feature("d.1.eax", 0),
  xsavec: feature("d.1.eax", 1),
  xgetbv1: feature("d.1.eax", 2),
  "lahf-lm": feature("80000001.ecx", 0),
  lzcnt: feature("80000001.ecx", 5),
};

export type Features = ReadonlySet<string>;

/** All features of a model, as bits of one register of CPUID. */
export function featureBits(features: Features, word: CpuidWord): number {
  let bits = 0;
  for (const [name, known] of Object.entries(featureTable)) {
    bits |= features.has(name) && known.word === word ? 1 << known.bit : 0;
  }
  return bits >>> 0;
}

/** The features of a model that has been read before. */
export function modelFeatures(model: string): Features {
  const reading = readCpuModel(model);
  assert("value" in reading, `${model} is a model`);
  return reading.value;
}

export const defaultFeatures: Features = modelFeatures(defaultCpuModel);
/** Everything that there is. */
export const allFeatures: Features = new Set(Object.keys(featureTable));
