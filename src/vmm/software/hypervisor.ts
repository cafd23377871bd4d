/** The soft back end: processors of the cpu room behind the interface of a hypervisor. */
import { randomFillSync } from "node:crypto";
import { assert } from "../../base/assert.ts";
import { attribute, segmentIndex, state } from "../../cpu/layout.ts";
import { modelFeatures } from "../../cpu/system/features.ts";
import type { LocalApic, MsrValue, StopReason } from "../../cpu/system/options.ts";
import { Processor } from "../../cpu/system/processor.ts";
import { CoprocessorError } from "../../devices/coprocessor-error.ts";
import { statisticsOf } from "../../cpu/system/statistics.ts";
import {
  isLapicMsr, readLapicMsr, writeLapicMsr,
} from "../../devices/lapic/registers.ts";
import { ioapicPins } from "../../devices/ioapic.ts";
import type { Lapic } from "../../devices/lapic/lapic.ts";
import type { Board } from "../../fabric/board.ts";
import type { InterruptRouter } from "../../fabric/interrupt.ts";
import { GuestMemory } from "../../fabric/memory.ts";
import { MiB } from "../../base/units.ts";
import type {
  Hypervisor, Probe, RegisterName, RunResult, Segment, SegmentName, Vcpu, VcpuDebug, Vm, VmFeatures,
  VmOptions,
} from "../hypervisor.ts";
import { unknownMsr } from "../unknown-msr.ts";
import { shadowRom } from "../rom-shadow.ts";
import { storedInterpreter } from "./interpreter-file.ts";
import { InterruptControllers } from "./interrupt-controllers.ts";

const floatErrorIrq = 13;
/** wasm32 ends at 4 GiB, and decoded code, ROM and tables take their part of it. */
const memoryBytesMax = 3900 * MiB;

const generalRegisters: readonly RegisterName[] = [
  "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
  "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
];
const controlRegisters: Partial<Record<RegisterName, number>> = {
  rip: state.rip, cr0: state.cr0, cr2: state.cr2, cr3: state.cr3, cr4: state.cr4,
  efer: state.efer,
};

const isDebugRegister = (name: RegisterName) => name.startsWith("dr");

/** A local APIC as the processor wants it. */
function apicFor(lapic: Lapic): LocalApic {
  return {
    get attention() { return lapic.attention; },
    get tpr() { return lapic.tpr; },
    set tpr(value: number) { lapic.tpr = value; },
    pendingVector: () => lapic.pendingVector(),
    acknowledge: () => lapic.acknowledge(),
    takeNmi: () => lapic.takeNmi(),
    takeInit: () => lapic.takeInit(),
    takeStartUp: () => lapic.takeStartUp(),
    ownsMsr: isLapicMsr,
    readMsr: (index: number, result: MsrValue) => readLapicMsr(lapic, index, result),
    writeMsr: (index: number, value: MsrValue) => writeLapicMsr(lapic, index, value),
  };
}

export class SoftVcpu implements Vcpu {
  readonly processor: Processor;

  constructor(processor: Processor) {
    this.processor = processor;
  }

  run(budget: number): RunResult {
    return this.#result(this.processor.run(budget));
  }

  #result(reason: StopReason): RunResult {
    assert(reason !== "exit", "the bus of a machine ends no runs");
    return reason === "halt"
      ? { reason, interruptible: this.processor.interruptible } : { reason };
  }

  /** Memory only: a look at a device would be noticed. */
  get debug(): VcpuDebug {
    const { processor } = this;
    return {
      breakpoints: processor.breakpoints,
      step: () => this.#result(processor.step()),
      read: (linear, into) => this.#reach(linear, (physical) =>
        processor.access.readPhysical(physical, into)),
      write: (linear, bytes) => this.#reach(linear, (physical) =>
        processor.access.writePhysical(physical, bytes)),
    };
  }

  #reach(linear: bigint, use: (physical: number) => void): boolean {
    const physical = this.processor.access.locate(linear);
    if (physical === undefined || this.processor.access.hostOf(physical) === 0) {
      return false;
    }
    use(physical);
    return true;
  }

  kick(): void {
    this.processor.endSlice();
  }

  register(name: RegisterName): bigint {
    const number = generalRegisters.indexOf(name);
    if (number >= 0) {
      return this.processor.gpr(number);
    }
    if (isDebugRegister(name)) {
      return this.processor.debug.value(Number(name.slice(2)));
    }
    const place = controlRegisters[name];
    return place === undefined ? BigInt(this.processor.flags) : this.processor.u64(place);
  }

  setRegister(name: RegisterName, value: bigint): void {
    const number = generalRegisters.indexOf(name);
    const place = controlRegisters[name];
    if (number >= 0) {
      this.processor.setGpr(number, value);
    } else if (isDebugRegister(name)) {
      this.processor.debug.setValue(Number(name.slice(2)), value);
    } else if (place === undefined) {
      this.processor.flags = Number(value & 0xffff_ffffn);
    } else {
      this.processor.setU64(place, value);
    }
    this.#changed();
  }

  segment(name: SegmentName): Segment {
    return this.processor.segment(segmentIndex[name]);
  }

  setSegment(name: SegmentName, segment: Segment): void {
    this.processor.setSegment(segmentIndex[name], segment);
    if (name === "ss") {
      this.processor.setU32(state.cpl, (segment.attributes >>> attribute.dplShift) & 3);
    }
    this.#changed();
  }

  setDescriptorTable(name: "gdtr" | "idtr", base: bigint, limit: number): void {
    this.processor.setU64(name === "gdtr" ? state.gdtrBase : state.idtrBase, base);
    this.processor.setU32(name === "gdtr" ? state.gdtrLimit : state.idtrLimit, limit);
  }

  reset(): void {
    this.processor.reset();
  }

  /** Modes and translations follow from any of these. */
  #changed(): void {
    this.processor.flushTlb();
    this.processor.sync();
  }
}

export class SoftVm implements Vm {
  readonly features: VmFeatures = { ioapicPins, chips: new Set() };
  readonly memory: GuestMemory;
  readonly vcpus: readonly SoftVcpu[];
  readonly #controllers: InterruptControllers;
  readonly #rom: Uint8Array | undefined;
  readonly #floatErrors: CoprocessorError;
  readonly #report: () => void;

  constructor(options: VmOptions) {
    assert(options.cpus === 1, "one vCPU; more come with threads of their own");
    const { clock } = options;
    const processor = (): Processor => this.vcpus[0]?.processor ?? boot;
    this.#controllers = new InterruptControllers({
      clock, cpus: options.cpus, x2apic: options.x86?.x2apic ?? false,
      tscNow: () => processor().msr.tsc(),
      tscToNs: (_cpu, tsc) => processor().msr.tscToNs(tsc),
      wake: () => {
        this.vcpus[0]?.processor.wake();
        options.wake();
      },
    });
    const [lapic] = this.#controllers.lapics;
    assert(lapic !== undefined, "the boot processor has a local APIC");
    this.#floatErrors = new CoprocessorError(this.#controllers.line(floatErrorIrq, floatErrorIrq));
    const boot = new Processor({
      floatErrors: this.#floatErrors,
      ramBytes: options.memoryBytes, bus: options.bus, apic: apicFor(lapic),
      now: () => clock.nowNs(), entropy: (target) => { randomFillSync(target); },
      apicId: 0, cpus: options.cpus, unknownMsr: unknownMsr(options),
      interpreter: storedInterpreter,
      ...(options.x86?.cpuModel !== undefined
        && { features: modelFeatures(options.x86.cpuModel) }),
      ...(options.x86?.compiles === false && { jit: "off" }),
      ...(options.rom === undefined ? {} : { rom: options.rom }),
    });
    this.vcpus = [new SoftVcpu(boot)];
    this.#report = options.x86?.statistics === true
      ? () => statisticsOf(boot).forEach((line) => options.log.info(line)) : () => {};
    this.#rom = options.rom;
    const { map } = boot;
    const watched = boot.bytes.subarray(map.codePages, map.codePages + map.ramBytes / 4096);
    this.memory = new GuestMemory(boot.memory.buffer, map.ram, map.ramBytes, watched);
    this.memory.onWatchedWrite = (offset, length) => boot.code.invalidate(map.ram + offset, length);
    this.#shadowRom();
  }

  get interrupts(): InterruptRouter {
    return this.#controllers;
  }

  attach(board: Board): void {
    this.#controllers.attach(board);
    this.#floatErrors.attach(board);
  }

  setNmi(level: boolean): void {
    this.#controllers.setNmi(level);
  }

  reset(): void {
    this.#controllers.reset();
    this.#floatErrors.reset();
    for (const vcpu of this.vcpus) {
      vcpu.reset();
    }
    this.#shadowRom();
  }

  destroy(): void {
    this.#report();
    this.#floatErrors.detach();
    this.#controllers.detach();
  }

  #shadowRom(): void {
    if (this.#rom !== undefined) {
      shadowRom(this.memory, this.#rom);
    }
  }
}

export const softHypervisor: Hypervisor = {
  name: "soft",
  probe(): Probe {
    return typeof WebAssembly === "object" && typeof SharedArrayBuffer === "function"
      ? { usable: true } : { usable: false, reason: "WebAssembly with shared memory is missing" };
  },
  createVm: (options) => new SoftVm(options),
  memoryBytesMax,
  cpusMax: 1,
};
