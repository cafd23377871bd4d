/** Port input and output (Intel SDM 1 §19.5; volume 2, IN, OUT, INS, OUTS). */
import type { Instruction } from "../decoder/instruction.ts";
import { eflags, segmentIndex, status, vector } from "../layout.ts";
import type { Processor } from "./processor.ts";

const rax = 0, rcx = 1, rdx = 2, rsi = 6, rdi = 7;
const mapBaseOffset = 0x66;
/** Elements a repeated port string may move before interrupts and the time slice get in. */
const elementsMax = 64;

/** #GP unless IOPL or the permission bitmap of the TSS opens the ports. */
function requirePorts(cpu: Processor, port: number, bytes: number): void {
  if (!cpu.isProtected) {
    return;
  }
  const iopl = (cpu.flags & eflags.iopl) >>> 12;
  if (cpu.cpl <= iopl && !cpu.isVirtual8086) {
    return;
  }
  const limit = cpu.segmentLimit(segmentIndex.tr);
  const base = cpu.segmentBase(segmentIndex.tr);
  if (mapBaseOffset + 1 > limit) {
    cpu.raise(vector.gp, 0);
  }
  const map = cpu.access.read32(base + BigInt(mapBaseOffset), 2, "system");
  const at = map + (port >>> 3);
  if (at + 1 > limit) {
    cpu.raise(vector.gp, 0);
  }
  const bits = cpu.access.read32(base + BigInt(at), 2, "system");
  if (((bits >>> (port & 7)) & ((1 << bytes) - 1)) !== 0) {
    cpu.raise(vector.gp, 0);
  }
}

function portOf(cpu: Processor, instruction: Instruction, index: 0 | 1): number {
  const operand = instruction.operands[index];
  return operand?.kind === "immediate" ? Number(operand.value & 0xffn) : cpu.gpr32(rdx) & 0xffff;
}

/** The accumulator's operand: one byte, or 2 or 4 (there is no 64-bit form). */
function bytesOf(instruction: Instruction, index: 0 | 1): 1 | 2 | 4 {
  const operand = instruction.operands[index];
  const width = operand?.kind === "register" ? operand.width : 8;
  return width === 8 ? 1 : width === 16 ? 2 : 4;
}

function setAccumulator(cpu: Processor, bytes: 1 | 2 | 4, value: number): void {
  if (bytes === 4) {
    cpu.setGpr32(rax, value >>> 0);
  } else {
    const mask = bytes === 1 ? 0xff : 0xffff;
    const old = cpu.gpr(rax);
    cpu.setGpr(rax, (old & ~BigInt(mask)) | BigInt(value & mask));
  }
}

const maskOf = (bytes: 1 | 2 | 4) => bytes === 4 ? 0xffff_ffff : bytes === 2 ? 0xffff : 0xff;

/** The ports that IN, OUT, INS and OUTS are about to use; undefined for all others. */
export function portRange(
  cpu: Processor, instruction: Instruction,
): { readonly port: number; readonly bytes: number } | undefined {
  switch (instruction.row.mnemonic) {
    case "in": return { port: portOf(cpu, instruction, 1), bytes: bytesOf(instruction, 0) };
    case "out": return { port: portOf(cpu, instruction, 0), bytes: bytesOf(instruction, 1) };
    case "ins": case "outs": return stringOf(cpu, instruction);
    default: return undefined;
  }
}

export function input(cpu: Processor, instruction: Instruction): void {
  const port = portOf(cpu, instruction, 1);
  const bytes = bytesOf(instruction, 0);
  requirePorts(cpu, port, bytes);
  setAccumulator(cpu, bytes, cpu.options.bus.portRead(port, bytes));
}

export function output(cpu: Processor, instruction: Instruction): void {
  const port = portOf(cpu, instruction, 0);
  const bytes = bytesOf(instruction, 1);
  requirePorts(cpu, port, bytes);
  cpu.options.bus.portWrite(port, bytes, (cpu.gpr32(rax) & maskOf(bytes)) >>> 0);
}

interface PortString {
  readonly bytes: 1 | 2 | 4;
  readonly width: 16 | 32 | 64;
  readonly repeated: boolean;
  readonly port: number;
  readonly step: bigint;
}

function stringOf(cpu: Processor, instruction: Instruction): PortString {
  const isByte = (instruction.opcode & 1) === 0;
  const bytes = isByte ? 1 : instruction.operandWidth === 16 ? 2 : 4;
  return {
    bytes, width: instruction.addressWidth, repeated: instruction.repeat !== 0,
    port: cpu.gpr32(rdx) & 0xffff,
    step: (cpu.flags & eflags.df) !== 0 ? BigInt(-bytes) : BigInt(bytes),
  };
}

/** Repeats `element`; returns the status: again while RCX is not used up. */
function repeat(cpu: Processor, string: PortString, element: () => void): number {
  if (!string.repeated) {
    element();
    return status.next;
  }
  for (let done = 0; done < elementsMax; done += 1) {
    const count = cpu.gprSized(rcx, string.width);
    if (count === 0n) {
      return status.next;
    }
    element();
    cpu.setGprSized(rcx, string.width, count - 1n);
  }
  return cpu.gprSized(rcx, string.width) === 0n ? status.next : status.again;
}

export function inputString(cpu: Processor, instruction: Instruction): number {
  const string = stringOf(cpu, instruction);
  requirePorts(cpu, string.port, string.bytes);
  return repeat(cpu, string, () => {
    const offset = cpu.gprSized(rdi, string.width);
    const linear = cpu.linearAt(segmentIndex.es, offset, string.bytes, true);
    // The port must not be read when its value has nowhere to go.
    cpu.access.probeWrite(linear, string.bytes);
    const value = cpu.options.bus.portRead(string.port, string.bytes);
    cpu.write(linear, string.bytes, BigInt(value));
    cpu.setGprSized(rdi, string.width, offset + string.step);
  });
}

export function outputString(cpu: Processor, instruction: Instruction): number {
  const string = stringOf(cpu, instruction);
  const segment = instruction.segmentOverride >= 0
    ? instruction.segmentOverride : segmentIndex.ds;
  requirePorts(cpu, string.port, string.bytes);
  return repeat(cpu, string, () => {
    const offset = cpu.gprSized(rsi, string.width);
    const linear = cpu.linearAt(segment, offset, string.bytes, false);
    const value = cpu.access.read32(linear, string.bytes);
    cpu.options.bus.portWrite(string.port, string.bytes, value);
    cpu.setGprSized(rsi, string.width, offset + string.step);
  });
}
