/**
 * One vCPU: the generated interpreter, the state it works on, and the run loop around it, which
 * looks code up, delivers exceptions and interrupts (Intel SDM 3A §6), and single-steps.
 */
import { setFlagsFromString } from "node:v8";
import { assert } from "../../base/assert.ts";
import { decode } from "../decoder/decode.ts";
import type { Instruction } from "../decoder/instruction.ts";
import { instructionBytesMax } from "../decoder/prefixes.ts";
import { CodeCache, type CodePage } from "../interpreter/code-cache.ts";
import { RegionSet } from "../jit/regions.ts";
import type { CodeMode } from "../interpreter/forms.ts";
import { generateInterpreter, type GeneratedInterpreter } from "../interpreter/generate.ts";
import { memoryMap, type MemoryMap } from "../tier/memory-map.ts";
import {
  attribute, cr0Bits, cr4Bits, eflags, emptyTag, exitReason, itlbBase, itlbBytes, microOp,
  notCanonical, pageFault, pageRipSlot, registers, segmentIndex, state, status,
  tlbBase, tlbSetBytes, tlbSetCount, tlbSets, vector,
} from "../layout.ts";
import { highMemoryBase, lowMemoryLimit } from "../../fabric/memory.ts";
import { exportedFunction } from "../wasm/module.ts";
import { DebugRegisters } from "./debug.ts";
import { isRepeated, repeatsOn } from "./debug-accesses.ts";
import { deliver } from "./delivery.ts";
import { exitFault, GuestFault, hasErrorCode } from "./fault.ts";
import { defaultFeatures, type Features } from "./features.ts";
import { GuestState } from "./guest-state.ts";
import { helpers } from "./helpers.ts";
import { MemoryAccess, type MemoryRegion, type PhysicalBus } from "./memory-access.ts";
import { ModelRegisters } from "./msr.ts";
import { initialiseState, resetState } from "./reset.ts";
import { isStackAccess } from "./stack-access.ts";

export interface PortBus {
  portRead(port: number, size: number): number;
  portWrite(port: number, size: number, value: number): void;
}

/** A 64-bit MSR in two unsigned halves. */
export interface MsrValue {
  lo: number;
  hi: number;
}

/** What the processor needs of its local APIC; `attention` has these bits. */
export const attention = { interrupt: 1, nmi: 2, init: 4, startUp: 8 } as const;

export interface LocalApic {
  readonly attention: number;
  tpr: number;
  pendingVector(): number;
  acknowledge(): number;
  takeNmi(): boolean;
  takeInit(): boolean;
  takeStartUp(): number;
  ownsMsr(index: number): boolean;
  /** False where the processor raises #GP. */
  readMsr(index: number, result: MsrValue): boolean;
  writeMsr(index: number, value: MsrValue): boolean;
}

/** The pins FERR# and IGNNE# (Intel SDM 1 appendix D). */
export interface FloatErrors {
  report(): void;
  readonly ignored: boolean;
  settle(): void;
}

export interface ProcessorOptions {
  readonly ramBytes: number;
  /** Ends at 4 GiB; a multiple of 4 KiB. */
  readonly rom?: Uint8Array;
  readonly bus: PhysicalBus & PortBus;
  /** Undefined: no local APIC, no interrupts (tests of user-mode code). */
  readonly apic?: LocalApic;
  /** Nanoseconds, which are also TSC ticks: the TSC runs at 1 GHz. */
  readonly now: () => number;
  readonly entropy: (target: Uint8Array) => void;
  /** How errors of the x87 are told while CR0.NE is clear; undefined: as #MF all the same. */
  readonly floatErrors?: FloatErrors;
  readonly isBootCpu?: boolean;
  /** Asked about an MSR that is not there, with the value if it is written: true reads 0 and loses
   * the value; false, or nobody to ask, is #GP. */
  readonly unknownMsr?: (index: number, value: bigint | undefined) => boolean;
  /** What CPUID tells; 0 of 1 when absent. */
  readonly apicId?: number;
  readonly cpus?: number;
  /** What CPUID offers, and the decoder knows; the default model when absent. */
  readonly features?: Features;
  /** The interpreter as it was generated before, if it was. */
  readonly interpreter?: (countsBranches: boolean) => GeneratedInterpreter | undefined;
  /** Compiles code that is branched to this often; 12,000 times when absent. */
  readonly jit?: "off" | { readonly threshold: number };
}

const defaultJit = { threshold: 12_000 };
/** Compiled regions that can live at a time. */
const regionsMax = 4096;

/** Why `run` returned. */
export type StopReason = "yield" | "halt" | "tripleFault" | "exit" | "breakpoint";

// Tells V8 which branches are cold; on by default from Node 26 on. Without it slow paths make the
// compiler spill registers around every memory access (a third of the speed).
setFlagsFromString("--experimental-wasm-branch-hinting");

/** SSE and AVX state in XCR0. */
const vectorStates = 6;
const rcx = 1;
const romTop = 0x1_0000_0000;

export class Processor extends GuestState {
  readonly memory: WebAssembly.Memory;
  readonly map: MemoryMap;
  readonly options: ProcessorOptions;
  readonly features: Features;
  readonly access: MemoryAccess;
  readonly code: CodeCache;
  readonly msr: ModelRegisters;
  readonly debug: DebugRegisters;
  readonly regions: RegionSet | undefined;
  /** Micro-op of the helper at work. */
  #upc = 0;
  readonly #run: (upc: number, table: number) => number;
  readonly #flush: () => void;
  #mode: CodeMode = { bits: 16, stackBits: 16 };
  /** The page that holds the first byte beyond the limit of CS outside 64-bit mode, or -1. */
  #limitPage = -1n;
  /** The next instruction runs by itself. */
  #stepNext = false;
  /** Linear addresses at which INT3 is a debugger's. */
  readonly breakpoints = new Set<bigint>();
  #stopped = false;
  #shadow = false;
  #halted = false;
  /** Waits for a start-up message (SDM 3A §8.4.4). */
  #waitsForStartUp = false;
  #shutDown = false;
  /** The instruction at RIP was left undone (`exitFault`). */
  #exited = false;
  #stolenBudget = 0;
  /** Where the next entry starts, when the instruction TLB cannot say: 0, or a micro-op. */
  #entry = 0;
  #entryTable = 0;
  /** NMIs wait for IRET (SDM 3A §6.7.1). */
  nmiBlocked = false;
  /** The instruction was a software interrupt: it ends single-stepping of itself. */
  suppressTrap = false;
  /** Counters for `vmm.soft.stats`. */
  readonly counts = { exits: new Float64Array(8), helpers: 0, tlbFlushes: 0, faults: 0,
    interrupts: 0, ticks: 0, instructions: 0 };

  constructor(options: ProcessorOptions) {
    const romBytes = options.rom?.length ?? 0;
    const map = memoryMap(options.ramBytes, romBytes);
    const memory = new WebAssembly.Memory({
      initial: map.wasmPages, maximum: map.wasmPages, shared: true,
    });
    super(memory.buffer);
    this.options = options;
    this.features = options.features ?? defaultFeatures;
    this.map = map;
    this.memory = memory;
    const jit = options.jit ?? defaultJit;
    const generated = options.interpreter?.(jit !== "off")
      ?? generateInterpreter(jit !== "off");
    const regions = new WebAssembly.Table({ element: "anyfunc", initial: regionsMax });
    this.code = new CodeCache(memory.buffer, map, generated, this.features);
    const { bus } = options;
    const instance = new WebAssembly.Instance(new WebAssembly.Module(generated.bytes), { env: {
      memory, regions,
      helper: (upc: number) => this.#helper(upc),
      deviceRead: (lo: number, hi: number, size: number) => size === 0
        ? this.#deviceExits((lo >>> 0) + hi * 2 ** 32)
        : bus.mmioRead((lo >>> 0) + hi * 2 ** 32, size),
      deviceWrite: (lo: number, hi: number, size: number, value: number) =>
        bus.mmioWrite((lo >>> 0) + hi * 2 ** 32, size,
          size === 4 ? value >>> 0 : value & (size === 2 ? 0xffff : 0xff)),
      codeWritten: (host: number, length: number) => this.code.invalidate(host, length),
    } });
    if (jit !== "off") {
      this.regions = new RegionSet({
        memory, map, code: this.code, exports: instance.exports, table: regions,
        threshold: jit.threshold,
      });
    }
    this.#run = exportedFunction(instance, "run");
    this.#flush = exportedFunction(instance, "flush");
    const walk = exportedFunction(instance, "walk") as unknown as
      (linear: bigint, request: number) => bigint;
    this.access = new MemoryAccess({
      state: this, bus, map, regions: regionsOf(map), code: this.code, walk,
    });
    this.msr = new ModelRegisters(this);
    this.debug = new DebugRegisters(this);
    if (options.rom !== undefined) {
      this.bytes.set(options.rom, map.ram + map.ramBytes);
    }
    this.reset();
  }

  /** Power-on; a processor other than the first then waits for a start-up message. */
  reset(): void {
    resetState(this);
    this.msr.reset();
    this.code.flush();
    this.#startAnew();
    this.setU32(state.deviceExits, this.options.bus.exits === undefined ? 0 : 1);
  }

  /** INIT, which leaves more alone than power-on does. */
  #initialise(): void {
    initialiseState(this);
    this.#startAnew();
  }

  #startAnew(): void {
    this.debug.reset();
    this.nmiBlocked = false;
    this.#shadow = false;
    this.#halted = false;
    this.#shutDown = false;
    this.#exited = false;
    this.#waitsForStartUp = this.options.isBootCpu === false;
    this.#entry = 0;
    this.flushTlb();
    this.sync();
  }

  // Translation and mode.

  /** Forgets all translations. */
  flushTlb(): void {
    this.counts.tlbFlushes += 1;
    this.#flush();
  }

  flushInstructionTlb(): void {
    this.bytes.fill(emptyTag, itlbBase, itlbBase + tlbSetCount * itlbBytes);
  }

  /** Derives code mode and TLB sets from the registers; after any change of them. */
  sync(): void {
    const code = this.segmentAttributes(segmentIndex.cs);
    const stack = this.segmentAttributes(segmentIndex.ss);
    const long = this.isLongMode && (code & attribute.long) !== 0;
    const bits = long ? 64 : (code & attribute.big) !== 0 ? 32 : 16;
    const stackBits = long ? 64 : (stack & attribute.big) !== 0 ? 32 : 16;
    if (bits !== this.#mode.bits || stackBits !== this.#mode.stackBits) {
      this.#mode = { bits, stackBits };
      this.flushInstructionTlb();
    }
    const user = this.cpl === 3;
    const open = (this.cr4 & cr4Bits.smap) !== 0 && (this.u32(state.systemFlags) & eflags.ac) !== 0;
    const set = user ? tlbSets.user : open ? tlbSets.supervisorAc : tlbSets.supervisor;
    if (!long) {
      this.#findLimitPage();
    }
    this.setU32(state.tlb, tlbBase + set * tlbSetBytes);
    this.setU32(state.itlb, itlbBase + (user ? tlbSets.user : tlbSets.supervisor) * itlbBytes);
    this.#syncVex();
  }

  /** What VEX-encoded instructions meet (SDM 2A §2.4, §2.5). */
  #syncVex(): void {
    const vex = this.isProtected && !this.isVirtual8086 ? 0 : vector.ud;
    const enabled = (this.cr4 & cr4Bits.osxsave) !== 0
      && (this.msr.xcr0 & vectorStates) === vectorStates;
    const avx = vex !== 0 || !enabled ? vector.ud : this.hasCr0("ts") ? vector.nm : 0;
    this.setU32(state.vexFault, vex);
    this.setU32(state.avxFault, avx);
  }

  /** Code that falls through into the page behind the limit of CS must be noticed: that page stays
   * out of the instruction TLB, and code in it runs an instruction at a time. */
  #findLimitPage(): void {
    const limit = this.segmentLimit(segmentIndex.cs);
    const end = this.segmentBase(segmentIndex.cs) + BigInt(limit) + 1n;
    this.#limitPage = limit === 0xffff_ffff ? -1n : BigInt.asUintN(32, end) & ~0xfffn;
    for (let set = 0; set < tlbSetCount && this.#limitPage >= 0n; set += 1) {
      this.view.setBigUint64(this.#instructionSlot(set, this.#limitPage), BigInt(emptyTag), true);
    }
  }

  #isBehindLimit(linear: bigint): boolean {
    return this.codeBits !== 64 && (linear & ~0xfffn) === this.#limitPage;
  }

  /** The place of a page in a set of the instruction TLB. */
  #instructionSlot(set: number, page: bigint): number {
    return itlbBase + set * itlbBytes + Number((page >> 8n) & BigInt(itlbBytes - 16));
  }

  get codeBits(): 16 | 32 | 64 {
    return this.#mode.bits;
  }

  // What helpers use.

  /** RIP of the instruction in hand. */
  get instructionRip(): bigint {
    const place = this.view.getUint16(this.#upc + microOp.place, true);
    return this.maskRip(this.view.getBigUint64(registers + pageRipSlot, true)
      + BigInt(place & 0xfff));
  }

  nextRip(instruction: Instruction): bigint {
    return this.maskRip(this.instructionRip + BigInt(instruction.length));
  }

  maskRip(rip: bigint): bigint {
    return BigInt.asUintN(this.codeBits === 64 ? 64 : 32, rip);
  }

  /** Ends the helper: RIP goes on behind the instruction, with modes and translations anew. */
  resyncAfter(instruction: Instruction): number {
    this.rip = this.nextRip(instruction);
    return this.resync();
  }

  resync(): number {
    this.sync();
    return status.leave + exitReason.resync;
  }

  /** The same, and interrupts wait for one more instruction. */
  shadowAfter(instruction: Instruction): number {
    this.rip = this.nextRip(instruction);
    this.sync();
    return status.leave + exitReason.shadow;
  }

  haltAfter(instruction: Instruction): number {
    this.rip = this.nextRip(instruction);
    return status.leave + exitReason.halt;
  }

  raise(which: number, error?: number): never {
    throw new GuestFault(which, error ?? (hasErrorCode(which) ? 0 : undefined));
  }

  requireCpl0(): void {
    if (this.cpl !== 0) {
      this.raise(vector.gp, 0);
    }
  }

  /** Effective address of the memory operand, cut to the address size. */
  offsetOf(instruction: Instruction): bigint {
    const { memory, addressWidth } = instruction;
    assert(memory !== undefined, "the instruction has a memory operand");
    let offset = memory.displacement;
    if (memory.ripRelative) {
      offset += this.nextRip(instruction);
    }
    if (memory.base >= 0) {
      offset += this.gpr(memory.base);
    }
    if (memory.index >= 0 && !memory.vectorIndex) {
      offset += this.gpr(memory.index) << BigInt(memory.scale);
    }
    return BigInt.asUintN(addressWidth, offset);
  }

  /** Checked linear address of the memory operand. */
  linear(instruction: Instruction, bytes: number, write: boolean): bigint {
    return this.linearAt(instruction.segment, this.offsetOf(instruction), bytes, write);
  }

  /** Linear address of `bytes` at an offset in a segment (SDM 3A §5.3). */
  linearAt(segment: number, offset: bigint, bytes: number, write: boolean): bigint {
    if (this.is64Bit) {
      const base = segment >= segmentIndex.fs && segment <= segmentIndex.gs
        ? this.segmentBase(segment) : 0n;
      const linear = BigInt.asUintN(64, base + offset);
      if (!isCanonical(linear) || !isCanonical(linear + BigInt(bytes - 1))) {
        this.raise(segment === segmentIndex.ss ? vector.ss : vector.gp, 0);
      }
      return linear;
    }
    const attributes = this.segmentAttributes(segment);
    const isCode = (attributes & 8) !== 0, second = (attributes & 2) !== 0;
    const kindOk = (attributes & attribute.unusable) === 0
      && (write ? !isCode && second : !isCode || second);
    const limit = BigInt(this.segmentLimit(segment));
    const last = offset + BigInt(bytes - 1);
    const down = !isCode && (attributes & 4) !== 0;
    const top = (attributes & attribute.big) !== 0 ? 0xffff_ffffn : 0xffffn;
    if (!kindOk || (down ? offset <= limit || last > top : last > limit)) {
      this.raise(segment === segmentIndex.ss ? vector.ss : vector.gp, 0);
    }
    return BigInt.asUintN(32, this.segmentBase(segment) + offset);
  }

  read(linear: bigint, bytes: number): bigint {
    return this.access.read(linear, bytes);
  }

  write(linear: bigint, bytes: number, value: bigint): void {
    this.access.write(linear, bytes, value);
  }

  readBytes(linear: bigint, length: number): Uint8Array {
    return this.access.readBytes(linear, length);
  }

  writeBytes(linear: bigint, bytes: Uint8Array): void {
    this.access.writeFrom(linear, bytes);
  }

  /** An interrupt or another event may be deliverable: the time slice ends at the next branch. */
  wake(): void {
    this.setU32(state.attention, 1);
    this.setU32(state.poll, 0x7fff_ffff);
    const left = this.view.getInt32(state.budget, true);
    if (left > 0) {
      this.#stolenBudget += left;
      this.view.setInt32(state.budget, 0, true);
    }
  }

  /** Ends the time slice: `run` returns soon. */
  endSlice(): void {
    this.#stolenBudget = 0;
    this.setU32(state.poll, 0x7fff_ffff);
    this.view.setInt32(state.budget, 0, true);
  }

  #deviceExits(address: number): number {
    if (this.options.bus.exits?.(address) !== true) {
      return 0;
    }
    this.setU32(state.faultVector, exitFault);
    return 1;
  }

  #helper(from: number): number {
    const upc = from === state.bypass ? this.u32(state.bypassed) : from;
    this.#upc = upc;
    this.counts.helpers += 1;
    const record = this.code.records.get(upc);
    try {
      if (record === undefined || record === "undefined") {
        this.raise(vector.ud);
      }
      if (record === "long") {
        this.raise(vector.gp, 0);
      }
      const helper = helpers.get(record.row.mnemonic);
      return helper === undefined ? this.raise(vector.ud) : helper(this, record) ?? status.next;
    } catch (fault) {
      if (!(fault instanceof GuestFault)) {
        throw fault;
      }
      this.setU32(state.faultVector, fault.vector);
      this.setU32(state.faultError, fault.error ?? 0);
      this.setU64(state.faultAddress, this.u64(state.cr2));
      return status.fault;
    }
  }

  // The run loop.

  /** Runs at most about `budget` instructions. */
  run(budget: number): StopReason {
    const reason = this.#runFor(budget);
    const left = this.view.getInt32(state.budget, true) + this.#stolenBudget;
    this.counts.instructions += budget - left / microOp.bytes;
    return reason;
  }

  #runFor(budget: number): StopReason {
    this.#stolenBudget = 0;
    this.view.setInt32(state.budget, budget * microOp.bytes, true);
    for (;;) {
      if (this.#exited) {
        this.#exited = false;
        return "exit";
      }
      if (this.options.apic !== undefined) {
        this.#takeEvents(this.options.apic);
      }
      if (this.#stopped) {
        this.#stopped = false;
        return "breakpoint";
      }
      if (this.#shutDown) {
        return "tripleFault";
      }
      if (this.#halted || this.#waitsForStartUp) {
        return "halt";
      }
      const left = this.view.getInt32(state.budget, true) + this.#stolenBudget;
      this.#stolenBudget = 0;
      if (left <= 0) {
        this.view.setInt32(state.budget, left, true);
        return "yield";
      }
      // Every entry costs: a handler whose own fetch faults would else fault on for ever.
      this.view.setInt32(state.budget, left - microOp.bytes, true);
      this.#enter();
    }
  }

  /** INT3: true where a debugger outside has put it; then `run` returns, with RIP at it. */
  stopsHere(): boolean {
    const base = this.codeBits === 64 ? 0n : this.segmentBase(segmentIndex.cs);
    this.#stopped = this.breakpoints.size > 0
      && this.breakpoints.has(this.instructionRip + base);
    if (this.#stopped) {
      this.rip = this.instructionRip;
    }
    return this.#stopped;
  }

  /** One instruction for a debugger outside: interrupts wait. */
  step(): StopReason {
    if (!this.isHalted && !this.#shutDown) {
      this.view.setInt32(state.budget, microOp.bytes, true);
      this.#handle(this.#single());
    }
    this.#stopped = false;
    return this.#shutDown ? "tripleFault" : this.isHalted ? "halt" : "yield";
  }

  /** Where a linear address lies, for a debugger outside; undefined where nothing is mapped. */
  locate(linear: bigint): number | undefined {
    const faultAddress = this.u64(state.cr2);
    try {
      return this.access.translate(linear, 0);
    } catch (fault) {
      if (fault instanceof GuestFault) {
        return undefined;
      }
      throw fault;
    } finally {
      this.setU64(state.cr2, faultAddress);
    }
  }

  /** True when the halted processor would wake for an interrupt, not only for NMI or INIT. */
  get interruptible(): boolean {
    return (this.u32(state.systemFlags) & eflags.if) !== 0;
  }

  get isHalted(): boolean {
    return this.#halted || this.#waitsForStartUp;
  }

  #enter(): void {
    const stepping = this.#shadow || this.#stepNext || this.debug.steps
      || (this.u32(state.systemFlags) & eflags.tf) !== 0;
    if (stepping) {
      this.#handle(this.#single());
      return;
    }
    this.#clearResume();
    const start = this.#entry;
    this.#entry = 0;
    this.setU32(state.poll, 0);
    this.#handle(this.#run(start, this.#entryTable));
  }

  /** RF lasts for one instruction; the next IRET may set it again (SDM 3B §17.3.1.1). */
  #clearResume(): void {
    const flags = this.u32(state.systemFlags);
    if ((flags & eflags.rf) !== 0) {
      this.setU32(state.systemFlags, flags & ~eflags.rf);
    }
  }

  #handle(reason: number): void {
    this.counts.exits[reason] = (this.counts.exits[reason] ?? 0) + 1;
    switch (reason) {
      case exitReason.lookup: this.#lookup(); break;
      case exitReason.fault: this.#deliverFault(); break;
      case exitReason.halt: this.#halted = true; break;
      case exitReason.shadow: this.#shadow = true; break;
      case exitReason.shutdown: this.#shutDown = true; break;
      case exitReason.hot: this.regions?.compile(this.rip); break;
      default: // The time slice, or a change of mode: the loop goes on.
    }
  }

  #deliverFault(): void {
    const which = this.u32(state.faultVector);
    if (which === exitFault) {
      this.#exited = true;
      return;
    }
    if (which === vector.mf && !this.hasCr0("ne") && this.options.floatErrors !== undefined) {
      this.options.floatErrors.report();
      this.#halted = true; // Frozen at the instruction until an interrupt comes.
      return;
    }
    if (which === vector.pf) {
      this.setU64(state.cr2, this.u64(state.faultAddress));
    }
    const error = hasErrorCode(which) ? this.u32(state.faultError) : undefined;
    if (which === vector.gp && error === notCanonical) {
      this.deliver(this.#faultedOnStack() ? vector.ss : vector.gp, 0, "fault");
    } else {
      this.deliver(which, error, "fault");
    }
  }

  /** Delivers an exception that is none of a software interrupt; may shut down. */
  deliver(which: number, error: number | undefined, kind: "fault" | "trap"): void {
    this.counts.faults += 1;
    this.#deliverEvent({ vector: which, error, kind });
  }

  #deliverEvent(event: Parameters<typeof deliver>[1]): void {
    this.#entry = 0;
    this.#shutDown = !deliver(this, event);
    this.sync();
  }

  /** The instruction at RIP has just met an address that is not canonical: one of the stack? */
  #faultedOnStack(): boolean {
    try {
      const { linear, host } = this.#fetch();
      const bytes = this.#codeBytes(linear, host);
      const result = decode(bytes, { bits: this.codeBits, features: this.features });
      return result.status === "ok" && isStackAccess(this, result.instruction,
        this.u64(state.faultAddress));
    } catch (fault) {
      if (fault instanceof GuestFault) {
        return false; // The guest has unmapped its own code, and only the TLB still had it.
      }
      throw fault;
    }
  }

  #takeEvents(apic: LocalApic): void {
    const pending = apic.attention;
    this.setU32(state.attention, pending);
    if (pending === 0) {
      return;
    }
    if ((pending & attention.init) !== 0 && apic.takeInit()) {
      this.#initialise();
    }
    if ((pending & attention.startUp) !== 0) {
      this.#startUp(apic.takeStartUp());
    }
    if (this.#shadow || this.#waitsForStartUp || this.#shutDown) {
      return;
    }
    if ((pending & attention.nmi) !== 0 && !this.nmiBlocked && apic.takeNmi()) {
      this.#halted = false;
      this.nmiBlocked = true;
      this.#deliverEvent({ vector: vector.nmi, error: undefined, kind: "interrupt" });
    } else if ((pending & attention.interrupt) !== 0 && this.interruptible) {
      const which = apic.pendingVector() >= 0 ? apic.acknowledge() : -1;
      if (which >= 0) {
        this.#halted = false;
        this.counts.interrupts += 1;
        this.#deliverEvent({ vector: which, error: undefined, kind: "interrupt" });
      }
    }
    this.setU32(state.attention, apic.attention);
  }

  #startUp(page: number): void {
    if (this.#waitsForStartUp && page >= 0) {
      this.#waitsForStartUp = false;
      this.setSegment(segmentIndex.cs, {
        ...this.segment(segmentIndex.cs), selector: page << 8, base: BigInt(page << 12),
      });
      this.rip = 0n;
      this.sync();
    }
  }

  // Finding code.

  /** Decodes the code at RIP, so that the interpreter finds it; or delivers the fault. */
  #lookup(): void {
    try {
      const place = this.#fetch();
      if (place.host === 0) {
        this.raise(vector.ud); // Nothing answers: the bus floats, and FF FF is no instruction.
      }
      if (this.#isBehindLimit(place.linear)) {
        this.#stepNext = true;
        return;
      }
      this.code.hasRoom();
      const offset = place.host & 0xfff;
      // No mask: from 2 GiB on it would make the address negative.
      const page = this.code.page(place.host - offset, this.#mode);
      this.#enterInstructionTlb(place.linear, page.table);
      if (this.code.microOpAt(page, offset) === 0) {
        this.#enterCrossing(page, offset, place.linear);
      }
    } catch (fault) {
      this.#deliverThrown(fault);
    }
  }

  #deliverThrown(fault: unknown): void {
    if (!(fault instanceof GuestFault)) {
      throw fault;
    }
    this.deliver(fault.vector, fault.error, "fault");
  }

  /** Translates RIP for a fetch. */
  #fetch(): { linear: bigint; host: number } {
    let linear = this.rip;
    if (this.codeBits !== 64) {
      if (this.rip > BigInt(this.segmentLimit(segmentIndex.cs))) {
        this.raise(vector.gp, 0);
      }
      linear = BigInt.asUintN(32, this.rip + this.segmentBase(segmentIndex.cs));
    }
    return { linear, host: this.access.hostOf(this.#translateFetch(linear)) };
  }

  #translateFetch(linear: bigint): number {
    const user = this.cpl === 3 ? pageFault.user : 0;
    return this.access.translate(linear, pageFault.fetch | user);
  }

  #enterInstructionTlb(linear: bigint, table: number): void {
    const page = linear & ~0xfffn;
    const slot = this.#instructionSlot(this.cpl === 3 ? tlbSets.user : tlbSets.supervisor, page);
    this.view.setBigUint64(slot, page, true);
    this.view.setUint32(slot + 8, table, true);
  }

  #enterCrossing(page: CodePage, offset: number, linear: bigint): void {
    const nextPage = this.codeBits === 64
      ? BigInt.asUintN(64, (linear | 0xfffn) + 1n) : BigInt.asUintN(32, (linear | 0xfffn) + 1n);
    if (this.#isBehindLimit(nextPage)) {
      this.#stepNext = true;
      return;
    }
    const second = this.access.hostOf(this.#translateFetch(nextPage));
    if (second === 0) {
      this.raise(vector.ud);
    }
    this.#entry = this.code.crossing(page, offset, second);
    this.#entryTable = page.table;
    this.#setPageRip(offset);
  }

  #setPageRip(offset: number): void {
    this.view.setBigUint64(registers + pageRipSlot,
      BigInt.asUintN(64, this.rip - BigInt(offset)), true);
  }

  // One instruction at a time.

  #single(): number {
    const flags = this.u32(state.systemFlags);
    this.#shadow = false;
    this.#stepNext = false;
    this.suppressTrap = false;
    let reason: number = exitReason.resync;
    try {
      if (this.debug.stopsAt(flags)) {
        this.deliver(vector.db, undefined, "fault");
        return reason;
      }
      this.#clearResume();
      reason = this.#runOne();
    } catch (fault) {
      this.#deliverThrown(fault);
      return reason;
    }
    if (reason === exitReason.fault) {
      return reason;
    }
    const stepped = (flags & eflags.tf) !== 0 && !this.suppressTrap;
    if (this.debug.finish(stepped)) {
      this.#halted = reason === exitReason.halt;
      this.deliver(vector.db, undefined, "trap");
      return exitReason.resync;
    }
    return reason;
  }

  #runOne(): number {
    const { linear, host } = this.#fetch();
    if (host === 0) {
      this.raise(vector.ud);
    }
    const bytes = this.#codeBytes(linear, host);
    this.code.hasRoom();
    const offset = host & 0xfff;
    const page = this.code.page(host - offset, this.#mode);
    const start = this.code.single(page, offset, bytes);
    const record = this.code.lastDecoded;
    if (record !== undefined) {
      this.#requireInLimit(record.length);
      this.#upc = start;
      this.#setPageRip(offset);
      this.debug.watch(record);
    }
    const left = this.view.getInt32(state.budget, true);
    this.view.setInt32(state.budget, 0, true);
    this.#setPageRip(offset);
    const run = () => this.#run(start, page.table);
    const reason = record !== undefined && isRepeated(record)
      ? this.#runElement(record, run) : run();
    this.view.setInt32(state.budget, left - microOp.bytes, true);
    return reason;
  }

  /** One element of a repeated string: traps come between them (SDM 2, REP). */
  #runElement(record: Instruction, run: () => number): number {
    const { addressWidth } = record;
    const { rip } = this;
    const count = this.gprSized(rcx, addressWidth);
    if (count <= 1n) {
      return run();
    }
    this.setGprSized(rcx, addressWidth, 1n);
    const reason = run();
    const isDone = reason !== exitReason.fault;
    this.setGprSized(rcx, addressWidth, isDone ? count - 1n : count);
    if (isDone && repeatsOn(record, (this.flags & eflags.zf) !== 0)) {
      this.rip = rip;
    }
    return reason;
  }

  #requireInLimit(bytes: number): void {
    const last = this.rip + BigInt(bytes - 1);
    if (this.codeBits !== 64 && last > BigInt(this.segmentLimit(segmentIndex.cs))) {
      this.raise(vector.gp, 0);
    }
  }

  /** The instruction's bytes; those of a second page only where it can be read. */
  #codeBytes(linear: bigint, host: number): Uint8Array {
    const inPage = Math.min(instructionBytesMax, 4096 - (host & 0xfff));
    const bytes = this.bytes.slice(host, host + inPage);
    if (inPage === instructionBytesMax || this.code.decodes(bytes, this.#mode)) {
      return bytes;
    }
    this.#requireInLimit(inPage + 1);
    const next = linear + BigInt(inPage);
    const second = this.access.hostOf(this.#translateFetch(next));
    const both = new Uint8Array(instructionBytesMax).fill(0xff);
    both.set(bytes);
    if (second !== 0) {
      both.set(this.bytes.subarray(second, second + instructionBytesMax - inPage), inPage);
    }
    return both;
  }

  /** CR0 bits that a helper asks for. */
  hasCr0(bit: keyof typeof cr0Bits): boolean {
    return (this.cr0 & cr0Bits[bit]) !== 0;
  }
}

export function isCanonical(linear: bigint): boolean {
  const sign = BigInt.asIntN(48, linear);
  return BigInt.asUintN(64, sign) === BigInt.asUintN(64, linear);
}

/** RAM below 3 GiB and from 4 GiB on, and the boot ROM. */
function regionsOf(map: MemoryMap): MemoryRegion[] {
  const low = Math.min(map.ramBytes, lowMemoryLimit);
  const regions = [{ start: 0, end: low, host: map.ram, readOnly: false }];
  if (map.ramBytes > low) {
    regions.push({
      start: highMemoryBase, end: highMemoryBase + map.ramBytes - low, host: map.ram + low,
      readOnly: false,
    });
  }
  if (map.romBytes > 0) {
    regions.push({
      start: romTop - map.romBytes, end: romTop, host: map.ram + map.ramBytes, readOnly: true,
    });
  }
  return regions;
}
