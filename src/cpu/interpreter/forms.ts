/**
 * Which cases the interpreter has: one for each semantics, width and kind of operands. The same
 * key is computed for a row of the table (to build the case) and for a decoded instruction.
 */
import { defined } from "../../base/assert.ts";
import { operandsOf } from "../decoder/decode.ts";
import type { DecodedOperand } from "../decoder/instruction.ts";
import type { Operand } from "../isa/builder.ts";
import type { Repeat, StringForm } from "../isa/strings.ts";
import { rows, semantics, type Row, type Semantics } from "../isa/table.ts";
import type { Width } from "../isa/value.ts";
import type { CaseForm } from "../tier/builder.ts";

/** Which code a page holds: fixed when it is decoded. */
export interface CodeMode {
  readonly bits: 16 | 32 | 64;
  readonly stackBits: 16 | 32 | 64;
}

export interface CaseDescription {
  readonly key: string;
  readonly semantics: Semantics;
  readonly operands: readonly Operand[];
  readonly form: CaseForm;
  /** Outside the main function. */
  readonly cold: boolean;
}

export const stringMnemonics = new Set(["movs", "stos", "lods", "cmps", "scas"]);

/** Operands as the tiers see them: registers in line, memory, numbers. */
export function shapeOperands(decoded: readonly DecodedOperand[]): Operand[] {
  const hasMemory = decoded.some((each) => each.kind === "memory");
  // A memory operand takes the fields of the second register.
  const places: Operand["kind"][] = hasMemory
    ? ["first", "third", "fourth"] : ["first", "second", "third", "fourth"];
  return decoded.map((each): Operand => {
    if (each.kind === "register") {
      const file = each.class === "xmm" || each.class === "mmx" ? each.class : "gpr";
      return { kind: defined(places.shift(), "a register field"), file, width: each.width };
    }
    if (each.kind === "memory") {
      return { kind: "memory", file: "gpr", width: each.width };
    }
    const wide = each.kind === "immediate" && BigInt.asIntN(32, each.value) !== each.value
      && each.width === 64;
    const width: Width = each.kind === "far" ? 32 : each.width;
    return { kind: wide ? "wide" : "immediate", file: "gpr", width };
  });
}

/** Hot at these widths even though they are narrow. */
const hotNarrow = new Set(["mov", "movzx", "movsx", "cmp", "test"]);
const hotBytes = new Set([...hotNarrow, "add", "sub", "and", "or", "xor"]);
const hotLegacy = new Set(["push", "pop", "call", "ret", "leave", "call.indirect"]);

function isCold(which: Semantics, operands: readonly Operand[], form: CaseForm): boolean {
  if (which.cold || operands.some((operand) => operand.file !== "gpr")) {
    return true;
  }
  if (which.stack && !form.long) {
    return form.operandWidth === 16 || form.stackWidth === 16 || !hotLegacy.has(which.mnemonic);
  }
  if (which.mnemonic.startsWith("set")) {
    return false;
  }
  return operands.some((operand) => operand.kind !== "immediate" && (
    (operand.width === 16 && !hotNarrow.has(which.mnemonic))
    || (operand.width === 8 && !hotBytes.has(which.mnemonic))));
}

export interface CaseRequest {
  readonly semantics: Semantics;
  readonly operands: readonly Operand[];
  readonly operandWidth: 16 | 32 | 64;
  readonly addressWidth: 16 | 32 | 64;
  readonly mode: CodeMode;
  readonly near: "in" | "out";
  readonly string: StringForm | undefined;
}

export function describeCase(request: CaseRequest): CaseDescription {
  const { semantics: which, operands, operandWidth, addressWidth, mode, string } = request;
  const long = mode.bits === 64;
  const near = which.branch ? request.near : "out";
  const form: CaseForm = {
    operandWidth, addressWidth, long, near, string,
    stackWidth: long ? 64 : mode.stackBits,
  };
  const parts: string[] = [which.mnemonic];
  if (which.stack || which.branch || operands.length === 0 || which.mnemonic.startsWith("jmp")) {
    parts.push(`o${operandWidth}`);
  }
  parts.push(...operands.map((each) => `${each.kind}${each.file === "gpr" ? "" : each.file}`
    + `${each.kind === "immediate" && which.branch ? "" : each.width}`));
  if (which.stack) {
    parts.push(long ? "long" : `stack${mode.stackBits}`);
  }
  if (which.movesAddress && operands.some((each) => each.kind === "memory")) {
    parts.push(`a${addressWidth}${long ? "" : "segmented"}`);
  }
  if (which.branch) {
    parts.push(near);
  }
  if (string !== undefined) {
    parts.push(`${string.width}a${string.addressWidth}${string.repeat}${long ? "long" : ""}`);
  }
  return {
    key: parts.join(" "), semantics: which, operands, form, cold: isCold(which, operands, form),
  };
}

/** The repeat forms a string instruction has. */
export function repeatOf(mnemonic: string, prefix: 0 | 0xf2 | 0xf3): Repeat {
  if (prefix === 0) {
    return "once";
  }
  const compares = mnemonic === "cmps" || mnemonic === "scas";
  return !compares ? "rep" : prefix === 0xf3 ? "repe" : "repne";
}

const widths = [16, 32, 64] as const;
const modes: readonly CodeMode[] = [
  { bits: 64, stackBits: 64 }, { bits: 32, stackBits: 32 }, { bits: 16, stackBits: 16 },
];

function* casesOfRow(row: Row): Generator<CaseDescription> {
  const which = defined(semantics.get(row.mnemonic), `semantics of ${row.mnemonic}`);
  if (which.helper) {
    return;
  }
  const isString = stringMnemonics.has(row.mnemonic);
  // Only where the key depends on them.
  const byAddress = isString || which.movesAddress
    || row.operands.some((spec) => spec.text === "rCX");
  const byMode = isString || which.stack || which.movesAddress;
  for (const operandWidth of widths) {
    for (const addressWidth of byAddress ? widths : [32] as const) {
      for (const mode of byMode ? modes : modes.slice(0, 1)) {
        yield* casesOfMode(row, which, operandWidth, addressWidth, mode);
      }
    }
  }
}

function* casesOfMode(
  row: Row, which: Semantics, operandWidth: 16 | 32 | 64, addressWidth: 16 | 32 | 64,
  mode: CodeMode,
): Generator<CaseDescription> {
  const long = mode.bits === 64;
  if (!long && (operandWidth === 64 || addressWidth === 64)) {
    return;
  }
  if (stringMnemonics.has(row.mnemonic)) {
    const width: Width = row.operands[0]?.size === "b" ? 8 : operandWidth;
    for (const prefix of [0, 0xf2, 0xf3] as const) {
      const string = { width, addressWidth, repeat: repeatOf(row.mnemonic, prefix) };
      yield describeCase({ semantics: which, operands: [], operandWidth, addressWidth, mode,
        near: "out", string });
    }
    return;
  }
  for (const isMemory of [false, true]) {
    if ((row.form === "register" && isMemory) || (row.form === "memory" && !isMemory)) {
      continue;
    }
    const shaped = shapeOperands(operandsOf(row, operandWidth, addressWidth, isMemory));
    for (const operands of withWide(row, shaped)) {
      for (const near of which.branch ? ["in", "out"] as const : ["out"] as const) {
        yield describeCase({ semantics: which, operands, operandWidth, addressWidth, mode, near,
          string: undefined });
      }
    }
  }
}

/** MOV r64, imm64 has a case for immediates that need all 64 bits. */
function withWide(row: Row, operands: Operand[]): Operand[][] {
  const isWide = row.operands.some((spec) => spec.place === "I" && spec.size === "v")
    && operands[1]?.width === 64;
  const wide = operands.map((each): Operand =>
    each.kind === "immediate" ? { ...each, kind: "wide" } : each);
  return isWide ? [operands, wide] : [operands];
}

/** Every case, in a fixed order; hot ones first. */
export function allCases(): CaseDescription[] {
  const found = new Map<string, CaseDescription>();
  for (const row of rows) {
    for (const each of casesOfRow(row)) {
      if (!found.has(each.key)) {
        found.set(each.key, each);
      }
    }
  }
  const list = [...found.values()];
  return [...list.filter((each) => !each.cold), ...list.filter((each) => each.cold)];
}
