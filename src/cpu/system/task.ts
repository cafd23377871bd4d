/** Hardware task switches (Intel SDM 3A §7.3): 32-bit and 16-bit TSS, outside IA-32e mode. */
import { cr0Bits, eflags, segmentIndex, state, vector } from "../layout.ts";
import type { Processor } from "./processor.ts";
import {
  dataSegment, descriptorType, dplOf, isCode, isConforming, isNull, isPresent, isSystem,
  loadLdtr, markAccessed, nullSegment, readDescriptor, segmentFrom, setBusy, stackSegment, typeOf,
  type Descriptor,
} from "./segments.ts";

/** What switches: JMP, a CALL or interrupt that nests, or IRET back to the outer task. */
export type TaskSwitch = "jump" | "nested" | "return";

interface TaskImage {
  readonly cr3: number | undefined;
  readonly eip: number;
  readonly eflags: number;
  /** eax ecx edx ebx esp ebp esi edi */
  readonly registers: readonly number[];
  /** es cs ss ds fs gs */
  readonly selectors: readonly number[];
  readonly ldt: number;
  readonly debugTrap: boolean;
}

const tss32 = { cr3: 0x1c, eip: 0x20, registers: 0x28, selectors: 0x48, ldt: 0x60, trap: 0x64 };
const tss16 = { ip: 0x0e, registers: 0x12, selectors: 0x22, ldt: 0x2a };
const limitMin = { wide: 0x67, narrow: 0x2b };

const isWide = (type: number) => type === descriptorType.tss32Available
  || type === descriptorType.tss32Busy;

function findTss(cpu: Processor, selector: number, kind: TaskSwitch, external: number) {
  const bad = kind === "return" ? vector.ts : vector.gp;
  const code = (selector & 0xfffc) | external;
  if (isNull(selector) || (selector & 4) !== 0) {
    cpu.raise(bad, code);
  }
  const descriptor = readDescriptor(cpu, selector, bad);
  const type = typeOf(descriptor.attributes);
  const busy = type === descriptorType.tss32Busy || type === descriptorType.tss16Busy;
  const available = type === descriptorType.tss32Available
    || type === descriptorType.tss16Available;
  if (!isSystem(descriptor.attributes) || !(kind === "return" ? busy : available)) {
    cpu.raise(bad, code);
  }
  if (!isPresent(descriptor.attributes)) {
    cpu.raise(vector.np, code);
  }
  if (descriptor.limit < (isWide(type) ? limitMin.wide : limitMin.narrow)) {
    cpu.raise(vector.ts, code);
  }
  return descriptor;
}

function readTask(cpu: Processor, descriptor: Descriptor): TaskImage {
  const base = BigInt(descriptor.base);
  const word = (at: number) => cpu.access.read32(base + BigInt(at), 2, "system");
  const double = (at: number) => cpu.access.read32(base + BigInt(at), 4, "system");
  const eight = [0, 1, 2, 3, 4, 5, 6, 7];
  if (isWide(typeOf(descriptor.attributes))) {
    return {
      cr3: double(tss32.cr3), eip: double(tss32.eip), eflags: double(tss32.eip + 4),
      registers: eight.map((index) => double(tss32.registers + index * 4)),
      selectors: eight.slice(0, 6).map((index) => word(tss32.selectors + index * 4)),
      ldt: word(tss32.ldt), debugTrap: (word(tss32.trap) & 1) !== 0,
    };
  }
  return {
    cr3: undefined, eip: word(tss16.ip), eflags: word(tss16.ip + 2),
    registers: eight.map((index) => (word(tss16.registers + index * 2) | 0xffff_0000) >>> 0),
    selectors: [...eight.slice(0, 4).map((index) => word(tss16.selectors + index * 2)), 0, 0],
    ldt: word(tss16.ldt), debugTrap: false,
  };
}

/** Saves the running task; `eip` is where it goes on. */
function saveTask(cpu: Processor, eip: bigint, flags: number): void {
  const base = cpu.segmentBase(segmentIndex.tr);
  const wide = isWide(typeOf(cpu.segmentAttributes(segmentIndex.tr)));
  const bytes = wide ? 4 : 2;
  const put = (at: number, value: bigint) =>
    cpu.access.write(base + BigInt(at), bytes, value, "system");
  const at = wide ? { ip: tss32.eip, gprs: tss32.registers, segments: tss32.selectors }
    : { ip: tss16.ip, gprs: tss16.registers, segments: tss16.selectors };
  cpu.access.probeWrite(base + BigInt(at.ip), at.segments + bytes * 6 - at.ip, "system");
  put(at.ip, eip);
  put(at.ip + bytes, BigInt(flags));
  for (let number = 0; number < 8; number += 1) {
    put(at.gprs + number * bytes, cpu.gpr(number));
  }
  for (let index = 0; index < (wide ? 6 : 4); index += 1) {
    put(at.segments + index * bytes, BigInt(cpu.selector(index)));
  }
}

/** Switches to the task at `selector`; throws the fault that it meets. */
export function switchTask(
  cpu: Processor, selector: number, kind: TaskSwitch, eip: bigint, external: number,
): void {
  const descriptor = findTss(cpu, selector, kind, external);
  const task = readTask(cpu, descriptor);
  const oldSelector = cpu.selector(segmentIndex.tr);
  const savedFlags = kind === "return" ? cpu.flags & ~eflags.nt : cpu.flags;
  saveTask(cpu, eip, savedFlags);
  if (kind !== "nested") {
    setBusy(cpu, readDescriptor(cpu, oldSelector, vector.ts), false);
  }
  if (kind === "nested") {
    cpu.access.write(BigInt(descriptor.base), 2, BigInt(oldSelector), "system");
  }
  if (kind !== "return") {
    setBusy(cpu, descriptor, true);
  }
  cpu.setSegment(segmentIndex.tr, {
    ...segmentFrom(selector, descriptor), attributes: descriptor.attributes | 2,
  });
  loadTask(cpu, task, kind);
}

function loadTask(cpu: Processor, task: TaskImage, kind: TaskSwitch): void {
  cpu.setU64(state.cr0, BigInt((cpu.cr0 | cr0Bits.ts) >>> 0));
  if (task.cr3 !== undefined && (cpu.cr0 & cr0Bits.pg) !== 0) {
    cpu.setU64(state.cr3, BigInt(task.cr3));
    cpu.flushTlb();
  }
  const nested = kind === "nested" ? eflags.nt : 0;
  cpu.flags = (task.eflags | nested) & 0x3f_7fd5;
  cpu.rip = BigInt(task.eip);
  for (const [number, value] of task.registers.entries()) {
    cpu.setGpr32(number, value);
  }
  cpu.debug.taskSwitch(task.debugTrap);
  loadTaskSegments(cpu, task);
  cpu.sync();
}

/** Faults from here on happen in the new task, with its selectors but null hidden parts. */
function loadTaskSegments(cpu: Processor, task: TaskImage): void {
  const virtual = (task.eflags & eflags.vm) !== 0;
  const cpl = virtual ? 3 : (task.selectors[segmentIndex.cs] ?? 0) & 3;
  for (const [index, selector] of task.selectors.entries()) {
    cpu.setSegment(index, virtual
      ? { selector, base: BigInt(selector << 4), limit: 0xffff, attributes: 0xf3 }
      : nullSegment(selector));
  }
  cpu.setU32(state.cpl, cpl);
  loadLdtr(cpu, task.ldt, vector.ts);
  if (virtual) {
    return;
  }
  loadTaskCode(cpu, task.selectors[segmentIndex.cs] ?? 0, cpl);
  cpu.setSegment(segmentIndex.ss,
    stackSegment(cpu, task.selectors[segmentIndex.ss] ?? 0, cpl, vector.ts));
  for (const index of [segmentIndex.es, segmentIndex.ds, segmentIndex.fs, segmentIndex.gs]) {
    cpu.setSegment(index, dataSegment(cpu, task.selectors[index] ?? 0, vector.ts));
  }
}

function loadTaskCode(cpu: Processor, selector: number, cpl: number): void {
  if (isNull(selector)) {
    cpu.raise(vector.ts, 0);
  }
  const descriptor = readDescriptor(cpu, selector, vector.ts);
  const { attributes } = descriptor;
  const privileged = isConforming(attributes) ? dplOf(attributes) <= cpl
    : dplOf(attributes) === cpl;
  if (isSystem(attributes) || !isCode(attributes) || !privileged) {
    cpu.raise(vector.ts, selector & 0xfffc);
  }
  if (!isPresent(attributes)) {
    cpu.raise(vector.np, selector & 0xfffc);
  }
  markAccessed(cpu, descriptor);
  cpu.setSegment(segmentIndex.cs, segmentFrom(selector, descriptor));
}

/** The TSS that a JMP or CALL to a TSS or task gate may use at this privilege. */
export function mayUseTask(cpu: Processor, selector: number, attributes: number): boolean {
  return dplOf(attributes) >= cpu.cpl && dplOf(attributes) >= (selector & 3);
}

