/**
 * The x87 state in memory: FSTENV and FSAVE in their four formats (Intel SDM vol. 1 §8.1.10,
 * figures 8-9 to 8-12) and the legacy region of FXSAVE (§10.5.1).
 */
import { status, type X87State } from "./state.ts";

/** The operand size and the mode decide the format. */
export interface ImageFormat {
  readonly wide: boolean;
  readonly protectedMode: boolean;
}

export const environmentBytes = { narrow: 14, wide: 28 } as const;
export const saveBytes = { narrow: 94, wide: 108 } as const;
/** Bytes 0–159 of an FXSAVE image; MXCSR and its mask (24–31) are not ours. */
export const fxsaveBytes = 160;

const registerBytes = 10;
const highHalf = 0xffff_0000;
const linearMask = 0xffff_ffffn;

/** Writes the environment; returns the number of bytes. */
export function writeEnvironment(state: X87State, to: DataView, format: ImageFormat): number {
  const words = [state.control, state.status, state.tagWord];
  if (format.protectedMode) {
    const code = state.codeSelector | (format.wide ? state.opcode << 16 : 0);
    const data = format.wide ? (state.dataSelector | highHalf) >>> 0 : state.dataSelector;
    words.push(low32(state.instructionPointer), code, low32(state.dataPointer), data);
  } else {
    const ip = linear(state.instructionPointer, state.codeSelector);
    const dp = linear(state.dataPointer, state.dataSelector);
    words.push(ip & 0xffff, (highPart(ip, format) | state.opcode) >>> 0);
    words.push(dp & 0xffff, highPart(dp, format));
  }
  words.forEach((word, index) => {
    if (format.wide) {
      to.setUint32(4 * index, filled(word, index, format), true);
    } else {
      to.setUint16(2 * index, word & 0xffff, true);
    }
  });
  return format.wide ? environmentBytes.wide : environmentBytes.narrow;
}

/** Reserved upper halves of the wide formats are written as ones. */
function filled(word: number, index: number, format: ImageFormat): number {
  const half = index < 3 || (!format.protectedMode && (index === 3 || index === 5));
  return half ? (word | highHalf) >>> 0 : word;
}

function low32(value: bigint): number {
  return Number(value & linearMask);
}

function linear(offset: bigint, selector: number): number {
  return Number((offset + (BigInt(selector) << 4n)) & linearMask);
}

/** Address bits 16 and up, at bit 12 of the word that also holds the opcode. */
function highPart(address: number, format: ImageFormat): number {
  const high = address >>> 16;
  return format.wide ? (high << 12) >>> 0 : (high & 0xf) << 12;
}

/** Reads an environment; returns the number of bytes. */
export function readEnvironment(state: X87State, from: DataView, format: ImageFormat): number {
  const word = (index: number) =>
    format.wide ? from.getUint32(4 * index, true) : from.getUint16(2 * index, true);
  state.control = word(0) & 0xffff;
  state.status = word(1) & 0xffff;
  state.tagWord = word(2) & 0xffff;
  if (format.protectedMode) {
    const opcode = format.wide ? word(4) >>> 16 : 0;
    state.setPointers(
      BigInt(word(3)), word(4) & 0xffff, BigInt(word(5)), word(6) & 0xffff, opcode,
    );
  } else {
    const upper = (index: number) => BigInt(word(index) >>> 12 & 0xffff) << 16n;
    const ip = BigInt(word(3) & 0xffff) | upper(4);
    const dp = BigInt(word(5) & 0xffff) | upper(6);
    state.setPointers(ip, 0, dp, 0, word(4));
  }
  return format.wide ? environmentBytes.wide : environmentBytes.narrow;
}

/** FNSAVE: environment, then ST(0) to ST(7). */
export function writeSave(state: X87State, to: DataView, format: ImageFormat): void {
  const start = writeEnvironment(state, to, format);
  for (let index = 0; index < 8; index++) {
    const register = state.physical(index);
    to.setBigUint64(start + registerBytes * index, state.significandOf(register), true);
    to.setUint16(start + registerBytes * index + 8, state.signExponentOf(register), true);
  }
}

export function readSave(state: X87State, from: DataView, format: ImageFormat): void {
  const start = readEnvironment(state, from, format);
  for (let index = 0; index < 8; index++) {
    const at = start + registerBytes * index;
    state.setRegister(
      state.physical(index), from.getUint16(at + 8, true), from.getBigUint64(at, true),
    );
  }
}

/**
 * The x87 part of FXSAVE; `long` (REX.W) keeps 64-bit pointers instead of selectors. The pointers
 * are always saved, as Intel does; AMD saves zeros while no exception is pending.
 */
export function writeFxsave(state: X87State, to: DataView, long: boolean): void {
  to.setUint16(0, state.control, true);
  to.setUint16(2, state.status, true);
  to.setUint8(4, state.used);
  to.setUint8(5, 0);
  to.setUint16(6, state.opcode, true);
  to.setBigUint64(8, state.instructionPointer, true);
  to.setBigUint64(16, state.dataPointer, true);
  if (!long) {
    to.setUint32(12, state.codeSelector, true);
    to.setUint32(20, state.dataSelector, true);
  }
  for (let index = 0; index < 8; index++) {
    const register = state.physical(index);
    const at = 32 + 16 * index;
    to.setBigUint64(at, state.significandOf(register), true);
    to.setBigUint64(at + 8, BigInt(state.signExponentOf(register)), true);
  }
}

export function readFxsave(state: X87State, from: DataView, long: boolean): void {
  state.control = from.getUint16(0, true);
  state.status = from.getUint16(2, true);
  state.used = from.getUint8(4);
  const mask = long ? 0xffff_ffff_ffff_ffffn : linearMask;
  state.setPointers(
    from.getBigUint64(8, true) & mask, long ? 0 : from.getUint16(12, true),
    from.getBigUint64(16, true) & mask, long ? 0 : from.getUint16(20, true),
    from.getUint16(6, true),
  );
  for (let index = 0; index < 8; index++) {
    const at = 32 + 16 * index;
    state.setRegister(
      state.physical(index), from.getUint16(at + 8, true), from.getBigUint64(at, true),
    );
  }
}

/** FNSTENV masks all exceptions after storing. */
export function maskAll(state: X87State): void {
  state.control |= status.exceptions;
}
