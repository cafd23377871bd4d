/** Comparisons and classification: Intel SDM vol. 1 §8.3.6. */
import { compare, relation } from "../float/convert.ts";
import { exception } from "../float/environment.ts";
import { kind } from "../float/unpacked.ts";
import { status } from "./state.ts";
import type { Unit } from "./unit.ts";

const conditionBits = status.c3 | status.c2 | status.c0;
const { c0, c2, c3 } = status;
/** ZF, PF and CF at their places in EFLAGS, and what FCOMI clears with them: OF, SF and AF. */
const zf = 0x40;
const pf = 0x04;
const cf = 0x01;
const eflagsWritten = 0x8d5;

/** What a comparison is told: how quiet NaNs count, where the answer goes, what to pop. */
export interface Comparison {
  /** FUCOM: a quiet NaN is no reason for an exception. */
  readonly unordered: boolean;
  /** FCOMI: the answer goes to EFLAGS. */
  readonly toEflags: boolean;
  readonly pops: 0 | 1 | 2;
}

function answer(unit: Unit, order: number, toEflags: boolean): void {
  const less = order === relation.less;
  const equal = order === relation.equal;
  const unordered = order === relation.unordered;
  if (toEflags) {
    const bits = unordered ? zf | pf | cf : less ? cf : equal ? zf : 0;
    unit.eflags = (unit.eflags & ~eflagsWritten) | bits;
  } else {
    unit.setConditions(conditionBits, unordered ? c3 | c2 | c0 : less ? c0 : equal ? c3 : 0);
  }
}

function pop(unit: Unit, count: number): void {
  for (let done = 0; done < count; done++) {
    unit.state.pop();
  }
}

/** Compares ST(0) with `unit.b`, which the caller has filled. */
function compareTop(unit: Unit, how: Comparison): void {
  const { a, b, env } = unit;
  unit.load(0, a);
  const order = compare(a, b);
  if (order === relation.unordered) {
    const quiet = how.unordered && quietOnly(a.kind) && quietOnly(b.kind);
    env.raise(quiet ? 0 : exception.invalid);
  } else if (a.denormal || b.denormal) {
    env.raise(exception.denormal);
  }
  // The answer is given even if an unmasked exception keeps the operands on the stack.
  const conditions = unit.state.status & status.c1;
  const pops = unit.commit();
  if (how.toEflags) {
    unit.setConditions(status.c1, conditions);
  }
  answer(unit, order, how.toEflags);
  if (pops) {
    pop(unit, how.pops);
  }
}

function quietOnly(operandKind: number): boolean {
  return operandKind <= kind.quiet;
}

function emptyOperand(unit: Unit, how: Comparison): void {
  const pops = unit.stackFault(false);
  answer(unit, relation.unordered, how.toEflags);
  if (pops) {
    pop(unit, how.pops);
  }
}

export function compareRegister(unit: Unit, index: number, how: Comparison): void {
  const before = unit.state.status;
  unit.begin();
  if (how.toEflags) {
    // FCOMI and its kin leave C1 alone but for a stack fault.
    unit.setConditions(status.c1, before);
  }
  if (unit.state.isEmpty(0) || unit.state.isEmpty(index)) {
    emptyOperand(unit, how);
    return;
  }
  unit.load(index, unit.b);
  compareTop(unit, how);
}

/** FCOM and FICOM with memory; the operand is ready in `unit.b`. */
export function compareMemory(unit: Unit, how: Comparison): void {
  unit.begin();
  if (unit.state.isEmpty(0)) {
    emptyOperand(unit, how);
    return;
  }
  compareTop(unit, how);
}

/** FTST: ST(0) with +0. */
export function compareZero(unit: Unit): void {
  unit.b.setZero(0);
  compareMemory(unit, { unordered: false, toEflags: false, pops: 0 });
}

/** FXAM: raises nothing, and looks at empty registers too. */
export function examine(unit: Unit): void {
  const state = unit.state;
  unit.load(0, unit.a);
  const sign = unit.a.sign === 1 ? status.c1 : 0;
  const conditions = state.isEmpty(0) ? c3 | c0 : classOf(unit);
  unit.setConditions(status.conditions, sign | conditions);
}

function classOf(unit: Unit): number {
  switch (unit.a.kind) {
    case kind.zero:
      return c3;
    case kind.finite:
      return unit.a.denormal ? c3 | c2 : c2;
    case kind.infinity:
      return c2 | c0;
    case kind.unsupported:
      return 0;
    default:
      return c0;
  }
}
