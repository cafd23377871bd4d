/** Which of an instruction's accesses are to the stack: those fault with #SS (SDM 3A §6.15). */
import type { Instruction } from "../decoder/instruction.ts";
import { semantics } from "../isa/table.ts";
import { segmentIndex } from "../layout.ts";
import type { Processor } from "./processor.ts";

const widestAccess = 16n;

/** Whether `address`, where `instruction` faulted in 64-bit mode, belongs to the stack. */
export function isStackAccess(
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
