/** The string comparisons of SSE4.2: PCMPESTRM and its kin (SDM 1 §12.10, SDM 2B §4.1). */
import type { Instruction } from "../decoder/instruction.ts";
import { arithmeticFlags, eflags, state } from "../layout.ts";
import type { Helper } from "./helpers.ts";
import type { Processor } from "./processor.ts";
import { immediateOf, readLanes, requireVectors } from "./simd-operands.ts";

const rax = 0, rcx = 1, rdx = 2;

/** Fields of the immediate. */
const control = {
  words: 1, signed: 2, aggregationShift: 2, negative: 0x10, masked: 0x20, select: 0x40,
} as const;
const aggregation = { any: 0, ranges: 1, each: 2, ordered: 3 } as const;

/** One operand: its elements, and how many of them are valid. */
interface Text {
  readonly elements: readonly number[];
  readonly length: number;
}

function elementsOf(view: DataView, immediate: number): number[] {
  const words = (immediate & control.words) !== 0;
  const signed = (immediate & control.signed) !== 0;
  const count = words ? 8 : 16;
  return Array.from({ length: count }, (_, index) => words
    ? signed ? view.getInt16(index * 2, true) : view.getUint16(index * 2, true)
    : signed ? view.getInt8(index) : view.getUint8(index));
}

/** Ends at the first zero. */
function implicitText(view: DataView, immediate: number): Text {
  const elements = elementsOf(view, immediate);
  const end = elements.indexOf(0);
  return { elements, length: end < 0 ? elements.length : end };
}

/** As long as a register says: its magnitude, at most a whole vector. */
function explicitText(view: DataView, immediate: number, register: bigint): Text {
  const elements = elementsOf(view, immediate);
  const magnitude = register < 0n ? -register : register;
  const most = BigInt(elements.length);
  return { elements, length: Number(magnitude < most ? magnitude : most) };
}

const at = (text: Text, index: number) => text.elements[index] ?? 0;

/** Whether element `place` of the second text is among those of the first, or in its ranges. */
function isMember(first: Text, value: number, ranges: boolean): boolean {
  if (!ranges) {
    return first.elements.slice(0, first.length).includes(value);
  }
  for (let index = 0; index + 1 < first.length; index += 2) {
    if (value >= at(first, index) && value <= at(first, index + 1)) {
      return true;
    }
  }
  return false;
}

/** The first text stands in the second from `place` on, as far as this vector shows. */
function standsAt(first: Text, second: Text, place: number): boolean {
  for (let index = 0; index < first.length && place + index < first.elements.length; index += 1) {
    if (place + index >= second.length || at(first, index) !== at(second, place + index)) {
      return false;
    }
  }
  return true;
}

function matches(first: Text, second: Text, place: number, how: number): boolean {
  const valid = place < second.length;
  switch (how) {
    case aggregation.any: case aggregation.ranges:
      return valid && isMember(first, at(second, place), how === aggregation.ranges);
    case aggregation.each: {
      const bothEnd = place >= first.length && !valid;
      return bothEnd || (place < first.length && valid && at(first, place) === at(second, place));
    }
    default:
      return standsAt(first, second, place);
  }
}

/** One bit for each element of the second operand. */
function compareTexts(first: Text, second: Text, immediate: number): number {
  const count = first.elements.length;
  const how = (immediate >> control.aggregationShift) & 3;
  let result = 0;
  for (let place = 0; place < count; place += 1) {
    result |= matches(first, second, place, how) ? 1 << place : 0;
  }
  if ((immediate & control.negative) === 0) {
    return result;
  }
  const masked = (immediate & control.masked) !== 0;
  return result ^ (masked ? (1 << second.length) - 1 : (1 << count) - 1);
}

function setFlags(cpu: Processor, result: number, first: Text, second: Text): void {
  const count = first.elements.length;
  const flags = (result !== 0 ? eflags.cf : 0) | (second.length < count ? eflags.zf : 0)
    | (first.length < count ? eflags.sf : 0) | ((result & 1) !== 0 ? eflags.of : 0);
  cpu.flags = (cpu.flags & ~arithmeticFlags) | flags;
}

/** The first or last set bit in ECX; the number of elements where there is none. */
function writeIndex(cpu: Processor, result: number, count: number, immediate: number): void {
  const last = (immediate & control.select) !== 0;
  const found = last ? 31 - Math.clz32(result) : 31 - Math.clz32(result & -result);
  cpu.setGpr32(rcx, result === 0 ? count : found);
}

/** The bits in XMM0: as they are, or one element of ones for each. */
function writeMask(cpu: Processor, result: number, count: number, immediate: number): void {
  const mask = new DataView(cpu.bytes.buffer, state.xmm, 16);
  mask.setBigUint64(0, 0n, true);
  mask.setBigUint64(8, 0n, true);
  if ((immediate & control.select) === 0) {
    mask.setUint32(0, result, true);
    return;
  }
  for (let index = 0; index < count; index += 1) {
    const set = (result >> index & 1) !== 0;
    if (count === 8) {
      mask.setUint16(index * 2, set ? 0xffff : 0, true);
    } else {
      mask.setUint8(index, set ? 0xff : 0);
    }
  }
}

/** Lengths are in EAX and EDX, or RAX and RDX with REX.W. */
function lengthRegister(cpu: Processor, number: number, instruction: Instruction): bigint {
  const bits = instruction.operandWidth === 64 ? 64 : 32;
  return BigInt.asIntN(bits, cpu.gpr(number));
}

function stringComparison(explicit: boolean, index: boolean): Helper {
  return (cpu, instruction) => {
    requireVectors(cpu, instruction);
    const immediate = immediateOf(instruction);
    // Unlike most, these take memory operands at any address.
    const b = readLanes(cpu, instruction, 1, true), a = readLanes(cpu, instruction, 0);
    const first = explicit ? explicitText(a, immediate, lengthRegister(cpu, rax, instruction))
      : implicitText(a, immediate);
    const second = explicit ? explicitText(b, immediate, lengthRegister(cpu, rdx, instruction))
      : implicitText(b, immediate);
    const result = compareTexts(first, second, immediate);
    const count = first.elements.length;
    if (index) {
      writeIndex(cpu, result, count, immediate);
    } else {
      writeMask(cpu, result, count, immediate);
      if (instruction.row.vex) {
        cpu.bytes.fill(0, state.ymmHigh, state.ymmHigh + 16);
      }
    }
    setFlags(cpu, result, first, second);
  };
}

export const simdStringHelpers: readonly (readonly [string, Helper])[] = [
  ["pcmpestrm", stringComparison(true, false)], ["pcmpestri", stringComparison(true, true)],
  ["pcmpistrm", stringComparison(false, false)], ["pcmpistri", stringComparison(false, true)],
];
