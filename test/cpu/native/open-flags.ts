/**
 * Which flags the manual leaves open after an instruction. The semantics say so themselves
 * (`undefinedFlag`); this listens while the interpreter is generated from them. What depends on
 * a shift count, which a declaration cannot say, is here.
 */
import { SemanticsBuilder } from "../../../src/cpu/isa/builder.ts";
import type { Flag } from "../../../src/cpu/isa/flags.ts";
import { semantics } from "../../../src/cpu/isa/table.ts";
import { eflags } from "../../../src/cpu/layout.ts";
import type { Case } from "./cases.ts";

const { cf, pf, af, zf, sf, of } = eflags;
/** Decimal arithmetic is done by helpers, which declare nothing. */
const declared = new Map<string, number>([
  ["daa", of], ["das", of], ["aaa", of | sf | zf | pf], ["aas", of | sf | zf | pf],
  ["aam", of | af | cf], ["aad", of | af | cf],
]);

/** Listens to the semantics that run during `generate`. */
export function listenToSemantics<T>(generate: () => T): T {
  const original = SemanticsBuilder.prototype.undefinedFlag;
  const before = new Map(semantics);
  let mnemonic = "";
  SemanticsBuilder.prototype.undefinedFlag = function listen(...flags: readonly Flag[]): void {
    const bits = flags.reduce((sum, flag) => sum | eflags[flag], declared.get(mnemonic) ?? 0);
    declared.set(mnemonic, bits);
    original.apply(this, [...flags]);
  };
  for (const [name, each] of before) {
    semantics.set(name, { ...each, run: (x, ...operands) => {
      mnemonic = name;
      each.run(x, ...operands);
    } });
  }
  try {
    return generate();
  } finally {
    SemanticsBuilder.prototype.undefinedFlag = original;
    for (const [name, each] of before) {
      semantics.set(name, each);
    }
  }
}

const shifts = new Set(["shl", "shr", "sar", "rol", "ror", "rcl", "rcr", "shld", "shrd"]);

/** The masked count of a shift or rotation; undefined for other instructions. */
export function shiftCount({ row, encoded }: Case, cl: number): number | undefined {
  if (!shifts.has(row.mnemonic)) {
    return undefined;
  }
  const last = row.operands.at(-1);
  const raw = last?.text === "1" ? 1 : last?.text === "CL" ? cl : encoded.bytes.at(-1) ?? 0;
  const wide = encoded.operandWidth === 64 && row.operands[0]?.size !== "b";
  return raw & (wide ? 63 : 31);
}

/** Bits of RFLAGS that any processor may leave as it likes. `cl` is the low byte of rCX before. */
export function openFlags(each: Case, cl: number): number {
  const bits = declared.get(each.row.mnemonic) ?? 0;
  const count = shiftCount(each, cl);
  if (count === undefined) {
    return bits;
  }
  const width = each.row.operands[0]?.size === "b" ? 8 : each.encoded.operandWidth;
  const carry = /^sh[lr]$/.test(each.row.mnemonic) && count >= width ? cf : 0;
  return count === 0 ? 0 : count === 1 ? bits & ~of : bits | carry;
}
