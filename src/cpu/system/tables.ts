/** Descriptor tables and questions about selectors (Intel SDM 2: LGDT to ARPL). */
import type { Instruction } from "../decoder/instruction.ts";
import { eflags, segmentIndex, state, vector } from "../layout.ts";
import { requireNoUmip } from "./control.ts";
import { GuestFault } from "./fault.ts";
import { operandOf, readWordOperand, writeOperand, writeWordOperand } from "./operands.ts";
import { isCanonical } from "./execution.ts";
import type { Processor } from "./processor.ts";
import {
  descriptorType, dplOf, isCode, isConforming, isNull, isSystem, loadLdtr, loadTaskRegister,
  readDescriptor, typeOf, type Descriptor,
} from "./segments.ts";

const places = {
  gdt: { base: state.gdtrBase, limit: state.gdtrLimit },
  idt: { base: state.idtrBase, limit: state.idtrLimit },
} as const;

/** A base of 24 bits with a 16-bit operand size (SDM 2, LGDT). */
const narrowBase = 0xff_ffffn;

export function loadTable(which: "gdt" | "idt") {
  return (cpu: Processor, instruction: Instruction): void => {
    cpu.requireCpl0();
    const bytes = cpu.is64Bit ? 8 : 4;
    const linear = cpu.linear(instruction, 2 + bytes, false);
    const limit = cpu.access.read32(linear, 2);
    let base = cpu.read(linear + 2n, bytes);
    if (!cpu.is64Bit && instruction.operandWidth === 16) {
      base &= narrowBase;
    }
    if (cpu.is64Bit && !isCanonical(base)) {
      cpu.raise(vector.gp, 0);
    }
    cpu.setU64(places[which].base, base);
    cpu.setU32(places[which].limit, limit);
  };
}

export function storeTable(which: "gdt" | "idt") {
  return (cpu: Processor, instruction: Instruction): void => {
    requireNoUmip(cpu);
    const bytes = cpu.is64Bit ? 8 : 4;
    const image = new Uint8Array(2 + bytes);
    const view = new DataView(image.buffer);
    view.setUint16(0, cpu.u32(places[which].limit), true);
    const base = cpu.u64(places[which].base);
    if (bytes === 8) {
      view.setBigUint64(2, base, true);
    } else {
      view.setUint32(2, Number(base & 0xffff_ffffn), true);
    }
    cpu.writeBytes(cpu.linear(instruction, image.length, true), image);
  };
}

function requireProtected(cpu: Processor): void {
  if (!cpu.isProtected || cpu.isVirtual8086) {
    cpu.raise(vector.ud);
  }
}

export function loadLocalTable(cpu: Processor, instruction: Instruction): void {
  requireProtected(cpu);
  cpu.requireCpl0();
  loadLdtr(cpu, readWordOperand(cpu, instruction, 0));
}

export function loadTask(cpu: Processor, instruction: Instruction): void {
  requireProtected(cpu);
  cpu.requireCpl0();
  loadTaskRegister(cpu, readWordOperand(cpu, instruction, 0));
}

export function storeSelector(segment: number) {
  return (cpu: Processor, instruction: Instruction): void => {
    requireProtected(cpu);
    requireNoUmip(cpu);
    writeWordOperand(cpu, instruction, 0, cpu.selector(segment));
  };
}

function setZf(cpu: Processor, value: boolean): void {
  cpu.flags = value ? cpu.flags | eflags.zf : cpu.flags & ~eflags.zf;
}

/** The descriptor, or undefined where the selector names none; page faults still happen. */
function findDescriptor(cpu: Processor, selector: number): Descriptor | undefined {
  if (isNull(selector)) {
    return undefined;
  }
  try {
    return readDescriptor(cpu, selector);
  } catch (fault) {
    if (fault instanceof GuestFault && fault.vector === vector.gp) {
      return undefined;
    }
    throw fault;
  }
}

/** Visible at CPL and RPL: conforming code always is. */
function isVisible(cpu: Processor, selector: number, attributes: number): boolean {
  return (!isSystem(attributes) && isConforming(attributes))
    || dplOf(attributes) >= Math.max(cpu.cpl, selector & 3);
}

const forLimits = new Set<number>([
  descriptorType.tss16Available, descriptorType.ldt, descriptorType.tss16Busy,
  descriptorType.tss32Available, descriptorType.tss32Busy,
]);
const forRights = new Set<number>([
  ...forLimits, descriptorType.callGate16, descriptorType.taskGate, descriptorType.callGate32,
]);
const forRightsLong = new Set<number>([
  descriptorType.ldt, descriptorType.tss32Available, descriptorType.tss32Busy,
  descriptorType.callGate32,
]);
const forLimitsLong = new Set<number>([
  descriptorType.ldt, descriptorType.tss32Available, descriptorType.tss32Busy,
]);

/** LAR and LSL: the rights or the limit, and ZF for having found them. */
export function loadRights(what: "rights" | "limit") {
  return (cpu: Processor, instruction: Instruction): void => {
    requireProtected(cpu);
    const selector = readWordOperand(cpu, instruction, 1);
    const found = findDescriptor(cpu, selector);
    const allowed = what === "rights" ? (cpu.isLongMode ? forRightsLong : forRights)
      : cpu.isLongMode ? forLimitsLong : forLimits;
    const fits = found !== undefined && isVisible(cpu, selector, found.attributes)
      && (!isSystem(found.attributes) || allowed.has(typeOf(found.attributes)));
    if (fits) {
      const value = what === "rights" ? (found.hi & 0x00ff_ff00) >>> 0 : found.limit;
      writeOperand(cpu, instruction, 0, BigInt(value));
    }
    setZf(cpu, fits);
  };
}

export function verify(what: "read" | "write") {
  return (cpu: Processor, instruction: Instruction): void => {
    requireProtected(cpu);
    const selector = readWordOperand(cpu, instruction, 0);
    const found = findDescriptor(cpu, selector);
    const attributes = found?.attributes ?? 0;
    const fits = found !== undefined && !isSystem(attributes)
      && isVisible(cpu, selector, attributes)
      && (what === "read" ? !isCode(attributes) || (attributes & 2) !== 0
        : !isCode(attributes) && (attributes & 2) !== 0);
    setZf(cpu, fits);
  };
}

export function adjustRpl(cpu: Processor, instruction: Instruction): void {
  requireProtected(cpu);
  const target = readWordOperand(cpu, instruction, 0);
  const source = readWordOperand(cpu, instruction, 1) & 3;
  const raise = (target & 3) < source;
  if (raise && operandOf(instruction, 0).kind !== "immediate") {
    writeWordOperand(cpu, instruction, 0, (target & ~3) | source);
  }
  setZf(cpu, raise);
}

export const storeLocalTable = storeSelector(segmentIndex.ldtr);
export const storeTask = storeSelector(segmentIndex.tr);
