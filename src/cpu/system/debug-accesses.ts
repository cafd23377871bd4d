/** What an instruction is about to touch, for breakpoints on data and ports (Intel SDM 3B §17.2.4):
 * its memory operand, the stack, the elements of strings, ports. Only asked while one is set. */
import type { Instruction } from "../decoder/instruction.ts";
import { segmentIndex } from "../layout.ts";
import { portRange } from "./io.ts";
import type { Processor } from "./processor.ts";
import { stackBits } from "./stack.ts";

/** `start` is a linear address or a port. */
export interface Touched {
  readonly space: "memory" | "ports";
  readonly start: bigint;
  readonly bytes: number;
  readonly writes: boolean;
}

const rax = 0, rbx = 3, rsp = 4, rbp = 5, rsi = 6, rdi = 7;

/** Their first operand is only read. */
const readsOnly = new Set(["cmp", "test", "bt", "push", "call.indirect", "jmp.indirect", "mul",
  "imul", "div", "idiv", "nop"]);
/** Words that go to the stack, and words that come from it. */
const pushes: Readonly<Record<string, number>> = {
  "push": 1, "push.segment": 1, "pushf": 1, "pusha": 8, "enter": 1,
  "call": 1, "call.indirect": 1, "call.far": 2,
};
const pops: Readonly<Record<string, number>> = {
  "pop": 1, "pop.segment": 1, "popf": 1, "ret": 1, "ret.pop": 1, "ret.far": 2, "popa": 8, "iret": 3,
};
const strings: Readonly<Record<string, { readonly source?: true; readonly target?: "r" | "w" }>> = {
  movs: { source: true, target: "w" }, cmps: { source: true, target: "r" },
  stos: { target: "w" }, lods: { source: true }, scas: { target: "r" },
  ins: { target: "w" }, outs: { source: true },
};

export function touchedBy(cpu: Processor, instruction: Instruction): readonly Touched[] {
  const ports = portRange(cpu, instruction);
  return [
    ...(ports === undefined ? []
      : [{ space: "ports" as const, start: BigInt(ports.port), bytes: ports.bytes, writes: true }]),
    ...operandTouched(cpu, instruction), ...stackTouched(cpu, instruction),
    ...stringTouched(cpu, instruction),
  ];
}

function memory(
  cpu: Processor, segment: number, at: bigint, bytes: number, writes: boolean,
): Touched {
  const hasBase = cpu.codeBits !== 64 || segment >= segmentIndex.fs;
  const linear = at + (hasBase ? cpu.segmentBase(segment) : 0n);
  const start = BigInt.asUintN(cpu.codeBits === 64 ? 64 : 32, linear);
  return { space: "memory", start, bytes, writes };
}

function operandTouched(cpu: Processor, instruction: Instruction): Touched[] {
  const { row: { mnemonic }, segment, addressWidth } = instruction;
  if (mnemonic === "xlat") {
    const at = BigInt.asUintN(addressWidth, cpu.gpr(rbx) + (cpu.gpr(rax) & 0xffn));
    return [memory(cpu, segment, at, 1, false)];
  }
  const index = instruction.operands.findIndex((each) => each.kind === "memory");
  const operand = instruction.operands[index];
  if (operand?.kind !== "memory" || instruction.memory === undefined || mnemonic === "lea") {
    return [];
  }
  const bytes = Math.max(operand.width / 8, 1);
  const offset = cpu.offsetOf(instruction) + bitStringOffset(cpu, instruction, operand.width);
  const writes = index === 0 && !readsOnly.has(mnemonic);
  return [memory(cpu, segment, BigInt.asUintN(addressWidth, offset), bytes, writes)];
}

const bitStrings = new Set(["bt", "bts", "btr", "btc"]);

/** Bytes from the operand to the one that a bit number in a register means. */
function bitStringOffset(cpu: Processor, { row, operands }: Instruction, width: number): bigint {
  const [, number] = operands;
  if (!bitStrings.has(row.mnemonic) || number?.kind !== "register") {
    return 0n;
  }
  const bit = BigInt.asIntN(width, cpu.gpr(number.number));
  return (bit >> BigInt(Math.log2(width))) * BigInt(width / 8);
}

function stackTouched(cpu: Processor, instruction: Instruction): Touched[] {
  const { row: { mnemonic }, operandWidth } = instruction;
  const bits = stackBits(cpu, cpu.segment(segmentIndex.ss));
  const word = operandWidth / 8;
  const at = (register: number, less: number, bytes: number, writes: boolean) => [memory(cpu,
    segmentIndex.ss, BigInt.asUintN(bits, cpu.gpr(register) - BigInt(less)), bytes, writes)];
  if (mnemonic === "leave") {
    return at(rbp, 0, word, false);
  }
  const pushed = ((pushes[mnemonic] ?? 0) + nestingLevel(instruction)) * word;
  const popped = (mnemonic === "iret" && bits === 64 ? longFrameWords : pops[mnemonic] ?? 0) * word;
  return pushed > 0 ? at(rsp, pushed, pushed, true) : popped > 0 ? at(rsp, 0, popped, false) : [];
}

/** IRET in 64-bit mode pops SS and rSP too. */
const longFrameWords = 5;

/** Frame pointers that ENTER pushes beyond its own. */
function nestingLevel({ row: { mnemonic }, operands: [, level] }: Instruction): number {
  return mnemonic === "enter" && level?.kind === "immediate" ? Number(level.value & 31n) : 0;
}

/** One element; a repeated string does one at a time while a breakpoint is set. */
function stringTouched(cpu: Processor, instruction: Instruction): Touched[] {
  const { row: { mnemonic }, addressWidth, operandWidth, opcode, segmentOverride } = instruction;
  const string = strings[mnemonic];
  if (string === undefined || doesNothing(cpu, instruction)) {
    return [];
  }
  const port = portRange(cpu, instruction);
  const bytes = port?.bytes ?? ((opcode & 1) === 0 ? 1 : operandWidth / 8);
  const source = segmentOverride >= 0 ? segmentOverride : segmentIndex.ds;
  return [
    ...(string.source
      ? [memory(cpu, source, cpu.gprSized(rsi, addressWidth), bytes, false)] : []),
    ...(string.target === undefined ? [] : [memory(cpu, segmentIndex.es,
      cpu.gprSized(rdi, addressWidth), bytes, string.target === "w")]),
  ];
}

/** A string instruction that its prefix repeats. */
export function isRepeated({ repeat, row }: Instruction): boolean {
  return repeat !== 0 && strings[row.mnemonic] !== undefined;
}

/** Whether a repeated string goes on after an element, for its flags. */
export function repeatsOn({ repeat, row: { mnemonic } }: Instruction, zero: boolean): boolean {
  return (mnemonic !== "cmps" && mnemonic !== "scas") || zero === (repeat === 0xf3);
}

const rcx = 1;

/** A repeat count of zero touches nothing. */
function doesNothing(cpu: Processor, instruction: Instruction): boolean {
  return isRepeated(instruction) && cpu.gprSized(rcx, instruction.addressWidth) === 0n;
}
