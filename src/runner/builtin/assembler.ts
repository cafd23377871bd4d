/**
 * A small x86 assembler for the built-in guest: the instructions it uses, in 32-bit and 64-bit
 * mode, after the opcode tables of the Intel SDM, volume 2. Addresses have one form each, always
 * the long one: the guest is small, and there is less to get wrong.
 */

export const registers = {
  rax: 0, rcx: 1, rdx: 2, rbx: 3, rsp: 4, rbp: 5, rsi: 6, rdi: 7,
  r8: 8, r9: 9, r10: 10, r11: 11, r12: 12, r13: 13, r14: 14, r15: 15,
} as const;
export type Register = keyof typeof registers;

export interface Memory {
  readonly base: Register;
  readonly index?: Register;
  readonly scale?: 1 | 2 | 4 | 8;
  readonly displacement?: number;
}

export type Width = 8 | 16 | 32 | 64;

const arithmetic = { add: 0, or: 1, and: 4, sub: 5, xor: 6, cmp: 7 } as const;
export type Arithmetic = keyof typeof arithmetic;

const conditions = {
  b: 2, ae: 3, e: 4, ne: 5, be: 6, a: 7, s: 8, ns: 9,
} as const;
export type Condition = keyof typeof conditions;

const plain = {
  cli: [0xfa], hlt: [0xf4], pause: [0xf3, 0x90], ret: [0xc3],
  rdmsr: [0x0f, 0x32], wrmsr: [0x0f, 0x30],
} as const;
export type Plain = keyof typeof plain;

interface Fixup {
  readonly at: number;
  readonly label: string;
  /** Distance from the end of the field, or the address itself. */
  readonly kind: "relative" | "absolute";
}

export class Assembler {
  readonly #origin: number;
  readonly #bytes: number[] = [];
  readonly #labels = new Map<string, number>();
  readonly #fixups: Fixup[] = [];

  /** `origin` is the address of the first byte. */
  constructor(origin: number) {
    this.#origin = origin;
  }

  /** The finished bytes, with every label in its place. */
  finish(): Uint8Array {
    const bytes = Uint8Array.from(this.#bytes);
    const view = new DataView(bytes.buffer);
    for (const { at, label, kind } of this.#fixups) {
      const address = this.addressOf(label);
      view.setUint32(at, kind === "absolute" ? address : address - (this.#origin + at + 4), true);
    }
    return bytes;
  }

  addressOf(label: string): number {
    const address = this.#labels.get(label);
    if (address === undefined) {
      throw new RangeError(`the label ${label} is nowhere`);
    }
    return address;
  }

  label(name: string): void {
    if (this.#labels.has(name)) {
      throw new RangeError(`the label ${name} is in two places`);
    }
    this.#labels.set(name, this.#origin + this.#bytes.length);
  }

  align(boundary: number): void {
    while ((this.#origin + this.#bytes.length) % boundary !== 0) {
      this.#bytes.push(0);
    }
  }

  data(bytes: Iterable<number>): void {
    this.#bytes.push(...bytes);
  }

  text(characters: string): void {
    this.data(Buffer.from(`${characters}\0`, "latin1"));
  }

  long(value: number | string): void {
    this.#immediate(32, value);
  }

  quad(value: bigint): void {
    this.data(new Uint8Array(BigUint64Array.of(value).buffer));
  }

  plain(name: Plain): void {
    this.data(plain[name]);
  }

  /** A number, or the address of a label; zero-extended to the whole register. */
  moveImmediate(to: Register, value: number | string): void {
    const number = registers[to];
    if (number >= 8) {
      this.data([0x41]);
    }
    this.data([0xb8 | (number & 7)]);
    this.#immediate(32, value);
  }

  move(to: Register, from: Register, width: Width = 64): void {
    this.#encode([opcodeFor(0x88, width)], registers[from], to, width);
  }

  load(to: Register, from: Memory, width: Width): void {
    this.#encode([opcodeFor(0x8a, width)], registers[to], from, width);
  }

  /** Loads a byte or a word; the rest of the register becomes zero. */
  loadZeroExtended(to: Register, from: Memory, width: 8 | 16): void {
    this.#encode([0x0f, width === 8 ? 0xb6 : 0xb7], registers[to], from, 32);
  }

  store(to: Memory, from: Register, width: Width): void {
    this.#encode([opcodeFor(0x88, width)], registers[from], to, width);
  }

  storeImmediate(to: Memory, value: number, width: 8 | 16 | 32): void {
    this.#encode([opcodeFor(0xc6, width)], 0, to, width);
    this.#immediate(width, value);
  }

  arithmetic(name: Arithmetic, to: Register, from: Register, width: Width = 64): void {
    this.#encode([(arithmetic[name] << 3) | opcodeFor(0, width)], registers[from], to, width);
  }

  /** With an immediate of 32 bits, which 64-bit operations extend by its sign. */
  arithmeticImmediate(
    name: Arithmetic, to: Register, value: number | string, width: 32 | 64 = 64,
  ): void {
    this.#encode([0x81], arithmetic[name], to, width);
    this.#immediate(32, value);
  }

  test(left: Register, right: Register, width: Width = 64): void {
    this.#encode([opcodeFor(0x84, width)], registers[right], left, width);
  }

  multiply(to: Register, from: Register, width: 32 | 64 = 64): void {
    this.#encode([0x0f, 0xaf], registers[to], from, width);
  }

  shift(direction: "left" | "right", operand: Register, count: number, width: 32 | 64 = 64): void {
    this.#encode([0xc1], direction === "left" ? 4 : 5, operand, width);
    this.data([count]);
  }

  not(operand: Register, width: 32 | 64 = 64): void {
    this.#encode([0xf7], 2, operand, width);
  }

  push(register: Register): void {
    this.#short(0x50, register);
  }

  pop(register: Register): void {
    this.#short(0x58, register);
  }

  jump(label: string, condition?: Condition): void {
    this.data(condition === undefined ? [0xe9] : [0x0f, 0x80 | conditions[condition]]);
    this.#reference(label, "relative");
  }

  call(label: string): void {
    this.data([0xe8]);
    this.#reference(label, "relative");
  }

  /** From the accumulator to the port in DX. */
  out(width: 8 | 16 | 32): void {
    this.data([...(width === 16 ? [0x66] : []), opcodeFor(0xee, width)]);
  }

  /** From the port in DX to the accumulator. */
  in(width: 8 | 16 | 32): void {
    this.data([...(width === 16 ? [0x66] : []), opcodeFor(0xec, width)]);
  }

  toControl(number: 0 | 3 | 4, from: Register): void {
    this.data([0x0f, 0x22, 0xc0 | (number << 3) | registers[from]]);
  }

  fromControl(to: Register, number: 0 | 3 | 4): void {
    this.data([0x0f, 0x20, 0xc0 | (number << 3) | registers[to]]);
  }

  toSegment(segment: "es" | "ss" | "ds", from: Register): void {
    this.data([0x8e, 0xc0 | ({ es: 0, ss: 2, ds: 3 }[segment] << 3) | registers[from]]);
  }

  /** 32-bit mode only: the operand is an address without a base. */
  loadGdt(label: string): void {
    this.data([0x0f, 0x01, 0x15]);
    this.#reference(label, "absolute");
  }

  /** 32-bit mode only; 64-bit mode has no such jump. */
  farJump(selector: number, label: string): void {
    this.data([0xea]);
    this.#reference(label, "absolute");
    this.data([selector & 0xff, selector >>> 8]);
  }

  #short(opcode: number, register: Register): void {
    const number = registers[register];
    this.data(number >= 8 ? [0x41, opcode | (number & 7)] : [opcode | number]);
  }

  #reference(label: string, kind: Fixup["kind"]): void {
    this.#fixups.push({ at: this.#bytes.length, label, kind });
    this.data([0, 0, 0, 0]);
  }

  #immediate(width: 8 | 16 | 32, value: number | string): void {
    if (typeof value === "string") {
      this.#reference(value, "absolute");
      return;
    }
    for (let shift = 0; shift < width; shift += 8) {
      this.data([(value >>> shift) & 0xff]);
    }
  }

  /** Prefixes, opcode, ModRM, SIB and displacement. */
  #encode(
    opcode: readonly number[], field: number, operand: Register | Memory, width: Width,
  ): void {
    const isRegister = typeof operand === "string";
    const base = registers[isRegister ? operand : operand.base];
    const index = isRegister || operand.index === undefined ? undefined : registers[operand.index];
    const rex = (width === 64 ? 8 : 0) | (field >= 8 ? 4 : 0)
      | ((index ?? 0) >= 8 ? 2 : 0) | (base >= 8 ? 1 : 0);
    // Without any REX, the byte registers 4 to 7 are AH, CH, DH and BH.
    const highByte = width === 8 && (field >= 4 || (isRegister && base >= 4));
    this.data([
      ...(width === 16 ? [0x66] : []),
      ...(rex !== 0 || highByte ? [0x40 | rex] : []),
      ...opcode,
    ]);
    const reg = (field & 7) << 3;
    if (isRegister) {
      this.data([0xc0 | reg | (base & 7)]);
      return;
    }
    if (index === undefined && (base & 7) !== 4) {
      this.data([0x80 | reg | (base & 7)]);
    } else {
      // Index 4 says that there is none; RSP can be no index.
      const scale = Math.log2(operand.scale ?? 1) << 6;
      this.data([0x84 | reg, scale | (((index ?? 4) & 7) << 3) | (base & 7)]);
    }
    this.#immediate(32, operand.displacement ?? 0);
  }
}

/** Opcodes come in pairs: the even one for bytes. */
function opcodeFor(base: number, width: Width): number {
  return width === 8 ? base : base | 1;
}
