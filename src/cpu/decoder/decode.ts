/** Bytes to instructions, from the rows of the instruction set (Intel SDM volume 2, chapter 2). */
import "../isa/all.ts";
import { rows, type OpcodeMap, type OperandSpec, type Row } from "../isa/table.ts";
import type { Width } from "../isa/value.ts";
import { segmentIndex } from "../layout.ts";
import { Cursor } from "./cursor.ts";
import type {
  DecodedOperand, DecodeResult, Instruction, MemoryReference,
} from "./instruction.ts";
import {
  instructionBytesMax, isVex, noPrefixes, readPrefixes, readVex, type Prefixes,
} from "./prefixes.ts";

export interface DecodeMode {
  /** 64 for 64-bit code; otherwise the default size of the code segment. */
  readonly bits: 16 | 32 | 64;
  /** Rows with a feature decode only when it is listed here. */
  readonly features: ReadonlySet<string>;
}

/** Candidate rows by map and opcode; rows with more conditions come first. */
const table = buildTable();

/** Maps behind VEX follow the others. */
function mapNumber(map: OpcodeMap, vex: boolean): number {
  return vex ? map + 4 : map;
}

function buildTable(): Row[][][] {
  const maps: Row[][][] = Array.from({ length: 8 }, () => Array.from({ length: 256 }, () => []));
  for (const each of rows) {
    maps[mapNumber(each.map, each.vex)]?.[each.opcode]?.push(each);
  }
  const weight = (each: Row) => (each.prefix === undefined ? 0 : 8)
    + (each.rm === undefined ? 0 : 4) + (each.form === "any" ? 0 : 2)
    + (each.wide === undefined ? 0 : 1);
  for (const map of maps) {
    for (const list of map) {
      list.sort((a, b) => weight(b) - weight(a) || a.index - b.index);
    }
  }
  return maps;
}

/** The opcode's map, from VEX or the escape bytes; the opcode itself is the next byte. */
function readMap(cursor: Cursor, prefixes: Prefixes, long: boolean): OpcodeMap | undefined {
  if (isVex(cursor, long)) {
    return readVex(cursor, prefixes, long);
  }
  if (cursor.peek() !== 0x0f) {
    return 0;
  }
  cursor.u8();
  const second = cursor.peek();
  if (second !== 0x38 && second !== 0x3a) {
    return 1;
  }
  cursor.u8();
  return second === 0x38 ? 2 : 3;
}

function prefixFits(each: Row, prefixes: Prefixes): boolean {
  switch (each.prefix) {
    case undefined: return true;
    case "none": return !prefixes.operandSize && prefixes.repeat === 0;
    case "noRepeat": return prefixes.repeat === 0;
    case "66": return prefixes.operandSize && prefixes.repeat === 0;
    case "F3": return prefixes.repeat === 0xf3;
    case "F2": return prefixes.repeat === 0xf2;
  }
}

/** VEX.L, and VEX.vvvv, which says 1111b where it names no register (SDM 2A §2.3.5.6). */
function vexFits(each: Row, { vex }: Prefixes): boolean {
  return vex === undefined || ((each.long === undefined || each.long === vex.long)
    && (vex.register === 0 || each.operands.some(({ place }) => place === "H" || place === "B")));
}

function rowFits(each: Row, prefixes: Prefixes, modrm: number, mode: DecodeMode): boolean {
  const long = mode.bits === 64;
  const { modes, feature } = each.options;
  if (modes !== undefined && (modes === "long") !== long) {
    return false;
  }
  if (feature !== undefined && !mode.features.has(feature)) {
    return false;
  }
  if (each.wide !== undefined && each.wide !== ((prefixes.rex & 8) !== 0)) {
    return false;
  }
  if (!prefixFits(each, prefixes) || !vexFits(each, prefixes)) {
    return false;
  }
  const isRegister = modrm >= 0xc0;
  return (each.reg === undefined || each.reg === ((modrm >> 3) & 7))
    && (each.rm === undefined || each.rm === (modrm & 7))
    && (each.form === "any" || (each.form === "register") === isRegister);
}

function chooseRow(
  map: OpcodeMap, opcode: number, prefixes: Prefixes, modrm: number, mode: DecodeMode,
): Row | undefined {
  const candidates = table[mapNumber(map, prefixes.vex !== undefined)]?.[opcode] ?? [];
  // 90 is NOP or PAUSE, unless REX.B makes it XCHG r8, rAX (with F3 too, on the processors seen).
  const exchange = map === 0 && opcode === 0x90 && (prefixes.rex & 1) !== 0;
  return candidates.find((each) => rowFits(each, prefixes, modrm, mode)
    && !(exchange && each.mnemonic !== "xchg"));
}

function operandWidthOf(each: Row, prefixes: Prefixes, mode: DecodeMode): 16 | 32 | 64 {
  // Rows with a mandatory 66 do not take it as operand size.
  const toggled = prefixes.operandSize && each.prefix !== "66";
  if (mode.bits === 64) {
    if (each.options.size64 === "forced" || (prefixes.rex & 8) !== 0) {
      return 64;
    }
    if (toggled) {
      return 16;
    }
    return each.options.size64 === "default" ? 64 : 32;
  }
  return (mode.bits === 32) !== toggled ? 32 : 16;
}

function widthOf(size: string, operandWidth: 16 | 32 | 64): Width {
  switch (size) {
    case "b": return 8;
    case "w": return 16;
    case "d": return 32;
    case "q": return 64;
    case "o": return 128;
    case "qq": return 256;
    case "y": return operandWidth === 64 ? 64 : 32;
    case "z": return operandWidth === 16 ? 16 : 32;
    default: return operandWidth;
  }
}

/** Decodes the ModRM byte's memory form (SDM 2A §2.1.5, tables 2-1 to 2-3). */
function readMemory(
  cursor: Cursor, modrm: number, rex: number, addressWidth: 16 | 32 | 64, long: boolean,
  vsib: boolean,
): MemoryReference {
  return addressWidth === 16 ? readMemory16(cursor, modrm)
    : readMemory32(cursor, modrm, rex, long, vsib);
}

function absolute(displacement: bigint): MemoryReference {
  return { base: -1, index: -1, scale: 0, displacement, ripRelative: false, vectorIndex: false };
}

const bases16 = [3, 3, 5, 5, -1, -1, 5, 3];
const indexes16 = [6, 7, 6, 7, 6, 7, -1, -1];

function readMemory16(cursor: Cursor, modrm: number): MemoryReference {
  const mod = modrm >> 6, rm = modrm & 7;
  const direct = mod === 0 && rm === 6;
  const displacement = mod === 1 ? cursor.signed(1)
    : mod === 2 || direct ? cursor.signed(2) : 0n;
  return {
    base: direct ? -1 : bases16[rm] ?? -1,
    index: indexes16[rm] ?? -1,
    scale: 0, displacement, ripRelative: false, vectorIndex: false,
  };
}

function readMemory32(
  cursor: Cursor, modrm: number, rex: number, long: boolean, vsib: boolean,
): MemoryReference {
  const mod = modrm >> 6, rm = modrm & 7;
  let base = rm | ((rex & 1) << 3);
  let index = -1;
  let scale = 0;
  let baseless = mod === 0 && rm === 5;
  const ripRelative = baseless && long;
  if (rm === 4) {
    const sib = cursor.u8();
    scale = sib >> 6;
    index = ((sib >> 3) & 7) | ((rex & 2) << 2);
    index = index === 4 && !vsib ? -1 : index;
    base = (sib & 7) | ((rex & 1) << 3);
    baseless = mod === 0 && (sib & 7) === 5;
  }
  const displacement = mod === 1 ? cursor.signed(1)
    : mod === 2 || baseless ? cursor.signed(4) : 0n;
  return { base: baseless ? -1 : base, index, scale, displacement, ripRelative, vectorIndex: vsib };
}

/** Everything known once the row is chosen; operands read the rest of the bytes. */
interface Context {
  readonly cursor: Cursor;
  readonly prefixes: Readonly<Prefixes>;
  readonly modrm: number;
  readonly opcode: number;
  readonly operandWidth: 16 | 32 | 64;
  readonly addressWidth: 16 | 32 | 64;
  readonly long: boolean;
  readonly row: Row;
  memory: MemoryReference | undefined;
}

function gpr(number: number, width: Width, rex: number): DecodedOperand {
  const high = width === 8 && rex === 0 && number >= 4 && number < 8;
  return { kind: "register", class: "gpr", number: high ? number - 4 : number, high, width };
}

function vectorRegister(kind: "xmm" | "mmx", number: number, width: Width): DecodedOperand {
  return {
    kind: "register", class: kind, number: kind === "mmx" ? number & 7 : number, high: false, width,
  };
}

const fixedRegisters: Record<string, [number, string]> = {
  AL: [0, "b"], CL: [1, "b"], DX: [2, "w"], rAX: [0, "v"], eAX: [0, "z"],
};

function fixedOperand(spec: OperandSpec, context: Context): DecodedOperand | undefined {
  if (spec.text === "1") {
    return { kind: "immediate", width: 8, value: 1n };
  }
  if (spec.text === "rCX") {
    return gpr(1, context.addressWidth, 0x40);
  }
  const fixed = fixedRegisters[spec.text];
  return fixed === undefined
    ? undefined : gpr(fixed[0], widthOf(fixed[1], context.operandWidth), 0x40);
}

function immediateOperand(spec: OperandSpec, context: Context): DecodedOperand {
  const { cursor, operandWidth } = context;
  if (spec.size === "bs") {
    return { kind: "immediate", width: operandWidth, value: cursor.signed(1) };
  }
  const width = spec.size === "z" ? operandWidth : widthOf(spec.size, operandWidth);
  const bytes = spec.size === "z" ? Math.min(4, operandWidth / 8) : width / 8;
  return { kind: "immediate", width, value: cursor.signed(bytes) };
}

function operandOf(spec: OperandSpec, context: Context): DecodedOperand {
  const fixed = fixedOperand(spec, context);
  if (fixed !== undefined) {
    return fixed;
  }
  const { cursor, prefixes: { rex, vex }, modrm, operandWidth } = context;
  const width = widthOf(spec.size, operandWidth);
  const reg = ((modrm >> 3) & 7) | ((rex & 4) << 1);
  const rm = (modrm & 7) | ((rex & 1) << 3);
  const named = (vex?.register ?? 0) & (context.long ? 15 : 7);
  const isMemory = context.memory !== undefined;
  switch (spec.place) {
    case "E": return isMemory ? { kind: "memory", width } : gpr(rm, width, rex);
    case "M": case "O": return { kind: "memory", width };
    case "G": return gpr(reg, width, rex);
    case "R": return gpr(rm, width, rex);
    case "B": return gpr(named, width, 0x40);
    case "Z": return gpr((context.opcode & 7) | ((rex & 1) << 3), width, rex);
    case "I": return immediateOperand(spec, context);
    case "K": return {
      kind: "immediate", width: 8, value: BigInt(context.row.options.constant ?? 0),
    };
    case "J": {
      const bytes = spec.size === "b" ? 1 : operandWidth === 16 ? 2 : 4;
      return { kind: "relative", width: operandWidth, value: cursor.signed(bytes) };
    }
    case "A": {
      const offset = cursor.unsigned(operandWidth === 16 ? 2 : 4);
      return { kind: "far", offset, selector: cursor.unsigned(2) };
    }
    case "S": return {
      kind: "register", class: "segment", number: reg & 7, high: false, width: 16,
    };
    case "C": case "D": return {
      kind: "register", class: spec.place === "C" ? "control" : "debug", number: reg,
      high: false, width,
    };
    case "V": return vectorRegister("xmm", reg, width);
    // A register in the upper half of an immediate (is4).
    case "L": return vectorRegister("xmm", (cursor.u8() >> 4) & (context.long ? 15 : 7), width);
    case "H": return vectorRegister("xmm", named, width);
    case "U": return vectorRegister("xmm", rm, width);
    case "W": return isMemory ? { kind: "memory", width } : vectorRegister("xmm", rm, width);
    case "P": return vectorRegister("mmx", reg, width);
    case "N": return vectorRegister("mmx", rm, width);
    default: return isMemory ? { kind: "memory", width } : vectorRegister("mmx", rm, width);
  }
}

function addressWidthOf(prefixes: Prefixes, bits: 16 | 32 | 64): 16 | 32 | 64 {
  if (bits === 64) {
    return prefixes.addressSize ? 32 : 64;
  }
  return (bits === 32) !== prefixes.addressSize ? 32 : 16;
}

/** SS where the address is based on rSP or rBP, else DS; FS or GS where a prefix says so. */
function segmentOf(prefixes: Prefixes, memory: MemoryReference | undefined): number {
  if (prefixes.segment >= 0) {
    return prefixes.segment;
  }
  const onStack = memory !== undefined && (memory.base === 4 || memory.base === 5);
  return onStack ? segmentIndex.ss : segmentIndex.ds;
}

/** The operands a row would have, for tables over all forms; immediates are zero. */
export function operandsOf(
  row: Row, operandWidth: 16 | 32 | 64, addressWidth: 16 | 32 | 64, isMemory: boolean,
): DecodedOperand[] {
  const offsets = row.operands.some((spec) => spec.place === "O");
  const memory = isMemory || offsets
    ? absolute(0n) : undefined;
  const context: Context = {
    cursor: new Cursor(new Uint8Array(instructionBytesMax)), prefixes: noPrefixes,
    opcode: row.opcode,
    modrm: isMemory ? 0 : 0xc0, operandWidth, addressWidth, memory, long: operandWidth === 64, row,
  };
  return row.operands.map((spec) => operandOf(spec, context));
}

/** Decodes the instruction at the start of `bytes` (15 of them are always enough). */
export function decode(bytes: Uint8Array, mode: DecodeMode): DecodeResult {
  const cursor = new Cursor(bytes);
  const long = mode.bits === 64;
  const prefixes = readPrefixes(cursor, long);
  const map = readMap(cursor, prefixes, long);
  const opcode = cursor.u8();
  if (cursor.at > instructionBytesMax) {
    return { status: "long" };
  }
  if (map === undefined) {
    return { status: cursor.short ? "short" : "undefined" };
  }
  const candidates = table[mapNumber(map, prefixes.vex !== undefined)]?.[opcode] ?? [];
  const hasModrm = candidates.some((each) => each.hasModrm);
  let modrm = hasModrm ? cursor.peek() : 0;
  if (cursor.short) {
    return { status: "short" };
  }
  // Moves to and from control and debug registers ignore the mod field.
  if (map === 1 && opcode >= 0x20 && opcode <= 0x23) {
    modrm |= 0xc0;
  }
  const row = chooseRow(map, opcode, prefixes, modrm, mode);
  if (row === undefined) {
    return { status: "undefined" };
  }
  if (row.hasModrm) {
    cursor.u8();
  }
  return finish(cursor, prefixes, row, opcode, modrm, mode);
}

/** Six segment registers, of which CS is not written; CR0, 2, 3, 4, 8; DR0 to 7. */
function registersExist(operands: readonly DecodedOperand[]): boolean {
  return operands.every((operand, index) => {
    if (operand.kind !== "register") {
      return true;
    }
    switch (operand.class) {
      case "segment": return operand.number <= segmentIndex.gs
        && !(operand.number === segmentIndex.cs && index === 0);
      case "control": return [0, 2, 3, 4, 8].includes(operand.number);
      case "debug": return operand.number < 8;
      default: return true;
    }
  });
}

/** There must be a SIB byte, and three different registers (SDM 2A §2.3.12, table 2-27). */
function isGather(
  modrm: number, memory: MemoryReference | undefined, operands: readonly DecodedOperand[],
): boolean {
  const registers = operands.flatMap((each) => each.kind === "register" ? [each.number] : []);
  return memory?.vectorIndex === true && (modrm & 7) === 4
    && new Set([...registers, memory.index]).size === 3;
}

function finish(
  cursor: Cursor, prefixes: Prefixes, row: Row, opcode: number, modrm: number, mode: DecodeMode,
): DecodeResult {
  const addressWidth = addressWidthOf(prefixes, mode.bits);
  const context: Context = {
    cursor, prefixes, modrm, opcode, addressWidth, long: mode.bits === 64, row,
    operandWidth: operandWidthOf(row, prefixes, mode),
    memory: row.hasModrm && modrm < 0xc0
      ? readMemory(cursor, modrm, prefixes.rex, addressWidth, mode.bits === 64,
        row.options.vsib === true) : undefined,
  };
  if (row.operands.some((spec) => spec.place === "O")) {
    const displacement = cursor.signed(addressWidth / 8);
    context.memory = absolute(displacement);
  }
  const operands = row.operands.map((spec) => operandOf(spec, context));
  if (cursor.at > instructionBytesMax) {
    return { status: "long" };
  }
  if (cursor.short) {
    return { status: "short" };
  }
  if (row.options.vsib === true && !isGather(modrm, context.memory, operands)) {
    return { status: "undefined" };
  }
  const lockable = row.options.lock === true && operands[0]?.kind === "memory";
  if ((prefixes.locked && !lockable) || !registersExist(operands)) {
    return { status: "undefined" };
  }
  const instruction: Instruction = {
    row, length: cursor.at, operandWidth: context.operandWidth, addressWidth,
    segment: segmentOf(prefixes, context.memory), segmentOverride: prefixes.segment,
    repeat: prefixes.repeat, locked: prefixes.locked, opcode, modrm, operands,
    memory: context.memory,
  };
  return { status: "ok", instruction };
}
