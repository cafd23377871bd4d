/**
 * Instruction semantics as interpreter code: operands are fields of the micro-op in hand,
 * registers and flags live in the state.
 */
import { assert, AssertionFailure } from "../../base/assert.ts";
import {
  rdi, rsi, rsp, SemanticsBuilder, type Operand, type RegisterNumber,
} from "../isa/builder.ts";
import type { StringForm } from "../isa/strings.ts";
import { clean, constant, truncate, unsigned64, Value, type Width } from "../isa/value.ts";
import {
  access, eflags, microOp, pageRipSlot, registers, scratchEnd, segmentIndex, state, status,
  tlbArrayBytes,
} from "../layout.ts";
import { constantOf, i32, i64, load, op, select, type Code, type Node } from "../wasm/code.ts";
import type { LoadOp, StoreOp } from "../wasm/opcodes.ts";
import { bulkString } from "./bulk.ts";
import type { MmuFunctions } from "./mmu.ts";
import { enterMmx, fillSignExponent, mmxRegisters, requireSimd } from "./simd.ts";

/** How a case leaves: inside the main function by branching, outside of it by returning. */
export interface Exits {
  fault(): void;
  /** Continues at the RIP given. */
  jump(target: Node): void;
  /** Continues at a place of the same page: a node with four times the offset. */
  jumpInPage(offset: Node): void;
  /** Leaves with the status that a helper returned. */
  finish(status: Node): void;
}

/** A case: which semantics for which operands. */
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

export interface Environment {
  readonly code: Code;
  /** The micro-op's address. */
  readonly upc: Node;
  readonly exits: Exits;
  readonly mmu: MmuFunctions;
  /** (micro-op address) → status. */
  readonly helper: number;
  /** Address of the TLB set, where the function keeps it. */
  readonly tlb: Node;
}

const loads: Record<number, LoadOp> = {
  8: "i32.load8_u", 16: "i32.load16_u", 32: "i32.load", 64: "i64.load", 128: "v128.load",
};
const stores: Record<number, StoreOp> = {
  8: "i32.store8", 16: "i32.store16", 32: "i32.store", 64: "i64.store", 128: "v128.store",
};

export function loadValue(width: Width, address: Node, offset = 0): Value {
  const name = loads[width];
  assert(name !== undefined, `loads of ${width} bits exist`);
  return new Value(load(name, address, offset), width, true);
}

export class InterpreterBuilder extends SemanticsBuilder {
  readonly #env: Environment;
  readonly #form: CaseForm;
  /** What the semantics wrote so far; a first run learns it for a second. */
  readonly written = new Set<Operand>();
  /** Operands the semantics will write: a read of one in memory asks for write access at once. */
  readonly #willWrite: ReadonlySet<Operand>;
  /** Host address of the memory operand, once it was accessed. */
  #host: Node | undefined;
  #addressOffset: Value | undefined;
  #onFault: (() => void) | undefined;

  constructor(env: Environment, form: CaseForm, willWrite: ReadonlySet<Operand>) {
    super(env.code, form.operandWidth);
    this.#env = env;
    this.#form = form;
    this.#willWrite = willWrite;
  }

  // Micro-op fields.

  #byteField(offset: number): Node {
    return load("i32.load8_u", this.#env.upc, offset);
  }

  #displacement(): Node {
    return load("i64.load32_s", this.#env.upc, microOp.displacement);
  }

  #immediate(width: Width): Value {
    if (width === 64) {
      return new Value(load("i64.load32_s", this.#env.upc, microOp.immediate), 64, true);
    }
    return new Value(load("i32.load", this.#env.upc, microOp.immediate), width, width === 32);
  }

  /** Page offset of the next instruction. */
  #nextOffset(): Node {
    const place = load("i32.load16_u", this.#env.upc, microOp.place);
    return op("i32.add", op("i32.and", place, i32(0xfff)), op("i32.shr_u", place, i32(12)));
  }

  nextRip(): Value {
    const rip = op("i64.add", load("i64.load", i32(registers), pageRipSlot),
      op("i64.extend_i32_u", this.#nextOffset()));
    return truncate(new Value(rip, 64, true), this.operandWidth);
  }

  // Registers.

  #registerAddress(operand: Operand): [Node, number] {
    const file = { gpr: registers, xmm: state.xmm, mmx: mmxRegisters }[operand.file];
    switch (operand.kind) {
      case "first": return [this.#byteField(microOp.first), file];
      case "second": return [this.#byteField(microOp.base), file];
      case "third": return [this.#byteField(microOp.third), file];
      case "fourth": return [this.#byteField(microOp.fourth), file];
      default: throw new AssertionFailure(`${operand.kind} is no register`);
    }
  }

  read(operand: Operand): Value {
    if (operand.kind === "immediate") {
      return this.#immediate(operand.width);
    }
    if (operand.kind === "wide") {
      return new Value(load("i64.load", this.#env.upc, microOp.displacement), 64, true);
    }
    if (operand.kind === "memory") {
      return this.#readMemory(operand);
    }
    const [address, offset] = this.#registerAddress(operand);
    return this.bind(loadValue(operand.width, address, offset));
  }

  #readMemory(operand: Operand): Value {
    const writes = this.#willWrite.has(operand);
    const request = writes ? access.write | access.modify : 0;
    this.#host = this.#access(this.address(operand).node, operand.width, request);
    return this.bind(loadValue(operand.width, this.#host));
  }

  write(operand: Operand, value: Value): void {
    this.written.add(operand);
    if (operand.kind === "memory") {
      const bound = this.bind(value);
      const host = this.#host
        ?? this.#access(this.address(operand).node, operand.width, access.write);
      this.#storeAt(host, bound);
      return;
    }
    const [address, offset] = this.#registerAddress(operand);
    this.#storeRegister(address, offset, value, operand.file === "gpr");
    if (operand.file === "mmx") {
      fillSignExponent(this.code, address);
    }
  }

  /** Writes of 32 bits to a general register clear its upper half. */
  #storeRegister(address: Node, offset: number, value: Value, general = true): void {
    if (value.width === 32 && general) {
      this.code.store("i64.store", address, unsigned64(value), offset);
      return;
    }
    const name = stores[value.width];
    assert(name !== undefined, `stores of ${value.width} bits exist`);
    this.code.store(name, address, value.node, offset);
  }

  register(number: RegisterNumber, width: Width, high = false): Value {
    return this.bind(loadValue(width, i32(0), registers + number * 8 + (high ? 1 : 0)));
  }

  setRegister(number: RegisterNumber, value: Value, high = false): void {
    this.#storeRegister(i32(0), registers + number * 8 + (high ? 1 : 0), value);
  }

  // Memory.

  address(operand: Operand): Value {
    assert(operand.kind === "memory", "only memory has an address");
    const slot = (offset: number) => load("i64.load", this.#byteField(offset), registers);
    const scale = op("i64.extend_i32_u", this.#byteField(microOp.scale));
    const address = op("i64.add",
      op("i64.add", slot(microOp.base), op("i64.shl", slot(microOp.index), scale)),
      this.#displacement());
    const moved = this.#addressOffset;
    if (moved === undefined) {
      return new Value(address, 64, true);
    }
    const sum = op("i64.add", address, moved.node);
    const wraps = this.#form.addressWidth !== 64;
    return new Value(wraps ? op("i64.and", sum, i64(0xffff_ffff)) : sum, 64, true);
  }

  moveAddress(operand: Operand, bytes: Value): void {
    assert(operand.kind === "memory", "only memory has an address");
    this.#addressOffset = this.bind(bytes);
  }

  load(address: Value, width: Width): Value {
    return this.bind(loadValue(width, this.#access(address.node, width, 0)));
  }

  store(address: Value, value: Value): void {
    const bound = this.bind(value);
    this.#storeAt(this.#access(address.node, value.width, access.write), bound);
  }

  #storeAt(host: Node, value: Value): void {
    const name = stores[value.width];
    assert(name !== undefined, `stores of ${value.width} bits exist`);
    this.code.store(name, host, value.node);
    this.code.if(op("i32.lt_u", host, i32(scratchEnd)), () => this.code.call(this.#env.mmu.commit),
      undefined, false);
  }

  /**
   * The host address of `width` bits at a linear address. The TLB compare covers page crossings:
   * tag and address differ by less than 4097 - n only when all bytes lie in the tagged page.
   */
  #access(linear: Node, width: Width, request: number): Node {
    const { code, mmu, tlb } = this.#env;
    const bytes = width / 8;
    const array = request & access.write ? tlbArrayBytes : 0;
    const address = code.bind(linear);
    const index = op("i32.and", op("i32.wrap_i64", op("i64.shr_u", address, i64(8))),
      i32(tlbArrayBytes - 16));
    const slot = code.bind(op("i32.add", index, tlb));
    const host = code.local("i32");
    const hit = op("i64.lt_u", op("i64.xor", load("i64.load", slot, array), address),
      i64(4097 - bytes));
    code.if(hit, () => {
      code.set(host, op("i32.add", load("i32.load", slot, array + 8), op("i32.wrap_i64", address)));
    }, () => {
      code.set(host, code.callFor("i32", mmu.access, address, i32(bytes | request)));
      code.if(op("i32.eqz", code.get(host)), () => this.#fault(), undefined, false);
    }, true);
    return code.get(host);
  }

  #fault(): void {
    this.#onFault?.();
    this.#env.exits.fault();
  }

  raise(vector: number): void {
    this.code.store("i32.store", i32(0), i32(vector), state.faultVector);
    this.code.store("i32.store", i32(0), i32(0), state.faultError);
    this.#env.exits.fault();
  }

  requireSimd(sse: boolean, mmx: boolean): void {
    requireSimd(this.code, sse, mmx, (vector) => this.raise(vector));
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
    return this.#form.stackWidth;
  }

  #stackAddress(pointer: Value, bytes: number, request: number): Node {
    if (this.#form.long) {
      return pointer.node;
    }
    return this.#checked(segmentIndex.ss, unsigned64(pointer), bytes | request);
  }

  /** A linear address checked by segment; faults leave. */
  #checked(segment: number | Node, offset: Node, request: number): Node {
    const { code, mmu } = this.#env;
    const which = typeof segment === "number" ? i32(segment) : segment;
    const linear = code.callFor("i64", mmu.segment, which, offset, i32(request));
    code.if(op("i64.eq", linear, i64(-1)), () => this.#fault(), undefined, false);
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
        this.#storeAt(this.#access(linear, value.width, access.write), bound);
      } else {
        // Probe all places first; a page that is not memory takes the pushes one by one.
        const host = this.#access(linear, value.width, access.write);
        pending.push({ host, value: bound });
      }
    }
    for (const { host, value } of pending) {
      this.#storeAt(host, value);
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

  // Control.

  jump(target: Value): void {
    this.#env.exits.jump(unsigned64(target));
  }

  jumpRelative(operand: Operand): void {
    assert(operand.kind === "immediate", "a relative target is an immediate");
    if (this.#form.near === "in") {
      this.#env.exits.jumpInPage(load("i32.load", this.#env.upc, microOp.displacement));
      return;
    }
    const rip = op("i64.add", load("i64.load", i32(registers), pageRipSlot), this.#displacement());
    this.jump(truncate(new Value(rip, 64, true), this.operandWidth));
  }

  helper(): void {
    const { code, upc, helper, exits } = this.#env;
    exits.finish(code.callFor("i32", helper, upc));
  }

  // Flags.

  protected loadResult(): Node {
    return load("i64.load", i32(0), state.flagResult);
  }

  protected loadCarry(): Node {
    return load("i64.load", i32(0), state.flagCarry);
  }

  protected loadAux(): Node {
    return load("i32.load", i32(0), state.flagAux);
  }

  protected storeFlags(result: Node, carry: Node, aux: Node): void {
    const nodes = [result, carry, aux];
    // A constant needs no place of its own; the others must not read what was just stored.
    const [r = result, c = carry, a = aux] = nodes.map((node) =>
      constantOf(node) === undefined ? this.code.bind(node) : node);
    this.code.store("i64.store", i32(0), r, state.flagResult);
    this.code.store("i64.store", i32(0), c, state.flagCarry);
    this.code.store("i32.store", i32(0), a, state.flagAux);
  }

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
    assert(this.#form.string !== undefined, "this case is a string instruction");
    build(this.#form.string);
  }

  directionDown(): Value {
    const flags = load("i32.load", i32(0), state.systemFlags);
    return new Value(op("i32.and", op("i32.shr_u", flags, i32(10)), i32(1)), 1, true);
  }

  #stringAddress(register: 6 | 7, segment: Node, form: StringForm, request: number): Value {
    const offset = unsigned64(this.register(register, form.addressWidth));
    if (!this.#form.long) {
      const linear = this.#checked(segment, offset, form.width / 8 | request);
      return new Value(linear, 64, true);
    }
    // Only FS and GS have a base in 64-bit mode.
    const base = select(op("i32.ge_u", segment, i32(segmentIndex.fs)),
      load("i64.load", op("i32.shl", segment, i32(3)), state.segmentBase), i64(0));
    return new Value(op("i64.add", offset, base), 64, true);
  }

  stringSource(form: StringForm): Value {
    return this.#stringAddress(rsi, this.#byteField(microOp.base), form, 0);
  }

  stringTarget(form: StringForm, writes: boolean): Value {
    return this.#stringAddress(rdi, i32(segmentIndex.es), form, writes ? access.write : 0);
  }

  repeat(max: number, done: () => Value, prepare: () => void,
    element: () => Value | undefined): void {
    const { code, exits } = this.#env;
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
      this.#charge(max);
      exits.finish(i32(status.again));
    });
  }

  /** Takes micro-ops off the time slice. */
  #charge(count: number): void {
    const budget = load("i32.load", i32(0), state.budget);
    this.code.store("i32.store", i32(0), op("i32.sub", budget, i32(count * microOp.bytes)),
      state.budget);
  }

  bulk(kind: "movs" | "stos", form: StringForm): void {
    // Only where addresses are plain numbers going up: 64-bit mode, DF clear.
    if (this.#form.long && form.addressWidth === 64) {
      bulkString(this, this.#env.tlb, kind, form);
    }
  }
}
