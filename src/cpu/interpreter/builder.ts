/**
 * Instruction semantics as interpreter code: operands are fields of the micro-op in hand,
 * registers and flags live in the state.
 */
import { assert, AssertionFailure } from "../../base/assert.ts";
import type { Operand, RegisterNumber } from "../isa/builder.ts";
import { truncate, unsigned64, Value, type Width } from "../isa/value.ts";
import {
  access, microOp, pageRipSlot, registers, scratchEnd, state, status, tlbArrayBytes,
} from "../layout.ts";
import {
  loadValue, stores, TierBuilder, type CaseForm, type TierEnvironment,
} from "../tier/builder.ts";
import { fillSignExponent, mmxRegisters } from "../tier/simd.ts";
import { constantOf, i32, i64, load, op, type Node } from "../wasm/code.ts";

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

export interface Environment extends TierEnvironment {
  /** The micro-op's address. */
  readonly upc: Node;
  readonly exits: Exits;
  /** (micro-op address) → status. */
  readonly helper: number;
}

const files = {
  gpr: registers, xmm: state.xmm, ymm: state.ymmHigh, mmx: mmxRegisters,
} as const;

export class InterpreterBuilder extends TierBuilder {
  readonly #env: Environment;
  /** What the semantics wrote so far; a first run learns it for a second. */
  readonly written = new Set<Operand>();
  /** Operands the semantics will write: a read of one in memory asks for write access at once. */
  readonly #willWrite: ReadonlySet<Operand>;
  /** Host address of the memory operand, once it was accessed. */
  #host: Node | undefined;
  #addressOffset: Value | undefined;

  constructor(env: Environment, form: CaseForm, willWrite: ReadonlySet<Operand>) {
    super(env, form);
    this.#env = env;
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
    const file = files[operand.file];
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
    this.#host = this.hostOf(this.address(operand).node, operand.width, request);
    return this.bind(loadValue(operand.width, this.#host));
  }

  write(operand: Operand, value: Value): void {
    this.written.add(operand);
    if (operand.kind === "memory") {
      const bound = this.bind(value);
      const host = this.#host
        ?? this.hostOf(this.address(operand).node, operand.width, access.write);
      this.storeAtHost(host, bound);
      return;
    }
    const [address, offset] = this.#registerAddress(operand);
    this.#storeRegister(address, offset, value, operand.file === "gpr");
    if (operand.file === "mmx") {
      fillSignExponent(this.code, address);
    }
  }

  readWide(operand: Operand): [low: Value, high: Value] {
    const [address, offset] = operand.kind === "memory"
      ? [this.hostOf(this.address(operand).node, operand.width, 0), 0]
      : this.#registerAddress(operand);
    const distance = operand.kind === "memory" ? 16 : state.ymmHigh - state.xmm;
    return [this.bind(loadValue(128, address, offset)),
      this.bind(loadValue(128, address, offset + distance))];
  }

  writeWide(operand: Operand, low: Value, high: Value): void {
    this.written.add(operand);
    if (operand.kind === "memory") {
      const host = this.hostOf(this.address(operand).node, operand.width, access.write);
      this.code.store("v128.store", host, low.node);
      this.code.store("v128.store", host, high.node, 16);
      this.#commit(host);
      return;
    }
    const [address, offset] = this.#registerAddress(operand);
    this.code.store("v128.store", address, low.node, offset);
    this.code.store("v128.store", address, high.node, offset + state.ymmHigh - state.xmm);
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
    const moved = this.#addressOffset;
    if (moved !== undefined && (!this.form.long || this.form.addressWidth !== 64)) {
      return this.#movedAddress(operand, moved);
    }
    const slot = (offset: number) => load("i64.load", this.#byteField(offset), registers);
    const scale = op("i64.extend_i32_u", this.#byteField(microOp.scale));
    const address = op("i64.add",
      op("i64.add", slot(microOp.base), op("i64.shl", slot(microOp.index), scale)),
      this.#displacement());
    return new Value(moved === undefined ? address : op("i64.add", address, moved.node), 64, true);
  }

  /** A micro-op before has computed the offset; the field of the index has the segment. */
  #movedAddress(operand: Operand, moved: Value): Value {
    const mask = i64(this.form.addressWidth === 16 ? 0xffff : 0xffff_ffff);
    const given = load("i64.load", this.#byteField(microOp.base), registers);
    const offset = op("i64.and", op("i64.add", given, moved.node), mask);
    const request = this.#willWrite.has(operand) ? access.write : 0;
    return this.segmented(this.#byteField(microOp.index), offset, operand.width / 8 | request);
  }

  moveAddress(operand: Operand, bytes: Value): void {
    assert(operand.kind === "memory", "only memory has an address");
    this.#addressOffset = this.bind(bytes);
  }

  protected storeAt(linear: Node, value: Value): void {
    this.storeAtHost(this.hostOf(linear, value.width, access.write), value);
  }

  protected storeAtHost(host: Node, value: Value): void {
    const name = stores[value.width];
    assert(name !== undefined, `stores of ${value.width} bits exist`);
    this.code.store(name, host, value.node);
    this.#commit(host);
  }

  /** What went to a scratch area goes on to its place. */
  #commit(host: Node): void {
    this.code.if(op("i32.lt_u", host, i32(scratchEnd)), () => this.code.call(this.#env.mmu.commit),
      undefined, false);
  }

  /**
   * The host address of `width` bits at a linear address. The TLB compare covers page crossings:
   * tag and address differ by less than 4097 - n only when all bytes lie in the tagged page.
   */
  protected hostOf(linear: Node, width: Width, request: number): Node {
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
      code.if(op("i32.eqz", code.get(host)), () => this.fault(), undefined, false);
    }, true);
    return code.get(host);
  }

  // Control.

  protected leaveWithFault(): void {
    this.#env.exits.fault();
  }

  protected leaveToRepeat(elements: number): void {
    this.#charge(elements);
    this.#env.exits.finish(i32(status.again));
  }

  /** Takes micro-ops off the time slice. */
  #charge(count: number): void {
    const budget = load("i32.load", i32(0), state.budget);
    this.code.store("i32.store", i32(0), op("i32.sub", budget, i32(count * microOp.bytes)),
      state.budget);
  }

  protected stringSegment(): Node {
    return this.#byteField(microOp.base);
  }

  jump(target: Value): void {
    this.#env.exits.jump(unsigned64(target));
  }

  jumpRelative(operand: Operand): void {
    assert(operand.kind === "immediate", "a relative target is an immediate");
    if (this.form.near === "in") {
      this.#env.exits.jumpInPage(load("i32.load", this.#env.upc, microOp.displacement));
      return;
    }
    this.jump(this.relativeTarget());
  }

  protected override relativeTarget(): Value {
    const displacement = this.form.near === "in"
      ? op("i64.shr_s", this.#displacement(), i64(2)) : this.#displacement();
    const rip = op("i64.add", load("i64.load", i32(registers), pageRipSlot), displacement);
    return truncate(new Value(rip, 64, true), this.operandWidth);
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
}
