/** One instruction decoded by us and by iced-x86: the same length, operands and mnemonic? */
import {
  Decoder, DecoderOptions, Instruction as IcedInstruction, MemorySizeExt, OpKind, Register,
} from "iced-x86";
import { decode, type DecodeMode } from "../../../src/cpu/decoder/decode.ts";
import type { DecodedOperand, Instruction } from "../../../src/cpu/decoder/instruction.ts";
import { rows, type OperandSpec } from "../../../src/cpu/isa/table.ts";
import { segmentIndex } from "../../../src/cpu/layout.ts";
import { formOf } from "../../../src/cpu/x87/forms.ts";
import {
  immediateBits, mnemonicName, modelFeatures, plainMnemonic, sameMnemonic, type IcedCode,
} from "./names.ts";

/** Bytes a case gets: more than any instruction has, so that nothing runs out of them. */
export const slotBytes = 16;

/** Every feature that a row names. */
export const allFeatures: ReadonlySet<string> = new Set(
  rows.flatMap(({ options }) => options.feature === undefined ? [] : [options.feature]));

export type Verdict =
  /** The same instruction, or no instruction to both. */
  | "agree"
  /** iced knows an instruction that our processor model lacks, or a known difference. */
  | "outside"
  | "differ";

/** iced decodes to a wider register than the 16 or 32 bits these use. */
const wordOperands = new Set([
  "pmovmskb", "movmskps", "movmskpd", "pinsrw", "pinsrb", "pextrw", "pextrb", "pextrd",
  "lldt", "ltr", "verr", "verw", "lar", "lsl", "lmsw", "mov.from.segment", "mov.to.segment",
  "sldt", "str", "smsw", "arpl",
]);

/** Memory operands whose width nothing depends on. */
const openSizes = new Set(["nop", "ud"]);

/** Rows whose semantics know their registers, which iced lists. */
function listsNothing(instruction: Instruction): boolean {
  return instruction.row.operands.every((spec) => "XY".includes(spec.place));
}

/** The x87 unit says itself which of its opcodes are none. */
function isUndefinedFloat({ row, opcode, modrm }: Instruction): boolean {
  return row.mnemonic === "x87" && formOf(opcode, modrm) === undefined;
}

const registerBase = {
  gpr8: Register.AL, gpr16: Register.AX, gpr32: Register.EAX, gpr64: Register.RAX,
  segment: Register.ES, control: Register.CR0, debug: Register.DR0, xmm: Register.XMM0,
  mmx: Register.MM0,
};

function icedRegister(operand: Extract<DecodedOperand, { kind: "register" }>): number {
  if (operand.class === "xmm" && operand.width === 256) {
    return Register.YMM0 + operand.number;
  }
  if (operand.class !== "gpr") {
    return registerBase[operand.class] + operand.number;
  }
  if (operand.width === 8) {
    // iced: AL to BL, AH to BH, SPL to DIL, R8L and on.
    return registerBase.gpr8 + operand.number
      + (operand.high || operand.number >= 4 ? 4 : 0);
  }
  return (operand.width === 16 ? registerBase.gpr16
    : operand.width === 32 ? registerBase.gpr32 : registerBase.gpr64) + operand.number;
}

const gprNumber = (register: number) => (register - Register.AX) & 15;
const isWideGpr = (register: number) => register >= Register.AX && register <= Register.R15;

/** Decodes the same bytes with both. */
export class DecoderComparison {
  readonly bytes: Uint8Array;
  readonly #mode: DecodeMode;
  readonly #decoder: Decoder;
  readonly #iced = new IcedInstruction();
  /** What differs, after `check` said so. */
  why = "";

  constructor(bytes: Uint8Array, bits: 16 | 32 | 64) {
    this.bytes = bytes;
    this.#mode = { bits, features: allFeatures };
    this.#decoder = new Decoder(bits, bytes, DecoderOptions.None);
  }

  free(): void {
    this.#decoder.free();
    this.#iced.free();
  }

  check(position: number): Verdict {
    this.#decoder.position = position;
    this.#decoder.ip = 0n;
    this.#decoder.decodeOut(this.#iced);
    const ours = decode(this.bytes.subarray(position, position + slotBytes), this.#mode);
    const { code } = this.#iced;
    if (code === 0) {
      return ours.status === "ok" && !isUndefinedFloat(ours.instruction)
        ? this.#differ(`we decode ${ours.instruction.row.mnemonic}`) : "agree";
    }
    const known = icedCode(code, this.#iced);
    const outside = known.features.some((each) => !modelFeatures.has(each));
    if (ours.status !== "ok") {
      return outside ? "outside" : this.#differ(`${ours.status}, to iced it is ${known.name}`);
    }
    if (known.name === "pause" && ours.instruction.row.mnemonic === "xchg") {
      return "outside"; // F3 90 with REX.B: the processors seen exchange, iced says PAUSE.
    }
    if (!this.#sameRow(ours.instruction, code, known)) {
      return this.#differ(`${ours.instruction.row.mnemonic} o${ours.instruction.operandWidth},`
        + ` to iced it is ${known.name}`);
    }
    return this.#compare(ours.instruction, outside);
  }

  #compare(ours: Instruction, outside: boolean): Verdict {
    const iced = this.#iced;
    if (ours.length !== iced.length) {
      return this.#differ(`length ${ours.length}, iced ${iced.length}`);
    }
    if (ours.locked !== iced.hasLockPrefix) {
      return this.#differ("LOCK");
    }
    // What later processors make of a hint may have other operands.
    if (listsNothing(ours) || (outside && ours.row.mnemonic === "nop")) {
      return "agree";
    }
    const why = this.#operands(ours);
    return why === "" ? "agree" : this.#differ(why);
  }

  #differ(why: string): Verdict {
    this.why = why;
    return "differ";
  }

  #sameRow(ours: Instruction, code: number, known: IcedCode): boolean {
    const sizes = (ours.operandWidth >> 5) * 3 + (ours.addressWidth >> 5);
    const key = (ours.row.index * 9 + sizes) * 8192 + code;
    let same = pairs.get(key);
    if (same === undefined) {
      same = sameMnemonic(ours.row, ours.operandWidth, ours.addressWidth, known);
      pairs.set(key, same);
    }
    return same;
  }

  #operands(ours: Instruction): string {
    const iced = this.#iced;
    const { opCount } = iced;
    let mine = 0;
    for (let index = 0; index < opCount; index += 1) {
      const kind = iced.opKind(index);
      // Operands at rSI or rDI are no part of the encoding.
      if (kind >= OpKind.MemorySegSI && kind <= OpKind.MemoryESRDI) {
        continue;
      }
      const operand = ours.operands[mine];
      const spec = ours.row.operands[mine];
      mine += 1;
      if (operand === undefined || spec === undefined) {
        return ours.row.mnemonic === "nop" ? "" : `iced has operand ${index}`;
      }
      if (!this.#sameOperand(ours, operand, spec, index, kind)) {
        return `operand ${index}`;
      }
    }
    // Counters and XMM0 are operands to us alone.
    const rest = ours.row.operands.slice(mine).filter((spec) => spec.size !== "");
    return rest.length > 0 ? `we have ${opCount + rest.length} operands` : "";
  }

  #sameOperand(
    ours: Instruction, operand: DecodedOperand, spec: OperandSpec, index: number, kind: number,
  ): boolean {
    const iced = this.#iced;
    switch (operand.kind) {
      case "register": {
        const register = iced.opRegister(index);
        return kind === OpKind.Register && (register === icedRegister(operand)
          || (wordOperands.has(plainMnemonic(ours.row)) && isWideGpr(register)
            && gprNumber(register) === operand.number));
      }
      case "memory":
        return kind === OpKind.Memory && this.#sameMemory(ours)
          && (spec.size === "" || spec.size === "p" || openSizes.has(ours.row.mnemonic)
            || wordOperands.has(plainMnemonic(ours.row))
            || sizeOf(iced.memorySize) * 8 === operand.width);
      case "immediate": {
        const bits = immediateBits.get(kind);
        return bits !== undefined
          && BigInt.asUintN(bits, iced.immediate(index)) === BigInt.asUintN(bits, operand.value);
      }
      case "relative": {
        const bits = kind === OpKind.NearBranch16 ? 16 : kind === OpKind.NearBranch32 ? 32 : 64;
        return kind <= OpKind.NearBranch64 && bits === operand.width && iced.nearBranchTarget
          === BigInt.asUintN(bits, operand.value + BigInt(ours.length));
      }
      case "far":
        return iced.farBranchSelector === operand.selector && operand.offset
          === (kind === OpKind.FarBranch16 ? iced.farBranch16 : iced.farBranch32);
    }
  }

  #sameMemory(ours: Instruction): boolean {
    const iced = this.#iced;
    const { memory, addressWidth } = ours;
    if (memory === undefined) {
      return false;
    }
    let { base, index } = memory;
    if (addressWidth === 16 && base < 0) {
      [base, index] = [index, base]; // [SI] has a base to iced.
    }
    const first = addressWidth === 64 ? Register.RAX
      : addressWidth === 32 ? Register.EAX : Register.AX;
    const expectedBase = memory.ripRelative
      ? (addressWidth === 64 ? Register.RIP : Register.EIP) : base < 0 ? 0 : first + base;
    const target = memory.displacement + (memory.ripRelative ? BigInt(ours.length) : 0n);
    const firstIndex = !memory.vectorIndex ? first
      : iced.memoryIndex >= Register.YMM0 ? Register.YMM0 : Register.XMM0;
    return iced.memoryBase === expectedBase
      && iced.memoryIndex === (index < 0 ? 0 : firstIndex + index)
      && (index < 0 || iced.memoryIndexScale === 1 << memory.scale)
      && BigInt.asUintN(addressWidth, iced.memoryDisplacement)
        === BigInt.asUintN(addressWidth, target)
      && (ours.row.mnemonic === "lea" || this.#sameSegment(ours));
  }

  #sameSegment(ours: Instruction): boolean {
    const segment = this.#iced.memorySegment - Register.ES;
    // iced reports prefixes that mean nothing in 64-bit mode.
    return segment === ours.segment
      || (this.#mode.bits === 64 && segment < segmentIndex.fs && ours.segment < segmentIndex.fs);
  }
}

const pairs = new Map<number, boolean>();
const codes: (IcedCode | undefined)[] = [];

function icedCode(code: number, instruction: IcedInstruction): IcedCode {
  return codes[code] ??= {
    name: mnemonicName(instruction.mnemonic), features: [...instruction.cpuidFeatures()],
  };
}

const sizes: (number | undefined)[] = [];

function sizeOf(memorySize: number): number {
  return sizes[memorySize] ??= MemorySizeExt.size(memorySize);
}
