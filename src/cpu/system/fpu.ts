/** The x87 unit at the processor's side, and the images of FXSAVE (Intel SDM 1 §8, §10.5). */
import type { Instruction } from "../decoder/instruction.ts";
import { cr0Bits, cr4Bits, eflags, segmentIndex, state, vector } from "../layout.ts";
import { X87 } from "../x87/x87.ts";
import type { Helper } from "./helpers.ts";
import type { Processor } from "./processor.ts";

const units = new WeakMap<Processor, X87>();

/** The unit over this processor's record. */
export function x87Of(cpu: Processor): X87 {
  const known = units.get(cpu);
  if (known !== undefined) {
    return known;
  }
  const unit = new X87(cpu.view, state.x87);
  units.set(cpu, unit);
  return unit;
}

const fromEflags = eflags.cf | eflags.pf | eflags.zf;
const rax = 0;
/** What writing MXCSR may set: all but the reserved upper half. */
export const mxcsrMask = 0xffff;
export const fxsave = { bytes: 512, mxcsr: 24, mask: 28, xmm: 160 };
/** State components of XSAVE, as bits of XCR0. */
export const component = { x87: 1, sse: 2, avx: 4 } as const;

function requireUnit(cpu: Processor): void {
  if ((cpu.cr0 & (cr0Bits.em | cr0Bits.ts)) !== 0) {
    cpu.raise(vector.nm);
  }
}

function requirePendingNone(cpu: Processor): void {
  const { floatErrors } = cpu.options;
  if (!x87Of(cpu).hasPendingException()) {
    floatErrors?.settle();
  } else if (cpu.hasCr0("ne") || floatErrors?.ignored !== true) {
    cpu.raise(vector.mf); // Without CR0.NE it goes to interrupt 13 instead.
  }
}

function execute(cpu: Processor, instruction: Instruction): void {
  const unit = x87Of(cpu);
  const { opcode, modrm } = instruction;
  const form = unit.form(opcode, modrm);
  if (form === undefined) {
    cpu.raise(vector.ud);
  }
  requireUnit(cpu);
  if (form.waits) {
    requirePendingNone(cpu);
  }
  const wide = instruction.operandWidth !== 16;
  const length = wide ? form.bytes.wide : form.bytes.narrow;
  const linear = form.access === "none" ? 0n
    : cpu.linear(instruction, length, form.access === "write");
  const image = form.access === "read" ? cpu.readBytes(linear, length) : new Uint8Array(length);
  if (form.access === "write") {
    cpu.access.probeWrite(linear, length);
  }
  if (!form.control) {
    const data = form.access === "none" ? 0n : cpu.offsetOf(instruction);
    unit.setOrigin(cpu.instructionRip, cpu.selector(segmentIndex.cs), data,
      cpu.selector(instruction.segment));
  }
  unit.setMode(wide, cpu.isProtected && !cpu.isVirtual8086);
  const { flags } = cpu;
  unit.eflags = flags;
  unit.execute(opcode, modrm, new DataView(image.buffer));
  if (form.access === "write" && unit.stored) {
    cpu.writeBytes(linear, image);
  }
  finish(cpu, instruction, flags, unit);
}

/** FCOMI changes flags, FNSTSW AX the accumulator. */
function finish(cpu: Processor, instruction: Instruction, flags: number, unit: X87): void {
  const all = fromEflags | eflags.of | eflags.sf | eflags.af;
  if (((unit.eflags ^ flags) & all) !== 0) {
    cpu.flags = (flags & ~all) | (unit.eflags & all);
  }
  if (instruction.opcode === 0xdf && instruction.modrm === 0xe0) {
    cpu.setGprSized(rax, 16, BigInt(unit.ax));
  }
}

function wait(cpu: Processor): void {
  if ((cpu.cr0 & cr0Bits.mp) !== 0 && (cpu.cr0 & cr0Bits.ts) !== 0) {
    cpu.raise(vector.nm);
  }
  requirePendingNone(cpu);
}

/** XMM8 and on are those of 64-bit mode. */
export const xmmCount = (cpu: Processor) => cpu.is64Bit ? 16 : 8;

export function requireAligned(cpu: Processor, linear: bigint, bytes: bigint): void {
  if (linear % bytes !== 0n) {
    cpu.raise(vector.gp, 0);
  }
}

/** Writes the legacy region; `parts` as in XCR0. */
export function writeLegacy(
  cpu: Processor, image: Uint8Array, instruction: Instruction, parts: number,
): void {
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  if ((parts & component.x87) !== 0) {
    x87Of(cpu).saveTo(view, instruction.operandWidth === 64);
  }
  if ((parts & component.sse) !== 0) {
    const bytes = xmmCount(cpu) * 16;
    image.set(cpu.bytes.subarray(state.xmm, state.xmm + bytes), fxsave.xmm);
  }
}

export function writeMxcsr(cpu: Processor, image: Uint8Array): void {
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  view.setUint32(fxsave.mxcsr, cpu.u32(state.mxcsr), true);
  view.setUint32(fxsave.mask, mxcsrMask, true);
}

function save(cpu: Processor, instruction: Instruction): void {
  requireUnit(cpu);
  const linear = cpu.linear(instruction, fxsave.bytes, true);
  requireAligned(cpu, linear, 16n);
  // What the processor leaves alone keeps its bytes (SDM 2, FXSAVE).
  const image = cpu.readBytes(linear, fxsave.bytes);
  writeLegacy(cpu, image, instruction, component.x87 | component.sse);
  writeMxcsr(cpu, image);
  cpu.writeBytes(linear, image);
}

export function checkedMxcsr(cpu: Processor, value: number): number {
  if ((value & ~mxcsrMask) !== 0) {
    cpu.raise(vector.gp, 0);
  }
  return value;
}

export function restoreXmm(cpu: Processor, image: Uint8Array): void {
  const bytes = xmmCount(cpu) * 16;
  cpu.bytes.set(image.subarray(fxsave.xmm, fxsave.xmm + bytes), state.xmm);
}

function restore(cpu: Processor, instruction: Instruction): void {
  requireUnit(cpu);
  const linear = cpu.linear(instruction, fxsave.bytes, false);
  requireAligned(cpu, linear, 16n);
  const image = cpu.readBytes(linear, fxsave.bytes);
  const view = new DataView(image.buffer);
  const mxcsr = checkedMxcsr(cpu, view.getUint32(fxsave.mxcsr, true));
  x87Of(cpu).restoreFrom(view, instruction.operandWidth === 64);
  cpu.setU32(state.mxcsr, mxcsr);
  restoreXmm(cpu, image);
}

/** LDMXCSR, STMXCSR and all SSE instructions want these. */
export function requireSse(cpu: Processor): void {
  if ((cpu.cr0 & cr0Bits.em) !== 0 || (cpu.cr4 & cr4Bits.osfxsr) === 0) {
    cpu.raise(vector.ud);
  }
  if ((cpu.cr0 & cr0Bits.ts) !== 0) {
    cpu.raise(vector.nm);
  }
}

/** What instructions behind VEX want that work on vectors. */
export function requireAvx(cpu: Processor): void {
  const fault = cpu.u32(state.avxFault);
  if (fault !== 0) {
    cpu.raise(fault);
  }
}

const requireMxcsr = (cpu: Processor, { row }: Instruction) =>
  row.vex ? requireAvx(cpu) : requireSse(cpu);

function loadMxcsr(cpu: Processor, instruction: Instruction): void {
  requireMxcsr(cpu, instruction);
  const value = Number(cpu.read(cpu.linear(instruction, 4, false), 4));
  cpu.setU32(state.mxcsr, checkedMxcsr(cpu, value));
}

function storeMxcsr(cpu: Processor, instruction: Instruction): void {
  requireMxcsr(cpu, instruction);
  cpu.write(cpu.linear(instruction, 4, true), 4, BigInt(cpu.u32(state.mxcsr)));
}

export const fpuHelpers: ReadonlyMap<string, Helper> = new Map<string, Helper>([
  ["x87", execute], ["fwait", wait], ["fxsave", save], ["fxrstor", restore],
  ["ldmxcsr", loadMxcsr], ["stmxcsr", storeMxcsr],
  ["vldmxcsr", loadMxcsr], ["vstmxcsr", storeMxcsr],
]);
