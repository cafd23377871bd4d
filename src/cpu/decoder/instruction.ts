/** A decoded instruction: what the bytes say, before any tier lowers it. */
import type { Row } from "../isa/table.ts";
import type { Width } from "../isa/value.ts";

/** Register classes an operand can name. */
export type RegisterClass = "gpr" | "xmm" | "mmx" | "segment" | "control" | "debug";

export type DecodedOperand =
  | { readonly kind: "register"; readonly class: RegisterClass; readonly number: number;
      /** AH, CH, DH, BH. */
      readonly high: boolean; readonly width: Width }
  | { readonly kind: "memory"; readonly width: Width }
  | { readonly kind: "immediate"; readonly width: Width; readonly value: bigint }
  /** A branch target: `value` counts from the following instruction. */
  | { readonly kind: "relative"; readonly width: Width; readonly value: bigint }
  /** selector:offset in the instruction. */
  | { readonly kind: "far"; readonly selector: number; readonly offset: number };

/** The address of a memory operand; register numbers, or -1. */
export interface MemoryReference {
  readonly base: number;
  readonly index: number;
  /** log2 of the factor. */
  readonly scale: number;
  readonly displacement: bigint;
  readonly ripRelative: boolean;
  /** The index is a vector register (VSIB): the operand has an address for each lane. */
  readonly vectorIndex: boolean;
}

export interface Instruction {
  readonly row: Row;
  readonly length: number;
  readonly operandWidth: 16 | 32 | 64;
  readonly addressWidth: 16 | 32 | 64;
  /** Index of the segment register that the memory operand uses (override or default). */
  readonly segment: number;
  /** The override alone, or -1. */
  readonly segmentOverride: number;
  readonly repeat: 0 | 0xf2 | 0xf3;
  readonly locked: boolean;
  readonly opcode: number;
  readonly modrm: number;
  readonly operands: readonly DecodedOperand[];
  readonly memory: MemoryReference | undefined;
}

export type DecodeResult =
  | { readonly status: "ok"; readonly instruction: Instruction }
  /** The bytes given end before the instruction does. */
  | { readonly status: "short" }
  /** No such instruction: #UD. */
  | { readonly status: "undefined" }
  /** Longer than 15 bytes: #GP(0). */
  | { readonly status: "long" };
