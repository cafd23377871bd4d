/** Bytes to instructions, from the rows of the instruction set (Intel SDM volume 2, chapter 2). */
import "../isa/all.ts";
import { rows, type OpcodeMap, type OperandSpec, type Row } from "../isa/table.ts";
import type { Width } from "../isa/value.ts";
import { segmentIndex } from "../layout.ts";
import type {
  DecodedOperand, DecodeResult, Instruction, MemoryReference,
} from "./instruction.ts";

export interface DecodeMode {
  /** 64 for 64-bit code; otherwise the default size of the code segment. */
  readonly bits: 16 | 32 | 64;
  /** Rows with a feature decode only when it is listed here. */
  readonly features: ReadonlySet<string>;
}

/** No instruction is longer (SDM 2A §2.3.11). */
export const instructionBytesMax = 15;

/** Candidate rows by map and opcode; rows with more conditions come first. */
const table = buildTable();

function buildTable(): Row[][][] {
  const maps: Row[][][] = Array.from({ length: 4 }, () => Array.from({ length: 256 }, () => []));
  for (const each of rows) {
    maps[each.map]?.[each.opcode]?.push(each);
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

/** Reads bytes in order and remembers having run out of them. */
class Cursor {
  readonly bytes: Uint8Array;
  at = 0;
  short = false;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  u8(): number {
    const value = this.bytes[this.at];
    this.at += 1;
    if (value === undefined) {
      this.short = true;
      return 0;
    }
    return value;
  }

  peek(): number {
    const value = this.bytes[this.at];
    this.short ||= value === undefined;
    return value ?? 0;
  }

  /** A little-endian number of `count` bytes, sign-extended. */
  signed(count: number): bigint {
    let value = 0n;
    for (let index = 0; index < count; index += 1) {
      value |= BigInt(this.u8()) << BigInt(8 * index);
    }
    return BigInt.asIntN(8 * count, value);
  }

  unsigned(count: number): number {
    let value = 0;
    for (let index = 0; index < count; index += 1) {
      value += this.u8() * 2 ** (8 * index);
    }
    return value;
  }
}

interface Prefixes {
  operandSize: boolean;
  addressSize: boolean;
  repeat: 0 | 0xf2 | 0xf3;
  locked: boolean;
  segment: number;
  rex: number;
}

const segmentPrefixes = new Map([
  [0x26, segmentIndex.es], [0x2e, segmentIndex.cs], [0x36, segmentIndex.ss],
  [0x3e, segmentIndex.ds], [0x64, segmentIndex.fs], [0x65, segmentIndex.gs],
]);

function readPrefixes(cursor: Cursor, long: boolean): Prefixes {
  const prefixes: Prefixes = {
    operandSize: false, addressSize: false, repeat: 0, locked: false, segment: -1, rex: 0,
  };
  for (;;) {
    const byte = cursor.peek();
    const segment = segmentPrefixes.get(byte);
    if (cursor.short || cursor.at >= instructionBytesMax) {
      return prefixes;
    } else if (segment !== undefined) {
      // In 64-bit mode only FS and GS count (SDM 1 §3.3.7.1); the others undo nothing.
      if (!long || segment >= segmentIndex.fs) {
        prefixes.segment = segment;
      }
      prefixes.rex = 0;
    } else if (byte === 0x66) {
      prefixes.operandSize = true;
      prefixes.rex = 0;
    } else if (byte === 0x67) {
      prefixes.addressSize = true;
      prefixes.rex = 0;
    } else if (byte === 0xf0) {
      prefixes.locked = true;
      prefixes.rex = 0;
    } else if (byte === 0xf2 || byte === 0xf3) {
      prefixes.repeat = byte;
      prefixes.rex = 0;
    } else if (long && (byte & 0xf0) === 0x40) {
      prefixes.rex = byte;
    } else {
      return prefixes;
    }
    cursor.u8();
  }
}

function readOpcode(cursor: Cursor): [OpcodeMap, number] {
  const first = cursor.u8();
  if (first !== 0x0f) {
    return [0, first];
  }
  const second = cursor.u8();
  if (second === 0x38) {
    return [2, cursor.u8()];
  }
  return second === 0x3a ? [3, cursor.u8()] : [1, second];
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
  if (!prefixFits(each, prefixes)) {
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
  const candidates = table[map]?.[opcode] ?? [];
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
    case "y": return operandWidth === 64 ? 64 : 32;
    case "z": return operandWidth === 16 ? 16 : 32;
    default: return operandWidth;
  }
}

/** Decodes the ModRM byte's memory form (SDM 2A §2.1.5, tables 2-1 to 2-3). */
function readMemory(
  cursor: Cursor, modrm: number, rex: number, addressWidth: 16 | 32 | 64, long: boolean,
): MemoryReference {
  return addressWidth === 16 ? readMemory16(cursor, modrm)
    : readMemory32(cursor, modrm, rex, long);
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
    scale: 0, displacement, ripRelative: false,
  };
}

function readMemory32(
  cursor: Cursor, modrm: number, rex: number, long: boolean,
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
    index = index === 4 ? -1 : index;
    base = (sib & 7) | ((rex & 1) << 3);
    baseless = mod === 0 && (sib & 7) === 5;
  }
  const displacement = mod === 1 ? cursor.signed(1)
    : mod === 2 || baseless ? cursor.signed(4) : 0n;
  return { base: baseless ? -1 : base, index, scale, displacement, ripRelative };
}

/** Everything known once the row is chosen; operands read the rest of the bytes. */
interface Context {
  readonly cursor: Cursor;
  readonly prefixes: Prefixes;
  readonly modrm: number;
  readonly opcode: number;
  readonly operandWidth: 16 | 32 | 64;
  readonly addressWidth: 16 | 32 | 64;
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
  const { cursor, prefixes: { rex }, modrm, operandWidth } = context;
  const width = widthOf(spec.size, operandWidth);
  const reg = ((modrm >> 3) & 7) | ((rex & 4) << 1);
  const rm = (modrm & 7) | ((rex & 1) << 3);
  const isMemory = context.memory !== undefined;
  switch (spec.place) {
    case "E": return isMemory ? { kind: "memory", width } : gpr(rm, width, rex);
    case "M": case "O": return { kind: "memory", width };
    case "G": return gpr(reg, width, rex);
    case "R": return gpr(rm, width, rex);
    case "Z": return gpr((context.opcode & 7) | ((rex & 1) << 3), width, rex);
    case "I": return immediateOperand(spec, context);
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
  const prefixes: Prefixes = {
    operandSize: false, addressSize: false, repeat: 0, locked: false, segment: -1, rex: 0,
  };
  const offsets = row.operands.some((spec) => spec.place === "O");
  const memory = isMemory || offsets
    ? { base: -1, index: -1, scale: 0, displacement: 0n, ripRelative: false } : undefined;
  const context: Context = {
    cursor: new Cursor(new Uint8Array(instructionBytesMax)), prefixes, opcode: row.opcode,
    modrm: isMemory ? 0 : 0xc0, operandWidth, addressWidth, memory,
  };
  return row.operands.map((spec) => operandOf(spec, context));
}

/** Decodes the instruction at the start of `bytes` (15 of them are always enough). */
export function decode(bytes: Uint8Array, mode: DecodeMode): DecodeResult {
  const cursor = new Cursor(bytes);
  const long = mode.bits === 64;
  const prefixes = readPrefixes(cursor, long);
  const [map, opcode] = readOpcode(cursor);
  if (cursor.at > instructionBytesMax) {
    return { status: "long" };
  }
  const candidates = table[map]?.[opcode] ?? [];
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

function finish(
  cursor: Cursor, prefixes: Prefixes, row: Row, opcode: number, modrm: number, mode: DecodeMode,
): DecodeResult {
  const addressWidth = addressWidthOf(prefixes, mode.bits);
  const context: Context = {
    cursor, prefixes, modrm, opcode, addressWidth,
    operandWidth: operandWidthOf(row, prefixes, mode),
    memory: row.hasModrm && modrm < 0xc0
      ? readMemory(cursor, modrm, prefixes.rex, addressWidth, mode.bits === 64) : undefined,
  };
  if (row.operands.some((spec) => spec.place === "O")) {
    const displacement = cursor.signed(addressWidth / 8);
    context.memory = { base: -1, index: -1, scale: 0, displacement, ripRelative: false };
  }
  const operands = row.operands.map((spec) => operandOf(spec, context));
  if (cursor.at > instructionBytesMax) {
    return { status: "long" };
  }
  if (cursor.short) {
    return { status: "short" };
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
