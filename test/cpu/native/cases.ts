/** Batches of cases: one instruction each, with registers, flags and memory to run it on. */
import type { Row } from "../../../src/cpu/isa/table.ts";
import { Encoder, type Encoded } from "./encode.ts";
import {
  at, codeBase, dataBase, dataBytes, edgeBytes, endBase, floatRecordBytes, gsBase, headerBytes,
  integerRecordBytes, memoryBytes, middleBase, middleBytes, narrowBase, narrowSlotCount, options,
  slotBytes, slotCount, slotStart, upperBytes, type CodeBits,
} from "./layout.ts";
import { fx, writeFloatState, writeLanes } from "./float-state.ts";
import { keepAddress, makePrelude, noPrelude, type Prelude } from "./prelude.ts";
import { writeValue, type Random } from "./values.ts";

export interface Case {
  readonly row: Row;
  readonly encoded: Encoded;
  /** What runs before it. */
  readonly prelude: Prelude;
}

/** Records as the native host wants them, and what each is about. */
export interface Batch {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly recordBytes: number;
  readonly bits: CodeBits;
  readonly cases: readonly Case[];
}

const rax = 0, rcx = 1, rdx = 2, rbx = 3, rsp = 4, rbp = 5, rsi = 6, rdi = 7;
const border = dataBase + dataBytes / 2;
const stops = new Set(["jmp", "jmp.indirect", "call", "call.indirect", "ret", "ret.pop", "loop",
  "loope", "loopne", "jcxz"]);
/** One batch's worth of values for memory. */
const poolBytes = 16 * 1024;
const jumps = (row: Row) => stops.has(row.mnemonic) || /^j[0-9A-F]$/.test(row.mnemonic);

export function makeBatch(
  groups: readonly (readonly Row[])[], count: number,
  { float, bits }: { readonly float: boolean; readonly bits: CodeBits }, random: Random,
): Batch {
  const size = Math.min(count, bits === 16 ? narrowSlotCount : slotCount);
  const recordBytes = float ? floatRecordBytes : integerRecordBytes;
  const bytes = new Uint8Array(headerBytes + size * recordBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, size, true);
  view.setUint32(4, float ? 1 : 0, true);
  const writer = new CaseWriter(view, random, bits);
  const cases: Case[] = [];
  for (let slot = 0; slot < size; slot += 1) {
    const group = groups[random() % groups.length] ?? [];
    const row = group[random() % group.length];
    if (row !== undefined) {
      cases.push(writer.write(row, slot, headerBytes + slot * recordBytes, float));
    }
  }
  return { bytes, view, recordBytes, bits, cases };
}

class CaseWriter {
  readonly #view: DataView;
  readonly #random: Random;
  readonly #encoder: Encoder;
  readonly #bits: CodeBits;
  #base = 0;
  /** Values that the memory of the cases is made of. */
  readonly #pool = new Uint8Array(poolBytes);

  constructor(view: DataView, random: Random, bits: CodeBits) {
    const pool = new DataView(this.#pool.buffer);
    for (let offset = 0; offset < poolBytes; offset += 8) {
      writeValue(pool, offset, random);
    }
    this.#view = view;
    this.#random = random;
    this.#encoder = new Encoder(view, random, bits);
    this.#bits = bits;
  }

  #chance(percent: number): boolean {
    return this.#random() % 100 < percent;
  }

  write(row: Row, slot: number, base: number, float: boolean): Case {
    this.#base = base;
    const start = codeBase + slot * slotBytes + slotStart;
    this.#writeState(start, float);
    // AMD does not refuse operands of SHA at other places than multiples of 16, as Intel does.
    const target = row.options.feature === "sha" ? this.#target() & ~15 : this.#target();
    const drafted = this.#chance(50) ? makePrelude(row.mnemonic, this.#bits, this.#random)
      : noPrelude;
    // A comparison in front of it, whose flags nobody ever looks at.
    const first = drafted !== noPrelude && this.#chance(40)
      ? makePrelude(row.mnemonic, 32, this.#random) : noPrelude;
    const before = first.bytes.length + drafted.bytes.length;
    const encoded = this.#encoder.encode(row, base, start + before, target);
    const kept = keepAddress(drafted, encoded, jumps(row));
    const prelude = {
      bytes: [...first.bytes, ...kept.bytes], open: first.open | kept.open,
    };
    const code = [...prelude.bytes, ...encoded.bytes];
    this.#view.setUint32(base + at.options,
      (float ? options.float : 0) | (jumps(row) ? options.stopAtOnce : 0)
      | (this.#bits !== 64 ? options.compatible : 0)
      | (this.#bits === 16 ? options.narrow : 0), true);
    this.#view.setUint32(base + at.codeLength, code.length, true);
    for (const [index, byte] of code.entries()) {
      this.#view.setUint8(base + at.code + index, byte);
    }
    this.#aim(row, encoded, start);
    for (let number = 0; this.#bits !== 64 && number < 16; number += 1) {
      this.#setGpr(number, this.#lowOf(number));
    }
    return { row, encoded, prelude };
  }

  #writeState(start: number, float: boolean): void {
    const view = this.#view, random = this.#random, base = this.#base;
    for (let offset = 0; offset < 128; offset += 8) {
      writeValue(view, base + at.gpr + offset, random);
    }
    this.#setGpr(rsp, this.#stackPointer());
    const down = this.#chance(12) ? 0x400 : 0;
    view.setBigUint64(base + at.rflags, BigInt((random() & 0x8d5) | 0x202 | down), true);
    view.setBigUint64(base + at.rip, BigInt(start), true);
    const from = random() % (poolBytes - memoryBytes) & ~7;
    const memory = this.#pool.subarray(from, from + memoryBytes);
    new Uint8Array(view.buffer).set(memory, base + at.memory);
    if (float) {
      writeFloatState(view, base + at.fx, random);
      writeLanes(view, base + at.upper, 16 * upperBytes, random);
    }
  }

  /** Where a memory operand lies: mostly inside, sometimes across a border or outside. */
  #target(): number {
    const random = this.#random;
    const choice = random() % 100;
    if (choice < 55) {
      return middleBase + (random() % (middleBytes - 32) & ~15);
    }
    if (choice < 75) {
      return middleBase + random() % (middleBytes - 32);
    }
    if (choice < 85) {
      return border - 1 - random() % 16; // The border of two pages.
    }
    if (choice < 90) {
      return dataBase + dataBytes - random() % 20; // The end of memory.
    }
    if (choice < 94) {
      return dataBase - 8 + random() % 24;
    }
    return choice < 97 ? endBase + random() % edgeBytes : 0x3000_0000 + random() % 0x1000_0000;
  }

  #stackPointer(): number {
    const random = this.#random;
    const choice = random() % 100;
    if (choice < 70) {
      return border - 128 + (random() % 256 & ~7);
    }
    if (choice < 85) {
      return border - 24 + random() % 48;
    }
    return choice < 92 ? dataBase + random() % 24 : dataBase + dataBytes - random() % 24;
  }

  #setGpr(number: number, low: number, high = 0): void {
    const offset = this.#base + at.gpr + number * 8;
    this.#view.setUint32(offset, low >>> 0, true);
    this.#view.setUint32(offset + 4, high >>> 0, true);
  }

  #lowOf(number: number): number {
    return this.#view.getUint32(this.#base + at.gpr + number * 8, true);
  }

  /** Puts eight bytes into the part of memory that the record carries. */
  #poke(linear: number, low: number, high: number): void {
    const offset = memoryOffset(linear);
    if (offset >= 0) {
      this.#view.setUint32(this.#base + at.memory + offset, low >>> 0, true);
      this.#view.setUint32(this.#base + at.memory + offset + 4, high >>> 0, true);
    }
  }

  #maskExceptions(): void {
    const place = this.#base + at.fx + fx.mxcsr;
    this.#view.setUint32(place, this.#view.getUint32(place, true) | 0x1f80, true);
  }

  /** Where code may go: a place of the slot, or memory that holds no code. */
  #codeTarget(start: number): number {
    const base = this.#bits === 16 ? codeBase : 0;
    return this.#chance(80) || base !== 0 ? start - base - 1 - this.#random() % 20
      : 0x5000_0000 + this.#random() % 0x1000_0000;
  }

  /** Sets what the instruction uses besides its explicit operands. */
  #aim(row: Row, encoded: Encoded, start: number): void {
    const rule = rules[row.mnemonic];
    if (rule !== undefined) {
      rule({
        row, encoded,
        target: () => this.#target(), chance: (percent) => this.#chance(percent),
        random: this.#random, codeTarget: () => this.#codeTarget(start),
        setGpr: (number, low, high) => this.#setGpr(number, low, high),
        low: (number) => this.#lowOf(number),
        poke: (linear, low, high) => this.#poke(linear, low, high),
        dataBase: this.#bits === 16 ? narrowBase : 0,
        maskExceptions: () => this.#maskExceptions(),
      });
    }
  }
}

/** Offset in a record's memory of an address with eight bytes, or -1. */
export function memoryOffset(linear: number): number {
  if (linear >= middleBase && linear <= middleBase + middleBytes - 8) {
    return edgeBytes + linear - middleBase;
  }
  if (linear >= dataBase && linear <= dataBase + edgeBytes - 8) {
    return linear - dataBase;
  }
  return linear >= endBase && linear <= endBase + edgeBytes - 8
    ? edgeBytes + middleBytes + linear - endBase : -1;
}

interface Aim {
  readonly row: Row;
  readonly encoded: Encoded;
  target(): number;
  chance(percent: number): boolean;
  readonly random: Random;
  codeTarget(): number;
  setGpr(number: number, low: number, high?: number): void;
  low(number: number): number;
  poke(linear: number, low: number, high: number): void;
  /** Where the data segment starts. */
  readonly dataBase: number;
  /** Masks the exceptions of SSE. */
  maskExceptions(): void;
}

const isRegister = (aim: Aim) => aim.encoded.modrm >= 0xc0;
const regOf = ({ encoded: { modrm, rex } }: Aim) => (modrm >> 3 & 7) | (rex & 4) << 1;
const rmOf = ({ encoded: { modrm, rex } }: Aim) => (modrm & 7) | (rex & 1) << 3;

function aimString(aim: Aim): void {
  const usesGs = aim.encoded.bytes.includes(0x65);
  const source = aim.target();
  aim.setGpr(rsi, source - aim.dataBase - (usesGs ? gsBase : 0));
  // Some overlap, so that a move repeats a pattern.
  const target = aim.chance(30) ? source + aim.random() % 40 - 20 : aim.target();
  aim.setGpr(rdi, target - aim.dataBase);
  if (aim.encoded.repeats) {
    aim.setGpr(rcx, aim.random() % (aim.chance(30) ? 64 : 12));
  }
}

/** A bit number beyond the operand reaches other memory: stay near. */
function aimBit(aim: Aim): void {
  const explicit = aim.row.operands[1]?.place === "G";
  const number = regOf(aim);
  // With a SIB byte it may be any part of the address, which must stay as it was aimed.
  const usesAsAddress = number === rmOf(aim) || (aim.encoded.modrm & 7) === 4;
  if (explicit && !isRegister(aim) && !usesAsAddress && number !== rsp) {
    const bit = aim.random() % 1024 - 512;
    aim.setGpr(number, bit, bit < 0 ? -1 : 0);
  }
}

function aimIndirect(aim: Aim): void {
  const target = aim.codeTarget();
  if (isRegister(aim)) {
    aim.setGpr(rmOf(aim), target);
  } else if (aim.encoded.target !== undefined) {
    aim.poke(aim.encoded.target, target, 0);
  }
}

/** Half of the comparisons find what they expect. */
function aimExchange(aim: Aim): void {
  if (aim.chance(50) && aim.encoded.target !== undefined) {
    aim.poke(aim.encoded.target, aim.low(rax), aim.low(rdx));
    aim.poke(aim.encoded.target + 8, aim.low(rdx), 0);
  }
}

function aimReturn(aim: Aim): void {
  aim.poke(aim.low(rsp), aim.codeTarget(), 0);
}

function aimDivision(aim: Aim): void {
  if (aim.chance(60) && aim.encoded.target !== undefined) {
    const sign = aim.chance(50) ? 0 : -1;
    const inSib = (aim.encoded.modrm & 7) === 4;
    const usesRdx = !isRegister(aim) && (inSib || rmOf(aim) === rdx);
    if (!usesRdx) {
      aim.setGpr(rdx, sign, sign);
    }
  }
}

/** Bit 17 exists to AMD. */
function aimMxcsr(aim: Aim): void {
  if (aim.encoded.target !== undefined) {
    const reserved = aim.chance(20) ? aim.random() & ~0x2_0000 : 0;
    aim.poke(aim.encoded.target, (aim.random() & 0xffff) | reserved, 0);
  }
}

const rules: Record<string, (aim: Aim) => void> = {
  movs: aimString, cmps: aimString, stos: aimString, lods: aimString, scas: aimString,
  bt: aimBit, bts: aimBit, btr: aimBit, btc: aimBit,
  "jmp.indirect": aimIndirect, "call.indirect": aimIndirect,
  ret: aimReturn, "ret.pop": aimReturn,
  cmpxchg: aimExchange, cmpxchg8b: aimExchange, cmpxchg16b: aimExchange,
  div: aimDivision, idiv: aimDivision,
  xlat: (aim) => {
    const usesGs = aim.encoded.bytes.includes(0x65);
    aim.setGpr(rbx, aim.target() - aim.dataBase - (usesGs ? gsBase : 0) - (aim.low(rax) & 0xff));
  },
  leave: (aim) => aim.setGpr(rbp, aim.target()),
  // Some old frames overlap the new one.
  enter: (aim) => aim.setGpr(rbp, aim.low(rsp)
    + (aim.chance(50) ? aim.random() % 320 - 160 : aim.chance(50) ? 1024 : -1024)),
  ldmxcsr: (aim) => aimMxcsr(aim),
  // Which partial result raises an exception first is up to the processor (SDM 2, DPPS).
  dpps: (aim) => aim.maskExceptions(),
  dppd: (aim) => aim.maskExceptions(),
  vldmxcsr: (aim) => aimMxcsr(aim),
  vdpps: (aim) => aim.maskExceptions(),
  vdppd: (aim) => aim.maskExceptions(),
  vmaskmov: (aim) => aim.setGpr(rdi, aim.target() - aim.dataBase),
  maskmov: (aim) => aim.setGpr(rdi, aim.target() - aim.dataBase),
  // The trap flag would stop the next instruction, not this one.
  popf: (aim) => {
    aim.setGpr(rsp, border - 64 + aim.random() % 128);
    aim.poke(aim.low(rsp), aim.random() & ~0x100, 0);
  },
};
