/** Control registers and the instructions that change modes (Intel SDM 3A §2.5, §9.8). */
import type { Instruction } from "../decoder/instruction.ts";
import { attribute, cr0Bits, cr4Bits, eferBits, segmentIndex, state, vector } from "../layout.ts";
import type { Processor } from "./processor.ts";

const known = {
  cr0: Object.values(cr0Bits).reduce((all, bit) => all | bit, 0) >>> 0,
  cr4: Object.values(cr4Bits).reduce((all, bit) => all | bit, 0) >>> 0,
};
const translating = { cr0: (cr0Bits.pg | cr0Bits.wp | cr0Bits.pe) >>> 0,
  cr4: cr4Bits.pae | cr4Bits.pse | cr4Bits.pge | cr4Bits.pcide | cr4Bits.smep | cr4Bits.smap };
const keepTranslations = 1n << 63n;
const physicalLimit = 1n << 40n;

export function writeCr0(cpu: Processor, value: bigint): void {
  const low = Number(value & 0xffff_ffffn);
  const has = (bit: number) => (low & bit) !== 0;
  if (value > 0xffff_ffffn || (has(cr0Bits.pg) && !has(cr0Bits.pe))
    || (has(cr0Bits.nw) && !has(cr0Bits.cd))) {
    cpu.raise(vector.gp, 0);
  }
  const old = cpu.cr0;
  if (has(cr0Bits.pg) && (old & cr0Bits.pg) === 0 && (cpu.efer & eferBits.lme) !== 0) {
    if ((cpu.cr4 & cr4Bits.pae) === 0
      || (cpu.segmentAttributes(segmentIndex.cs) & attribute.long) !== 0) {
      cpu.raise(vector.gp, 0);
    }
    cpu.setU64(state.efer, BigInt(cpu.efer | eferBits.lma));
  }
  if (!has(cr0Bits.pg) && (old & cr0Bits.pg) !== 0) {
    if (cpu.is64Bit || (cpu.cr4 & cr4Bits.pcide) !== 0) {
      cpu.raise(vector.gp, 0);
    }
    cpu.setU64(state.efer, BigInt(cpu.efer & ~eferBits.lma));
  }
  const next = ((low & known.cr0) | cr0Bits.et) >>> 0;
  cpu.setU64(state.cr0, BigInt(next));
  if (((old ^ next) & translating.cr0) !== 0) {
    cpu.flushTlb();
  }
}

export function writeCr3(cpu: Processor, value: bigint): void {
  const kept = cpu.isLongMode ? value & ~keepTranslations : value & 0xffff_ffffn;
  if (cpu.isLongMode && kept >= physicalLimit) {
    cpu.raise(vector.gp, 0);
  }
  cpu.setU64(state.cr3, kept);
  cpu.flushTlb();
}

export function writeCr4(cpu: Processor, value: bigint): void {
  const low = Number(value & 0xffff_ffffn);
  const long = cpu.isLongMode;
  const losesPae = (low & cr4Bits.pae) === 0 && long;
  const setsPcid = (low & cr4Bits.pcide) !== 0 && (cpu.cr4 & cr4Bits.pcide) === 0;
  const badPcid = setsPcid && (!long || (cpu.u64(state.cr3) & 0xfffn) !== 0n);
  if (value > 0xffff_ffffn || (low & ~known.cr4) !== 0 || losesPae || badPcid) {
    cpu.raise(vector.gp, 0);
  }
  const old = cpu.cr4;
  cpu.setU64(state.cr4, BigInt(low >>> 0));
  if (((old ^ low) & translating.cr4) !== 0) {
    cpu.flushTlb();
  }
}

function registerNumber(instruction: Instruction, index: 0 | 1): number {
  const operand = instruction.operands[index];
  return operand?.kind === "register" ? operand.number : 0;
}

/** Control and debug registers move whole registers: 64 bits in 64-bit mode, else 32. */
const moveWidth = (cpu: Processor) => cpu.is64Bit ? 64 : 32;

export function moveFromControl(cpu: Processor, instruction: Instruction): void {
  cpu.requireCpl0();
  const target = registerNumber(instruction, 0);
  cpu.setGprSized(target, moveWidth(cpu), readControl(cpu, registerNumber(instruction, 1)));
}

function readControl(cpu: Processor, number: number): bigint {
  switch (number) {
    case 0: return cpu.u64(state.cr0);
    case 2: return cpu.u64(state.cr2);
    case 3: return cpu.u64(state.cr3);
    case 4: return cpu.u64(state.cr4);
    case 8: return BigInt((cpu.options.apic?.tpr ?? 0) >>> 4);
    default: return cpu.raise(vector.ud);
  }
}

export function moveToControl(cpu: Processor, instruction: Instruction): number {
  cpu.requireCpl0();
  const value = cpu.gprSized(registerNumber(instruction, 1), moveWidth(cpu));
  switch (registerNumber(instruction, 0)) {
    case 0: writeCr0(cpu, value); break;
    case 2: cpu.setU64(state.cr2, value); break;
    case 3: writeCr3(cpu, value); break;
    case 4: writeCr4(cpu, value); break;
    case 8: writeTaskPriority(cpu, value); break;
    default: cpu.raise(vector.ud);
  }
  return cpu.resyncAfter(instruction);
}

function writeTaskPriority(cpu: Processor, value: bigint): void {
  if (value > 15n) {
    cpu.raise(vector.gp, 0);
  }
  if (cpu.options.apic !== undefined) {
    cpu.options.apic.tpr = Number(value) << 4;
  }
}

export function moveFromDebug(cpu: Processor, instruction: Instruction): void {
  cpu.requireCpl0();
  const value = cpu.debug.read(registerNumber(instruction, 1));
  cpu.setGprSized(registerNumber(instruction, 0), moveWidth(cpu), value);
}

export function moveToDebug(cpu: Processor, instruction: Instruction): number {
  cpu.requireCpl0();
  const value = cpu.gprSized(registerNumber(instruction, 1), moveWidth(cpu));
  cpu.debug.write(registerNumber(instruction, 0), value);
  return cpu.resyncAfter(instruction);
}

export function clearTaskSwitched(cpu: Processor, instruction: Instruction): number {
  cpu.requireCpl0();
  writeCr0(cpu, BigInt((cpu.cr0 & ~cr0Bits.ts) >>> 0));
  return cpu.resyncAfter(instruction);
}

export function requireNoUmip(cpu: Processor): void {
  if (cpu.cpl > 0 && (cpu.cr4 & cr4Bits.umip) !== 0) {
    cpu.raise(vector.gp, 0);
  }
}

/** Writes PE, MP, EM and TS; it cannot clear PE. */
export function loadMachineStatus(cpu: Processor, value: number, instruction: Instruction): number {
  cpu.requireCpl0();
  const low = (value & 0xf) | (cpu.cr0 & cr0Bits.pe);
  writeCr0(cpu, BigInt(((cpu.cr0 & ~0xf) | low) >>> 0));
  return cpu.resyncAfter(instruction);
}

export function invalidatePage(cpu: Processor, instruction: Instruction): number {
  cpu.requireCpl0();
  // Entries of a large page are spread over the TLB, so all go.
  cpu.flushTlb();
  return cpu.resyncAfter(instruction);
}

/** INVPCID: the four types, all of which may drop more than they name. */
export function invalidatePcid(cpu: Processor, instruction: Instruction): number {
  cpu.requireCpl0();
  const [register] = instruction.operands;
  const type = register?.kind === "register"
    ? cpu.gprSized(register.number, moveWidth(cpu)) : 0n;
  const linear = cpu.linear(instruction, 16, false);
  const pcid = cpu.read(linear, 8);
  const wantsPcid = type === 0n || type === 1n;
  const withoutPcid = (cpu.cr4 & cr4Bits.pcide) === 0 && pcid !== 0n;
  if (type > 3n || pcid > 0xfffn || (wantsPcid && withoutPcid)) {
    cpu.raise(vector.gp, 0);
  }
  cpu.flushTlb();
  return cpu.resyncAfter(instruction);
}
