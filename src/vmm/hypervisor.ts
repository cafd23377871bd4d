/**
 * What runs vCPUs: one interface for the software vCPU, Linux /dev/kvm and FreeBSD /dev/vmm.
 * An access that leaves the vCPU is served by a plain call into `VcpuBus`, in the thread that
 * runs the vCPU; `run` returns only when the run loop has something to decide.
 */
import type { Log } from "../base/log.ts";
import type { Board } from "../fabric/board.ts";
import type { Clock } from "../fabric/clock.ts";
import type { InterruptRouter } from "../fabric/interrupt.ts";
import type { GuestMemory } from "../fabric/memory.ts";
import type { Kick } from "./kick.ts";

/** Where port and memory accesses of a vCPU go; sizes are 1, 2 or 4 bytes. */
export interface VcpuBus {
  portRead(port: number, size: number): number;
  portWrite(port: number, size: number, value: number): void;
  mmioRead(address: number, size: number): number;
  mmioWrite(address: number, size: number, value: number): void;
}

/** Why `run` came back. */
export type RunResult =
  /** The time slice is over, or `kick` was called. */
  | { readonly reason: "yield" }
  /** HLT: nothing to do until an interrupt; `interruptible` is false when IF is clear. */
  | { readonly reason: "halt"; readonly interruptible: boolean }
  | { readonly reason: "tripleFault" }
  /** RIP is at one of `VcpuDebug.breakpoints`. */
  | { readonly reason: "breakpoint" }
  /** The back end cannot go on; `report` says why, for a person. */
  | { readonly reason: "failed"; readonly report: string };

/** A segment register with its hidden part; `attributes` as in VMCS access rights. */
export interface Segment {
  readonly selector: number;
  readonly base: bigint;
  readonly limit: number;
  readonly attributes: number;
}

/** Names of the registers that can be read and written; 64-bit values. */
export type RegisterName =
  | "rax" | "rcx" | "rdx" | "rbx" | "rsp" | "rbp" | "rsi" | "rdi"
  | "r8" | "r9" | "r10" | "r11" | "r12" | "r13" | "r14" | "r15"
  | "rip" | "rflags" | "cr0" | "cr2" | "cr3" | "cr4" | "efer"
  | "dr0" | "dr1" | "dr2" | "dr3" | "dr6" | "dr7";

export type SegmentName = "es" | "cs" | "ss" | "ds" | "fs" | "gs" | "ldtr" | "tr";

/** What a debugger outside the guest needs; addresses are linear. */
export interface VcpuDebug {
  /** An INT3 at one of these ends `run`, with RIP at it, and is no exception of the guest. */
  readonly breakpoints: Set<bigint>;
  /** One instruction, without interrupts in between. */
  step(): RunResult;
  /** All of it, or false; nothing that the guest could notice. Within one page. */
  read(linear: bigint, into: Uint8Array): boolean;
  write(linear: bigint, bytes: Uint8Array): boolean;
}

export interface Vcpu {
  /** Absent where the back end cannot. */
  readonly debug?: VcpuDebug;
  /** Runs until there is something to decide: at most `budget` instructions, roughly, where the
   * back end counts them, and else for `lengthNs` nanoseconds. */
  run(budget: number, lengthNs: number): RunResult;
  /** Makes a running or the next `run` return soon. By the thread that runs the vCPU; others use
   * the kick of `VmFeatures`. */
  kick(): void;
  register(name: RegisterName): bigint;
  setRegister(name: RegisterName, value: bigint): void;
  segment(name: SegmentName): Segment;
  setSegment(name: SegmentName, segment: Segment): void;
  setDescriptorTable(name: "gdtr" | "idtr", base: bigint, limit: number): void;
  /** The state after power-on or INIT (Intel SDM 3A §9.1.1). */
  reset(): void;
}

export interface ProcessorChoices {
  /** Local APICs start in x2APIC mode. */
  readonly x2apic: boolean;
  /** #GP at an unknown MSR; else it reads 0 and what is written to it is lost. */
  readonly strictMsr: boolean;
  /** Unknown MSRs are told to the log. */
  readonly verboseMsr: boolean;
  /** Level and features of a CPU in software, as `vmm.soft.cpu` has them. */
  readonly cpuModel?: string;
  /** Hot code is compiled. */
  readonly compiles: boolean;
  /** What was done goes to the log when the VM is destroyed. */
  readonly statistics: boolean;
}

export interface VmOptions {
  /** Where back ends name their VMs. */
  readonly name?: string;
  /** RAM: a multiple of 4 KiB. */
  readonly memoryBytes: number;
  readonly cpus: number;
  /** Boot ROM, a multiple of 4 KiB, ending at 4 GiB. Its last 128 KiB are copied to RAM below
   * 1 MiB at each reset, as a PC's chip set shadows them. */
  readonly rom?: Uint8Array;
  /** Of processors that the back end models itself; a kernel has its own ways. */
  readonly x86?: ProcessorChoices;
  readonly bus: VcpuBus;
  readonly clock: Clock;
  readonly log: Log;
  /** Something woke a halted vCPU: an interrupt, from a timer, a device or another thread. */
  readonly wake: () => void;
}

/** Chips of the board that a back end may have itself: its kernel answers for them. */
export type BoardChip = "i8254" | "mc146818" | "hpet";

/** What a back end does its own way; the machine goes by it. */
export interface VmFeatures {
  readonly ioapicPins: number;
  /** Chips that the board leaves out. */
  readonly chips: ReadonlySet<BoardChip>;
  /** A halted vCPU waits inside `run` for its next interrupt, and other threads end that wait so.
   * Absent: `run` returns `halt`. */
  readonly kick?: Kick;
}

/** A virtual machine: RAM, vCPUs, and the interrupt controllers that belong to them. */
export interface Vm {
  readonly features: VmFeatures;
  readonly memory: GuestMemory;
  readonly vcpus: readonly Vcpu[];
  readonly interrupts: InterruptRouter;
  /** Claims the ports and pages of the controllers that the back end models itself. */
  attach(board: Board): void;
  /** The board's NMI, wired to LINT1 of every processor. */
  setNmi(level: boolean): void;
  /** ISA interrupts (bits) that PCI and ACPI share are levels; only where the back end has the
   * 8259 pair itself. */
  setLevelTriggered?(mask: number): void;
  /** Seconds since 1970 and bytes of CMOS memory; only where the back end has the RTC. */
  setRtc?(seconds: number, memory: Readonly<Record<number, number>>): void;
  /** The HPET takes over the interrupts of the 8254 and the RTC; only where the back end has one
   * of these chips. */
  replaceLegacyTimers?(replaced: boolean): void;
  /** Interrupt controllers and vCPUs as after power-on; RAM keeps its bytes but for the ROM's
   * shadow. */
  reset(): void;
  destroy(): void;
}

/** `slow` says why a usable back end is no match for the software vCPU: `auto` passes over it. */
export type Probe = { readonly usable: true; readonly slow?: string }
  | { readonly usable: false; readonly reason: string };

export interface Hypervisor {
  readonly name: string;
  probe(): Probe;
  /** The most RAM a VM of this back end can have. */
  readonly memoryBytesMax: number;
  readonly cpusMax: number;
  createVm(options: VmOptions): Vm;
}
