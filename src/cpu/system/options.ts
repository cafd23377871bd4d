/** What a processor is made of, and how it answers. */
import type { GeneratedInterpreter } from "../interpreter/generate.ts";
import type { Features } from "./features.ts";
import type { PhysicalBus } from "./memory-access.ts";

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

export const defaultJit = { threshold: 12_000 };
/** Compiled regions that can live at a time. */
export const regionsMax = 4096;

/** Why `run` returned. */
export type StopReason = "yield" | "halt" | "tripleFault" | "exit" | "breakpoint";
