/** Operands of vector instructions that helpers do, and the checks before them. */
import type { Instruction } from "../decoder/instruction.ts";
import { cr0Bits, state, vector } from "../layout.ts";
import { requireSse, x87Of } from "./fpu.ts";
import { operandOf, readOperand } from "./operands.ts";
import type { Processor } from "./processor.ts";

const vectorBytes = 16;
const mmxBytes = 8;

export function usesMmx(instruction: Instruction): boolean {
  return instruction.operands.some((each) => each.kind === "register" && each.class === "mmx");
}

/** What EMMS and MMX registers want: no emulation, no task switch, nothing pending in the x87. */
export function requireMmx(cpu: Processor): void {
  if ((cpu.cr0 & cr0Bits.em) !== 0) {
    cpu.raise(vector.ud);
  }
  if ((cpu.cr0 & cr0Bits.ts) !== 0) {
    cpu.raise(vector.nm);
  }
  if (x87Of(cpu).hasPendingException()) {
    cpu.raise(vector.mf);
  }
}

export function requireVectors(cpu: Processor, instruction: Instruction): void {
  const xmm = instruction.operands.some((each) =>
    each.kind === "register" && each.class === "xmm");
  if (xmm) {
    requireSse(cpu);
  }
  if (usesMmx(instruction)) {
    requireMmx(cpu);
  }
}

/** The operand's bytes, then zeros, in a copy of 16 bytes. */
export function readLanes(
  cpu: Processor, instruction: Instruction, index: number, unaligned = false,
): DataView {
  const operand = operandOf(instruction, index);
  const bytes = new Uint8Array(vectorBytes);
  const view = new DataView(bytes.buffer);
  if (operand.kind === "memory") {
    const length = operand.width / 8;
    const linear = cpu.linear(instruction, length, false);
    if (length === vectorBytes && !unaligned && linear % BigInt(vectorBytes) !== 0n) {
      cpu.raise(vector.gp, 0);
    }
    bytes.set(cpu.readBytes(linear, length));
  } else if (operand.kind === "register" && operand.class === "xmm") {
    const at = state.xmm + operand.number * vectorBytes;
    bytes.set(cpu.bytes.subarray(at, at + operand.width / 8));
  } else if (operand.kind === "register" && operand.class === "mmx") {
    view.setBigUint64(0, x87Of(cpu).readMmx(operand.number), true);
  } else {
    view.setBigUint64(0, readOperand(cpu, instruction, index), true);
  }
  return view;
}

/** Writes as many bytes of a vector register as the operand is wide. */
export function writeLanes(
  cpu: Processor, instruction: Instruction, index: number, from: DataView,
): void {
  const operand = operandOf(instruction, index);
  if (operand.kind !== "register") {
    return;
  }
  if (operand.class === "mmx") {
    x87Of(cpu).writeMmx(operand.number, from.getBigUint64(0, true));
    return;
  }
  const at = state.xmm + operand.number * vectorBytes;
  const bytes = new Uint8Array(from.buffer, 0, operand.width / 8);
  cpu.bytes.set(bytes, at);
}

export function immediateOf(instruction: Instruction): number {
  const operand = instruction.operands.find((each) => each.kind === "immediate");
  return operand?.kind === "immediate" ? Number(BigInt.asUintN(8, operand.value)) : 0;
}

/** Where MASKMOVDQU and MASKMOVQ write: DS:rDI, or another segment. */
export function maskedMove(cpu: Processor, instruction: Instruction): void {
  requireVectors(cpu, instruction);
  const length = usesMmx(instruction) ? mmxBytes : vectorBytes;
  const rdi = 7;
  const offset = BigInt.asUintN(instruction.addressWidth, cpu.gpr(rdi));
  const data = readLanes(cpu, instruction, 0), mask = readLanes(cpu, instruction, 1);
  const wanted = Array.from({ length }, (_, index) => index)
    .filter((index) => (mask.getUint8(index) & 0x80) !== 0);
  const linear = cpu.linearAt(instruction.segment, offset, length, true);
  if (wanted.length > 0) {
    // As processors have it, all bytes must be writable then, also those left alone.
    cpu.access.probeWrite(linear, length);
  }
  for (const index of wanted) {
    cpu.write(linear + BigInt(index), 1, BigInt(data.getUint8(index)));
  }
  if (usesMmx(instruction)) {
    x87Of(cpu).enterMmx();
  }
}

