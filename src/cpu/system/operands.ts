/** Operands of instructions that helpers do: general registers, memory, immediates. */
import type { DecodedOperand, Instruction } from "../decoder/instruction.ts";
import { defined } from "../../base/assert.ts";
import type { Processor } from "./processor.ts";

export function operandOf(instruction: Instruction, index: number): DecodedOperand {
  return defined(instruction.operands[index], "an operand");
}

export function readOperand(cpu: Processor, instruction: Instruction, index: number): bigint {
  const operand = operandOf(instruction, index);
  switch (operand.kind) {
    case "register": {
      const value = cpu.gpr(operand.number) >> (operand.high ? 8n : 0n);
      return BigInt.asUintN(operand.width, value);
    }
    case "memory": {
      const bytes = operand.width / 8;
      return cpu.read(cpu.linear(instruction, bytes, false), bytes);
    }
    case "immediate": return BigInt.asUintN(operand.width, operand.value);
    default: return 0n;
  }
}

export function writeOperand(
  cpu: Processor, instruction: Instruction, index: number, value: bigint,
): void {
  const operand = operandOf(instruction, index);
  if (operand.kind === "register") {
    cpu.setGprSized(operand.number, operand.width, value);
  } else if (operand.kind === "memory") {
    const bytes = operand.width / 8;
    cpu.write(cpu.linear(instruction, bytes, true), bytes, value);
  }
}

/** The same, but memory takes 16 bits whatever the operand size (SMSW, SLDT, MOV from Sreg). */
export function writeWordOperand(
  cpu: Processor, instruction: Instruction, index: number, value: number,
): void {
  const operand = operandOf(instruction, index);
  if (operand.kind === "memory") {
    cpu.write(cpu.linear(instruction, 2, true), 2, BigInt(value));
  } else {
    writeOperand(cpu, instruction, index, BigInt(value));
  }
}

export function readWordOperand(cpu: Processor, instruction: Instruction, index: number): number {
  const operand = operandOf(instruction, index);
  return operand.kind === "memory"
    ? Number(cpu.read(cpu.linear(instruction, 2, false), 2))
    : Number(readOperand(cpu, instruction, index) & 0xffffn);
}
