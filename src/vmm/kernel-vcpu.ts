/** What vCPUs of all kernels have in common: registers that are asked for and set one by one. */
import type {
  RegisterName, RunResult, Segment, SegmentName, Vcpu,
} from "./hypervisor.ts";

/** One vCPU's registers, through the kernel. */
export interface VcpuRegisters {
  get(name: RegisterName): bigint;
  set(name: RegisterName, value: bigint): void;
  segment(name: SegmentName): Segment;
  setSegment(name: SegmentName, segment: Segment): void;
  setDescriptorTable(name: "gdtr" | "idtr", base: bigint, limit: number): void;
}

export abstract class KernelVcpu<Registers extends VcpuRegisters> implements Vcpu {
  readonly registers: Registers;

  constructor(registers: Registers) {
    this.registers = registers;
  }

  abstract run(budget: number, lengthNs: number): RunResult;
  abstract kick(): void;
  abstract reset(): void;

  register(name: RegisterName): bigint {
    return this.registers.get(name);
  }

  setRegister(name: RegisterName, value: bigint): void {
    this.registers.set(name, value);
  }

  segment(name: SegmentName): Segment {
    return this.registers.segment(name);
  }

  setSegment(name: SegmentName, segment: Segment): void {
    this.registers.setSegment(name, segment);
  }

  setDescriptorTable(name: "gdtr" | "idtr", base: bigint, limit: number): void {
    this.registers.setDescriptorTable(name, base, limit);
  }
}
