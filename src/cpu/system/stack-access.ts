/** Which of an instruction's accesses are to the stack: those fault with #SS (SDM 3A §6.15). */
import { decode } from "../decoder/decode.ts";
import type { Instruction } from "../decoder/instruction.ts";
import { semantics } from "../isa/table.ts";
import { segmentIndex, state } from "../layout.ts";
import { GuestFault } from "./fault.ts";
import type { Processor } from "./processor.ts";

const widestAccess = 16n;

/** Whether `address`, where `instruction` faulted in 64-bit mode, belongs to the stack. */
function isStackAccess(
  cpu: Processor, instruction: Instruction, address: bigint,
): boolean {
  const { memory, row, segment } = instruction;
  const usesStack = semantics.get(row.mnemonic)?.stack === true;
  if (memory === undefined || !usesStack || memory.ripRelative) {
    return usesStack || (memory !== undefined && segment === segmentIndex.ss);
  }
  const base = segment >= segmentIndex.fs ? cpu.segmentBase(segment) : 0n;
  const start = base + cpu.offsetOf(instruction);
  const inOperand = BigInt.asUintN(64, address - start) < widestAccess;
  return !inOperand || segment === segmentIndex.ss;
}

/** The instruction at RIP has just met an address that is not canonical: one of the stack? */
export function faultedOnStack(cpu: Processor): boolean {
  try {
    const { linear, host } = cpu.fetch.place();
    const bytes = cpu.fetch.bytes(linear, host);
    const result = decode(bytes, { bits: cpu.codeBits, features: cpu.features });
    return result.status === "ok" && isStackAccess(cpu, result.instruction,
      cpu.u64(state.faultAddress));
  } catch (fault) {
    if (fault instanceof GuestFault) {
      return false; // The guest has unmapped its own code, and only the TLB still had it.
    }
    throw fault;
  }
}
