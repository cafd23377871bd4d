/** CPUID (Intel SDM 2A): the model's features, with the hypervisor leaves of bhyve. */
import { cr4Bits, physicalAddressBits } from "../layout.ts";
import { featureBits, type Features } from "./features.ts";
import type { Processor } from "./processor.ts";
import { processorSignature } from "./reset.ts";
import { componentPlace, imageBytes, supportedStates } from "./xsave.ts";

const bit = (...numbers: readonly number[]) =>
  numbers.reduce((all, number) => (all | (1 << number)) >>> 0, 0);

/** What every model has, besides its features; in the manual's order of bits. */
const leaf1 = {
  ecx: bit(21 /* x2APIC */, 24 /* TSC deadline */, 31 /* hypervisor */),
  edx: bit(0 /* FPU */, 2 /* DE */, 3 /* PSE */, 4 /* TSC */, 5 /* MSR */, 6 /* PAE */,
    7 /* MCE */, 8 /* CX8 */, 9 /* APIC */, 11 /* SEP */, 12 /* MTRR */, 13 /* PGE */,
    14 /* MCA */, 15 /* CMOV */, 16 /* PAT */, 17 /* PSE-36 */, 19 /* CLFSH */, 23 /* MMX */,
    24 /* FXSR */, 25 /* SSE */, 26 /* SSE2 */),
};
const apicBit = bit(9);
const osxsaveBit = bit(27);

const leaf7 = {
  edx: bit(26 /* IBRS */, 27 /* STIBP */, 29 /* ARCH_CAPABILITIES */, 31 /* SSBD */),
};

const extended1 = {
  edx: bit(11 /* SYSCALL */, 20 /* NX */, 26 /* 1 GiB pages */, 27 /* RDTSCP */, 29 /* LM */),
};

export const tscHz = 1_000_000_000;
const clflushLines = 8;
const vendor = "GenuineIntel";
const hypervisor = "bhyve bhyve ";
const brand = "tsbhyve software x86-64 processor";
const standardMax = 0x16, hypervisorMax = 0x4000_0010, extendedMax = 0x8000_0008;
const linearAddressBits = 48;

type Leaf = readonly [eax: number, ebx: number, ecx: number, edx: number];
const zero: Leaf = [0, 0, 0, 0];

function word(text: string, at: number): number {
  let value = 0;
  for (let index = 3; index >= 0; index -= 1) {
    const code = at + index < text.length ? text.charCodeAt(at + index) : 0;
    value = ((value << 8) | code) >>> 0;
  }
  return value;
}

export interface CpuidContext {
  readonly apicId: number;
  readonly cpus: number;
  readonly osxsave: boolean;
  readonly apicEnabled: boolean;
  readonly features: Features;
  readonly xcr0: number;
}

function topology(subleaf: number, context: CpuidContext): Leaf {
  const bits = Math.ceil(Math.log2(Math.max(context.cpus, 1)));
  if (subleaf === 0) {
    return [0, 1, 0x100, context.apicId];
  }
  return subleaf === 1 ? [bits, context.cpus, 0x201, context.apicId]
    : [0, 0, subleaf & 0xff, context.apicId];
}

function leaf7Of(subleaf: number, { features }: CpuidContext): Leaf {
  switch (subleaf) {
    case 0: return [2, featureBits(features, "7.ebx"), featureBits(features, "7.ecx"),
      (leaf7.edx | featureBits(features, "7.edx")) >>> 0];
    case 2: return [0, 0, 0, bit(4)]; // BHI_CTRL: no guest need clear branch history by itself.
    default: return zero;
  }
}

/** Sizes of the images of XSAVE, by component. */
function saveAreas(subleaf: number, { features, xcr0 }: CpuidContext): Leaf {
  const states = supportedStates(features);
  switch (subleaf) {
    case 0: return [states, imageBytes(xcr0), imageBytes(states), 0];
    case 1: return [featureBits(features, "d.1.eax"),
      features.has("xsavec") ? imageBytes(xcr0) : 0, 0, 0];
    default: {
      const known = subleaf < 32 && (states & 1 << subleaf) !== 0;
      const { bytes, offset } = componentPlace(subleaf);
      return known ? [bytes, offset, 0, 0] : zero;
    }
  }
}

function standard(leaf: number, subleaf: number, context: CpuidContext): Leaf {
  switch (leaf) {
    case 0: return [standardMax, word(vendor, 0), word(vendor, 8), word(vendor, 4)];
    case 1: return [
      processorSignature,
      ((context.apicId << 24) | (Math.min(context.cpus, 255) << 16) | (clflushLines << 8)) >>> 0,
      (leaf1.ecx | featureBits(context.features, "1.ecx")
        | (context.osxsave ? osxsaveBit : 0)) >>> 0,
      (context.apicEnabled ? leaf1.edx : leaf1.edx & ~apicBit) >>> 0,
    ];
    case 7: return leaf7Of(subleaf, context);
    case 0xb: return topology(subleaf, context);
    case 0xd: return saveAreas(subleaf, context);
    case 0x15: return [1, 1, tscHz, 0];
    case 0x16: return [tscHz / 1e6, tscHz / 1e6, 100, 0];
    default: return zero;
  }
}

function extended(leaf: number, { features }: CpuidContext): Leaf {
  switch (leaf) {
    case 0x8000_0000: return [extendedMax, 0, 0, 0];
    case 0x8000_0001: return [0, 0, featureBits(features, "80000001.ecx"), extended1.edx];
    case 0x8000_0002: case 0x8000_0003: case 0x8000_0004: {
      const at = (leaf - 0x8000_0002) * 16;
      return [word(brand, at), word(brand, at + 4), word(brand, at + 8), word(brand, at + 12)];
    }
    case 0x8000_0007: return [0, 0, 0, bit(8)]; // Invariant TSC
    case 0x8000_0008: return [physicalAddressBits | (linearAddressBits << 8), 0, 0, 0];
    default: return zero;
  }
}

/** The four registers of a leaf; unknown leaves are zero. */
export function cpuidLeaf(leaf: number, subleaf: number, context: CpuidContext): Leaf {
  if (leaf >= 0x8000_0000) {
    return extended(leaf, context);
  }
  if (leaf === 0x4000_0000) {
    return [hypervisorMax, word(hypervisor, 0), word(hypervisor, 4), word(hypervisor, 8)];
  }
  if (leaf === hypervisorMax) {
    return [tscHz / 1000, tscHz / 1000, 0, 0];
  }
  return leaf < 0x4000_0000 ? standard(leaf, subleaf, context) : zero;
}

const rax = 0, rcx = 1, rdx = 2, rbx = 3;

export function cpuid(cpu: Processor): void {
  const result = cpuidLeaf(cpu.gpr32(rax), cpu.gpr32(rcx), {
    apicId: cpu.options.apicId ?? 0, cpus: cpu.options.cpus ?? 1,
    osxsave: (cpu.cr4 & cr4Bits.osxsave) !== 0, apicEnabled: cpu.msr.apicEnabled,
    features: cpu.features, xcr0: cpu.msr.xcr0,
  });
  cpu.setGpr32(rax, result[0]);
  cpu.setGpr32(rbx, result[1]);
  cpu.setGpr32(rcx, result[2]);
  cpu.setGpr32(rdx, result[3]);
}
