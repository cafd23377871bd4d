/**
 * Whole machines in the test's own thread: built from keys as a user would give them, with serial
 * lines in memory. The guest is a script over the buses, or real code on the soft back end.
 */
import { readConfiguration } from "../../src/config/configuration.ts";
import { setDefaults, Tree } from "../../src/config/tree.ts";
import { createLog } from "../../src/base/log.ts";
import { MiB, secondNs } from "../../src/base/units.ts";
import { SeededEntropy } from "../../src/devices/testing/fake-guest.ts";
import { RamDisk } from "../../src/devices/testing/ram-disk.ts";
import { WakeWord } from "../../src/fabric/byte-ring.ts";
import type { CharBackend } from "../../src/fabric/device.ts";
import { GuestMemory } from "../../src/fabric/memory.ts";
import type { Ending } from "../../src/machine/driver.ts";
import { HostClock } from "../../src/machine/host-clock.ts";
import { Machine } from "../../src/machine/machine.ts";
import { planMachine, type MachinePlan } from "../../src/machine/plan.ts";
import { devices } from "../../src/machine/registry.ts";
import { RunLoop } from "../../src/machine/run-loop.ts";
import type {
  Hypervisor, RegisterName, RunResult, Segment, SegmentName, Vcpu, VcpuBus, Vm, VmFeatures,
  VmOptions,
} from "../../src/vmm/hypervisor.ts";
import { InterruptControllers } from "../../src/vmm/software/interrupt-controllers.ts";

export type Keys = Readonly<Record<string, string>>;

/** Enough of a PC for most tests; `boot.kernel` is only there to pass the check of keys. */
export const smallPc: Keys = {
  "memory.size": "16M", "boot.kernel": "/none",
  "pci.0.0.0.device": "hostbridge", "pci.0.31.0.device": "lpc",
};

export function planOf(keys: Keys): MachinePlan {
  const tree = new Tree(() => {});
  setDefaults(tree);
  for (const [key, value] of Object.entries({ name: "test", ...keys })) {
    tree.set(key, value);
  }
  return planMachine(readConfiguration(tree, devices),
    { memoryBytesMax: 3900 * MiB, cpusMax: 1 });
}

/** A serial line whose far end is the test. */
export class MemoryLine implements CharBackend {
  output = "";
  closed = false;
  #input: number[] = [];
  #listener: () => void = () => {};
  /** Called after every byte of output: a test answers a prompt here. */
  onOutput: (line: MemoryLine) => void = () => {};

  type(text: string): void {
    this.#input.push(...Buffer.from(text));
    this.#listener();
  }

  put(byte: number): boolean {
    this.output += String.fromCharCode(byte);
    this.onOutput(this);
    return true;
  }

  get(): number {
    return this.#input.shift() ?? -1;
  }

  onReadable(listener: () => void): void {
    this.#listener = listener;
  }

  close(): void {
    this.closed = true;
  }
}

export interface TestMachine {
  readonly machine: Machine;
  readonly line: MemoryLine;
  readonly wake: WakeWord;
  readonly loop: RunLoop;
  readonly disk: RamDisk;
  /** What the machine logged: level and message. */
  readonly messages: readonly string[];
  /** Runs to the end, at most for some seconds. */
  run(limitSeconds?: number): Ending;
}

const limitSecondsDefault = 20;

/** Builds a machine; the kernel is not loaded. */
export function buildMachine(keys: Keys, hypervisor: Hypervisor): TestMachine {
  const line = new MemoryLine();
  const wake = new WakeWord();
  const messages: string[] = [];
  const disk = new RamDisk(MiB);
  const clock = new HostClock();
  const machine = new Machine(planOf(keys), {
    hypervisor, clock, entropy: new SeededEntropy(1),
    log: createLog((level, message) => messages.push(`${level}: ${message}`)),
    wake: () => wake.signal(),
    wallClockMs: () => Date.now(),
    serial: (number) => (number === 1 ? line : undefined),
    openBlock: () => disk,
  });
  const loop = new RunLoop({ machine, wake, poll: () => {} });
  const run = (limitSeconds = limitSecondsDefault): Ending => {
    clock.timer(() => machine.driver.ask({
      kind: "failure", report: `not over after ${limitSeconds} s; output: ${line.output}`,
    })).arm(clock.nowNs() + limitSeconds * secondNs);
    try {
      return loop.run();
    } finally {
      machine.destroy();
    }
  };
  return { machine, line, wake, loop, disk, messages, run };
}

/** A guest's doings; between two results the machine runs timers and may sleep. */
export type GuestScript = (guest: ScriptedGuest) => Generator<RunResult, void>;

export interface ScriptedGuest extends VcpuBus {
  readonly memory: GuestMemory;
  /** Takes the vector of an interrupt that is there, or -1. */
  acknowledge(): number;
  readonly kicks: number;
}

export const halt: RunResult = { reason: "halt", interruptible: true };
export const slice: RunResult = { reason: "yield" };

/** A hypervisor whose vCPU plays a script; a halt lasts until there is an interrupt. */
export function scriptedHypervisor(script: GuestScript): Hypervisor {
  return {
    name: "script",
    memoryBytesMax: 1024 * MiB, cpusMax: 1,
    probe: () => ({ usable: true }),
    createVm: (options) => new ScriptedVm(options, script),
  };
}

class ScriptedVm implements Vm {
  readonly features: VmFeatures = { ioapicPins: 32, chips: new Set() };
  readonly memory: GuestMemory;
  readonly vcpus: readonly Vcpu[];
  readonly interrupts: InterruptControllers;

  constructor(options: VmOptions, script: GuestScript) {
    const { memoryBytes, clock, wake } = options;
    this.memory = new GuestMemory(new ArrayBuffer(memoryBytes), 0, memoryBytes);
    this.interrupts = new InterruptControllers({
      clock, cpus: 1, tscNow: () => clock.nowNs(), tscToNs: (_cpu, tsc) => tsc, wake,
    });
    this.vcpus = [new ScriptedVcpu(options.bus, this, script)];
  }

  attach(board: Parameters<Vm["attach"]>[0]): void {
    this.interrupts.attach(board);
  }

  setNmi(level: boolean): void {
    this.interrupts.setNmi(level);
  }

  reset(): void {
    this.interrupts.reset();
  }

  destroy(): void {
    this.interrupts.detach();
  }
}

class ScriptedVcpu implements Vcpu {
  readonly #script: Generator<RunResult, void>;
  readonly #vm: ScriptedVm;
  readonly #registers = new Map<string, bigint>();
  #halted = false;
  kicks = 0;

  constructor(bus: VcpuBus, vm: ScriptedVm, script: GuestScript) {
    const kicks = () => this.kicks;
    this.#vm = vm;
    this.#script = script({
      ...bus, memory: vm.memory, acknowledge: () => this.#lapic().acknowledge(),
      get kicks() { return kicks(); },
    });
  }

  run(): RunResult {
    if (this.#halted && this.#lapic().attention === 0) {
      return halt;
    }
    const next = this.#script.next();
    const result = next.done ? { reason: "failed", report: "the script is over" } as const
      : next.value;
    this.#halted = result.reason === "halt";
    return result;
  }

  kick(): void {
    this.kicks += 1;
  }

  register(name: RegisterName): bigint {
    return this.#registers.get(name) ?? 0n;
  }

  setRegister(name: RegisterName, value: bigint): void {
    this.#registers.set(name, value);
  }

  segment(_name: SegmentName): Segment {
    return { selector: 0, base: 0n, limit: 0xffff, attributes: 0x93 };
  }

  setSegment(): void {}

  setDescriptorTable(): void {}

  reset(): void {
    this.#halted = false;
  }

  #lapic() {
    const [lapic] = this.#vm.interrupts.lapics;
    if (lapic === undefined) {
      throw new Error("a machine has a local APIC");
    }
    return lapic;
  }
}

const romBytes = 0x1_0000;
const resetVector = 0xfff0;

/** A boot ROM of 64 KiB: `code` at F000:0000 in real mode, reached from the reset vector. */
export function romOf(code: readonly number[]): Uint8Array {
  const rom = new Uint8Array(romBytes);
  rom.set(code);
  rom.set([0xea, 0x00, 0x00, 0x00, 0xf0], resetVector); // jmp F000:0000
  return rom;
}
