/**
 * One instruction of the guest that touches memory which is none: what bhyve's instruction
 * emulation does (sys/amd64/vmm/vmm_instruction_emul.c), on our own decoder. The address of the
 * memory operand is the one that the exit names.
 */
import { segmentIndex } from "../../cpu/layout.ts";
import type { DecodedOperand, Instruction } from "../../cpu/decoder/instruction.ts";
import type { RegisterName } from "../hypervisor.ts";

export interface EmulationEnv {
  register(name: RegisterName): bigint;
  setRegister(name: RegisterName, value: bigint): void;
  segmentBase(index: number): bigint;
  /** Memory by physical address; sizes of 1, 2, 4 and 8 bytes. */
  read(address: number, size: number): bigint;
  write(address: number, size: number, value: bigint): void;
  /** Undefined when the guest got a fault. */
  translate(linear: bigint, write: boolean): number | undefined;
}

/** `again`: the same instruction once more, as of a string; `fault`: the guest has one now. */
export type Emulated = "done" | "again" | "fault" | "unknown";

const generals: readonly RegisterName[] = [
  "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
  "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
];
const flag = { cf: 1n, pf: 4n, af: 0x10n, zf: 0x40n, sf: 0x80n, df: 0x400n, of: 0x800n } as const;
const arithmeticFlags = flag.cf | flag.pf | flag.af | flag.zf | flag.sf | flag.of;

const mask = (width: number) => (1n << BigInt(width)) - 1n;
const signOf = (value: bigint, width: number) => (value >> BigInt(width - 1)) & 1n;

function parity(value: bigint): boolean {
  let bits = Number(value & 0xffn);
  bits ^= bits >>> 4;
  bits ^= bits >>> 2;
  bits ^= bits >>> 1;
  return (bits & 1) === 0;
}

/** Flags of a result; carry and overflow are the caller's. */
function resultFlags(result: bigint, width: number): bigint {
  return (result === 0n ? flag.zf : 0n) | (signOf(result, width) !== 0n ? flag.sf : 0n)
    | (parity(result) ? flag.pf : 0n);
}

interface Outcome {
  readonly result: bigint;
  readonly flags: bigint;
}

function added(a: bigint, b: bigint, carry: bigint, width: number): Outcome {
  const result = (a + b + carry) & mask(width);
  const flags = resultFlags(result, width)
    | (a + b + carry > mask(width) ? flag.cf : 0n) | ((a ^ b ^ result) & flag.af)
    | (signOf(~(a ^ b) & (a ^ result), width) !== 0n ? flag.of : 0n);
  return { result, flags };
}

function subtracted(a: bigint, b: bigint, borrow: bigint, width: number): Outcome {
  const result = (a - b - borrow) & mask(width);
  const flags = resultFlags(result, width)
    | (a < b + borrow ? flag.cf : 0n) | ((a ^ b ^ result) & flag.af)
    | (signOf((a ^ b) & (a ^ result), width) !== 0n ? flag.of : 0n);
  return { result, flags };
}

function logical(result: bigint, width: number): Outcome {
  return { result, flags: resultFlags(result, width) };
}

type Arithmetic = (a: bigint, b: bigint, carry: bigint, width: number) => Outcome;

/** Two operands, of which the first is written. */
const updates: Readonly<Record<string, Arithmetic>> = {
  add: (a, b, _carry, width) => added(a, b, 0n, width),
  adc: added,
  sub: (a, b, _carry, width) => subtracted(a, b, 0n, width),
  sbb: subtracted,
  and: (a, b, _carry, width) => logical(a & b, width),
  or: (a, b, _carry, width) => logical(a | b, width),
  xor: (a, b, _carry, width) => logical(a ^ b, width),
};
/** Two operands, of which none is written. */
const comparisons: Readonly<Record<string, Arithmetic>> = {
  cmp: (a, b, _carry, width) => subtracted(a, b, 0n, width),
  test: (a, b, _carry, width) => logical(a & b, width),
};

/** Emulates `instruction`, whose memory operand lies at `address`. */
export class Emulation {
  readonly #env: EmulationEnv;
  readonly #instruction: Instruction;
  readonly #address: number;

  constructor(env: EmulationEnv, instruction: Instruction, address: number) {
    this.#env = env;
    this.#instruction = instruction;
    this.#address = address;
  }

  run(): Emulated {
    const { row: { mnemonic }, operands: [first, second] } = this.#instruction;
    if (mnemonic === "movs" || mnemonic === "stos") {
      return this.#string(mnemonic);
    }
    if (mnemonic === "clflush" || mnemonic === "fence") {
      return "done"; // Nothing is cached that a guest could miss.
    }
    if (first === undefined) {
      return "unknown";
    }
    if (mnemonic === "push" || mnemonic === "pop") {
      return this.#stack(mnemonic, first);
    }
    return second === undefined ? "unknown" : this.#twoOperands(mnemonic, first, second);
  }

  #twoOperands(mnemonic: string, first: DecodedOperand, second: DecodedOperand): Emulated {
    const width = widthOf(first);
    const update = updates[mnemonic];
    const compare = comparisons[mnemonic];
    if (mnemonic === "mov" || mnemonic === "movzx") {
      this.#put(first, this.#get(second));
    } else if (mnemonic === "movsx" || mnemonic === "movsxd") {
      this.#put(first, BigInt.asIntN(widthOf(second), this.#get(second)));
    } else if (mnemonic === "xchg") {
      const [a, b] = [this.#get(first), this.#get(second)];
      this.#put(first, b);
      this.#put(second, a);
    } else if (mnemonic === "bt") {
      const bit = this.#get(second) & BigInt(width - 1);
      this.#setFlags((this.#get(first) >> bit & 1n) !== 0n ? flag.cf : 0n, flag.cf);
    } else if (update !== undefined || compare !== undefined) {
      const carry = this.#env.register("rflags") & flag.cf;
      const b = this.#get(second) & mask(width);
      const { result, flags } = (update ?? compare ?? added)(this.#get(first), b, carry, width);
      if (update !== undefined) {
        this.#put(first, result);
      }
      this.#setFlags(flags, arithmeticFlags);
    } else {
      return "unknown";
    }
    return "done";
  }

  /** PUSH and POP with the memory operand outside RAM; the stack is where RSP says. */
  #stack(mnemonic: "push" | "pop", operand: DecodedOperand): Emulated {
    const size = this.#instruction.operandWidth / 8;
    const top = this.#env.register("rsp");
    const base = this.#env.segmentBase(segmentIndex.ss);
    const at = mnemonic === "push" ? top - BigInt(size) : top;
    const address = this.#env.translate(base + at, mnemonic === "push");
    if (address === undefined) {
      return "fault";
    }
    if (mnemonic === "push") {
      this.#env.write(address, size, this.#get(operand));
    } else {
      this.#put(operand, this.#env.read(address, size));
    }
    this.#env.setRegister("rsp", mnemonic === "push" ? at : at + BigInt(size));
    return "done";
  }

  /** One turn of MOVS or STOS. */
  #string(mnemonic: "movs" | "stos"): Emulated {
    const { row, operandWidth, addressWidth, repeat, segment } = this.#instruction;
    const size = row.opcode % 2 === 0 ? 1 : operandWidth / 8;
    const limit = mask(addressWidth);
    const counter = this.#env.register("rcx") & limit;
    if (repeat !== 0 && counter === 0n) {
      return "done";
    }
    const to = this.#env.translate(this.#env.segmentBase(segmentIndex.es)
      + (this.#env.register("rdi") & limit), true);
    if (to === undefined) {
      return "fault";
    }
    if (mnemonic === "movs") {
      const from = this.#env.translate(this.#env.segmentBase(segment)
        + (this.#env.register("rsi") & limit), false);
      if (from === undefined) {
        return "fault";
      }
      this.#env.write(to, size, this.#env.read(from, size));
      this.#step("rsi", size);
    } else {
      this.#env.write(to, size, this.#env.register("rax") & mask(size * 8));
    }
    this.#step("rdi", size);
    if (repeat === 0) {
      return "done";
    }
    this.#setCounted("rcx", counter - 1n);
    return counter > 1n ? "again" : "done";
  }

  #step(name: RegisterName, size: number): void {
    const back = (this.#env.register("rflags") & flag.df) !== 0n;
    this.#setCounted(name, this.#env.register(name) + BigInt(back ? -size : size));
  }

  /** Index registers change as wide as addresses are; 32 bits clear the rest. */
  #setCounted(name: RegisterName, value: bigint): void {
    const { addressWidth } = this.#instruction;
    const kept = addressWidth === 16 ? this.#env.register(name) & ~0xffffn : 0n;
    this.#env.setRegister(name, kept | value & mask(addressWidth));
  }

  #get(operand: DecodedOperand): bigint {
    switch (operand.kind) {
      case "memory": return this.#env.read(this.#address, operand.width / 8);
      case "immediate": return operand.value & mask(64);
      case "register": {
        const value = this.#env.register(generals[operand.number] ?? "rax");
        return value >> (operand.high ? 8n : 0n) & mask(operand.width);
      }
      default: return 0n;
    }
  }

  #put(operand: DecodedOperand, value: bigint): void {
    if (operand.kind === "memory") {
      this.#env.write(this.#address, operand.width / 8, value & mask(operand.width));
    } else if (operand.kind === "register") {
      const name = generals[operand.number] ?? "rax";
      const shift = operand.high ? 8n : 0n;
      const field = mask(operand.width) << shift;
      const kept = operand.width >= 32 ? 0n : this.#env.register(name) & ~field;
      this.#env.setRegister(name, kept | value << shift & field);
    }
  }

  #setFlags(flags: bigint, changed: bigint): void {
    this.#env.setRegister("rflags", this.#env.register("rflags") & ~changed | flags);
  }
}

function widthOf(operand: DecodedOperand): number {
  return operand.kind === "far" ? 64 : Number(operand.width);
}
