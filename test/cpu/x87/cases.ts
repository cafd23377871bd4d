/** Random x87 cases, run by the processor of the host and by X87, and compared bit by bit. */
import { formOf } from "../../../src/cpu/x87/forms.ts";
import { readSave, saveBytes, writeSave } from "../../../src/cpu/x87/images.ts";
import { X87State, x87StateBytes } from "../../../src/cpu/x87/state.ts";
import { X87 } from "../../../src/cpu/x87/x87.ts";
import { assert, randomSource } from "../../support/harness.ts";
import { at, NativeBatch, type NativeFpu, signalFloat } from "../float/native.ts";
import {
  bits64, neighbour80, pattern32, pattern64, type Pattern80, pattern80, type Random,
  someControlWord,
} from "../float/operands.ts";

export interface Instruction {
  readonly opcode: number;
  readonly modrm: number;
  /** With the operand-size prefix, which chooses the 16-bit environment formats. */
  readonly narrow: boolean;
}

const imageFormat = { wide: true, protectedMode: true } as const;
const memoryBytes = 160;
const flagsCompared = 0x8d5;
const codeSelector = 0x33;

/** ModRM for the memory at RDI. */
const rdi = 7;

/** Every form of the table; memory forms address RDI. */
export function allInstructions(): Instruction[] {
  const list: Instruction[] = [];
  for (let opcode = 0xd8; opcode <= 0xdf; opcode++) {
    for (let reg = 0; reg < 8; reg++) {
      const form = formOf(opcode, reg << 3);
      if (form !== undefined) {
        list.push({ opcode, modrm: reg << 3 | rdi, narrow: false });
        if (form.bytes.narrow !== form.bytes.wide) {
          list.push({ opcode, modrm: reg << 3 | rdi, narrow: true });
        }
      }
    }
    for (let modrm = 0xc0; modrm <= 0xff; modrm++) {
      if (formOf(opcode, modrm) !== undefined) {
        list.push({ opcode, modrm, narrow: false });
      }
    }
  }
  return list;
}

export function nameOf({ opcode, modrm, narrow }: Instruction): string {
  return `${narrow ? "66 " : ""}${opcode.toString(16)} ${modrm.toString(16)}`;
}

/** Writes a random FSAVE image in the 32-bit format. */
export function someImage(random: Random, image: DataView): void {
  const status = random() % 8 === 0 ? random() & 0x7f : random() & 0x4700;
  const used = random() % 4 === 0 ? random() & 0xff : 0;
  image.setUint32(0, 0xffff_0000 | someControlWord(random), true);
  image.setUint32(4, 0xffff_0000 | status | (random() & 7) << 11, true);
  let tags = 0;
  for (let register = 0; register < 8; register++) {
    tags |= (used >> register & 1) << (2 * register) | (used >> register & 1) << (2 * register + 1);
  }
  // Room for a push, in most cases.
  const top = image.getUint16(4, true) >> 11 & 7;
  if (random() % 8 !== 0) {
    tags |= 3 << (2 * (top + 7 & 7));
  }
  image.setUint32(8, 0xffff_0000 | tags, true);
  image.setUint32(12, random(), true);
  image.setUint32(16, random() & 0x07ff_ffff, true);
  image.setUint32(20, random(), true);
  image.setUint32(24, 0xffff_0000 | random() & 0xffff, true);
  let previous: Pattern80 | undefined;
  for (let index = 0; index < 8; index++) {
    const value: Pattern80 = previous !== undefined && random() % 2 === 0
      ? neighbour80(random, previous) : random() % 8 === 0 ? smallInteger(random)
        : pattern80(random);
    image.setBigUint64(28 + 10 * index, value.significand, true);
    image.setUint16(36 + 10 * index, value.signExponent, true);
    previous = value;
  }
}

/** An integer or half-integer of up to 65 bits: for conversions, FSCALE and FRNDINT. */
function smallInteger(random: Random): Pattern80 {
  const exponent = random() % 68 - 2;
  const significand = (1n << 63n) | bits64(random) << BigInt(random() % 64);
  return {
    signExponent: (random() & 1) << 15 | 0x3fff + exponent,
    significand: BigInt.asUintN(64, significand) | 1n << 63n,
  };
}

/** A memory operand that suits the instruction. */
function someMemory(random: Random, instruction: Instruction, memory: DataView): void {
  const form = formOf(instruction.opcode, instruction.modrm);
  for (let offset = 0; offset < memoryBytes; offset += 4) {
    memory.setUint32(offset, random(), true);
  }
  switch (form?.access === "read" ? form.bytes.wide : 0) {
    case 4:
      memory.setUint32(
        0, random() % 4 === 0 ? random() >>> random() % 32 : pattern32(random), true,
      );
      break;
    case 8:
      memory.setBigUint64(
        0, random() % 4 === 0 ? bits64(random) >> BigInt(random() % 64) : pattern64(random), true,
      );
      break;
    case 10: {
      const { signExponent, significand } = pattern80(random);
      const decimal = BigInt(`0x${(bits64(random) % 10n ** 16n).toString()}`);
      const isDecimal = instruction.opcode === 0xdf;
      memory.setBigUint64(0, isDecimal ? decimal : significand, true);
      memory.setUint16(8, isDecimal ? random() & 0x8000 | random() % 10 : signExponent, true);
      break;
    }
    case 28: case 108:
      someImage(random, memory);
      if (instruction.narrow) {
        someNarrowImage(random, memory);
      }
      break;
    default:
  }
}

/** Moves the words of a 32-bit image to the places they have in a 16-bit one. */
function someNarrowImage(random: Random, memory: DataView): void {
  for (let index = 0; index < 7; index++) {
    memory.setUint16(2 * index, memory.getUint16(4 * index, true), true);
  }
  for (let index = 0; index < 8; index++) {
    const { signExponent, significand } = pattern80(random);
    memory.setBigUint64(14 + 10 * index, significand, true);
    memory.setUint16(22 + 10 * index, signExponent, true);
  }
}

/** The answer of either side. */
export interface Parts {
  readonly control: number;
  readonly status: number;
  readonly tags: number;
  /** ST(0) to ST(7). */
  readonly registers: readonly Pattern80[];
  /** Offsets in their pages of the last instruction and operand, and the opcode between. */
  readonly pointers: readonly number[];
  readonly memory: string;
  readonly rest: string;
}

function hex(view: DataView, offset: number, length: number): string {
  return Buffer.from(view.buffer, view.byteOffset + offset, length).toString("hex");
}

function partsOf(image: DataView, offset: number): Omit<Parts, "memory" | "rest"> {
  return {
    control: image.getUint16(offset, true),
    status: image.getUint16(offset + 4, true),
    tags: image.getUint16(offset + 8, true),
    registers: Array.from({ length: 8 }, (_, index) => ({
      signExponent: image.getUint16(offset + 36 + 10 * index, true),
      significand: image.getBigUint64(offset + 28 + 10 * index, true),
    })),
    pointers: pointersOf(image, offset),
  };
}

export function showParts(parts: Omit<Parts, "memory" | "rest">): string {
  const numbers = [parts.control, parts.status, parts.tags].map((word) => word.toString(16));
  const registers = parts.registers.map(({ signExponent, significand }) =>
    `${signExponent.toString(16)}:${significand.toString(16)}`);
  const pointers = parts.pointers.map((pointer) => pointer.toString(16));
  return `${numbers.join(" ")} | ${registers.join(" ")} | ${pointers.join(" ")}`;
}

/** Without the selectors: a 64-bit kernel loses them whenever it saves the state. */
function pointersOf(image: DataView, offset: number): number[] {
  const word = (index: number) => image.getUint32(offset + 4 * index, true);
  return [word(3) & 0xfff, word(4) >>> 16, word(5) & 0xfff];
}

function theirParts(batch: NativeBatch, index: number): Parts {
  const base = batch.base(index);
  const view = batch.view;
  const flags = view.getUint32(base + at.rflags, true) & flagsCompared;
  const ax = view.getUint32(base + at.rax, true) & 0xffff;
  return {
    ...partsOf(view, base + at.fsave),
    memory: hex(view, base + at.memory, memoryBytes),
    rest: `${view.getUint32(base + at.signal, true)} ${flags.toString(16)} ${ax.toString(16)}`,
  };
}

/** Where the oracle keeps code and operand, as offsets in their pages. */
export interface Origin {
  readonly code: number;
  readonly memory: number;
}

export function findOrigin(native: NativeFpu): Origin {
  const batch = new NativeBatch(1);
  batch.start(0, [0xd9, rdi]);
  const answer = native.run(batch);
  const base = answer.base(0) + at.fsave;
  return {
    code: answer.view.getUint32(base + 12, true) & 0xfff,
    memory: answer.view.getUint32(base + 20, true) & 0xfff,
  };
}

const record = new DataView(new ArrayBuffer(x87StateBytes));
const unit = new X87(record, 0);
const state = new X87State(record, 0);

/** Runs record `index` of an unanswered batch on our side. */
function ourParts(
  batch: NativeBatch, index: number, instruction: Instruction, origin: Origin,
): Parts {
  const base = batch.base(index);
  const { opcode, modrm, narrow } = instruction;
  const view = (offset: number, length: number) =>
    new DataView(batch.bytes.buffer, batch.bytes.byteOffset + base + offset, length);
  const image = view(at.fsave, saveBytes.wide);
  const memory = new DataView(Uint8Array.from(
    batch.bytes.subarray(base + at.memory, base + at.memory + memoryBytes)).buffer);
  const form = unit.form(opcode, modrm);
  assert(form);
  readSave(state, image, imageFormat);
  let flags = view(at.rflags, 4).getUint32(0, true);
  let ax = view(at.rax, 4).getUint32(0, true) & 0xffff;
  let signal = signalFloat;
  if (!form.waits || !unit.hasPendingException()) {
    const before = Uint8Array.from(new Uint8Array(memory.buffer));
    signal = 0;
    unit.eflags = flags;
    unit.setMode(!narrow, true);
    unit.setOrigin(BigInt(origin.code), codeSelector, BigInt(origin.memory), 0);
    unit.execute(opcode, modrm, memory);
    flags = unit.eflags;
    ax = opcode === 0xdf && modrm === 0xe0 ? unit.ax : ax;
    if (!unit.stored) {
      new Uint8Array(memory.buffer).set(before);
    }
  }
  const result = new DataView(new ArrayBuffer(saveBytes.wide));
  writeSave(state, result, imageFormat);
  return {
    ...partsOf(result, 0),
    memory: hex(memory, 0, memoryBytes),
    rest: `${signal} ${(flags & flagsCompared).toString(16)} ${ax.toString(16)}`,
  };
}

export interface Difference {
  readonly name: string;
  readonly before: string;
  readonly ours: string;
  readonly theirs: string;
}

const chunk = 20_000;

/** Runs `total` random cases over `list` and returns those that differ, at most `limit`. */
export function differences(
  native: NativeFpu, list: readonly Instruction[], total: number, limit = 20,
  agree: (ours: Parts, theirs: Parts, instruction: Instruction) => boolean = sameParts,
): Difference[] {
  const random = randomSource();
  const origin = findOrigin(native);
  const found: Difference[] = [];
  for (let done = 0; done < total && found.length < limit; done += chunk) {
    const batch = new NativeBatch(Math.min(chunk, total - done));
    const cases = Array.from({ length: batch.count }, (_, index) => {
      const instruction = list[random() % list.length];
      assert(instruction);
      fill(random, batch, index, instruction);
      return instruction;
    });
    const answers = native.run(batch);
    cases.forEach((instruction, index) => {
      const theirs = theirParts(answers, index);
      const ours = ourParts(batch, index, instruction, origin);
      if (found.length < limit && !agree(ours, theirs, instruction)) {
        const base = batch.base(index);
        const before = showParts(partsOf(batch.view, base + at.fsave))
          + ` m ${hex(batch.view, base + at.memory, 28)}`;
        const show = (parts: Parts) =>
          `${showParts(parts)} | ${parts.rest} m ${parts.memory.slice(0, 56)}`;
        found.push({ name: nameOf(instruction), before, ours: show(ours), theirs: show(theirs) });
      }
    });
  }
  return found;
}

function fill(random: Random, batch: NativeBatch, index: number, instruction: Instruction): void {
  const { opcode, modrm, narrow } = instruction;
  const base = batch.start(index, narrow ? [0x66, opcode, modrm] : [opcode, modrm]);
  const view = (offset: number, length: number) =>
    new DataView(batch.bytes.buffer, batch.bytes.byteOffset + base + offset, length);
  view(at.rflags, 4).setUint32(0, 2 | random() & flagsCompared, true);
  view(at.rax, 4).setUint32(0, random(), true);
  someImage(random, view(at.fsave, saveBytes.wide));
  someMemory(random, instruction, view(at.memory, memoryBytes));
}

/** Pointers agree if equal; the other operating system loses some of them now and then. */
function samePointers(ours: readonly number[], theirs: readonly number[]): boolean {
  return theirs.every((value, index) => value === 0 || value === ours[index]);
}

function sameElse(ours: Parts, theirs: Parts): boolean {
  return ours.control === theirs.control && ours.tags === theirs.tags
    && samePointers(ours.pointers, theirs.pointers)
    && ours.memory === theirs.memory && ours.rest === theirs.rest;
}

export function sameParts(ours: Parts, theirs: Parts): boolean {
  return sameElse(ours, theirs) && ours.status === theirs.status
    && ours.registers.every((value, index) => unitsApart(value, theirs.registers[index]) === 0n);
}

/** The same but for one unit in the last place of results, and for C1 (rounded up). */
export function nearlySameParts(ours: Parts, theirs: Parts): boolean {
  return sameElse(ours, theirs) && ((ours.status ^ theirs.status) & ~0x200) === 0
    && ours.registers.every((value, index) => unitsApart(value, theirs.registers[index]) <= 1n);
}

/** How many 80-bit numbers lie between; huge if the signs differ. */
function unitsApart(a: Pattern80, b: Pattern80 | undefined): bigint {
  if (b === undefined || (a.signExponent ^ b.signExponent) >> 15 !== 0) {
    return 1n << 80n;
  }
  const place = ({ signExponent, significand }: Pattern80) =>
    (BigInt(signExponent & 0x7fff) << 63n) + BigInt.asUintN(63, significand);
  const integerBits = ({ signExponent, significand }: Pattern80) =>
    significand >> 63n === ((signExponent & 0x7fff) === 0 ? 0n : 1n);
  if (!integerBits(a) || !integerBits(b)) {
    return a.signExponent === b.signExponent && a.significand === b.significand ? 0n : 1n << 80n;
  }
  const distance = place(a) - place(b);
  return distance < 0n ? -distance : distance;
}
