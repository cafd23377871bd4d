/** A row to bytes: prefixes, ModRM and SIB at random, registers set so that addresses hit. */
import type { Row } from "../../../src/cpu/isa/table.ts";
import { fx } from "./float-state.ts";
import { immediateBytes, usesFloat } from "./forms.ts";
import { at, gsBase, narrowBase, slotStart, type CodeBits } from "./layout.ts";
import { immediateByte, writeValue, type Random } from "./values.ts";

const mask64 = (1n << 64n) - 1n;

export interface Encoded {
  readonly bytes: number[];
  /** Linear address of the memory operand, as far as it was aimed at one. */
  readonly target: number | undefined;
  readonly operandWidth: 16 | 32 | 64;
  readonly addressWidth: 16 | 32 | 64;
  readonly repeats: boolean;
  readonly modrm: number;
  readonly rex: number;
}

function mandatoryBytes({ prefix }: Row): number[] {
  return prefix === "66" || prefix === "F2" || prefix === "F3" ? [parseInt(prefix, 16)] : [];
}

const stringMnemonics = new Set(["movs", "cmps", "stos", "lods", "scas"]);
const twoAccesses = new Set(["cmps", "pop"]);
/** BSF and BSR with F3 may be TZCNT and LZCNT; a repeat prefix can change the sense of LOOPcc. */
const noRepeat = new Set(["bsf", "bsr", "loope", "loopne"]);

export class Encoder {
  readonly #view: DataView;
  readonly #random: Random;
  readonly #bits: CodeBits;
  #base = 0;
  #bytes: number[] = [];

  constructor(view: DataView, random: Random, bits: CodeBits) {
    this.#view = view;
    this.#bits = bits;
    this.#random = random;
  }

  #chance(percent: number): boolean {
    return this.#random() % 100 < percent;
  }

  /** Encodes `row` for the record at `base`; the memory operand is to lie at `target`. */
  encode(row: Row, base: number, start: number, target: number): Encoded {
    this.#base = base;
    this.#bytes = [];
    const prefixes = this.#prefixes(row);
    const rex = row.vex ? this.#vex(row) : this.#rex(row);
    const { operandWidth, addressWidth, segmentBase } = this.#sizes(row, prefixes, rex);
    if (!row.vex) {
      this.#bytes.push(...mandatoryBytes(row), ...rex === 0 ? [] : [rex],
        ...[[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]][row.map] ?? []);
    }
    this.#bytes.push(row.opcode);
    const tail = row.operands.reduce((sum, spec) =>
      sum + immediateBytes(spec, operandWidth, addressWidth, this.#bits === 64), 0);
    let modrm = 0;
    let aimed: number | undefined;
    if (row.hasModrm) {
      modrm = this.#modrm(row);
      if (modrm < 0xc0) {
        this.#memory(row, modrm, rex, { addressWidth, tail, start, target: target - segmentBase });
        aimed = addressWidth === 16 && this.#bits !== 16 ? undefined : target;
        modrm = this.#modrmByte;
      } else {
        this.#bytes.push(modrm);
      }
    }
    for (const spec of row.operands) {
      const count = immediateBytes(spec, operandWidth, addressWidth, this.#bits === 64);
      if (spec.place === "O") {
        aimed = target;
        this.#push(target - segmentBase, Math.min(4, count));
        this.#push(0, count - 4);
      } else if (spec.place === "J") {
        this.#branch(count);
      } else if (count === 1) {
        this.#bytes.push(immediateByte(this.#random));
      } else if (count > 0) {
        const scratch = new DataView(new ArrayBuffer(8));
        writeValue(scratch, 0, this.#random);
        for (let index = 0; index < count; index += 1) {
          this.#bytes.push(scratch.getUint8(index));
        }
      }
    }
    const repeats = prefixes.includes(0xf2) || prefixes.includes(0xf3);
    return { bytes: this.#bytes, target: aimed, operandWidth, addressWidth, repeats, modrm, rex };
  }

  #modrmByte = 0;

  #push(value: number, count: number): void {
    for (let index = 0; index < count; index += 1) {
      this.#bytes.push(value & 0xff);
      value = Math.floor(value / 256);
    }
  }

  #prefixes(row: Row): number[] {
    const list: number[] = [];
    const free = row.prefix === undefined || row.prefix === "noRepeat";
    // Processors disagree about 66 on near branches in 64-bit mode.
    const forced = this.#bits === 64 && row.options.size64 === "forced";
    // AMD reads 32 bits for a MOVSXD to 16 bits, Intel 16.
    const isMovsxd = row.mnemonic === "movsx" && row.map === 0;
    if (free && !forced && !isMovsxd && this.#chance(25)) {
      list.push(0x66);
    }
    if (this.#chance(8)) {
      list.push(0x67);
    }
    // GS is no segment in 32-bit code; which of two reasons to fault counts is open in these.
    const mayFault = this.#bits === 64 || !(usesFloat(row) || twoAccesses.has(row.mnemonic));
    if (mayFault && this.#chance(8)) {
      // What a 16-bit CS holds differs: that is the code.
      const choices = this.#bits === 16 ? [0x65, 0x3e, 0x26, 0x36]
        : [0x65, 0x65, 0x2e, 0x3e, 0x26, 0x36];
      list.push(choices[this.#random() % choices.length] ?? 0x65);
    }
    // LOCK in front of a move to or from CR0 is CR8 to AMD.
    const mayLock = !row.mnemonic.endsWith(".control");
    if (mayLock && this.#chance(row.options.lock === true ? 15 : 1)) {
      list.push(0xf0);
    }
    const isString = stringMnemonics.has(row.mnemonic);
    if (row.prefix === undefined && (row.map === 0 || isString) && row.opcode !== 0x90
      && !noRepeat.has(row.mnemonic) && this.#chance(isString ? 60 : 3)) {
      list.push(this.#chance(50) ? 0xf2 : 0xf3);
    }
    if (list.length > 1 && this.#chance(50)) {
      list.reverse();
    }
    this.#bytes.push(...list);
    return list;
  }

  /** A VEX prefix; the answer is the REX prefix that would say the same. */
  #vex(row: Row): number {
    const random = this.#random;
    if (this.#chance(1)) {
      // What must not stand in front of it.
      const wrong = this.#bits === 64 ? [0x66, 0xf2, 0xf3, 0xf0, 0x40, 0x48]
        : [0x66, 0xf2, 0xf3, 0xf0];
      this.#bytes.push(wrong[random() % wrong.length] ?? 0x66);
    }
    const extension = this.#bits === 64 ? random() & 7 : 0;
    // Intel ignores W of these outside 64-bit mode, AMD knows no such instruction.
    const noWide = this.#bits !== 64 && /^vp(extr|insr)d$/.test(row.mnemonic);
    const wide = row.wide ?? (!noWide && this.#chance(40));
    const named = row.operands.some(({ place }) => place === "H" || place === "B");
    const all = this.#bits === 64 || !named ? 15 : 7;
    const register = named || this.#chance(1) ? random() & all : 0;
    const long = row.long ?? this.#chance(30);
    const implied = ["none", "66", "F3", "F2"].indexOf(row.prefix ?? "none");
    const last = (~register & 15) << 3 | (long ? 4 : 0) | implied;
    // With the highest bit of vvvv C5 is LDS outside 64-bit mode.
    const isShort = row.map === 1 && !wide && (extension & 3) === 0
      && (this.#bits === 64 || register < 8);
    if (isShort && this.#chance(60)) {
      this.#bytes.push(0xc5, (extension === 0 ? 0x80 : 0) | last);
    } else {
      this.#bytes.push(0xc4, (~extension & 7) << 5 | row.map, (wide ? 0x80 : 0) | last);
    }
    return 0x40 | extension | (wide ? 8 : 0);
  }

  #rex(row: Row): number {
    if (this.#bits !== 64) {
      return 0;
    }
    const wanted = this.#chance(55) ? 0x40 | (this.#random() & 15) : 0;
    if (row.wide === undefined) {
      // 90 with REX.B is another instruction.
      return row.mnemonic === "nop" && row.map === 0 ? wanted & ~1 : wanted;
    }
    return row.wide ? (wanted || 0x40) | 8 : wanted & ~8;
  }

  #sizes(row: Row, prefixes: readonly number[], rex: number): {
    operandWidth: 16 | 32 | 64; addressWidth: 16 | 32 | 64; segmentBase: number;
  } {
    const isLea = row.mnemonic === "lea";
    if (this.#bits !== 64) {
      const narrow = this.#bits === 16;
      return {
        operandWidth: prefixes.includes(0x66) === narrow ? 32 : 16,
        addressWidth: prefixes.includes(0x67) === narrow ? 32 : 16,
        segmentBase: narrow && !isLea ? narrowBase : 0,
      };
    }
    const wide = (rex & 8) !== 0 || row.options.size64 === "forced";
    const operandWidth = wide ? 64 : prefixes.includes(0x66) ? 16
      : row.options.size64 === "default" ? 64 : 32;
    return {
      operandWidth, addressWidth: prefixes.includes(0x67) ? 32 : 64,
      segmentBase: prefixes.includes(0x65) && !isLea ? gsBase : 0,
    };
  }

  #modrm(row: Row): number {
    const reg = row.reg ?? this.#random() & 7;
    // 0F 0D with a register is undefined to AMD, a hint to Intel.
    const isPrefetch = row.map === 1 && row.opcode === 0x0d;
    const isRegister = row.form === "register"
      || (row.form === "any" && !isPrefetch && this.#chance(50));
    const rm = row.options.vsib === true ? 4 : row.rm ?? this.#random() & 7;
    const mod = isRegister ? 3 : this.#random() % 3;
    return mod << 6 | reg << 3 | rm;
  }

  #setGpr(number: number, value: bigint): void {
    this.#view.setBigUint64(this.#base + at.gpr + number * 8, value & mask64, true);
  }

  #gpr(number: number): bigint {
    return this.#view.getBigInt64(this.#base + at.gpr + number * 8, true);
  }

  #memory(row: Row, modrm: number, rex: number, aim: {
    addressWidth: 16 | 32 | 64; tail: number; start: number; target: number;
  }): void {
    if (aim.addressWidth === 16) {
      this.#memory16(modrm, aim.target);
      return;
    }
    const rm = modrm & 7;
    let mod = modrm >> 6;
    let base = rm | (rex & 1) << 3;
    let index = -1, scale = 0;
    const sib = this.#random() & 0xff;
    if (rm === 4) {
      scale = sib >> 6;
      index = (sib >> 3 & 7) | (rex & 2) << 2;
      if (row.options.vsib === true) {
        this.#vectorIndex(index);
        index = -1;
      }
      index = index === 4 ? -1 : index;
      base = (sib & 7) | (rex & 1) << 3;
      if (index === base) {
        mod = 2; // One register twice: only the displacement can aim.
      }
    }
    this.#modrmByte = (modrm & 0x3f) | mod << 6;
    this.#bytes.push(this.#modrmByte);
    if (rm === 4) {
      this.#bytes.push(sib);
    }
    if (mod === 0 && (rm === 4 ? (sib & 7) === 5 : rm === 5)) {
      this.#baseless(rm === 5, index, scale, aim);
      return;
    }
    this.#based(mod, base, index, scale, aim.target, row.mnemonic);
  }

  /** Indexes of a gather reach places near the one aimed at: far off the host itself may lie. */
  #vectorIndex(register: number): void {
    const range = this.#chance(15) ? 0x1_0000 : 64;
    for (const start of [at.fx + fx.xmm, at.upper]) {
      for (let offset = 0; offset < 16; offset += 8) {
        const small = this.#random() % range - range / 2;
        this.#view.setBigInt64(this.#base + start + register * 16 + offset,
          this.#chance(50) ? BigInt(small) : BigInt(small) * 0x1_0000_0001n, true);
      }
    }
  }

  /** In 32-bit code there is nothing below 64 KiB, but page faults show the address, too. */
  #memory16(modrm: number, target: number): void {
    const mod = modrm >> 6, rm = modrm & 7;
    this.#modrmByte = modrm;
    this.#bytes.push(modrm);
    if (mod === 0 && rm === 6) {
      this.#push(target & 0xffff, 2);
      return;
    }
    const displacement = mod === 0 ? 0 : mod === 1 ? this.#random() << 24 >> 24 : this.#random();
    const base = [3, 3, 5, 5, 6, 7, 5, 3][rm] ?? 3, index = [6, 7, 6, 7][rm];
    const rest = index === undefined ? 0 : Number(this.#gpr(index) & 0xffffn);
    this.#view.setUint16(this.#base + at.gpr + base * 8, target - displacement - rest, true);
    this.#push(displacement >>> 0, mod);
  }

  /** disp32 with an index, or relative to RIP. */
  #baseless(ripRelative: boolean, index: number, scale: number, aim: {
    tail: number; start: number; target: number;
  }): void {
    let displacement = aim.target;
    if (ripRelative && this.#bits === 64) {
      displacement -= aim.start + this.#bytes.length + 4 + aim.tail;
    } else if (index >= 0) {
      const small = this.#random() % 64;
      this.#setGpr(index, BigInt(small));
      displacement -= small * 2 ** scale;
    }
    this.#push(displacement >>> 0, 4);
  }

  #based(mod: number, base: number, index: number, scale: number, target: number,
    mnemonic: string): void {
    // A stack pointer far off would let pushes reach into the host's own memory.
    const near = base === 4;
    let displacement = mod === 0 ? 0 : mod === 1 ? this.#random() << 24 >> 24
      : near ? (this.#random() & 0xfff) - 0x800 : this.#random() | 0;
    if (near && index >= 0) {
      this.#setGpr(index, BigInt(this.#random() % 64));
    }
    if (index === base) {
      const small = this.#random() % 64;
      this.#setGpr(base, BigInt(small));
      displacement = target - small * (1 + 2 ** scale);
    } else if (mnemonic !== "lea") {
      const offset = index < 0 ? 0n : this.#gpr(index) << BigInt(scale);
      this.#setGpr(base, BigInt(target) - BigInt(displacement) - offset);
      // A place neither canonical nor aligned has two reasons to be refused.
      if (this.#bits === 64 && !near && (target & 15) === 0 && this.#chance(3)) {
        this.#view.setUint16(this.#base + at.gpr + base * 8 + 6, 0x1234, true); // Not canonical.
      }
    }
    this.#push(displacement >>> 0, mod === 0 ? 0 : mod === 1 ? 1 : 4);
  }

  /** To a place in the slot before or behind the instruction, which is its last field. */
  #branch(count: number): void {
    const length = this.#bytes.length + count;
    const far = count >= 2 && this.#bits !== 16 && this.#chance(10);
    const before = -length - 9 - this.#random() % 12; // In front of the prelude, too.
    const behind = 1 + this.#random() % (slotStart - 40 - 2);
    const distance = far ? this.#random() >>> 2 : this.#chance(50) ? before : behind;
    this.#push(distance >>> 0, count);
  }
}
