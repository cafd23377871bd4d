/**
 * What all x87 instructions share: operands from the register stack, the stack faults, NaNs, and
 * how exceptions become status bits. Intel SDM vol. 1 §8.4 and §8.5.
 */
import {
  exception, extended, extended64, FloatEnvironment, type Format, preComputation,
} from "../float/environment.ts";
import {
  indefiniteSignificand, kind, quietBit, unpack80, Unpacked,
} from "../float/unpacked.ts";
import { status, type X87State } from "./state.ts";

/** What an unmasked overflow or underflow takes from or adds to a register's exponent. */
const exponentWrap = 24576;
export const indefiniteSignExponent = 0xffff;

export class Unit {
  readonly state: X87State;
  readonly env = new FloatEnvironment();
  /** Operands of the instruction at work. */
  readonly a = new Unpacked();
  readonly b = new Unpacked();

  /** EFLAGS: CF, PF and ZF are read by FCMOVcc and written by FCOMI. */
  eflags = 0;
  /** What FNSTSW gives to AX. */
  ax = 0;
  /** Whether the instruction has written its memory operand. */
  stored = false;
  /** Operand size and mode, for the environment formats. */
  wide = true;
  protectedMode = true;

  constructor(state: X87State) {
    this.state = state;
    this.env.exponentWrap = exponentWrap;
  }

  /** Starts an instruction that may raise exceptions: takes over the control word, clears C1. */
  begin(): void {
    const control = this.state.control;
    this.env.rounding = (control >> 10) & 3;
    this.env.masks = control & status.exceptions;
    this.env.begin();
    this.setConditions(status.c1, 0);
  }

  /** The destination format that precision control selects. */
  format(): Format {
    return extended[(this.state.control >> 8) & 3] ?? extended64;
  }

  load(index: number, into: Unpacked): void {
    const register = this.state.physical(index);
    unpack80(this.state.signExponentOf(register), this.state.significandOf(register), into);
  }

  /** Puts the condition bits of `which` to those of `value`. */
  setConditions(which: number, value: number): void {
    this.state.status = (this.state.status & ~which) | (value & which);
  }

  /**
   * Moves the flags of the instruction to the status word, and C1 with them. True if it may
   * write its result: an exception found before the computation is unmasked otherwise.
   */
  commit(): boolean {
    const env = this.env;
    const blocked = (env.flags & ~env.masks & preComputation) !== 0;
    if (blocked) {
      env.flags &= preComputation;
    }
    const up = env.roundedUp && !blocked ? status.c1 : 0;
    this.state.status = (this.state.status & ~status.c1) | up | env.flags;
    return !blocked;
  }

  /** Like `commit` for a store: an unmasked overflow or underflow leaves memory alone too. */
  commitStore(): boolean {
    const env = this.env;
    const stops = (env.flags & ~env.masks & (exception.overflow | exception.underflow)) !== 0;
    if (stops) {
      // Nothing has been rounded into memory, so nothing is inexact.
      env.flags &= ~exception.precision;
      env.roundedUp = false;
    }
    return this.commit() && !stops;
  }

  /** A full or empty register was in the way. True if the masked response is to be given. */
  stackFault(overflow: boolean): boolean {
    const state = this.state;
    const c1 = overflow ? status.c1 : 0;
    const flags = exception.invalid | status.stackFault;
    state.status = (state.status & ~status.c1) | c1 | flags;
    return (state.control & exception.invalid) !== 0;
  }

  /** Writes the result of the environment to ST(`index`). */
  put(index: number): void {
    const env = this.env;
    this.state.put(index, env.sign << 15 | env.biased, env.significand);
  }

  putIndefinite(index: number): void {
    this.state.put(index, indefiniteSignExponent, indefiniteSignificand);
  }

  /** Pushes the result of the environment; the caller has seen that there is room. */
  push(): void {
    this.state.top -= 1;
    this.put(0);
  }

  /** Whether a push would overwrite a register in use. */
  isFull(): boolean {
    return !this.state.isEmpty(7);
  }

  /**
   * Reports a push that found no room; the masked response is the indefinite on the stack.
   */
  pushOverflow(): void {
    if (this.stackFault(true)) {
      this.state.top -= 1;
      this.putIndefinite(0);
    }
  }

  /** Reports an empty source; the masked response is the indefinite in ST(`index`). */
  underflowTo(index: number): boolean {
    if (!this.stackFault(false)) {
      return false;
    }
    this.putIndefinite(index);
    return true;
  }

  /** If an operand is a NaN or unsupported, makes the result from it and returns true. */
  takeNan(a: Unpacked, b: Unpacked = a): boolean {
    const env = this.env;
    if (a.kind < kind.quiet && b.kind < kind.quiet) {
      return false;
    }
    if (a.kind === kind.unsupported || b.kind === kind.unsupported) {
      env.setInvalid(extended64);
      return true;
    }
    if (a.kind === kind.signalling || b.kind === kind.signalling) {
      env.raise(exception.invalid);
    }
    const chosen = chooseNan(a, b);
    env.setNan(extended64, chosen.sign, chosen.significand | quietBit);
    return true;
  }

  /** Raises the denormal exception for either operand; true if that ends the instruction. */
  denormalStops(a: Unpacked, b: Unpacked = a): boolean {
    if (a.denormal || b.denormal) {
      this.env.raise(exception.denormal);
    }
    return this.env.stopped();
  }
}

/** Intel SDM vol. 1 table 4-7: a quiet NaN before a signalling one, then the larger payload. */
function chooseNan(a: Unpacked, b: Unpacked): Unpacked {
  if (!a.isNan() || !b.isNan()) {
    return a.isNan() ? a : b;
  }
  if (a.kind !== b.kind) {
    return a.kind === kind.quiet ? a : b;
  }
  if (a.significand !== b.significand) {
    return a.significand > b.significand ? a : b;
  }
  return a.sign === 0 ? a : b;
}
