/** XSAVE and its kin: state components, their images, XCR0 (Intel SDM 1 §13). */
import type { Instruction } from "../decoder/instruction.ts";
import { cr0Bits, cr4Bits, state, vector } from "../layout.ts";
import type { Features } from "./features.ts";
import {
  checkedMxcsr, component, fxsave, requireAligned, restoreXmm, writeLegacy, writeMxcsr, x87Of,
  xmmCount,
} from "./fpu.ts";
import type { Helper } from "./helpers.ts";
import type { Processor } from "./processor.ts";

const rax = 0, rcx = 1, rdx = 2;
/** Places in an image: the header behind the legacy region, then the upper halves of YMM. */
const image = { header: 512, compaction: 520, headerEnd: 576, avx: 576 } as const;
const avxBytes = 256;
/** XCOMP_BV of the compacted form, whose only component has the same place as in the other. */
const compacted = 1n << 63n;
const mxcsrInitial = 0x1f80;

/** What XCR0 may enable. */
export const supportedStates = (features: Features) =>
  component.x87 | component.sse | (features.has("avx") ? component.avx : 0);

export const imageBytes = (parts: number) =>
  (parts & component.avx) !== 0 ? image.avx + avxBytes : image.headerEnd;

/** Offset and size of a component, for CPUID; the legacy ones have none. */
export const componentPlace = (index: number) =>
  1 << index === component.avx ? { bytes: avxBytes, offset: image.avx } : { bytes: 0, offset: 0 };

function requireXsave(cpu: Processor): void {
  if ((cpu.cr4 & cr4Bits.osxsave) === 0) {
    cpu.raise(vector.ud);
  }
  if ((cpu.cr0 & cr0Bits.ts) !== 0) {
    cpu.raise(vector.nm);
  }
}

/** The components asked for, of those that XCR0 has enabled. */
const requested = (cpu: Processor) => cpu.gpr32(rax) & cpu.msr.xcr0;

const upperHalves = (cpu: Processor) =>
  cpu.bytes.subarray(state.ymmHigh, state.ymmHigh + xmmCount(cpu) * 16);

/** XINUSE: x87 and SSE always count as used, AVX while an upper half is not zero. Kernels ask at
 * every switch of tasks, so words are compared, in a plain loop. */
function inUse(cpu: Processor): number {
  const { view } = cpu;
  let bits = 0;
  for (let at: number = state.ymmHigh; at < state.ymmHigh + avxBytes; at += 4) {
    bits |= view.getInt32(at, true);
  }
  return component.x87 | component.sse | (bits !== 0 ? component.avx : 0);
}

interface Saving {
  /** Components in their initial state are left out. */
  readonly optimises: boolean;
  readonly compacts: boolean;
}

function save({ optimises, compacts }: Saving): Helper {
  return (cpu, instruction) => {
    requireXsave(cpu);
    const parts = requested(cpu), used = inUse(cpu);
    const written = optimises ? parts & used : parts;
    const bytes = imageBytes(written);
    const linear = cpu.linear(instruction, bytes, true);
    requireAligned(cpu, linear, 64n);
    const target = cpu.readBytes(linear, bytes);
    const view = new DataView(target.buffer);
    writeLegacy(cpu, target, instruction, written);
    if ((written & component.avx) !== 0) {
      target.set(upperHalves(cpu), image.avx);
    }
    const wantsMxcsr = compacts ? component.sse : component.sse | component.avx;
    if ((parts & wantsMxcsr) !== 0) {
      writeMxcsr(cpu, target);
    }
    // In the standard form the components not asked for keep their bits (SDM 1 §13.7).
    const kept = compacts ? 0 : view.getUint32(image.header, true) & ~parts;
    if (compacts) {
      target.fill(0, image.header, image.headerEnd);
      view.setBigUint64(image.compaction, compacted | BigInt(parts), true);
    }
    view.setUint32(image.header, kept | (parts & used), true);
    cpu.writeBytes(linear, target);
  };
}

/** Components that the image holds; #GP(0) for one that cannot be (SDM 1 §13.8.1, §13.8.2). */
function checkedHeader(cpu: Processor, from: Uint8Array): { held: number; isCompacted: boolean } {
  const view = new DataView(from.buffer);
  const held = view.getBigUint64(image.header, true);
  const layout = view.getBigUint64(image.compaction, true);
  const isCompacted = (layout & compacted) !== 0n && cpu.features.has("xsavec");
  const allowed = isCompacted ? layout & ~compacted : BigInt(cpu.msr.xcr0);
  const reserved = from.subarray(isCompacted ? image.compaction + 8 : image.compaction,
    isCompacted ? image.headerEnd : image.compaction + 16);
  if ((allowed & ~BigInt(cpu.msr.xcr0)) !== 0n || (held & ~allowed) !== 0n
    || reserved.some((byte) => byte !== 0)) {
    cpu.raise(vector.gp, 0);
  }
  return { held: Number(held), isCompacted };
}

function restore(cpu: Processor, instruction: Instruction): void {
  requireXsave(cpu);
  const linear = cpu.linear(instruction, image.headerEnd, false);
  requireAligned(cpu, linear, 64n);
  const header = cpu.readBytes(linear, image.headerEnd);
  const { held, isCompacted } = checkedHeader(cpu, header);
  const parts = requested(cpu);
  const from = cpu.readBytes(linear, imageBytes(parts & held));
  const view = new DataView(from.buffer);
  const loads = (part: number) => (parts & part) !== 0;
  let mxcsr = cpu.u32(state.mxcsr);
  if (isCompacted && loads(component.sse) && (held & component.sse) === 0) {
    mxcsr = mxcsrInitial;
  } else if (loads(isCompacted ? component.sse : component.sse | component.avx)) {
    mxcsr = checkedMxcsr(cpu, view.getUint32(fxsave.mxcsr, true));
  }
  if (loads(component.x87)) {
    restoreX87(cpu, instruction, view, held);
  }
  cpu.setU32(state.mxcsr, mxcsr);
  if (loads(component.sse)) {
    if ((held & component.sse) === 0) {
      cpu.bytes.fill(0, state.xmm, state.xmm + xmmCount(cpu) * 16);
    } else {
      restoreXmm(cpu, from);
    }
  }
  if (loads(component.avx)) {
    const upper = upperHalves(cpu);
    if ((held & component.avx) === 0) {
      upper.fill(0);
    } else {
      upper.set(from.subarray(image.avx, image.avx + upper.length));
    }
  }
}

function restoreX87(
  cpu: Processor, instruction: Instruction, view: DataView, held: number,
): void {
  if ((held & component.x87) !== 0) {
    x87Of(cpu).restoreFrom(view, instruction.operandWidth === 64);
  } else {
    x87Of(cpu).initialise();
  }
}

/** XCR0, and with ECX = 1 what of it is in use. */
function getControl(cpu: Processor): void {
  if ((cpu.cr4 & cr4Bits.osxsave) === 0) {
    cpu.raise(vector.ud);
  }
  const number = cpu.gpr32(rcx);
  if (number > 1 || (number === 1 && !cpu.features.has("xgetbv1"))) {
    cpu.raise(vector.gp, 0);
  }
  cpu.setGpr32(rax, number === 0 ? cpu.msr.xcr0 : cpu.msr.xcr0 & inUse(cpu));
  cpu.setGpr32(rdx, 0);
}

/** x87 stays enabled, and AVX needs SSE (SDM 1 §13.3). */
function setControl(cpu: Processor, instruction: Instruction): number {
  if ((cpu.cr4 & cr4Bits.osxsave) === 0) {
    cpu.raise(vector.ud);
  }
  const value = cpu.gpr32(rax);
  const wrong = cpu.cpl !== 0 || cpu.gpr32(rcx) !== 0 || cpu.gpr32(rdx) !== 0
    || (value & component.x87) === 0 || (value & ~supportedStates(cpu.features)) !== 0
    || ((value & component.avx) !== 0 && (value & component.sse) === 0);
  if (wrong) {
    cpu.raise(vector.gp, 0);
  }
  cpu.msr.xcr0 = value;
  return cpu.resyncAfter(instruction);
}

export const xsaveHelpers: readonly (readonly [string, Helper])[] = [
  ["xsave", save({ optimises: false, compacts: false })],
  ["xsaveopt", save({ optimises: true, compacts: false })],
  ["xsavec", save({ optimises: true, compacts: true })],
  ["xrstor", restore], ["xgetbv", getControl], ["xsetbv", setControl],
];
