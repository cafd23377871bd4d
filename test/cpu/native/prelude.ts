/**
 * An instruction in front of the one in question, which leaves flags the way the interpreter
 * keeps them: as results and carries that nobody has looked at yet.
 */
import { eflags } from "../../../src/cpu/layout.ts";
import type { Encoded } from "./encode.ts";
import type { CodeBits } from "./layout.ts";
import type { Random } from "./values.ts";

export interface Prelude {
  readonly bytes: readonly number[];
  /** Flags that it leaves open. */
  readonly open: number;
}

export const noPrelude: Prelude = { bytes: [], open: 0 };

const compare = 0x38, test = 0x84;
/** ADD, ADC, SBB, SUB, CMP twice, TEST; opcodes of their byte forms. */
const binary = [0x00, 0x10, 0x18, 0x28, compare, compare, test];
/** INC, DEC and NEG: opcode and ModRM.reg. */
const unary = [[0xfe, 0], [0xfe, 1], [0xf6, 3]] as const;

/** Instructions that look at AF, which TEST leaves open. */
const looksAtAf = new Set(["lahf", "pushf", "daa", "das", "aaa", "aas"]);

/** For the instruction `mnemonic`: a comparison, or arithmetic on one of R8 to R15. */
export function makePrelude(mnemonic: string, bits: CodeBits, random: Random): Prelude {
  const choice = random();
  const wide = choice & 1;
  const narrow = (choice & 6) === 6 ? [0x66] : [];
  if (bits !== 64) {
    const opcode = (choice & 8) !== 0 && !looksAtAf.has(mnemonic) ? test : compare;
    const open = opcode === test ? eflags.af : 0;
    return { bytes: [...narrow, opcode | wide, 0xc0 | choice >>> 8 & 0x3f], open };
  }
  const rex = 0x45 | (choice & 0x10 ? 8 : 0);
  if ((choice & 0x60) === 0) {
    const [opcode, reg] = unary[(choice >>> 16) % unary.length] ?? [0xfe, 0];
    return { bytes: [...narrow, rex, opcode | wide, 0xc0 | reg << 3 | choice >>> 8 & 7], open: 0 };
  }
  const chosen = binary[(choice >>> 16) % binary.length] ?? compare;
  const opcode = chosen === test && looksAtAf.has(mnemonic) ? compare : chosen;
  return {
    bytes: [...narrow, rex, opcode | wide, 0xc0 | choice >>> 8 & 0x3f],
    open: opcode === test ? eflags.af : 0,
  };
}

/** The same, changed to a comparison where it would spoil a register of an address. */
export function keepAddress(prelude: Prelude, { modrm, rex }: Encoded, jumps: boolean): Prelude {
  const [modrmOf, opcode] = [prelude.bytes.at(-1) ?? 0, prelude.bytes.at(-2) ?? 0];
  const changed = (modrmOf & 7) + 8;
  const inSib = (modrm & 7) === 4; // Then any of them may be in use.
  const base = (modrm & 7) | (rex & 1) << 3;
  const spoils = (jumps || modrm < 0xc0) && rex !== 0 && (inSib || base === changed);
  if (prelude.bytes.length === 0 || !spoils || (opcode & 0xfe) === test) {
    return prelude;
  }
  return { bytes: [...prelude.bytes.slice(0, -2), compare | opcode & 1, modrmOf], open: 0 };
}
