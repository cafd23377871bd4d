/**
 * One vCPU: the generated interpreter, the state it works on, and the run loop around it, which
 * looks code up, delivers exceptions and interrupts (Intel SDM 3A §6), and single-steps.
 */
import { setFlagsFromString } from "node:v8";
import { CodeCache } from "../interpreter/code-cache.ts";
import { RegionSet } from "../jit/regions.ts";
import { generateInterpreter } from "../interpreter/generate.ts";
import { instantiate } from "../interpreter/instance.ts";
import { memoryMap, type MemoryMap } from "../tier/memory-map.ts";
import {
  eflags, emptyTag, exitReason, itlbBase, itlbBytes, microOp, notCanonical, pageRipSlot, pollNow,
  registers, segmentIndex, state, tlbSetCount, vector,
} from "../layout.ts";
import { exportedFunction } from "../wasm/module.ts";
import { DebugRegisters } from "./debug.ts";
import { isRepeated } from "./debug-accesses.ts";
import { CodeFetch } from "./code-fetch.ts";
import { deliver } from "./delivery.ts";
import { Execution } from "./execution.ts";
import { exitFault, GuestFault, hasErrorCode } from "./fault.ts";
import {
  attention, defaultJit, regionsMax, type LocalApic, type ProcessorOptions, type StopReason,
} from "./options.ts";
import { defaultFeatures, type Features } from "./features.ts";
import { runHelper } from "./helpers.ts";
import { MemoryAccess, regionsOf } from "./memory-access.ts";
import { codeModeOf, selectTlb, setVexFaults } from "./modes.ts";
import { ModelRegisters } from "./msr.ts";
import { runElement } from "./repeated.ts";
import { initialiseState, resetState } from "./reset.ts";
import { faultedOnStack } from "./stack-access.ts";

// Tells V8 which branches are cold; on by default from Node 26 on. Without it slow paths make the
// compiler spill registers around every memory access (a third of the speed).
setFlagsFromString("--experimental-wasm-branch-hinting");


export class Processor extends Execution {
  readonly memory: WebAssembly.Memory;
  readonly map: MemoryMap;
  readonly options: ProcessorOptions;
  readonly features: Features;
  readonly access: MemoryAccess;
  readonly code: CodeCache;
  readonly msr: ModelRegisters;
  readonly debug: DebugRegisters;
  readonly regions: RegionSet | undefined;
  readonly #run: (upc: number, table: number) => number;
  readonly #flush: () => void;
  readonly fetch: CodeFetch;
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
  /** What `endSlice` has taken for good. */
  #forgone = 0;
  /** Where the next entry starts, when the instruction TLB cannot say: 0, or a micro-op. */
  #entry = 0;
  #entryTable = 0;
  /** NMIs wait for IRET (SDM 3A §6.7.1). */
  nmiBlocked = false;
  /** The instruction was a software interrupt: it ends single-stepping of itself. */
  suppressTrap = false;
  /** Counters for `vmm.soft.stats`. */
  readonly counts = { exits: new Float64Array(8), helpers: 0, tlbFlushes: 0, faults: 0,
    interrupts: 0, instructions: 0 };

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
    this.fetch = new CodeFetch(this, this.code);
    const { bus } = options;
    const instance = instantiate(generated, {
      memory, regions, bus, code: this.code,
      helper: (upc) => this.#helper(upc), deviceExits: (address) => this.#deviceExits(address),
    });
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

  sync(): void {
    const mode = codeModeOf(this);
    if (mode.bits !== this.mode.bits || mode.stackBits !== this.mode.stackBits) {
      this.mode = mode;
      this.flushInstructionTlb();
    }
    if (mode.bits !== 64) {
      this.fetch.findLimitPage();
    }
    selectTlb(this);
    setVexFaults(this);
  }

  /** An interrupt or another event may be deliverable: the time slice ends at the next branch. */
  wake(): void {
    this.setU32(state.attention, 1);
    this.setU32(state.poll, pollNow);
    const left = this.view.getInt32(state.budget, true);
    if (left > 0) {
      this.#stolenBudget += left;
      this.view.setInt32(state.budget, 0, true);
    }
  }

  /** Ends the time slice: `run` returns soon. */
  endSlice(): void {
    this.#forgone += this.#stolenBudget + this.view.getInt32(state.budget, true);
    this.#stolenBudget = 0;
    this.setU32(state.poll, pollNow);
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
    this.upc = upc;
    this.counts.helpers += 1;
    return runHelper(this, this.code.records.get(upc));
  }

  // The run loop.

  /** Runs at most about `budget` instructions. */
  run(budget: number): StopReason {
    this.#forgone = 0;
    const reason = this.#runFor(budget);
    const left = this.view.getInt32(state.budget, true) + this.#stolenBudget + this.#forgone;
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
      this.deliver(faultedOnStack(this) ? vector.ss : vector.gp, 0, "fault");
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
      const place = this.fetch.place();
      if (place.host === 0) {
        this.raise(vector.ud); // Nothing answers: the bus floats, and FF FF is no instruction.
      }
      if (this.fetch.isBehindLimit(place.linear)) {
        this.#stepNext = true;
        return;
      }
      this.code.hasRoom();
      const offset = place.host & 0xfff;
      // No mask: from 2 GiB on it would make the address negative.
      const page = this.code.page(place.host - offset, this.mode);
      this.fetch.enterTlb(place.linear, page.table);
      if (this.code.microOpAt(page, offset) === 0) {
        const entry = this.fetch.crossing(page, offset, place.linear);
        this.#stepNext = entry === undefined;
        this.#entry = entry ?? 0;
        this.#entryTable = page.table;
        this.#setPageRip(offset);
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
    const { linear, host } = this.fetch.place();
    if (host === 0) {
      this.raise(vector.ud);
    }
    const bytes = this.fetch.bytes(linear, host);
    this.code.hasRoom();
    const offset = host & 0xfff;
    const page = this.code.page(host - offset, this.mode);
    const start = this.code.single(page, offset, bytes);
    const record = this.code.lastDecoded;
    if (record !== undefined) {
      this.fetch.requireInLimit(record.length);
      this.upc = start;
      this.#setPageRip(offset);
      this.debug.watch(record);
    }
    const left = this.view.getInt32(state.budget, true);
    this.view.setInt32(state.budget, 0, true);
    this.#setPageRip(offset);
    const run = () => this.#run(start, page.table);
    const reason = record !== undefined && isRepeated(record)
      ? runElement(this, record, run) : run();
    this.view.setInt32(state.budget, left - microOp.bytes, true);
    return reason;
  }
}
