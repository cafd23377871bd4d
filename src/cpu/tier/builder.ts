/**
 * What the interpreter and compiled code have in common: how semantics reach memory, the stack,
 * strings and the state that neither tier keeps anywhere else.
 */
import { assert, AssertionFailure } from "../../base/assert.ts";
import {
  rdi, rsi, rsp, SemanticsBuilder, type Operand,
} from "../isa/builder.ts";
import type { StringForm } from "../isa/strings.ts";
import { clean, constant, unsigned64, Value, type Width } from "../isa/value.ts";
import { access, eflags, segmentIndex, state, vector } from "../layout.ts";
import { i32, i64, load, op, select, type Code, type Node } from "../wasm/code.ts";
import type { LoadOp, StoreOp } from "../wasm/opcodes.ts";
import { bulkString } from "./bulk.ts";
import type { MmuFunctions } from "./mmu.ts";
import { enterMmx, requireSimd } from "./simd.ts";

/** What an instruction is lowered for: which widths, which mode. */
export interface CaseForm {
  readonly operandWidth: 16 | 32 | 64;
  readonly addressWidth: 16 | 32 | 64;
  /** 64-bit code and stack. */
  readonly long: boolean;
  /** Width of the stack pointer outside 64-bit mode: 16 or 32. */
  readonly stackWidth: 16 | 32 | 64;
  /** Where a relative branch goes: within the page, or out of it. */
  readonly near: "in" | "out";
  readonly string: StringForm | undefined;
}

/** The function that code is built into. */
export interface TierEnvironment {
  readonly code: Code;
  readonly mmu: MmuFunctions;
  /** Address of the TLB set, where the function keeps it. */
  readonly tlb: Node;
}

const loads: Record<number, LoadOp> = {
  8: "i32.load8_u", 16: "i32.load16_u", 32: "i32.load", 64: "i64.load", 128: "v128.load",
};
export const stores: Record<number, StoreOp> = {
  8: "i32.store8", 16: "i32.store16", 32: "i32.store", 64: "i64.store", 128: "v128.store",
};

export function loadValue(width: Width, address: Node, offset = 0): Value {
  const name = loads[width];
  assert(name !== undefined, `loads of ${width} bits exist`);
  return new Value(load(name, address, offset), width, true);
}

export abstract class TierBuilder extends SemanticsBuilder {
  protected readonly form: CaseForm;
  readonly #env: TierEnvironment;
  #onFault: (() => void) | undefined;

  constructor(env: TierEnvironment, form: CaseForm) {
    super(env.code, form.operandWidth);
    this.#env = env;
    this.form = form;
  }

  /** The host address of `width` bits at a linear address; leaves with the fault if there is
   * none. Addresses below `scratchEnd` want a `commit` after a store. */
  protected abstract hostOf(linear: Node, width: Width, request: number): Node;
  /** Stores at a linear address. */
  protected abstract storeAt(linear: Node, value: Value): void;
  /** Stores at what `hostOf` has said. */
  protected abstract storeAtHost(host: Node, value: Value): void;
  /** Leaves with the fault that stands in the state. */
  protected abstract leaveWithFault(): void;
  /** Leaves a string instruction that did `elements` and has more to do. */
  protected abstract leaveToRepeat(elements: number): void;
  /** Number of the segment register that a string's source is in. */
  protected abstract stringSegment(): Node;

  load(address: Value, width: Width): Value {
    return this.bind(loadValue(width, this.hostOf(address.node, width, 0)));
  }

  store(address: Value, value: Value): void {
    this.storeAt(address.node, this.bind(value));
  }

  /** Takes back what the instruction has done so far. */
  protected undo(): void {
    this.#onFault?.();
  }

  protected fault(): void {
    this.undo();
    this.leaveWithFault();
  }

  raise(which: number): void {
    this.code.store("i32.store", i32(0), i32(which), state.faultVector);
    this.code.store("i32.store", i32(0), i32(0), state.faultError);
    this.leaveWithFault();
  }

  /** 64-bit code has no limit (SDM 3A §5.3.1). */
  requireTarget(target: Value): void {
    if (this.operandWidth !== 64) {
      const limit = load("i32.load", i32(0), state.segmentLimit + segmentIndex.cs * 4);
      this.code.if(op("i32.gt_u", clean(target), limit), () => this.raise(vector.gp), undefined,
        false);
    }
  }

  requireRelative(operand: Operand): void {
    if (this.operandWidth !== 64) {
      this.requireTarget(this.bind(this.relativeTarget(operand)));
    }
  }

  /** Where a relative branch goes; asked outside 64-bit mode only. */
  protected relativeTarget(_operand: Operand): Value {
    throw new AssertionFailure("this tier has 64-bit code only");
  }

  requireSimd(sse: boolean, mmx: boolean): void {
    requireSimd(this.code, sse, mmx, (which) => this.raise(which));
  }

  requireAvx(): void {
    const fault = load("i32.load", i32(0), state.avxFault);
    this.code.if(fault, () => {
      this.code.store("i32.store", i32(0), fault, state.faultVector);
      this.leaveWithFault();
    }, undefined, false);
  }

  enterMmx(): void {
    enterMmx(this.code);
  }

  mxcsr(): Value {
    return new Value(load("i32.load", i32(0), state.mxcsr), 32, true);
  }

  firstVector(): Value {
    return this.bind(loadValue(128, i32(0), state.xmm));
  }

  // The stack. Outside 64-bit mode it is a segment, with a pointer of 16 or 32 bits.

  stackWidth(): Width {
    return this.form.stackWidth;
  }

  #stackAddress(pointer: Value, bytes: number, request: number): Node {
    if (this.form.long) {
      return pointer.node;
    }
    return this.#checked(segmentIndex.ss, unsigned64(pointer), bytes | request);
  }

  /** A linear address checked by segment; faults leave. */
  #checked(segment: number | Node, offset: Node, request: number): Node {
    const { code, mmu } = this.#env;
    const which = typeof segment === "number" ? i32(segment) : segment;
    const linear = code.callFor("i64", mmu.segment, which, offset, i32(request));
    code.if(op("i64.eq", linear, i64(-1)), () => this.fault(), undefined, false);
    return linear;
  }

  #stackPointer(): Value {
    return this.register(rsp, this.stackWidth());
  }

  push(value: Value): void {
    this.pushMany([value]);
  }

  pushMany(values: readonly Value[]): void {
    let pointer = this.#stackPointer();
    const pending: { host: Node; value: Value }[] = [];
    for (const value of values) {
      const bytes = value.width / 8;
      const bound = this.bind(value);
      pointer = this.bind(this.sub(pointer, constant(pointer.width, bytes)));
      const pushed = new Value(clean(pointer), pointer.width, true);
      const linear = this.#stackAddress(pushed, bytes, access.write);
      if (values.length === 1) {
        this.storeAt(linear, bound);
      } else {
        // Probe all places first; a page that is not memory takes the pushes one by one.
        const host = this.hostOf(linear, value.width, access.write);
        pending.push({ host, value: bound });
      }
    }
    for (const { host, value } of pending) {
      this.storeAtHost(host, value);
    }
    this.setRegister(rsp, pointer);
  }

  top(width: Width, depthBytes = 0): Value {
    const pointer = this.#stackPointer();
    const deep = depthBytes === 0
      ? pointer : this.add(pointer, constant(pointer.width, depthBytes));
    return this.topAt(deep, width);
  }

  topAt(pointer: Value, width: Width): Value {
    const exact = new Value(clean(pointer), pointer.width, true);
    const linear = this.#stackAddress(exact, width / 8, 0);
    return this.load(new Value(linear, 64, true), width);
  }

  release(bytes: number | Value): void {
    const pointer = this.#stackPointer();
    const amount = typeof bytes === "number"
      ? constant(pointer.width, bytes) : this.resize(bytes, pointer.width);
    this.setRegister(rsp, this.add(pointer, amount));
  }

  undoStackOnFault(bytes: number, body: () => void): void {
    this.#onFault = () => this.release(-bytes);
    body();
    this.#onFault = undefined;
  }

  // The flags that no instruction computes.

  systemFlags(): Value {
    return this.bind(new Value(load("i32.load", i32(0), state.systemFlags), 32, true));
  }

  setSystemFlags(value: Value): void {
    this.code.store("i32.store", i32(0), value.node, state.systemFlags);
  }

  mayChangeInterruptFlag(): Value {
    const flags = load("i32.load", i32(0), state.systemFlags);
    const iopl = op("i32.shr_u", op("i32.and", flags, i32(eflags.iopl)), i32(12));
    const cpl = load("i32.load", i32(0), state.cpl);
    const real = op("i32.eqz", op("i32.and", flags, i32(eflags.vm)));
    return new Value(op("i32.and", op("i32.le_u", cpl, iopl), real), 1, true);
  }

  nothingPending(): Value {
    return new Value(op("i32.eqz", load("i32.load", i32(0), state.attention)), 1, true);
  }

  isVirtual8086(): Value {
    const flags = load("i32.load", i32(0), state.systemFlags);
    return new Value(op("i32.and", op("i32.shr_u", flags, i32(17)), i32(1)), 1, true);
  }

  // Strings.

  stringForm(build: (form: StringForm) => void): void {
    assert(this.form.string !== undefined, "this case is a string instruction");
    build(this.form.string);
  }

  directionDown(): Value {
    const flags = load("i32.load", i32(0), state.systemFlags);
    return new Value(op("i32.and", op("i32.shr_u", flags, i32(10)), i32(1)), 1, true);
  }

  #stringAddress(register: 6 | 7, segment: Node, form: StringForm, request: number): Value {
    const offset = unsigned64(this.register(register, form.addressWidth));
    return this.segmented(segment, offset, form.width / 8 | request);
  }

  /** The linear address at an offset in a segment; outside 64-bit mode it is checked. */
  protected segmented(segment: Node, offset: Node, request: number): Value {
    if (!this.form.long) {
      return new Value(this.#checked(segment, offset, request), 64, true);
    }
    // Only FS and GS have a base in 64-bit mode.
    const base = select(op("i32.ge_u", segment, i32(segmentIndex.fs)),
      load("i64.load", op("i32.shl", segment, i32(3)), state.segmentBase), i64(0));
    return new Value(op("i64.add", offset, base), 64, true);
  }

  stringSource(form: StringForm): Value {
    return this.#stringAddress(rsi, this.stringSegment(), form, 0);
  }

  stringTarget(form: StringForm, writes: boolean): Value {
    return this.#stringAddress(rdi, i32(segmentIndex.es), form, writes ? access.write : 0);
  }

  repeat(max: number, done: () => Value, prepare: () => void,
    element: () => Value | undefined): void {
    const { code } = this;
    const left = code.local("i32");
    code.set(left, i32(max));
    code.block((finished) => {
      code.br(finished, clean(done()));
      code.loop((again) => {
        prepare();
        code.br(finished, clean(done()));
        const goOn = element();
        if (goOn !== undefined) {
          code.br(finished, op("i32.eqz", clean(goOn)));
        }
        code.br(finished, clean(done()));
        code.set(left, op("i32.sub", code.get(left), i32(1)));
        code.br(again, code.get(left));
      });
      this.leaveToRepeat(max);
    });
  }

  bulk(kind: "movs" | "stos", form: StringForm): void {
    // Only where addresses are plain numbers going up: 64-bit mode, DF clear.
    if (this.form.long && form.addressWidth === 64) {
      bulkString(this, this.#env.tlb, kind, form);
    }
  }
}
