/** What instructions work on: operands, registers by number, conditions. */
import type { Width } from "./value.ts";

/** What an operand is to the tiers: a register by its place in line, memory, or a number. */
export interface Operand {
  readonly kind: "first" | "second" | "third" | "fourth" | "memory" | "immediate"
    /** A 64-bit immediate (MOV r64, imm64). */
    | "wide";
  /** The register file, for registers; `ymm` are bits 255:128 of vector registers. */
  readonly file: "gpr" | "xmm" | "ymm" | "mmx";
  readonly width: Width;
}

export type RegisterNumber = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7;
export const rax = 0, rcx = 1, rdx = 2, rbx = 3, rsp = 4, rbp = 5, rsi = 6, rdi = 7;

/** Conditions of Jcc, SETcc, CMOVcc by opcode nibble (SDM 1, appendix B). */
export type Condition = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15;
