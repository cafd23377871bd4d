/** Puts a vCPU into the state in which a directly loaded kernel is entered. */
import type { EntryRegister, EntrySegment, EntryState } from "../firmware/entry.ts";
import type { Vcpu } from "../vmm/hypervisor.ts";

const segmentNames: readonly EntrySegment[] = ["es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"];

/** Modes first: what a register may hold depends on them. */
const registerNames: readonly EntryRegister[] = [
  "efer", "cr4", "cr3", "cr0", "rflags", "rip",
  "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp",
];

export function enter(vcpu: Vcpu, entry: EntryState): void {
  for (const name of registerNames) {
    const value = entry.registers[name];
    if (value !== undefined) {
      vcpu.setRegister(name, value);
    }
  }
  for (const name of segmentNames) {
    const segment = entry.segments[name];
    if (segment !== undefined) {
      vcpu.setSegment(name, segment);
    }
  }
  for (const name of ["gdtr", "idtr"] as const) {
    const table = entry[name];
    if (table !== undefined) {
      vcpu.setDescriptorTable(name, table.base, table.limit);
    }
  }
}
