/** Far transfers (Intel SDM 2: JMP, CALL, RET, IRET, INT; 3A §5.8): code segments, call gates,
 * tasks, and returns to outer privileges. */
import type { Instruction } from "../decoder/instruction.ts";
import { attribute, eflags, segmentIndex, state, vector } from "../layout.ts";
import { deliverOnce } from "./delivery.ts";
import { isCanonical } from "./execution.ts";
import type { Processor } from "./processor.ts";
import {
  descriptorType, dplOf, dropPrivilegedSegments, isCode, isConforming, isNull, isPresent, isSystem,
  markAccessed, readDescriptor, readUpperBase, segmentFrom, stackSegment, typeOf, type Descriptor,
} from "./segments.ts";
import { StackFrame, stackBits } from "./stack.ts";
import { mayUseTask, switchTask } from "./task.ts";
import { innerStack } from "./tss.ts";

const rsp = 4;
const parametersMask = 31;

interface FarPointer {
  readonly selector: number;
  readonly offset: bigint;
}

function pointerOf(cpu: Processor, instruction: Instruction): FarPointer {
  const [operand] = instruction.operands;
  if (operand?.kind === "far") {
    return { selector: operand.selector, offset: BigInt(operand.offset) };
  }
  const bytes = instruction.operandWidth / 8;
  const linear = cpu.linear(instruction, bytes + 2, false);
  return {
    offset: cpu.access.read(linear, bytes),
    selector: cpu.access.read32(linear + BigInt(bytes), 2),
  };
}

const isReal = (cpu: Processor) => !cpu.isProtected || cpu.isVirtual8086;

function enterReal(cpu: Processor, target: FarPointer): number {
  const cs = cpu.segment(segmentIndex.cs);
  if (target.offset > BigInt(cs.limit)) {
    cpu.raise(vector.gp, 0);
  }
  cpu.setSegment(segmentIndex.cs, {
    ...cs, selector: target.selector, base: BigInt(target.selector << 4),
    attributes: cpu.isVirtual8086 ? 0xf3 : 0x9b,
  });
  cpu.rip = target.offset;
  return cpu.resync();
}

/** Checks a code segment as the target of a JMP or CALL that keeps CPL. */
function checkDirect(cpu: Processor, selector: number, descriptor: Descriptor): void {
  const { attributes } = descriptor;
  const { cpl } = cpu;
  const dpl = dplOf(attributes);
  const fits = isConforming(attributes) ? dpl <= cpl : dpl === cpl && (selector & 3) <= cpl;
  if (!fits) {
    cpu.raise(vector.gp, selector & 0xfffc);
  }
  checkCode(cpu, selector, descriptor);
}

function checkCode(cpu: Processor, selector: number, descriptor: Descriptor): void {
  const both = attribute.long | attribute.big;
  if (cpu.isLongMode && (descriptor.attributes & both) === both) {
    cpu.raise(vector.gp, selector & 0xfffc);
  }
  if (!isPresent(descriptor.attributes)) {
    cpu.raise(vector.np, selector & 0xfffc);
  }
}

/** The instruction pointer must lie in the new segment. */
function checkTarget(cpu: Processor, descriptor: Descriptor, offset: bigint): void {
  const is64 = cpu.isLongMode && (descriptor.attributes & attribute.long) !== 0;
  if (is64 ? !isCanonical(offset) : offset > BigInt(descriptor.limit)) {
    cpu.raise(vector.gp, 0);
  }
}

function enterCode(
  cpu: Processor, selector: number, cpl: number, descriptor: Descriptor, offset: bigint,
): void {
  markAccessed(cpu, descriptor);
  cpu.setSegment(segmentIndex.cs, segmentFrom((selector & 0xfffc) | cpl, descriptor));
  cpu.setU32(state.cpl, cpl);
  cpu.rip = offset;
}

interface CallGate {
  readonly selector: number;
  readonly offset: bigint;
  readonly parameters: number;
  readonly bytes: 2 | 4 | 8;
}

function readGate(cpu: Processor, selector: number, gate: Descriptor): CallGate {
  const { attributes, lo, hi } = gate;
  if (dplOf(attributes) < cpu.cpl || dplOf(attributes) < (selector & 3)) {
    cpu.raise(vector.gp, selector & 0xfffc);
  }
  if (!isPresent(attributes)) {
    cpu.raise(vector.np, selector & 0xfffc);
  }
  const wide = typeOf(attributes) === descriptorType.callGate32;
  const low = wide ? ((lo & 0xffff) | (hi & 0xffff_0000)) >>> 0 : lo & 0xffff;
  const upper = cpu.isLongMode ? readUpperBase(cpu, selector, vector.gp) : 0n;
  return {
    selector: lo >>> 16, offset: upper | BigInt(low), parameters: hi & parametersMask,
    bytes: cpu.isLongMode ? 8 : wide ? 4 : 2,
  };
}

function gateCode(cpu: Processor, gate: CallGate): Descriptor {
  if (isNull(gate.selector)) {
    cpu.raise(vector.gp, 0);
  }
  const descriptor = readDescriptor(cpu, gate.selector);
  const { attributes } = descriptor;
  const needs64 = cpu.isLongMode && (attributes & attribute.long) === 0;
  if (isSystem(attributes) || !isCode(attributes) || dplOf(attributes) > cpu.cpl || needs64) {
    cpu.raise(vector.gp, gate.selector & 0xfffc);
  }
  checkCode(cpu, gate.selector, descriptor);
  return descriptor;
}

/** A descriptor that is no code segment: a gate or a task. */
function transferBySystem(
  cpu: Processor, selector: number, descriptor: Descriptor, isCall: boolean, next: bigint,
): number {
  const type = typeOf(descriptor.attributes);
  const kind = isCall ? "nested" : "jump";
  if (type === descriptorType.callGate32 || (type === descriptorType.callGate16
    && !cpu.isLongMode)) {
    return transferByGate(cpu, readGate(cpu, selector, descriptor), isCall, next);
  }
  if (cpu.isLongMode || !mayUseTask(cpu, selector, descriptor.attributes)) {
    return cpu.raise(vector.gp, selector & 0xfffc);
  }
  if (type === descriptorType.taskGate) {
    if (!isPresent(descriptor.attributes)) {
      cpu.raise(vector.np, selector & 0xfffc);
    }
    switchTask(cpu, descriptor.lo >>> 16, kind, next, 0);
  } else if (type === descriptorType.tss32Available || type === descriptorType.tss16Available) {
    switchTask(cpu, selector, kind, next, 0);
  } else {
    cpu.raise(vector.gp, selector & 0xfffc);
  }
  return cpu.resync();
}

function transferByGate(cpu: Processor, gate: CallGate, isCall: boolean, next: bigint): number {
  const descriptor = gateCode(cpu, gate);
  const inner = isCall && !isConforming(descriptor.attributes)
    && dplOf(descriptor.attributes) < cpu.cpl;
  if (!isCall && !isConforming(descriptor.attributes)
    && dplOf(descriptor.attributes) !== cpu.cpl) {
    cpu.raise(vector.gp, gate.selector & 0xfffc);
  }
  checkTarget(cpu, descriptor, gate.offset);
  if (inner) {
    callInner(cpu, gate, descriptor, next);
    return cpu.resync();
  }
  if (isCall) {
    const frame = StackFrame.current(cpu);
    frame.push([BigInt(cpu.selector(segmentIndex.cs)), next], gate.bytes, "present");
    frame.commit();
  }
  enterCode(cpu, gate.selector, cpu.cpl, descriptor, gate.offset);
  return cpu.resync();
}

function callInner(cpu: Processor, gate: CallGate, descriptor: Descriptor, next: bigint): void {
  const cpl = dplOf(descriptor.attributes);
  const oldSs = cpu.selector(segmentIndex.ss), oldRsp = cpu.gpr(rsp);
  const values = [BigInt(oldSs), oldRsp];
  const link = [BigInt(cpu.selector(segmentIndex.cs)), next];
  if (cpu.isLongMode) {
    const segment = { selector: cpl, base: 0n, limit: 0xffff_ffff,
      attributes: attribute.unusable | (cpl << attribute.dplShift) };
    const frame = new StackFrame(cpu, segment, innerStack.long(cpu, cpl), 64);
    frame.push([...values, ...link], 8, "system");
    enterCode(cpu, gate.selector, cpl, descriptor, gate.offset);
    cpu.setSegment(segmentIndex.ss, segment);
    frame.commit();
    return;
  }
  const inner = innerStack.legacy(cpu, cpl);
  const ss = stackSegment(cpu, inner.selector, cpl, vector.ts);
  const outer = StackFrame.current(cpu);
  const parameters = Array.from({ length: gate.parameters }, () => outer.pop(gate.bytes));
  const bits = (ss.attributes & attribute.big) !== 0 ? 32 : 16;
  const frame = new StackFrame(cpu, ss, inner.pointer, bits);
  frame.push([...values, ...parameters.reverse(), ...link], gate.bytes, "system");
  enterCode(cpu, gate.selector, cpl, descriptor, gate.offset);
  cpu.setSegment(segmentIndex.ss, ss);
  frame.commit();
}

function transfer(cpu: Processor, instruction: Instruction, isCall: boolean): number {
  const target = pointerOf(cpu, instruction);
  const next = cpu.nextRip(instruction);
  const bytes = instruction.operandWidth / 8;
  const pushLink = () => {
    const frame = StackFrame.current(cpu);
    frame.push([BigInt(cpu.selector(segmentIndex.cs)), next], bytes, "present");
    frame.commit();
  };
  if (isReal(cpu)) {
    if (target.offset > BigInt(cpu.segmentLimit(segmentIndex.cs))) {
      cpu.raise(vector.gp, 0);
    }
    if (isCall) {
      pushLink();
    }
    return enterReal(cpu, target);
  }
  if (isNull(target.selector)) {
    cpu.raise(vector.gp, 0);
  }
  const descriptor = readDescriptor(cpu, target.selector);
  if (isSystem(descriptor.attributes)) {
    return transferBySystem(cpu, target.selector, descriptor, isCall, next);
  }
  if (!isCode(descriptor.attributes)) {
    cpu.raise(vector.gp, target.selector & 0xfffc);
  }
  checkDirect(cpu, target.selector, descriptor);
  checkTarget(cpu, descriptor, target.offset);
  if (isCall) {
    pushLink();
  }
  enterCode(cpu, target.selector, cpu.cpl, descriptor, target.offset);
  return cpu.resync();
}

export const jumpFar = (cpu: Processor, instruction: Instruction) =>
  transfer(cpu, instruction, false);
export const callFar = (cpu: Processor, instruction: Instruction) =>
  transfer(cpu, instruction, true);

/** The code segment a RET or IRET goes back to. */
function returnCode(cpu: Processor, selector: number): Descriptor {
  if (isNull(selector)) {
    cpu.raise(vector.gp, 0);
  }
  const descriptor = readDescriptor(cpu, selector);
  const { attributes } = descriptor;
  const rpl = selector & 3;
  const fits = isConforming(attributes) ? dplOf(attributes) <= rpl : dplOf(attributes) === rpl;
  if (isSystem(attributes) || !isCode(attributes) || rpl < cpu.cpl || !fits) {
    cpu.raise(vector.gp, selector & 0xfffc);
  }
  checkCode(cpu, selector, descriptor);
  return descriptor;
}

/** The stack segment popped by a return; null is one of 64-bit code's own. */
function returnStack(cpu: Processor, selector: number, rpl: number, to64: boolean) {
  if (isNull(selector) && to64 && rpl !== 3) {
    return { selector, base: 0n, limit: 0xffff_ffff,
      attributes: attribute.unusable | (rpl << attribute.dplShift) };
  }
  return stackSegment(cpu, selector, rpl);
}

export function returnFar(cpu: Processor, instruction: Instruction): number {
  const bytes = instruction.operandWidth / 8;
  const [operand] = instruction.operands;
  const extra = operand?.kind === "immediate" ? Number(operand.value & 0xffffn) : 0;
  const frame = StackFrame.current(cpu);
  const offset = frame.pop(bytes);
  const selector = Number(frame.pop(bytes) & 0xffffn);
  if (isReal(cpu)) {
    frame.skip(extra);
    if (offset > BigInt(cpu.segmentLimit(segmentIndex.cs))) {
      cpu.raise(vector.gp, 0);
    }
    frame.commit();
    return enterReal(cpu, { selector, offset });
  }
  const descriptor = returnCode(cpu, selector);
  checkTarget(cpu, descriptor, offset);
  frame.skip(extra);
  const rpl = selector & 3;
  if (rpl === cpu.cpl) {
    frame.commit();
    enterCode(cpu, selector, rpl, descriptor, offset);
    return cpu.resync();
  }
  const outerRsp = frame.pop(bytes);
  const outerSs = Number(frame.pop(bytes) & 0xffffn);
  const to64 = cpu.isLongMode && (descriptor.attributes & attribute.long) !== 0;
  const ss = returnStack(cpu, outerSs, rpl, to64);
  enterCode(cpu, selector, rpl, descriptor, offset);
  cpu.setSegment(segmentIndex.ss, ss);
  const outer = new StackFrame(cpu, ss, outerRsp, stackBits(cpu, ss));
  outer.skip(extra);
  outer.commit();
  dropPrivilegedSegments(cpu);
  return cpu.resync();
}

/** Flags that a return may change at this privilege (SDM 2, IRET). */
function returnedFlags(cpu: Processor, popped: number, bytes: number, cpl: number): number {
  const old = cpu.flags;
  let mask = eflags.cf | eflags.pf | eflags.af | eflags.zf | eflags.sf | eflags.tf | eflags.df
    | eflags.of | eflags.nt;
  if (bytes > 2) {
    mask |= eflags.rf | eflags.ac | eflags.id;
  }
  const iopl = (old & eflags.iopl) >>> 12;
  if (cpl <= iopl) {
    mask |= eflags.if;
  }
  if (cpl === 0) {
    mask |= eflags.iopl | (bytes > 2 ? eflags.vif | eflags.vip : 0);
  }
  return ((old & ~mask) | (popped & mask)) >>> 0;
}

function returnReal(cpu: Processor, bytes: number): number {
  if (cpu.isVirtual8086 && ((cpu.flags & eflags.iopl) >>> 12) !== 3) {
    cpu.raise(vector.gp, 0);
  }
  const frame = StackFrame.current(cpu);
  const offset = frame.pop(bytes);
  const selector = Number(frame.pop(bytes) & 0xffffn);
  const popped = Number(frame.pop(bytes) & 0xffff_ffffn);
  if (offset > BigInt(cpu.segmentLimit(segmentIndex.cs))) {
    cpu.raise(vector.gp, 0);
  }
  frame.commit();
  cpu.flags = returnedFlags(cpu, popped, bytes, cpu.isVirtual8086 ? 3 : 0)
    & ~(cpu.isVirtual8086 ? 0 : eflags.vm);
  return enterReal(cpu, { selector, offset });
}

function returnToVirtual(
  cpu: Processor, frame: StackFrame, target: FarPointer, popped: number,
): number {
  const esp = frame.pop(4);
  const selectors = [segmentIndex.ss, segmentIndex.es, segmentIndex.ds, segmentIndex.fs,
    segmentIndex.gs].map((index) => [index, Number(frame.pop(4) & 0xffffn)] as const);
  cpu.flags = popped & 0x3f_7fd5;
  for (const [index, selector] of [...selectors, [segmentIndex.cs, target.selector] as const]) {
    cpu.setSegment(index, {
      selector, base: BigInt(selector << 4), limit: 0xffff, attributes: 0xf3,
    });
  }
  cpu.setU32(state.cpl, 3);
  cpu.setGpr32(rsp, Number(esp));
  cpu.rip = target.offset & 0xffffn;
  return cpu.resync();
}

export function interruptReturn(cpu: Processor, instruction: Instruction): number {
  const bytes = instruction.operandWidth / 8;
  cpu.suppressTrap = false;
  if (isReal(cpu)) {
    cpu.nmiBlocked = false;
    return returnReal(cpu, bytes);
  }
  if ((cpu.flags & eflags.nt) !== 0) {
    return returnFromTask(cpu, instruction);
  }
  const frame = StackFrame.current(cpu);
  const offset = frame.pop(bytes);
  const selector = Number(frame.pop(bytes) & 0xffffn);
  const popped = Number(frame.pop(bytes) & 0xffff_ffffn);
  if ((popped & eflags.vm) !== 0 && cpu.cpl === 0 && !cpu.isLongMode && bytes === 4) {
    cpu.nmiBlocked = false;
    return returnToVirtual(cpu, frame, { selector, offset }, popped);
  }
  const descriptor = returnCode(cpu, selector);
  checkTarget(cpu, descriptor, offset);
  const rpl = selector & 3;
  const flags = returnedFlags(cpu, popped, bytes, cpu.cpl);
  const from64 = cpu.is64Bit;
  if (rpl === cpu.cpl && !from64) {
    frame.commit();
    enterCode(cpu, selector, rpl, descriptor, offset);
  } else {
    const outerRsp = frame.pop(bytes);
    const outerSs = Number(frame.pop(bytes) & 0xffffn);
    const to64 = cpu.isLongMode && (descriptor.attributes & attribute.long) !== 0;
    const ss = returnStack(cpu, outerSs, rpl, to64);
    enterCode(cpu, selector, rpl, descriptor, offset);
    cpu.setSegment(segmentIndex.ss, ss);
    cpu.setGprSized(rsp, stackBits(cpu, ss), outerRsp);
    dropPrivilegedSegments(cpu);
  }
  cpu.nmiBlocked = false;
  cpu.flags = flags;
  return cpu.resync();
}

function returnFromTask(cpu: Processor, instruction: Instruction): number {
  if (cpu.isLongMode) {
    cpu.raise(vector.gp, 0);
  }
  const link = cpu.access.read32(cpu.segmentBase(segmentIndex.tr), 2, "system");
  switchTask(cpu, link, "return", cpu.nextRip(instruction), 0);
  cpu.nmiBlocked = false;
  return cpu.resync();
}

/** INT n, INT3, INTO: through the gate, checked against CPL. */
export function softwareInterrupt(
  cpu: Processor, instruction: Instruction, which: number,
): number {
  if (cpu.isVirtual8086 && instruction.row.mnemonic === "int"
    && ((cpu.flags & eflags.iopl) >>> 12) !== 3) {
    cpu.raise(vector.gp, 0);
  }
  deliverOnce(cpu, {
    vector: which, error: undefined, kind: "software", returnRip: cpu.nextRip(instruction),
  });
  cpu.suppressTrap = true;
  return cpu.resync();
}
