/** Loading segment registers (Intel SDM 3A §3.4, §5; volume 2, MOV and LTR). */
import { attribute, segmentIndex, state, vector } from "../layout.ts";
import type { SegmentState } from "./guest-state.ts";
import type { Processor } from "./processor.ts";

/** A descriptor of eight bytes, and what lies behind it in IA-32e mode. */
export interface Descriptor {
  readonly base: number;
  readonly limit: number;
  /** Access rights as in the VMCS, without the unusable bit. */
  readonly attributes: number;
  /** Linear address of the entry. */
  readonly address: bigint;
  readonly lo: number;
  readonly hi: number;
}

export const descriptorType = {
  tss16Available: 1, ldt: 2, tss16Busy: 3, callGate16: 4, taskGate: 5, interruptGate16: 6,
  trapGate16: 7, tss32Available: 9, tss32Busy: 11, callGate32: 12, interruptGate32: 14,
  trapGate32: 15,
} as const;

export const isSystem = (attributes: number) => (attributes & attribute.system) === 0;
export const isCode = (attributes: number) => (attributes & 0x18) === 0x18;
export const isConforming = (attributes: number) => (attributes & 0x1c) === 0x1c;
export const isPresent = (attributes: number) => (attributes & attribute.present) !== 0;
export const dplOf = (attributes: number) => (attributes >>> attribute.dplShift) & 3;
export const typeOf = (attributes: number) => attributes & attribute.typeMask;
export const isNull = (selector: number) => (selector & 0xfffc) === 0;

export function unpackDescriptor(lo: number, hi: number, address: bigint): Descriptor {
  const raw = (lo & 0xffff) | (hi & 0x000f_0000);
  const limit = (hi & 0x0080_0000) !== 0 ? ((raw << 12) | 0xfff) >>> 0 : raw;
  const base = ((lo >>> 16) | ((hi & 0xff) << 16) | (hi & 0xff00_0000)) >>> 0;
  return { base, limit, attributes: (hi >>> 8) & 0xf0ff, address, lo, hi };
}

/** Linear address of a selector's entry; throws #GP, or `failure`, with the selector. */
function entryAddress(cpu: Processor, selector: number, bytes: number, failure: number): bigint {
  const inLdt = (selector & 4) !== 0;
  const offset = selector & 0xfff8;
  if (inLdt && (cpu.segmentAttributes(segmentIndex.ldtr) & attribute.unusable) !== 0) {
    cpu.raise(failure, selector & 0xfffc);
  }
  const limit = inLdt ? cpu.segmentLimit(segmentIndex.ldtr) : cpu.u32(state.gdtrLimit);
  if (offset + bytes - 1 > limit) {
    cpu.raise(failure, selector & 0xfffc);
  }
  const base = inLdt ? cpu.segmentBase(segmentIndex.ldtr) : cpu.u64(state.gdtrBase);
  return base + BigInt(offset);
}

export function readDescriptor(
  cpu: Processor, selector: number, failure: number = vector.gp,
): Descriptor {
  const address = entryAddress(cpu, selector, 8, failure);
  const entry = cpu.access.read(address, 8, "system");
  return unpackDescriptor(Number(entry & 0xffff_ffffn), Number(entry >> 32n), address);
}

/** The upper half of a 16-byte system descriptor's base in IA-32e mode. */
export function readUpperBase(cpu: Processor, selector: number, failure: number): bigint {
  const address = entryAddress(cpu, selector, 16, failure);
  return cpu.access.read(address + 8n, 4, "system") << 32n;
}

/** Sets the accessed bit in memory, as loading does. */
export function markAccessed(cpu: Processor, descriptor: Descriptor): void {
  if ((descriptor.attributes & 1) === 0) {
    cpu.access.write(descriptor.address + 5n, 1, BigInt(((descriptor.hi >>> 8) & 0xff) | 1),
      "system");
  }
}

export function segmentFrom(selector: number, descriptor: Descriptor): SegmentState {
  return {
    selector, base: BigInt(descriptor.base), limit: descriptor.limit,
    attributes: descriptor.attributes | (isSystem(descriptor.attributes) ? 0 : 1),
  };
}

export const nullSegment = (selector: number): SegmentState =>
  ({ selector, base: 0n, limit: 0, attributes: attribute.unusable });

/** Real-address and virtual-8086 mode: the selector is the base. */
export function loadRealSegment(cpu: Processor, index: number, selector: number): void {
  const old = cpu.segment(index);
  const base = BigInt(selector << 4);
  cpu.setSegment(index, cpu.isVirtual8086
    ? { selector, base, limit: 0xffff, attributes: 0xf3 }
    : { ...old, selector, base, attributes: realAttributes(old.attributes) });
}

/** Limits stay as protected mode left them ("unreal mode"); the type is that of real mode. */
function realAttributes(old: number): number {
  return 0x93 | (old & (attribute.big | attribute.granularity));
}

function checkStack(cpu: Processor, selector: number, d: Descriptor, cpl: number, bad: number) {
  const { attributes } = d;
  const writable = !isSystem(attributes) && !isCode(attributes) && (attributes & 2) !== 0;
  if ((selector & 3) !== cpl || !writable || dplOf(attributes) !== cpl) {
    cpu.raise(bad, selector & 0xfffc);
  }
  if (!isPresent(attributes)) {
    cpu.raise(vector.ss, selector & 0xfffc);
  }
}

/** The stack segment for privilege `cpl`; `bad` is #GP, or #TS for stacks out of a TSS. */
export function stackSegment(
  cpu: Processor, selector: number, cpl: number, bad: number = vector.gp,
): SegmentState {
  if (isNull(selector)) {
    cpu.raise(bad, bad === vector.ts ? selector & 0xfffc : 0);
  }
  const descriptor = readDescriptor(cpu, selector, bad);
  checkStack(cpu, selector, descriptor, cpl, bad);
  markAccessed(cpu, descriptor);
  return segmentFrom(selector, descriptor);
}

function loadStackSegment(cpu: Processor, selector: number): void {
  const { cpl } = cpu;
  if (isNull(selector) && cpu.is64Bit && cpl !== 3 && (selector & 3) === cpl) {
    cpu.setSegment(segmentIndex.ss, {
      selector, base: 0n, limit: 0xffff_ffff,
      attributes: attribute.unusable | (cpl << attribute.dplShift),
    });
    return;
  }
  cpu.setSegment(segmentIndex.ss, stackSegment(cpu, selector, cpl));
}

/** The hidden part for a data segment register; throws #GP or #NP with the selector. */
export function dataSegment(
  cpu: Processor, selector: number, bad: number = vector.gp,
): SegmentState {
  if (isNull(selector)) {
    return nullSegment(selector);
  }
  const descriptor = readDescriptor(cpu, selector, bad);
  const { attributes } = descriptor;
  const readable = !isSystem(attributes) && (!isCode(attributes) || (attributes & 2) !== 0);
  const privileged = isConforming(attributes)
    || Math.max(cpu.cpl, selector & 3) <= dplOf(attributes);
  if (!readable || !privileged) {
    cpu.raise(bad, selector & 0xfffc);
  }
  if (!isPresent(attributes)) {
    cpu.raise(vector.np, selector & 0xfffc);
  }
  markAccessed(cpu, descriptor);
  return segmentFrom(selector, descriptor);
}

/** What MOV Sreg and POP Sreg do for any register but CS. */
export function loadSegment(cpu: Processor, index: number, selector: number): void {
  if (!cpu.isProtected || cpu.isVirtual8086) {
    loadRealSegment(cpu, index, selector);
  } else if (index === segmentIndex.ss) {
    loadStackSegment(cpu, selector);
  } else {
    cpu.setSegment(index, dataSegment(cpu, selector));
  }
}

/** Segments that the new, lower privilege may not use become null (SDM 2, RET and IRET). */
export function dropPrivilegedSegments(cpu: Processor): void {
  for (const index of [segmentIndex.es, segmentIndex.ds, segmentIndex.fs, segmentIndex.gs]) {
    const attributes = cpu.segmentAttributes(index);
    const usable = (attributes & attribute.unusable) === 0;
    if (usable && !isConforming(attributes) && dplOf(attributes) < cpu.cpl) {
      cpu.setSegment(index, nullSegment(0));
    }
  }
}

export function loadLdtr(cpu: Processor, selector: number, bad: number = vector.gp): void {
  if (isNull(selector)) {
    cpu.setSegment(segmentIndex.ldtr, nullSegment(selector));
    return;
  }
  if ((selector & 4) !== 0) {
    cpu.raise(bad, selector & 0xfffc);
  }
  const descriptor = readDescriptor(cpu, selector, bad);
  if (!isSystem(descriptor.attributes) || typeOf(descriptor.attributes) !== descriptorType.ldt) {
    cpu.raise(bad, selector & 0xfffc);
  }
  if (!isPresent(descriptor.attributes)) {
    cpu.raise(bad === vector.ts ? vector.ts : vector.np, selector & 0xfffc);
  }
  const upper = cpu.isLongMode ? readUpperBase(cpu, selector, bad) : 0n;
  const segment = segmentFrom(selector, descriptor);
  cpu.setSegment(segmentIndex.ldtr, { ...segment, base: segment.base | upper });
}

export function loadTaskRegister(cpu: Processor, selector: number): void {
  if (isNull(selector) || (selector & 4) !== 0) {
    cpu.raise(vector.gp, selector & 0xfffc);
  }
  const descriptor = readDescriptor(cpu, selector);
  const { attributes } = descriptor;
  const type = typeOf(attributes);
  const fits = type === descriptorType.tss32Available
    || (type === descriptorType.tss16Available && !cpu.isLongMode);
  if (!isSystem(attributes) || !fits) {
    cpu.raise(vector.gp, selector & 0xfffc);
  }
  if (!isPresent(attributes)) {
    cpu.raise(vector.np, selector & 0xfffc);
  }
  const upper = cpu.isLongMode ? readUpperBase(cpu, selector, vector.gp) : 0n;
  setBusy(cpu, descriptor, true);
  const segment = segmentFrom(selector, descriptor);
  cpu.setSegment(segmentIndex.tr, {
    ...segment, base: segment.base | upper, attributes: attributes | 2,
  });
}

/** The busy bit of a TSS descriptor in memory (SDM 3A §7.2.2). */
export function setBusy(cpu: Processor, descriptor: Descriptor, busy: boolean): void {
  const access = (descriptor.hi >>> 8) & 0xff;
  const wanted = busy ? access | 2 : access & ~2;
  cpu.access.write(descriptor.address + 5n, 1, BigInt(wanted), "system");
}
