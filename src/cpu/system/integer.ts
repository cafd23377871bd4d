/** Instructions of user code that are no expressions (Intel SDM 2): division with a remainder of
 * 128 bits, CMPXCHG16B, ENTER, XLAT, BOUND, random numbers, flags in the hard cases. */
import type { Instruction } from "../decoder/instruction.ts";
import { cr4Bits, eflags, segmentIndex, vector } from "../layout.ts";
import { setTsc } from "./msr.ts";
import { operandOf, readOperand, writeOperand, writeWordOperand } from "./operands.ts";
import type { Processor } from "./processor.ts";
import { loadSegment } from "./segments.ts";
import { StackFrame, stackBits } from "./stack.ts";

const rax = 0, rcx = 1, rdx = 2, rbx = 3, rsp = 4, rbp = 5;

/** DIV and IDIV at any width; #DE for zero and for quotients that do not fit. */
export function divide(isSigned: boolean) {
  return (cpu: Processor, instruction: Instruction): void => {
    const operand = operandOf(instruction, 0);
    const width = operand.kind === "register" || operand.kind === "memory" ? operand.width : 64;
    const raw = readOperand(cpu, instruction, 0);
    const high = width === 8 ? cpu.gprSized(rax, 16) >> 8n : cpu.gprSized(rdx, width);
    const wide = (high << BigInt(width)) | cpu.gprSized(rax, width);
    const divisor = isSigned ? BigInt.asIntN(width, raw) : raw;
    const dividend = isSigned ? BigInt.asIntN(width * 2, wide) : wide;
    if (divisor === 0n) {
      cpu.raise(vector.de);
    }
    const quotient = dividend / divisor, remainder = dividend % divisor;
    const fits = isSigned ? BigInt.asIntN(width, quotient) === quotient
      : BigInt.asUintN(width, quotient) === quotient;
    if (!fits) {
      cpu.raise(vector.de);
    }
    if (width === 8) {
      cpu.setGprSized(rax, 16, (BigInt.asUintN(8, remainder) << 8n) | BigInt.asUintN(8, quotient));
    } else {
      cpu.setGprSized(rax, width, BigInt.asUintN(width, quotient));
      cpu.setGprSized(rdx, width, BigInt.asUintN(width, remainder));
    }
  };
}

export function translateByte(cpu: Processor, instruction: Instruction): void {
  const segment = instruction.segmentOverride >= 0
    ? instruction.segmentOverride : segmentIndex.ds;
  const offset = BigInt.asUintN(instruction.addressWidth, cpu.gpr(rbx) + (cpu.gpr(rax) & 0xffn));
  const value = cpu.read(cpu.linearAt(segment, offset, 1, false), 1);
  cpu.setGpr(rax, (cpu.gpr(rax) & ~0xffn) | value);
}

/** What was pushed so far, downwards from `pointer`, and not written yet. */
interface Pushed {
  readonly values: readonly bigint[];
  readonly pointer: bigint;
  readonly bytes: number;
  readonly bits: number;
}

/** The value at `at` as if the pushes had been written: ENTER may copy from its own frame. */
function withPushed(old: bigint, at: bigint, { values, pointer, bytes, bits }: Pushed): bigint {
  let result = old;
  for (let index = 0; index < bytes; index += 1) {
    const above = BigInt.asIntN(bits, pointer + BigInt(bytes - 1) - (at + BigInt(index)));
    const value = above < 0n ? undefined : values[Number(above / BigInt(bytes))];
    if (value !== undefined) {
      const from = BigInt(bytes - 1) - above % BigInt(bytes);
      const byte = (value >> (from * 8n)) & 0xffn;
      const shift = BigInt(index * 8);
      result = (result & ~(0xffn << shift)) | (byte << shift);
    }
  }
  return result;
}

export function enter(cpu: Processor, instruction: Instruction): void {
  const immediate = (index: number) => Number(readOperand(cpu, instruction, index));
  const size = BigInt(immediate(0) & 0xffff);
  const level = immediate(1) & 31;
  const width = instruction.operandWidth;
  const bytes = width / 8;
  const bits = stackBits(cpu, cpu.segment(segmentIndex.ss));
  const frame = StackFrame.current(cpu);
  const values = [cpu.gprSized(rbp, width)];
  const pointer = BigInt.asUintN(bits, frame.pointer - BigInt(bytes));
  for (let index = 1; index < level; index += 1) {
    const at = BigInt.asUintN(bits, cpu.gpr(rbp) - BigInt(index * bytes));
    const old = cpu.read(cpu.linearAt(segmentIndex.ss, at, bytes, false), bytes);
    values.push(withPushed(old, at, { values, pointer, bytes, bits }));
  }
  if (level > 0) {
    values.push(pointer);
  }
  frame.push(values, bytes, "present");
  const end = BigInt.asUintN(bits, frame.pointer - size);
  // The new top must be writable, though nothing is written there (SDM 2, ENTER).
  cpu.access.probeWrite(cpu.linearAt(segmentIndex.ss, end, 1, true), 1);
  cpu.setGprSized(rbp, width, pointer);
  cpu.setGprSized(rsp, bits, end);
}

export function bound(cpu: Processor, instruction: Instruction): void {
  const width = instruction.operandWidth;
  const bytes = width / 8;
  const index = BigInt.asIntN(width, readOperand(cpu, instruction, 0));
  const linear = cpu.linear(instruction, bytes * 2, false);
  const lower = BigInt.asIntN(width, cpu.read(linear, bytes));
  const upper = BigInt.asIntN(width, cpu.read(linear + BigInt(bytes), bytes));
  if (index < lower || index > upper) {
    cpu.raise(vector.br);
  }
}

const arithmetic = eflags.cf | eflags.pf | eflags.af | eflags.zf | eflags.sf | eflags.of;

/** RDRAND and RDSEED always have a number: CF is set, the other flags are clear. */
export function random(cpu: Processor, instruction: Instruction): void {
  const bytes = new Uint8Array(8);
  cpu.options.entropy(bytes);
  writeOperand(cpu, instruction, 0, new DataView(bytes.buffer).getBigUint64(0, true));
  cpu.flags = (cpu.flags & ~arithmetic) | eflags.cf;
}

export function readTsc(cpu: Processor): void {
  if ((cpu.cr4 & cr4Bits.tsd) !== 0 && cpu.cpl > 0) {
    cpu.raise(vector.gp, 0);
  }
  setTsc(cpu);
}

export function readTscAndAux(cpu: Processor): void {
  readTsc(cpu);
  cpu.setGpr(rcx, cpu.msr.tscAux & 0xffff_ffffn);
}

// Flags, where the interpreter's quick cases give up.

function iopl(cpu: Processor): number {
  return (cpu.flags & eflags.iopl) >>> 12;
}

function requireIopl(cpu: Processor): void {
  if (cpu.isProtected && cpu.cpl > iopl(cpu)) {
    cpu.raise(vector.gp, 0);
  }
}

export function clearInterrupts(cpu: Processor): void {
  requireIopl(cpu);
  cpu.flags &= ~eflags.if;
}

export function setInterrupts(cpu: Processor, instruction: Instruction): number {
  requireIopl(cpu);
  const wasClear = (cpu.flags & eflags.if) === 0;
  cpu.flags |= eflags.if;
  return wasClear ? cpu.shadowAfter(instruction) : cpu.resyncAfter(instruction);
}

export function pushFlags(cpu: Processor, instruction: Instruction): void {
  if (cpu.isVirtual8086 && iopl(cpu) < 3) {
    cpu.raise(vector.gp, 0);
  }
  const frame = StackFrame.current(cpu);
  const image = cpu.flags & ~(eflags.vm | eflags.rf);
  frame.push([BigInt(image >>> 0)], instruction.operandWidth / 8, "present");
  frame.commit();
}

export function popFlags(cpu: Processor, instruction: Instruction): number {
  if (cpu.isVirtual8086 && iopl(cpu) < 3) {
    cpu.raise(vector.gp, 0);
  }
  const bytes = instruction.operandWidth / 8;
  const frame = StackFrame.current(cpu);
  const popped = Number(frame.pop(bytes) & 0xffff_ffffn);
  frame.commit();
  let mask = arithmetic | eflags.tf | eflags.df | eflags.nt;
  mask |= bytes > 2 ? eflags.ac | eflags.id : 0;
  mask |= cpu.cpl <= iopl(cpu) || cpu.isVirtual8086 ? eflags.if : 0;
  mask |= cpu.cpl === 0 ? eflags.iopl : 0;
  // RF is cleared by POPF (SDM 2B).
  cpu.flags = (cpu.flags & ~mask & ~eflags.rf) | (popped & mask);
  return cpu.resyncAfter(instruction);
}

// Segment registers.

export function moveFromSegment(cpu: Processor, instruction: Instruction): void {
  const source = operandOf(instruction, 1);
  const number = source.kind === "register" ? source.number : 0;
  if (number > segmentIndex.gs) {
    cpu.raise(vector.ud);
  }
  writeWordOperand(cpu, instruction, 0, cpu.selector(number));
}

export function moveToSegment(cpu: Processor, instruction: Instruction): number {
  const target = operandOf(instruction, 0);
  const number = target.kind === "register" ? target.number : 0;
  if (number === segmentIndex.cs || number > segmentIndex.gs) {
    cpu.raise(vector.ud);
  }
  loadSegment(cpu, number, Number(readOperand(cpu, instruction, 1) & 0xffffn));
  return number === segmentIndex.ss
    ? cpu.shadowAfter(instruction) : cpu.resyncAfter(instruction);
}

/** The middle bits of the opcode name the register. */
const segmentOfOpcode = (instruction: Instruction) => (instruction.opcode >> 3) & 7;

export function pushSegment(cpu: Processor, instruction: Instruction): void {
  const frame = StackFrame.current(cpu);
  const selector = BigInt(cpu.selector(segmentOfOpcode(instruction)));
  frame.push([selector], instruction.operandWidth / 8, "present");
  frame.commit();
}

export function popSegment(cpu: Processor, instruction: Instruction): number {
  const frame = StackFrame.current(cpu);
  const selector = Number(frame.pop(instruction.operandWidth / 8) & 0xffffn);
  const segment = segmentOfOpcode(instruction);
  // A new SS must not change how wide the pointer of the old stack is.
  const bits = stackBits(cpu, cpu.segment(segmentIndex.ss));
  loadSegment(cpu, segment, selector);
  cpu.setGprSized(rsp, bits, frame.pointer);
  return segment === segmentIndex.ss
    ? cpu.shadowAfter(instruction) : cpu.resyncAfter(instruction);
}

const farSegments: Record<number, number> = {
  0xc4: segmentIndex.es, 0xc5: segmentIndex.ds, 0xb2: segmentIndex.ss, 0xb4: segmentIndex.fs,
  0xb5: segmentIndex.gs,
};

export function loadFarPointer(cpu: Processor, instruction: Instruction): number {
  const bytes = instruction.operandWidth / 8;
  const linear = cpu.linear(instruction, bytes + 2, false);
  const offset = cpu.read(linear, bytes);
  const selector = cpu.access.read32(linear + BigInt(bytes), 2);
  loadSegment(cpu, farSegments[instruction.opcode] ?? segmentIndex.ds, selector);
  writeOperand(cpu, instruction, 0, offset);
  return cpu.resyncAfter(instruction);
}

// FS and GS bases.

function requireFsgsbase(cpu: Processor): void {
  if ((cpu.cr4 & cr4Bits.fsgsbase) === 0) {
    cpu.raise(vector.ud);
  }
}

export function readBase(segment: number) {
  return (cpu: Processor, instruction: Instruction): void => {
    requireFsgsbase(cpu);
    writeOperand(cpu, instruction, 0, cpu.segmentBase(segment));
  };
}

export function writeBase(segment: number) {
  return (cpu: Processor, instruction: Instruction): void => {
    requireFsgsbase(cpu);
    const value = readOperand(cpu, instruction, 0);
    const canonical = BigInt.asUintN(64, BigInt.asIntN(48, value)) === value;
    if (!canonical) {
      cpu.raise(vector.gp, 0);
    }
    cpu.setSegmentBase(segment, value);
  };
}
