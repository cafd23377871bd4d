/** Decoded instructions to micro-ops: which case, and what its fields are. */
import { defined } from "../../base/assert.ts";
import type { DecodedOperand, Instruction, MemoryReference } from "../decoder/instruction.ts";
import { rsp } from "../isa/builder.ts";
import type { Operand } from "../isa/builder.ts";
import type { FlagEffect } from "../isa/flags.ts";
import type { StringForm } from "../isa/strings.ts";
import { semantics, type Row, type Semantics } from "../isa/table.ts";
import { access, addressSlot, pageRipSlot, segmentIndex, zeroSlot } from "../layout.ts";
import {
  describeCase, repeatOf, shapeOperands, stringMnemonics, type CaseDescription, type CodeMode,
} from "./forms.ts";
import { builtin } from "./builtin.ts";
import type { GeneratedInterpreter } from "./generate.ts";

/** The fields of one micro-op; `displacement` and `immediate` are 32-bit. */
export interface MicroOpFields {
  operation: number;
  first: number;
  base: number;
  index: number;
  scale: number;
  displacement: number;
  immediate: number;
}

export interface Lowered {
  /** Up to three micro-ops: guard and address, where they need their own, and the operation. */
  readonly microOps: readonly MicroOpFields[];
  /** The last one is a helper and wants the instruction itself. */
  readonly needsInstruction: boolean;
  /** What it does with flags; undefined where they must be right before it. */
  readonly flags: FlagEffect | undefined;
  /** Nothing after this instruction is reached by falling through. */
  readonly ends: boolean;
}

function blank(operation: number): MicroOpFields {
  return {
    operation, first: zeroSlot, base: zeroSlot, index: zeroSlot, scale: 0, displacement: 0,
    immediate: 0,
  };
}

/** Byte offset of a register in its file. */
function registerField(operand: Extract<DecodedOperand, { kind: "register" }>): number {
  const stride = operand.class === "gpr" ? 8 : 16;
  return operand.number * stride + (operand.high ? 1 : 0);
}

function setAddress(op: MicroOpFields, memory: MemoryReference): void {
  op.base = memory.ripRelative ? pageRipSlot : memory.base < 0 ? zeroSlot : memory.base * 8;
  op.index = memory.index < 0 ? zeroSlot : memory.index * 8;
  op.scale = memory.scale;
  op.displacement = Number(BigInt.asIntN(32, memory.displacement));
}

const fitsInt32 = (value: bigint) => BigInt.asIntN(32, value) === value;

/** The page offset that follows the instruction. */
function nextOffset(instruction: Instruction, offset: number): number {
  return offset + instruction.length;
}

/** The micro-op that computes a memory operand's linear address, if the operation cannot. */
function addressMicroOp(
  instruction: Instruction, memory: MemoryReference, mode: CodeMode, offset: number,
  each: CaseDescription, writes: boolean,
): MicroOpFields | undefined {
  const long = mode.bits === 64;
  const isLea = each.semantics.mnemonic === "lea";
  const { addressWidth } = instruction;
  const inFsGs = long && instruction.segmentOverride >= segmentIndex.fs && !isLea;
  if (long && addressWidth === 64 && !inFsGs && fitsInt32(memory.displacement)
    && !(memory.ripRelative && !fitsInt32(memory.displacement + BigInt(nextOffset(instruction,
      offset))))) {
    return undefined;
  }
  if (isLea && addressWidth === 64) {
    return undefined;
  }
  const op = blank(builtin.address);
  setAddress(op, memory);
  op.first = inFsGs || !long ? instruction.segment : segmentIndex.ds;
  if (!fitsInt32(memory.displacement)) {
    op.operation = builtin.absolute;
    op.displacement = Number(BigInt.asIntN(32, memory.displacement));
    op.immediate = Number(BigInt.asIntN(32, memory.displacement >> 32n));
    return op;
  }
  if (memory.ripRelative) {
    op.immediate = nextOffset(instruction, offset);
  }
  if (isLea || isMoved(each)) {
    op.operation = addressWidth === 32 ? builtin.narrow32 : builtin.narrow16;
  } else if (long) {
    op.operation = addressWidth === 32 ? builtin.address32 : builtin.address;
  } else {
    op.operation = addressWidth === 32 ? builtin.segmented32 : builtin.segmented16;
    const operand = each.operands.find((candidate) => candidate.kind === "memory");
    op.immediate = (operand?.width ?? 8) / 8 | (writes ? access.write : 0);
  }
  return op;
}

/** The case adds to the offset and then makes the address itself: outside 64-bit addresses, which
 * do not wrap and need no check. */
function isMoved({ semantics: { movesAddress }, operands, form }: CaseDescription): boolean {
  return movesAddress && (!form.long || form.addressWidth !== 64)
    && operands.some(({ kind }) => kind === "memory")
    && operands.some(({ kind }) => kind === "first");
}

/** Outside 64-bit mode a segment is checked early; what forbids the instruction comes first. */
function guards(row: Row, each: CaseDescription, mode: CodeMode, segmented: boolean):
MicroOpFields[] {
  const uses = (file: Operand["file"]) => each.operands.some((operand) => operand.file === file);
  if (mode.bits === 64) {
    return [];
  }
  if (row.vex) {
    return [blank(uses("xmm") ? builtin.requireAvx : builtin.requireVex)];
  }
  const which = uses("xmm") ? builtin.requireSse : builtin.requireMmx;
  return segmented && (uses("xmm") || uses("mmx")) ? [blank(which)] : [];
}

/** Puts registers and numbers into the fields that the case reads. */
function setOperands(op: MicroOpFields, instruction: Instruction, each: CaseDescription): void {
  let beside = 0;
  let isShared = false;
  for (const [index, operand] of instruction.operands.entries()) {
    const kind = defined(each.operands[index], "an operand").kind;
    if (operand.kind === "register") {
      const field = registerField(operand);
      if (kind === "first") op.first = field;
      if (kind === "second") op.base = field;
      if (kind === "third") beside |= field << 8;
      if (kind === "fourth") beside |= field << 16;
      isShared ||= kind === "third" || kind === "fourth";
    } else if (operand.kind === "immediate") {
      if (kind === "wide") {
        op.displacement = Number(BigInt.asIntN(32, operand.value));
        op.immediate = Number(BigInt.asIntN(32, operand.value >> 32n));
      } else {
        op.immediate = Number(BigInt.asIntN(32, operand.value));
      }
    }
  }
  if (isShared) {
    // The manual has no instruction with three registers and more than a byte of immediate.
    op.immediate = (op.immediate & 0xff) | beside;
  }
}

const unconditional = new Set([
  "jmp", "jmp.indirect", "call", "call.indirect", "ret", "ret.pop", "jmp.far", "call.far",
  "ret.far", "iret", "int", "int3", "int1", "syscall", "sysret", "sysenter", "sysexit", "hlt", "ud",
]);

function stringFormOf(instruction: Instruction): StringForm | undefined {
  const { mnemonic, operands } = instruction.row;
  if (!stringMnemonics.has(mnemonic)) {
    return undefined;
  }
  return {
    width: operands[0]?.size === "b" ? 8 : instruction.operandWidth,
    addressWidth: instruction.addressWidth,
    repeat: repeatOf(mnemonic, instruction.repeat),
  };
}

/** Page offset of a relative target, if the branch may be lowered as one within the page. */
function branchTarget(instruction: Instruction, mode: CodeMode, offset: number):
{ near: "in" | "out"; displacement: number } | undefined {
  const relative = instruction.operands[0];
  if (relative?.kind !== "relative") {
    return undefined;
  }
  const target = nextOffset(instruction, offset) + Number(relative.value);
  // 16-bit targets wrap at 64 KiB of IP, which the page knows nothing of.
  const within = target >= 0 && target < 4096 && offset < 4096
    && (mode.bits === 64 || instruction.operandWidth === 32);
  return within ? { near: "in", displacement: target * 4 }
    : { near: "out", displacement: target };
}

const cases = new Map<number, CaseDescription>();
const widthCodes: Readonly<Record<number, number>> = { 16: 0, 32: 1, 64: 2 };

/** What the case of an instruction depends on, as a number. */
function shapeOf({ row, operandWidth, addressWidth, operands, repeat }: Instruction,
  mode: CodeMode, near: "in" | "out"): number {
  let memory = 0, wide = 0;
  for (const operand of operands) {
    memory |= operand.kind === "memory" ? 1 : 0;
    wide |= operand.kind === "immediate" && operand.width === 64
      && BigInt.asIntN(32, operand.value) !== operand.value ? 1 : 0;
  }
  let shape = row.index;
  for (const width of [operandWidth, addressWidth, mode.bits, mode.stackBits]) {
    shape = shape * 3 + (widthCodes[width] ?? 0);
  }
  shape = shape * 3 + (repeat === 0 ? 0 : repeat - 0xf1);
  return shape * 8 + memory * 4 + wide * 2 + (near === "in" ? 1 : 0);
}

/** The case that a decoded instruction is an instance of. */
export function caseOf(instruction: Instruction, which: Semantics, mode: CodeMode,
  near: "in" | "out"): CaseDescription {
  const shape = shapeOf(instruction, mode, near);
  const known = cases.get(shape);
  if (known !== undefined) {
    return known;
  }
  const found = describe(instruction, which, mode, near);
  cases.set(shape, found);
  return found;
}

function describe(instruction: Instruction, which: Semantics, mode: CodeMode,
  near: "in" | "out"): CaseDescription {
  const string = stringFormOf(instruction);
  return describeCase({
    semantics: which, mode, near, string,
    operands: string === undefined ? shapeOperands(instruction.operands) : [],
    operandWidth: instruction.operandWidth, addressWidth: instruction.addressWidth,
  });
}

/** A helper gets the instruction; its memory operand's address is computed for it. */
export const helperOperation = builtin.helper;

/** What an interpreter has for a case, looked up by key once. */
interface KnownCase {
  readonly operation: number;
  readonly writes: boolean;
  readonly flags: FlagEffect | undefined;
  readonly needsInstruction: boolean;
  readonly isString: boolean;
  readonly ends: boolean;
}

const knownCases = new WeakMap<GeneratedInterpreter, Map<CaseDescription, KnownCase>>();

function knownCase(generated: GeneratedInterpreter, each: CaseDescription): KnownCase {
  const list = knownCases.get(generated) ?? new Map<CaseDescription, KnownCase>();
  const known = list.get(each);
  if (known !== undefined) {
    return known;
  }
  const { mnemonic } = each.semantics;
  const found: KnownCase = {
    operation: defined(generated.operations.get(each.key), `the case ${each.key}`),
    writes: generated.writesMemory.has(each.key), flags: generated.flagEffects.get(each.key),
    // Semantics may hand a hard case to their helper, which then wants the instruction.
    needsInstruction: each.semantics.helped || helped.has(mnemonic),
    isString: stringMnemonics.has(mnemonic), ends: unconditional.has(mnemonic),
  };
  list.set(each, found);
  knownCases.set(generated, list);
  return found;
}

export function lower(
  instruction: Instruction, offset: number, mode: CodeMode, generated: GeneratedInterpreter,
): Lowered {
  const { mnemonic } = instruction.row;
  const which = defined(semantics.get(mnemonic), `semantics of ${mnemonic}`);
  if (which.helper) {
    const ends = unconditional.has(mnemonic);
    return { microOps: [blank(builtin.helper)], needsInstruction: true, ends, flags: undefined };
  }
  const branch = branchTarget(instruction, mode, offset);
  const each = caseOf(instruction, which, mode, branch?.near ?? "out");
  const known = knownCase(generated, each);
  const op = blank(known.operation);
  const microOps = [op];
  if (instruction.memory !== undefined && mnemonic !== "nop") {
    const { memory } = instruction;
    const prefix = addressMicroOp(instruction, memory, mode, offset, each, known.writes);
    if (prefix === undefined) {
      setAddress(op, memory);
      if (memory.ripRelative) {
        op.displacement += nextOffset(instruction, offset);
      }
    } else {
      // POP computes its operand's address after it has moved rSP; a micro-op before it cannot.
      if (mnemonic === "pop" && memory.base === rsp) {
        prefix.displacement = (prefix.displacement + instruction.operandWidth / 8) | 0;
      }
      microOps.unshift(prefix);
      op.base = addressSlot;
      if (isMoved(each)) {
        op.index = instruction.segment;
      }
    }
  }
  microOps.unshift(...guards(instruction.row, each, mode, microOps.length > 1));
  if (!known.isString) {
    setOperands(op, instruction, each);
  }
  if (branch !== undefined) {
    op.displacement = branch.displacement;
  }
  if (known.isString) {
    op.base = instruction.segmentOverride >= 0 ? instruction.segmentOverride : segmentIndex.ds;
  }
  const { ends, needsInstruction, flags } = known;
  return { microOps, ends, needsInstruction, flags };
}

/** Mnemonics whose semantics call `helper` in some cases. */
const helped = new Set(["cli", "sti", "pushf", "popf", "div", "idiv"]);
