/** A stack in the making: pushes are checked and gathered, and take effect together, so that a
 * fault in the middle of a delivery leaves nothing behind. */
import { attribute, registers, segmentIndex, state, vector } from "../layout.ts";
import type { SegmentState } from "./guest-state.ts";
import type { Processor } from "./processor.ts";

const rsp = 4;

export class StackFrame {
  readonly #cpu: Processor;
  readonly #segment: SegmentState;
  /** 16, 32 or 64: how the pointer wraps. */
  readonly #bits: 16 | 32 | 64;
  #pointer: bigint;

  constructor(cpu: Processor, segment: SegmentState, pointer: bigint, bits: 16 | 32 | 64) {
    this.#cpu = cpu;
    this.#segment = segment;
    this.#pointer = pointer;
    this.#bits = bits;
  }

  /** The stack in use. */
  static current(cpu: Processor): StackFrame {
    const segment = cpu.segment(segmentIndex.ss);
    return new StackFrame(cpu, segment, cpu.gpr(rsp), stackBits(cpu, segment));
  }

  get pointer(): bigint {
    return this.#pointer;
  }

  /** Puts the pointer into rSP, as wide as this stack is. */
  commit(): void {
    this.#cpu.setGprSized(rsp, this.#bits, this.#pointer);
    if (this.#bits === 32) {
      this.#cpu.view.setUint32(registers + rsp * 8 + 4, 0, true);
    }
  }

  #wrap(pointer: bigint): bigint {
    return BigInt.asUintN(this.#bits, pointer);
  }

  #linear(offset: bigint, bytes: number): bigint {
    if (this.#bits === 64) {
      return offset;
    }
    const { limit, attributes, base } = this.#segment;
    const last = offset + BigInt(bytes - 1);
    const down = (attributes & 4) !== 0;
    const top = (attributes & attribute.big) !== 0 ? 0xffff_ffffn : 0xffffn;
    if (down ? offset <= BigInt(limit) || last > top : last > BigInt(limit)) {
      this.#cpu.raise(vector.ss, 0);
    }
    return BigInt.asUintN(32, base + offset);
  }

  /** Values from first pushed to last, each of `bytes`; `privilege` of the target stack. */
  push(values: readonly bigint[], bytes: number, privilege: "present" | "system"): void {
    const image = new Uint8Array(values.length * bytes);
    const view = new DataView(image.buffer);
    const count = values.length;
    for (const [index, value] of values.entries()) {
      const at = (count - 1 - index) * bytes;
      for (let byte = 0; byte < bytes; byte += 1) {
        view.setUint8(at + byte, Number((value >> BigInt(8 * byte)) & 0xffn));
      }
    }
    const start = this.#wrap(this.#pointer - BigInt(image.length));
    const wraps = start + BigInt(image.length) > 1n << BigInt(this.#bits);
    if (wraps) {
      this.#pushEach(values, bytes, privilege);
      return;
    }
    this.#cpu.access.writeFrom(this.#linear(start, image.length), image, privilege);
    this.#keep(start);
  }

  /** A 16-bit pointer wraps in the middle. */
  #pushEach(values: readonly bigint[], bytes: number, privilege: "present" | "system"): void {
    for (const value of values) {
      const at = this.#wrap(this.#pointer - BigInt(bytes));
      this.#cpu.access.write(this.#linear(at, bytes), bytes, value, privilege);
      this.#keep(at);
    }
  }

  #keep(pointer: bigint): void {
    const upper = this.#bits === 16 ? this.#pointer & ~0xffffn : 0n;
    this.#pointer = upper | pointer;
  }

  pop(bytes: number): bigint {
    const at = this.#wrap(this.#pointer);
    const value = this.#cpu.access.read(this.#linear(at, bytes), bytes);
    this.#keep(this.#wrap(at + BigInt(bytes)));
    return value;
  }

  skip(bytes: number): void {
    this.#keep(this.#wrap(this.#pointer + BigInt(bytes)));
  }
}

export function stackBits(cpu: Processor, segment: SegmentState): 16 | 32 | 64 {
  if (cpu.is64Bit) {
    return 64;
  }
  return (segment.attributes & attribute.big) !== 0 ? 32 : 16;
}

/** The current privilege, for stacks that stay. */
export function setCpl(cpu: Processor, cpl: number): void {
  cpu.setU32(state.cpl, cpl);
}
