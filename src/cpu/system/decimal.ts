/** Decimal adjustment (Intel SDM volume 2: DAA, DAS, AAA, AAS, AAM, AAD), outside 64-bit code. */
import type { Instruction } from "../decoder/instruction.ts";
import { eflags, vector } from "../layout.ts";
import { readOperand } from "./operands.ts";
import type { Processor } from "./processor.ts";

const rax = 0;
const { cf, af, zf, sf, pf } = eflags;

const accumulator = (cpu: Processor) => cpu.gpr32(rax) & 0xffff;

function setAccumulator(cpu: Processor, ax: number): void {
  cpu.setGprSized(rax, 16, BigInt(ax & 0xffff));
}

/** The low digit needs adjusting. */
function adjusts(cpu: Processor): boolean {
  return (accumulator(cpu) & 15) > 9 || (cpu.flags & af) !== 0;
}

function evenParity(byte: number): boolean {
  const nibbles = byte ^ (byte >>> 4);
  return ((0x6996 >>> (nibbles & 15)) & 1) === 0;
}

/** SF, ZF and PF of AL, and the flags given; what the manual leaves open stays. */
function setFlags(cpu: Processor, which: number, value: number): void {
  cpu.flags = (cpu.flags & ~which) | value;
}

function setResultFlags(cpu: Processor): void {
  const al = accumulator(cpu) & 0xff;
  setFlags(cpu, sf | zf | pf, ((al & 0x80) !== 0 ? sf : 0) | (al === 0 ? zf : 0)
    | (evenParity(al) ? pf : 0));
}

/** DAA (`sign` 1) and DAS (-1): both digits of AL. */
export function adjustPacked(sign: 1 | -1): (cpu: Processor) => void {
  return (cpu) => {
    const ax = accumulator(cpu), old = ax & 0xff;
    const high = old > 0x99 || (cpu.flags & cf) !== 0;
    const low = adjusts(cpu);
    const once = old + (low ? 6 * sign : 0);
    const borrows = sign < 0 && once < 0; // DAS alone may borrow from the low digit.
    const al = (once + (high ? 0x60 * sign : 0)) & 0xff;
    setAccumulator(cpu, (ax & 0xff00) | al);
    setFlags(cpu, cf | af, (high || borrows ? cf : 0) | (low ? af : 0));
    setResultFlags(cpu);
  };
}

/** AAA (`sign` 1) and AAS (-1): one digit in AL, its carry into AH. */
export function adjustUnpacked(sign: 1 | -1): (cpu: Processor) => void {
  return (cpu) => {
    const changes = adjusts(cpu);
    const ax = accumulator(cpu) + (changes ? sign * 0x106 : 0);
    setAccumulator(cpu, ax & 0xff0f);
    setFlags(cpu, cf | af, changes ? cf | af : 0);
  };
}

/** AAM: AL in two digits of the base given. */
export function adjustProduct(cpu: Processor, instruction: Instruction): void {
  const base = Number(readOperand(cpu, instruction, 0) & 0xffn);
  if (base === 0) {
    cpu.raise(vector.de);
  }
  const al = accumulator(cpu) & 0xff;
  setAccumulator(cpu, Math.floor(al / base) << 8 | al % base);
  setResultFlags(cpu);
}

/** AAD: two digits of the base given in AL. */
export function adjustDividend(cpu: Processor, instruction: Instruction): void {
  const base = Number(readOperand(cpu, instruction, 0) & 0xffn);
  const ax = accumulator(cpu);
  setAccumulator(cpu, ((ax & 0xff) + (ax >>> 8) * base) & 0xff);
  setResultFlags(cpu);
}
