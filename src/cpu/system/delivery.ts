/**
 * Delivery of exceptions and interrupts (Intel SDM 3A §6): through the vector table of real mode,
 * the gates of protected and IA-32e mode, and task gates; double and triple faults.
 */
import { attribute, eflags, segmentIndex, state, vector } from "../layout.ts";
import { GuestFault, hasErrorCode } from "./fault.ts";
import type { SegmentState } from "./guest-state.ts";
import { isCanonical } from "./execution.ts";
import type { Processor } from "./processor.ts";
import {
  descriptorType, dplOf, isCode, isConforming, isNull, isPresent, isSystem, markAccessed,
  nullSegment, readDescriptor, segmentFrom, stackSegment, type Descriptor,
} from "./segments.ts";
import { StackFrame, stackBits } from "./stack.ts";
import { switchTask } from "./task.ts";
import { innerStack } from "./tss.ts";

export interface Event {
  readonly vector: number;
  readonly error: number | undefined;
  /** `software`: INT n, INT3, INTO, whose gates are checked against CPL. */
  readonly kind: "fault" | "trap" | "interrupt" | "software";
  /** RIP to return to, when it is not the one in the state. */
  readonly returnRip?: bigint;
}

interface Gate {
  readonly type: number;
  readonly attributes: number;
  readonly selector: number;
  readonly offset: bigint;
  readonly ist: number;
}

const rsp = 4;
/** INT 1 (ICEBP) and external events set EXT in error codes of what goes wrong on the way. */
const externalBit = 1;

/** An event on its way; throws the fault that its delivery meets. */
export function deliverOnce(cpu: Processor, event: Event): void {
  if (!cpu.isProtected) {
    deliverReal(cpu, event);
    return;
  }
  const external = event.kind === "software" ? 0 : externalBit;
  const gate = readGate(cpu, event, external);
  if (gate.type === descriptorType.taskGate && !cpu.isLongMode) {
    switchTask(cpu, gate.selector, "nested", event.returnRip ?? cpu.rip, external);
    pushTaskError(cpu, event);
    return;
  }
  enterGate(cpu, event, gate, external);
}

/** The error code lands on the new task's stack. */
function pushTaskError(cpu: Processor, event: Event): void {
  if (event.error !== undefined) {
    const frame = StackFrame.current(cpu);
    frame.push([BigInt(event.error)], 4, "present");
    frame.commit();
  }
}

/** Delivers an event and the faults that follow from it; false on a triple fault. */
export function deliver(cpu: Processor, event: Event): boolean {
  let current = event;
  for (;;) {
    try {
      deliverOnce(cpu, current);
      return true;
    } catch (thrown) {
      if (!(thrown instanceof GuestFault)) {
        throw thrown;
      }
      if (current.vector === vector.df && current.kind === "fault") {
        return false;
      }
      const isDouble = current.kind !== "interrupt" && current.kind !== "software"
        && becomesDouble(current.vector, thrown.vector);
      current = isDouble ? { vector: vector.df, error: 0, kind: "fault" }
        : { vector: thrown.vector, error: thrown.error, kind: "fault" };
    }
  }
}

const contributory = new Set<number>([vector.de, vector.ts, vector.np, vector.ss, vector.gp]);

/** SDM 3A table 6-5. */
function becomesDouble(first: number, second: number): boolean {
  if (first === vector.pf) {
    return second === vector.pf || contributory.has(second);
  }
  return contributory.has(first) && contributory.has(second);
}

function deliverReal(cpu: Processor, event: Event): void {
  const entry = event.vector * 4;
  if (entry + 3 > cpu.u32(state.idtrLimit)) {
    cpu.raise(event.vector === vector.gp ? vector.df : vector.gp, 0);
  }
  const target = Number(cpu.access.read(cpu.u64(state.idtrBase) + BigInt(entry), 4, "system"));
  const frame = StackFrame.current(cpu);
  const { flags } = cpu;
  frame.push([BigInt(flags & 0xffff), BigInt(cpu.selector(segmentIndex.cs)),
    (event.returnRip ?? cpu.rip) & 0xffffn], 2, "present");
  frame.commit();
  cpu.flags = flags & ~(eflags.if | eflags.tf | eflags.ac | eflags.rf);
  const selector = target >>> 16;
  cpu.setSegment(segmentIndex.cs, {
    ...cpu.segment(segmentIndex.cs), selector, base: BigInt(selector << 4),
  });
  cpu.rip = BigInt(target & 0xffff);
}

function readGate(cpu: Processor, event: Event, external: number): Gate {
  const long = cpu.isLongMode;
  const size = long ? 16 : 8;
  const code = event.vector * 8 + 2 + external;
  const at = event.vector * size;
  if (at + size - 1 > cpu.u32(state.idtrLimit)) {
    cpu.raise(vector.gp, code);
  }
  const address = cpu.u64(state.idtrBase) + BigInt(at);
  const entry = cpu.access.read(address, 8, "system");
  const lo = Number(entry & 0xffff_ffffn), hi = Number(entry >> 32n);
  const upper = long ? cpu.access.read(address + 8n, 4, "system") : 0n;
  const attributes = (hi >>> 8) & 0xff;
  const type = attributes & 0x1f;
  const known = long ? type === 14 || type === 15
    : type === 5 || type === 6 || type === 7 || type === 14 || type === 15;
  if (!known || (event.kind === "software" && dplOf(attributes) < cpu.cpl)) {
    cpu.raise(vector.gp, code);
  }
  if (!isPresent(attributes)) {
    cpu.raise(vector.np, code);
  }
  const offset = type < 8 ? lo & 0xffff : ((lo & 0xffff) | (hi & 0xffff_0000)) >>> 0;
  return {
    type, attributes, selector: lo >>> 16, offset: (upper << 32n) | BigInt(offset),
    ist: long ? hi & 7 : 0,
  };
}

/** The handler's code segment; #GP with the selector when it cannot be one. */
function handlerCode(cpu: Processor, gate: Gate, external: number): Descriptor {
  if (isNull(gate.selector)) {
    cpu.raise(vector.gp, external);
  }
  const code = (gate.selector & 0xfffc) | external;
  const descriptor = readDescriptor(cpu, gate.selector, vector.gp);
  const { attributes } = descriptor;
  const long = cpu.isLongMode;
  const is64 = (attributes & attribute.long) !== 0 && (attributes & attribute.big) === 0;
  if (isSystem(attributes) || !isCode(attributes) || dplOf(attributes) > cpu.cpl
    || (long && !is64)) {
    cpu.raise(vector.gp, code);
  }
  if (!isPresent(attributes)) {
    cpu.raise(vector.np, code);
  }
  return descriptor;
}

function enterGate(cpu: Processor, event: Event, gate: Gate, external: number): void {
  const descriptor = handlerCode(cpu, gate, external);
  const old = { cpl: cpu.cpl, flags: cpu.flags, rsp: cpu.gpr(rsp),
    ss: cpu.segment(segmentIndex.ss), cs: cpu.selector(segmentIndex.cs),
    rip: event.returnRip ?? cpu.rip };
  const cpl = isConforming(descriptor.attributes) ? old.cpl : dplOf(descriptor.attributes);
  const wasVirtual = (old.flags & eflags.vm) !== 0;
  if (wasVirtual && cpl !== 0) {
    cpu.raise(vector.gp, (gate.selector & 0xfffc) | external);
  }
  const { frame, ss, values, bytes } = cpu.isLongMode
    ? longFrame(cpu, event, gate, cpl, old) : legacyFrame(cpu, gate, cpl, old, wasVirtual);
  if (event.error !== undefined && hasErrorCode(event.vector)) {
    values.push(BigInt(event.error));
  }
  if (cpu.isLongMode && !isCanonical(gate.offset)) {
    cpu.raise(vector.gp, external);
  }
  pushAs(cpu, cpl, () => frame.push(values, bytes, "present"));
  // Nothing below faults.
  markAccessed(cpu, descriptor);
  const selector = (gate.selector & 0xfffc) | cpl;
  cpu.setSegment(segmentIndex.cs, segmentFrom(selector, descriptor));
  if (ss !== undefined) {
    cpu.setSegment(segmentIndex.ss, ss);
  }
  if (wasVirtual) {
    for (const index of [segmentIndex.es, segmentIndex.ds, segmentIndex.fs, segmentIndex.gs]) {
      cpu.setSegment(index, nullSegment(0));
    }
  }
  cpu.setU32(state.cpl, cpl);
  frame.commit();
  const isInterruptGate = (gate.type & 1) === 0;
  cpu.flags = old.flags & ~(eflags.tf | eflags.nt | eflags.rf | eflags.vm
    | (isInterruptGate ? eflags.if : 0));
  cpu.rip = gate.offset;
}

interface Interrupted {
  readonly cpl: number;
  readonly flags: number;
  readonly rsp: bigint;
  readonly ss: SegmentState;
  readonly cs: number;
  readonly rip: bigint;
}

interface Frame {
  readonly frame: StackFrame;
  /** The new SS, where the stack changes. */
  readonly ss: SegmentState | undefined;
  readonly values: bigint[];
  readonly bytes: 2 | 4 | 8;
}

/** RF in the image lets the faulting instruction pass its breakpoint (SDM 3A §17.3.1.1). */
function flagsImage(event: Event, flags: number): bigint {
  return BigInt((event.kind === "fault" ? flags | eflags.rf : flags) >>> 0);
}

function longFrame(
  cpu: Processor, event: Event, gate: Gate, cpl: number, old: Interrupted,
): Frame {
  const changes = cpl !== old.cpl;
  let pointer = old.rsp;
  if (gate.ist !== 0) {
    pointer = innerStack.interruptStack(cpu, gate.ist);
  } else if (changes) {
    pointer = innerStack.long(cpu, cpl);
  }
  if (!isCanonical(pointer)) {
    cpu.raise(vector.ss, 0);
  }
  const ss: SegmentState | undefined = changes ? {
    selector: cpl, base: 0n, limit: 0xffff_ffff,
    attributes: attribute.unusable | (cpl << attribute.dplShift),
  } : undefined;
  return {
    frame: new StackFrame(cpu, old.ss, pointer & ~15n, 64), ss, bytes: 8,
    values: [BigInt(old.ss.selector), old.rsp, flagsImage(event, old.flags),
      BigInt(old.cs), old.rip],
  };
}

function legacyFrame(
  cpu: Processor, gate: Gate, cpl: number, old: Interrupted, wasVirtual: boolean,
): Frame {
  const bytes = gate.type < 8 ? 2 : 4;
  const values: bigint[] = [];
  const common = [BigInt(old.flags), BigInt(old.cs), old.rip];
  if (cpl === old.cpl && !wasVirtual) {
    const frame = new StackFrame(cpu, old.ss, old.rsp, stackBits(cpu, old.ss));
    return { frame, ss: undefined, values: common, bytes };
  }
  const inner = innerStack.legacy(cpu, cpl);
  const ss = stackSegment(cpu, inner.selector, cpl, vector.ts);
  if (wasVirtual) {
    for (const index of [segmentIndex.gs, segmentIndex.fs, segmentIndex.ds, segmentIndex.es]) {
      values.push(BigInt(cpu.selector(index)));
    }
  }
  values.push(BigInt(old.ss.selector), old.rsp, ...common);
  const bits = (ss.attributes & attribute.big) !== 0 ? 32 : 16;
  return { frame: new StackFrame(cpu, ss, inner.pointer, bits), ss, values, bytes };
}

/** Pushes with the privilege the handler will have; a fault leaves the old one. */
function pushAs(cpu: Processor, cpl: number, push: () => void): void {
  const old = cpu.cpl;
  cpu.setU32(state.cpl, cpl);
  try {
    push();
  } finally {
    cpu.setU32(state.cpl, old);
  }
}
