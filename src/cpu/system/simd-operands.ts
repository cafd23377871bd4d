/** Operands of vector instructions that helpers do, and the checks before them. */
import type { Instruction } from "../decoder/instruction.ts";
import { SseFloat } from "../float/sse.ts";
import { cr0Bits, cr4Bits, state, vector } from "../layout.ts";
import { requireAvx, requireSse, x87Of } from "./fpu.ts";
import { operandOf, readOperand } from "./operands.ts";
import type { Processor } from "./processor.ts";

/** One for all processors of a worker: no instruction outlives its call. */
export const sse = new SseFloat();

/** Notes the exceptions of what `sse` has computed, and raises those that are not masked. */
export function finishFloat(cpu: Processor): void {
  const stops = sse.finish();
  cpu.setU32(state.mxcsr, cpu.u32(state.mxcsr) | sse.flags);
  if (stops) {
    cpu.raise((cpu.cr4 & cr4Bits.osxmmexcpt) !== 0 ? vector.xm : vector.ud);
  }
}

const vectorBytes = 16;
const wideBytes = 32;
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
  if (instruction.row.vex) {
    requireAvx(cpu);
    return;
  }
  const xmm = instruction.operands.some((each) =>
    each.kind === "register" && each.class === "xmm");
  if (xmm) {
    requireSse(cpu);
  }
  if (usesMmx(instruction)) {
    requireMmx(cpu);
  }
}

export const isWide = ({ operands }: Instruction) =>
  operands.some((each) => each.kind !== "far" && each.width === 256);

/** Where the sources stand: behind VEX the old destination may be an operand of its own. */
export function sourcesOf({ row }: Instruction): { first: number; second: number } {
  const apart = row.operands[1]?.place === "H";
  return apart ? { first: 1, second: 2 } : { first: 0, second: 1 };
}

/** All 256 bits of a vector register, in a copy. */
export function readRegister(cpu: Processor, number: number): DataView {
  const bytes = new Uint8Array(wideBytes);
  const at = number * vectorBytes;
  bytes.set(cpu.bytes.subarray(state.xmm + at, state.xmm + at + vectorBytes));
  bytes.set(cpu.bytes.subarray(state.ymmHigh + at, state.ymmHigh + at + vectorBytes), vectorBytes);
  return new DataView(bytes.buffer);
}

/** Writes the low `width` bits of a vector register, and zeros above. */
export function writeRegister(cpu: Processor, number: number, from: DataView, width: number): void {
  const bytes = new Uint8Array(wideBytes);
  bytes.set(new Uint8Array(from.buffer, 0, width / 8));
  const at = number * vectorBytes;
  cpu.bytes.set(bytes.subarray(0, vectorBytes), state.xmm + at);
  cpu.bytes.set(bytes.subarray(vectorBytes), state.ymmHigh + at);
}

/** What the result starts as: the destination, or the first source, of which more is kept. */
export function resultOf(
  cpu: Processor, instruction: Instruction, first = sourcesOf(instruction).first,
): DataView {
  const operand = operandOf(instruction, first);
  return instruction.row.vex && operand.kind === "register"
    ? readRegister(cpu, operand.number) : readLanes(cpu, instruction, first);
}

/** The operand's bytes, then zeros, in a copy of 32 bytes. */
export function readLanes(
  cpu: Processor, instruction: Instruction, index: number, unaligned = false,
): DataView {
  const operand = operandOf(instruction, index);
  const bytes = new Uint8Array(wideBytes);
  const view = new DataView(bytes.buffer);
  if (operand.kind === "memory") {
    const length = operand.width / 8;
    const linear = cpu.linear(instruction, length, false);
    const aligned = !unaligned && !instruction.row.vex;
    if (length === vectorBytes && aligned && linear % BigInt(vectorBytes) !== 0n) {
      cpu.raise(vector.gp, 0);
    }
    bytes.set(cpu.readBytes(linear, length));
  } else if (operand.kind === "register" && operand.class === "xmm") {
    const register = new Uint8Array(readRegister(cpu, operand.number).buffer);
    bytes.set(register.subarray(0, operand.width / 8));
  } else if (operand.kind === "register" && operand.class === "mmx") {
    view.setBigUint64(0, x87Of(cpu).readMmx(operand.number), true);
  } else {
    view.setBigUint64(0, readOperand(cpu, instruction, index), true);
  }
  return view;
}

/** Writes as many bytes of a vector register as the operand is wide; all of it behind VEX. */
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
  if (instruction.row.vex) {
    writeRegister(cpu, operand.number, from, operand.width === 256 ? 256 : 128);
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

