/** Two answers to a batch: where do they differ, and how to say so. */
import { Decoder, DecoderOptions, Formatter, FormatterSyntax } from "iced-x86";
import type { Row } from "../../../src/cpu/isa/table.ts";
import type { Batch, Case } from "./cases.ts";
import { fx } from "./float-state.ts";
import {
  at, dataBase, edgeBytes, endBase, foreignBase, foreignBytes, headerBytes, memoryBytes,
  middleBase, middleBytes, noVector, options,
} from "./layout.ts";
import { openFlags, shiftCount } from "./open-flags.ts";

/** The arithmetic flags, DF, NT, AC and ID; the others belong to the kernel of the host. */
const comparedFlags = 0x24_4cd5;
const pageFaultVector = 14;
/** Where user space ends for Linux. */
const userEnd = 0x7fff_ffff_f000n;

export interface Difference {
  readonly mnemonic: string;
  /** The parts of the state that differ. */
  readonly what: string;
  readonly text: string;
}

const names = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11",
  "r12", "r13", "r14", "r15"];

/** The manual leaves the result open as well. */
function isOpen(each: Case, cl: number, faulted: boolean): boolean {
  const { row: { mnemonic }, encoded } = each;
  if (faulted) {
    // Processors may have moved some of the values before; ours then has moved none.
    return mnemonic === "enter" || mnemonic === "pusha" || mnemonic === "popa"
      || mnemonic === "cmps"; // Which of two bad addresses it meets first.
  }
  const count = shiftCount(each, cl) ?? 0;
  return (mnemonic === "bswap" && encoded.operandWidth === 16)
    || (/^sh[lr]d$/.test(mnemonic) && encoded.operandWidth === 16 && count > 16);
}

const usesMmx = (row: Row) => row.operands.some((spec) => "PQN".includes(spec.place));

/** F2XM1 to FPATAN, FYL2XP1, FSINCOS, FSIN, FCOS: the last bit is not the same everywhere. */
function isTranscendental({ row, encoded: { bytes } }: Case): boolean {
  const [opcode, modrm] = bytes.slice(-2);
  return row.mnemonic === "x87" && opcode === 0xd9 && modrm !== undefined
    && [0xf0, 0xf1, 0xf2, 0xf3, 0xf9, 0xfb, 0xfe, 0xff].includes(modrm);
}

class Comparison {
  readonly #batch: Batch;
  readonly #native: DataView;
  readonly #ours: DataView;
  readonly #nativeWords: Uint32Array;
  readonly #ourWords: Uint32Array;

  constructor(batch: Batch, native: Uint8Array, ours: Uint8Array) {
    this.#batch = batch;
    this.#native = new DataView(native.buffer, native.byteOffset, native.byteLength);
    this.#ours = new DataView(ours.buffer, ours.byteOffset, ours.byteLength);
    this.#nativeWords = new Uint32Array(native.buffer, native.byteOffset, native.byteLength >> 2);
    this.#ourWords = new Uint32Array(ours.buffer, ours.byteOffset, ours.byteLength >> 2);
  }

  /** Names of the parts that differ. */
  parts(index: number): string[] {
    const base = index * this.#batch.recordBytes;
    const each = this.#batch.cases[index];
    if (each === undefined || (this.#sameWords(base, at.gpr, 128)
      && this.#sameWords(base, at.rip, 12) && this.#sameWords(base, at.memory, memoryBytes)
      && this.#sameFlags(each, base) && this.#sameFault(base) && this.#sameFloat(base))) {
      return [];
    }
    const faults = [this.#native, this.#ours]
      .map((data) => data.getUint32(base + at.vector, true) !== noVector);
    const sameEnd = this.#sameWords(base, at.rip, 8) && faults[0] === faults[1]
      && (each.row.mnemonic === "cmps" || this.#sameWords(base, at.vector, 4));
    if (sameEnd && isOpen(each, this.#clBefore(base), this.#vector(base) !== noVector)) {
      return [];
    }
    if (/^v?maskmov$/.test(each.row.mnemonic) && this.#vector(base) === pageFaultVector
      && this.#sameWords(base, at.memory, memoryBytes)
      && this.#ours.getUint32(base + at.vector, true) === noVector) {
      // Without a byte to write, processors may fault or not.
      return [];
    }
    const found = names.filter((_, number) => !this.#sameWords(base, at.gpr + number * 8, 8));
    const add = (same: boolean, name: string) => {
      if (!same) {
        found.push(name);
      }
    };
    add(this.#sameWords(base, at.rip, 8), "rip");
    add(this.#sameWords(base, at.vector, 4), "vector");
    add(this.#sameFault(base), "fault");
    add(this.#sameWords(base, at.memory, memoryBytes), "memory");
    const flags = this.#flagsThatDiffer(each, base);
    add(flags === 0, `flags ${flagNames(flags)}`);
    add(this.#sameFloat(base), `float${this.#floatParts(base)}`);
    return found;
  }

  #sameWords(base: number, offset: number, length: number): boolean {
    const from = (base + offset) >> 2;
    for (let index = from; index < from + (length >> 2); index += 1) {
      if (this.#nativeWords[index] !== this.#ourWords[index]) {
        return false;
      }
    }
    return true;
  }

  #vector(base: number): number {
    return this.#native.getUint32(base + at.vector, true);
  }

  #clBefore(base: number): number {
    return this.#batch.view.getUint8(headerBytes + base + at.gpr + 8);
  }

  #flagsThatDiffer(each: Case, base: number): number {
    // A fault leaves all flags alone, so none is open then.
    const finished = this.#vector(base) === noVector
      || (this.#native.getUint32(base + at.options, true) & options.stopAtOnce) !== 0;
    const open = each.prelude.open | (finished ? openFlags(each, this.#clBefore(base)) : 0);
    const differing = this.#native.getUint32(base + at.rflags, true)
      ^ this.#ours.getUint32(base + at.rflags, true);
    return differing & comparedFlags & ~open;
  }

  #sameFlags(each: Case, base: number): boolean {
    return this.#flagsThatDiffer(each, base) === 0;
  }

  /** Error code, and the address of a page fault. */
  #sameFault(base: number): boolean {
    const vector = this.#vector(base);
    if (vector !== pageFaultVector) {
      return vector === noVector || this.#sameWords(base, at.error, 4);
    }
    const each = this.#batch.cases[base / this.#batch.recordBytes];
    // What lies beyond user space is present to Linux, and the host program is.
    const place = this.#native.getBigUint64(base + at.address, true);
    const isForeign = place >= userEnd
      || (place >= foreignBase && place < foreignBase + foreignBytes);
    const errors = this.#native.getUint32(base + at.error, true)
      ^ this.#ours.getUint32(base + at.error, true);
    // FRSTOR and its like may read their parts in any order.
    const distance = Number(this.#native.getBigInt64(base + at.address, true)
      - this.#ours.getBigInt64(base + at.address, true));
    const slack = each?.row.mnemonic === "x87" ? 112 : 1;
    return (errors & (isForeign ? ~1 : -1)) === 0 && Math.abs(distance) < slack;
  }

  #sameFloat(base: number): boolean {
    return this.#floatParts(base) === "";
  }

  #floatParts(base: number): string {
    if ((this.#native.getUint32(base + at.options, true) & options.float) === 0) {
      return "";
    }
    let parts = this.#sameWords(base, at.fx + fx.mxcsr, 4) ? "" : " mxcsr";
    for (let index = 0; index < 16; index += 1) {
      parts += this.#sameWords(base, at.fx + fx.xmm + index * 16, 16) ? "" : ` xmm${index}`;
      parts += this.#sameWords(base, at.upper + index * 16, 16) ? "" : ` ymm${index}`;
    }
    const each = this.#batch.cases[base / this.#batch.recordBytes];
    // An MMX instruction that faults may have entered MMX mode before.
    const entered = this.#vector(base) !== noVector && each !== undefined && usesMmx(each.row);
    return each === undefined || entered ? parts : parts + this.#x87Parts(each, base);
  }

  #x87Parts(each: Case, base: number): string {
    const image = base + at.fx;
    const rounds = isTranscendental(each);
    const xor16 = (offset: number) => this.#native.getUint16(image + offset, true)
      ^ this.#ours.getUint16(image + offset, true);
    let parts = xor16(fx.control) === 0 ? "" : " control";
    // C1 says which way the result was rounded.
    parts += (xor16(fx.status) & (rounds ? ~0x200 : -1)) === 0 ? "" : " status";
    parts += this.#native.getUint8(image + fx.tag) === this.#ours.getUint8(image + fx.tag)
      ? "" : " tag";
    for (let index = 0; index < 8; index += 1) {
      const place = fx.st + index * 16;
      const same = xor16(place + 8) === 0 && (this.#sameWords(base, at.fx + place, 8)
        || (rounds && this.#nearly(image + place)));
      parts += same ? "" : ` st${index}`;
    }
    return parts;
  }

  /** Two significands differ by one in the last place. */
  #nearly(offset: number): boolean {
    const difference = this.#native.getBigInt64(offset, true)
      - this.#ours.getBigInt64(offset, true);
    return difference >= -1n && difference <= 1n;
  }

  /** Everything one needs to see what went wrong. */
  describe(index: number, parts: readonly string[]): string {
    const { recordBytes, view, bytes } = this.#batch;
    const base = index * recordBytes, before = headerBytes + base;
    const length = view.getUint32(before + at.codeLength, true);
    const code = bytes.slice(before + at.code, before + at.code + length);
    const rip = view.getBigUint64(before + at.rip, true);
    const lines = [
      `${hex(code)}   ${disassemble(code, rip, this.#batch.bits)}`,
      `  differs: ${parts.join(", ")}`,
    ];
    const row = (name: string, show: (data: DataView, from: number) => string) => {
      lines.push(`  ${name.padEnd(7)} before ${show(view, before)}  native `
        + `${show(this.#native, base)}  ours ${show(this.#ours, base)}`);
    };
    for (const [number, name] of names.entries()) {
      row(name, (data, from) => hex64(data, from + at.gpr + number * 8));
    }
    row("rflags", (data, from) => data.getUint32(from + at.rflags, true).toString(16));
    row("rip", (data, from) => hex64(data, from + at.rip));
    row("fault", (data, from) => `${data.getUint32(from + at.vector, true)} error `
      + `${data.getUint32(from + at.error, true)} at ${hex64(data, from + at.address)}`);
    this.#describeMemory(base, row);
    if (parts.some((part) => part.startsWith("float"))) {
      this.#describeFloat(base, row);
    }
    return lines.join("\n");
  }

  #describeMemory(base: number, row: Show): void {
    for (let offset = 0; offset < memoryBytes; offset += 8) {
      const before = headerBytes + base;
      const touched = hex64(this.#batch.view, before + at.memory + offset)
        !== hex64(this.#native, base + at.memory + offset);
      if (touched || !this.#sameWords(base, at.memory + offset, 8)) {
        row(linearOf(offset).toString(16), (data, from) => hex64(data, from + at.memory + offset));
      }
    }
  }

  #describeFloat(base: number, row: Show): void {
    const parts = this.#floatParts(base);
    row("control", (data, from) => data.getUint16(from + at.fx, true).toString(16));
    row("status", (data, from) => data.getUint16(from + at.fx + 2, true).toString(16));
    row("mxcsr", (data, from) => data.getUint32(from + at.fx + fx.mxcsr, true).toString(16));
    for (let index = 0; index < 16; index += 1) {
      if (parts.includes(`ymm${index}`) || index < 8) {
        row(`ymm${index}`, (data, from) => `${hex64(data, from + at.upper + index * 16 + 8)}:`
          + hex64(data, from + at.upper + index * 16));
      }
    }
    for (let index = 0; index < 24; index += 1) {
      const name = index < 8 ? `st${index}` : `xmm${index - 8}`;
      const place = at.fx + (index < 8 ? fx.st + index * 16 : fx.xmm + (index - 8) * 16);
      if (index < 8 || index < 16 || parts.includes(name)) {
        row(name, (data, from) => `${index < 8
          ? data.getUint16(from + place + 8, true).toString(16) : hex64(data, from + place + 8)}`
          + `:${hex64(data, from + place)}`);
      }
    }
  }
}

type Show = (name: string, show: (data: DataView, from: number) => string) => void;

function linearOf(offset: number): number {
  return offset < edgeBytes ? dataBase + offset
    : offset < edgeBytes + middleBytes ? middleBase + offset - edgeBytes
      : endBase + offset - edgeBytes - middleBytes;
}

function flagNames(bits: number): string {
  const all = [[1, "cf"], [4, "pf"], [0x10, "af"], [0x40, "zf"], [0x80, "sf"], [0x400, "df"],
    [0x800, "of"], [0x4000, "nt"], [0x4_0000, "ac"], [0x20_0000, "id"]] as const;
  return all.filter(([bit]) => (bits & bit) !== 0).map(([, name]) => name).join(" ");
}

const hex64 = (view: DataView, offset: number) =>
  view.getBigUint64(offset, true).toString(16).padStart(16, "0");
const hex = (bytes: Uint8Array) =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");

function disassemble(code: Uint8Array, rip: bigint, bits: number): string {
  const decoder = new Decoder(bits, code, DecoderOptions.None);
  decoder.ip = rip;
  const formatter = new Formatter(FormatterSyntax.Intel);
  const lines: string[] = [];
  while (decoder.canDecode) {
    lines.push(formatter.format(decoder.decode()));
  }
  return lines.join("; ");
}

/** All differences between two answers to a batch. */
export function differences(batch: Batch, native: Uint8Array, ours: Uint8Array): Difference[] {
  const comparison = new Comparison(batch, native, ours);
  const found: Difference[] = [];
  for (const [index, { row }] of batch.cases.entries()) {
    const parts = comparison.parts(index);
    if (parts.length > 0) {
      found.push({
        mnemonic: row.mnemonic, what: parts.join(", "), text: comparison.describe(index, parts),
      });
    }
  }
  return found;
}
