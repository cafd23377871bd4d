/**
 * The two tables that describe the instruction set: rows (how an instruction is encoded) and
 * semantics (what it does). Encodings are written as in the Intel SDM volume 2: `66 0F 3A 0F /r`,
 * `80 /2`, `VEX L0 F2 0F 38 F5 /r`; operands as in its appendix A.2: `Ev,Gv`, `Eb,Ib`.
 */
import { assert, defined } from "../../base/assert.ts";
import type { Operand, SemanticsBuilder } from "./builder.ts";

/** Which opcode map a row stands in: one byte, 0F, 0F 38, 0F 3A. */
export type OpcodeMap = 0 | 1 | 2 | 3;
/** "none" and "noRepeat": NP and NFx of the manual, no 66, F2, F3 or no F2, F3 in front. */
export type MandatoryPrefix = "none" | "noRepeat" | "66" | "F3" | "F2";

/** A letter of appendix A.2 says where the operand is, the rest says how wide. */
export interface OperandSpec {
  readonly text: string;
  readonly place: string;
  readonly size: string;
}

export interface RowOptions {
  /** A LOCK prefix is allowed when the destination is memory. */
  readonly lock?: boolean;
  /** Only outside, or only inside 64-bit mode. */
  readonly modes?: "legacy" | "long";
  /** Operand size in 64-bit mode: 64 by default (near branches, stack), or always. */
  readonly size64?: "default" | "forced";
  /** Needs a feature of the processor model. */
  readonly feature?: string;
  /** The same for operands of 256 bits, where the row has `x` operands. */
  readonly wideFeature?: string;
  /** Value of the operand `K`: what the opcode says to semantics that serve many opcodes. */
  readonly constant?: number;
  /** The memory operand has a vector of indexes (VSIB, SDM 2A §2.3.12). */
  readonly vsib?: true;
}

export interface Row {
  readonly mnemonic: string;
  readonly operands: readonly OperandSpec[];
  readonly map: OpcodeMap;
  readonly opcode: number;
  /** Undefined: the row does not look at 66, F3, F2 (66 then means operand size). */
  readonly prefix: MandatoryPrefix | undefined;
  /** ModRM.reg must have this value. */
  readonly reg: number | undefined;
  /** ModRM.rm must have this value (with a register form). */
  readonly rm: number | undefined;
  readonly form: "any" | "register" | "memory";
  readonly hasModrm: boolean;
  /** REX.W or VEX.W must have this value. */
  readonly wide: boolean | undefined;
  /** Encoded with a VEX prefix. */
  readonly vex: boolean;
  /** VEX.L must have this value. */
  readonly long: boolean | undefined;
  readonly options: RowOptions;
  /** Position in `rows`. */
  readonly index: number;
}

export const rows: Row[] = [];

function parseOperand(text: string): OperandSpec {
  const match = /^([A-Z])([a-z]+)$/.exec(text);
  return match === null
    ? { text, place: text, size: "" }
    : { text, place: defined(match[1], "place"), size: defined(match[2], "size") };
}

const needsModrm = new Set(["E", "G", "M", "R", "S", "V", "W", "U", "P", "Q", "N", "C", "D"]);

interface Encoding {
  map: OpcodeMap;
  opcode: number;
  prefix: MandatoryPrefix | undefined;
  reg: number | undefined;
  rm: number | undefined;
  form: Row["form"];
  modrm: boolean;
  wide: boolean | undefined;
  vex: boolean;
  long: boolean | undefined;
}

function parseEncoding(text: string): Encoding {
  const encoding: Encoding = {
    map: 0, opcode: -1, prefix: undefined, reg: undefined, rm: undefined, form: "any",
    modrm: false, wide: undefined, vex: false, long: undefined,
  };
  for (const part of text.split(" ")) {
    if (part === "np" || part === "nfx") {
      encoding.prefix = part === "np" ? "none" : "noRepeat";
    } else if (encoding.opcode < 0 && encoding.map === 0 && /^(66|F3|F2)$/.test(part)
      && (text.includes("0F") || text === "F3 90")) {
      encoding.prefix = part === "66" ? "66" : part === "F3" ? "F3" : "F2";
    } else if (part === "VEX") {
      encoding.vex = true;
    } else if (part === "L0" || part === "L1") {
      encoding.long = part === "L1";
    } else if (part === "W0" || part === "W1") {
      encoding.wide = part === "W1";
    } else if (/^\/[0-7r]$/.test(part)) {
      encoding.modrm = true;
      encoding.reg = part === "/r" ? undefined : Number(part[1]);
    } else if (part === "mem" || part === "reg") {
      encoding.modrm = true;
      encoding.form = part === "mem" ? "memory" : "register";
    } else if (/^rm[0-7]$/.test(part)) {
      encoding.rm = Number(part[2]);
      encoding.form = "register";
      encoding.modrm = true;
    } else {
      opcodeByte(encoding, part);
    }
  }
  return encoding;
}

function opcodeByte(encoding: Encoding, part: string): void {
  assert(/^[0-9A-F]{2}$/.test(part), `${part} is an opcode byte`);
  if (part === "0F" && encoding.map === 0 && encoding.opcode < 0) {
    encoding.map = 1;
  } else if (encoding.map === 1 && encoding.opcode < 0 && (part === "38" || part === "3A")) {
    encoding.map = part === "38" ? 2 : 3;
  } else {
    encoding.opcode = parseInt(part, 16);
  }
}

/**
 * Adds an instruction form. Rows with `Z` operands or conditions stand for several opcodes, rows
 * with operands of size `x` for two vector lengths.
 */
export function row(
  mnemonic: string, operands: string, encoding: string, options: RowOptions = {},
): void {
  if (/[A-Z]x/.test(operands)) {
    const { wideFeature, ...rest } = options;
    row(mnemonic, operands.replaceAll("x", "o"), `${encoding} L0`, rest);
    row(mnemonic, operands.replaceAll("x", "qq"), `${encoding} L1`,
      wideFeature === undefined ? rest : { ...rest, feature: wideFeature });
    return;
  }
  const specs = operands === "" ? [] : operands.split(",").map(parseOperand);
  const { modrm, opcode, ...parsed } = parseEncoding(encoding);
  const spread = specs.some((spec) => spec.place === "Z") ? 8 : 1;
  const places = specs.map((spec) => spec.place);
  const form = places.includes("M") ? "memory"
    : places.some((place) => place === "R" || place === "U" || place === "N") ? "register"
      : parsed.form;
  for (let extra = 0; extra < spread; extra += 1) {
    rows.push({
      mnemonic, ...parsed, operands: specs, opcode: opcode + extra, form,
      hasModrm: modrm || places.some((place) => needsModrm.has(place)),
      options, index: rows.length,
    });
  }
}

export type SemanticFunction = (x: SemanticsBuilder, ...operands: Operand[]) => void;

export interface Semantics {
  readonly mnemonic: string;
  readonly run: SemanticFunction;
  /** Uses the stack, whose width depends on the mode. */
  readonly stack: boolean;
  /** Branches relatively: one case for targets in the same page, one for others. */
  readonly branch: boolean;
  /** Rare: stands outside the interpreter's main function. */
  readonly cold: boolean;
  /** Done by a named helper of the system room altogether. */
  readonly helper: boolean;
  /** Hands hard cases to its helper, which then wants the instruction. */
  readonly helped: boolean;
  /** Adds to the address of its memory operand: the sum wraps at the address size. */
  readonly movesAddress: boolean;
}

export const semantics = new Map<string, Semantics>();

export interface DefineOptions {
  readonly stack?: boolean;
  readonly branch?: boolean;
  readonly cold?: boolean;
  readonly helped?: boolean;
  readonly movesAddress?: boolean;
}

/** Says what an instruction does. */
export function define(mnemonic: string, run: SemanticFunction, options: DefineOptions = {}): void {
  assert(!semantics.has(mnemonic), `${mnemonic} is defined once`);
  semantics.set(mnemonic, {
    mnemonic, run, stack: options.stack ?? false,
    branch: options.branch ?? false, cold: options.cold ?? false, helper: false,
    helped: options.helped ?? false, movesAddress: options.movesAddress ?? false,
  });
}

/** Names instructions that are no expressions; the system room has a function for each. */
export function defineHelpers(...mnemonics: readonly string[]): void {
  for (const mnemonic of mnemonics) {
    assert(!semantics.has(mnemonic), `${mnemonic} is defined once`);
    semantics.set(mnemonic, {
      mnemonic, run: (x) => x.helper(), stack: false, branch: false, cold: false, helper: true,
      helped: true, movesAddress: false,
    });
  }
}
