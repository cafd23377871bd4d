/**
 * The x87 register state as one plain record in memory: Intel SDM vol. 1 §8.1.
 *
 * Layout, little-endian, `x87StateBytes` in all:
 *
 *       0  u16  control word
 *       2  u16  status word, TOP and B included
 *       4  u8   one bit per physical register that is not empty (the FXSAVE tag)
 *       6  u16  opcode of the last instruction (11 bits)
 *       8  u64  its address           16  u64  address of its memory operand
 *      24  u16  its code selector     26  u16  data selector of that operand
 *      32       eight physical registers R0–R7 of 16 bytes: u64 significand, u16 sign and
 *               exponent, 6 bytes unused. MMi is the first 8 bytes of Ri.
 */
import { integerBit } from "../float/unpacked.ts";

export const x87StateBytes = 160;

/** Offsets in the record. */
export const x87Offset = {
  control: 0, status: 2, used: 4, opcode: 6, instructionPointer: 8, dataPointer: 16,
  codeSelector: 24, dataSelector: 26, registers: 32, registerStride: 16, signExponent: 8,
} as const;

/** Bits of the status word. */
export const status = {
  exceptions: 0x3f, stackFault: 0x40, summary: 0x80,
  c0: 0x100, c1: 0x200, c2: 0x400, c3: 0x4000, conditions: 0x4700, busy: 0x8000,
} as const;

/** Masks of the six exceptions, precision and rounding control, and infinity control. */
const controlWritable = 0x1f3f;
/** Bit 6 of the control word is reserved and reads as one. */
const controlFixed = 0x40;
export const controlInitial = 0x037f;

/** The two-bit codes of the full tag word. */
const tag = { valid: 0, zero: 1, special: 2, empty: 3 } as const;

/** Accessors over the record; it owns no state. */
export class X87State {
  readonly #view: DataView;
  readonly #base: number;

  constructor(view: DataView, base: number) {
    this.#view = view;
    this.#base = base;
  }

  get control(): number {
    return this.#view.getUint16(this.#base + x87Offset.control, true);
  }

  get status(): number {
    return this.#view.getUint16(this.#base + x87Offset.status, true);
  }

  /** Writing either word makes ES and B say whether an unmasked exception is pending. */
  set control(value: number) {
    const control = (value & controlWritable) | controlFixed;
    this.#view.setUint16(this.#base + x87Offset.control, control, true);
    this.#summarise(this.status, control);
  }

  set status(value: number) {
    this.#summarise(value, this.control);
  }

  #summarise(value: number, control: number): void {
    const pending = (value & ~control & status.exceptions) !== 0;
    const clean = value & ~(status.summary | status.busy) & 0xffff;
    const word = pending ? clean | status.summary | status.busy : clean;
    this.#view.setUint16(this.#base + x87Offset.status, word, true);
  }

  get top(): number {
    return (this.status >> 11) & 7;
  }

  set top(value: number) {
    const rest = this.status & ~0x3800;
    this.#view.setUint16(this.#base + x87Offset.status, rest | (value & 7) << 11, true);
  }

  /** One bit per physical register in use. */
  get used(): number {
    return this.#view.getUint8(this.#base + x87Offset.used);
  }

  set used(value: number) {
    this.#view.setUint8(this.#base + x87Offset.used, value);
  }

  get opcode(): number {
    return this.#view.getUint16(this.#base + x87Offset.opcode, true);
  }

  set opcode(value: number) {
    this.#view.setUint16(this.#base + x87Offset.opcode, value & 0x7ff, true);
  }

  get instructionPointer(): bigint {
    return this.#view.getBigUint64(this.#base + x87Offset.instructionPointer, true);
  }

  set instructionPointer(value: bigint) {
    this.#view.setBigUint64(this.#base + x87Offset.instructionPointer, value, true);
  }

  get dataPointer(): bigint {
    return this.#view.getBigUint64(this.#base + x87Offset.dataPointer, true);
  }

  set dataPointer(value: bigint) {
    this.#view.setBigUint64(this.#base + x87Offset.dataPointer, value, true);
  }

  get codeSelector(): number {
    return this.#view.getUint16(this.#base + x87Offset.codeSelector, true);
  }

  set codeSelector(value: number) {
    this.#view.setUint16(this.#base + x87Offset.codeSelector, value, true);
  }

  get dataSelector(): number {
    return this.#view.getUint16(this.#base + x87Offset.dataSelector, true);
  }

  set dataSelector(value: number) {
    this.#view.setUint16(this.#base + x87Offset.dataSelector, value, true);
  }

  /** The physical register that ST(`index`) names. */
  physical(index: number): number {
    return (this.top + index) & 7;
  }

  isEmpty(index: number): boolean {
    return (this.used >> this.physical(index) & 1) === 0;
  }

  significandOf(register: number): bigint {
    return this.#view.getBigUint64(this.#registerAt(register), true);
  }

  signExponentOf(register: number): number {
    return this.#view.getUint16(this.#registerAt(register) + x87Offset.signExponent, true);
  }

  /** Writes a physical register without touching its tag. */
  setRegister(register: number, signExponent: number, significand: bigint): void {
    const at = this.#registerAt(register);
    this.#view.setBigUint64(at, significand, true);
    this.#view.setUint16(at + x87Offset.signExponent, signExponent, true);
  }

  /** Writes ST(`index`) and tags it as used. */
  put(index: number, signExponent: number, significand: bigint): void {
    const register = this.physical(index);
    this.setRegister(register, signExponent, significand);
    this.used |= 1 << register;
  }

  free(index: number): void {
    this.used &= ~(1 << this.physical(index));
  }

  pop(): void {
    this.free(0);
    this.top += 1;
  }

  initialise(): void {
    this.control = controlInitial;
    this.status = 0;
    this.used = 0;
    this.setPointers(0n, 0, 0n, 0, 0);
  }

  setPointers(
    instruction: bigint, codeSelector: number, data: bigint, dataSelector: number, opcode: number,
  ): void {
    this.instructionPointer = instruction;
    this.codeSelector = codeSelector;
    this.dataPointer = data;
    this.dataSelector = dataSelector;
    this.opcode = opcode;
  }

  /** The full tag word, made from the contents as FNSTENV does. */
  get tagWord(): number {
    let word = 0;
    for (let register = 0; register < 8; register++) {
      word |= this.#tagOf(register) << (2 * register);
    }
    return word;
  }

  /** Takes from a tag word only what is empty; the contents say the rest. */
  set tagWord(word: number) {
    let used = 0;
    for (let register = 0; register < 8; register++) {
      used |= ((word >> (2 * register)) & 3) === tag.empty ? 0 : 1 << register;
    }
    this.used = used;
  }

  #tagOf(register: number): number {
    if ((this.used >> register & 1) === 0) {
      return tag.empty;
    }
    const exponent = this.signExponentOf(register) & 0x7fff;
    const significand = this.significandOf(register);
    if (exponent === 0 && significand === 0n) {
      return tag.zero;
    }
    const normal = exponent !== 0 && exponent !== 0x7fff && significand >= integerBit;
    return normal ? tag.valid : tag.special;
  }

  #registerAt(register: number): number {
    return this.#base + x87Offset.registers + x87Offset.registerStride * register;
  }
}
