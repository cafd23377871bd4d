/**
 * Instruction semantics as compiled code: operands are known, registers live in locals, and flags
 * stay expressions until somebody wants them.
 */
import { AssertionFailure, assert, defined } from "../../base/assert.ts";
import type { DecodedOperand, Instruction } from "../decoder/instruction.ts";
import { regionExit } from "../interpreter/enter.ts";
import type { CaseDescription } from "../interpreter/forms.ts";
import type { Condition, Operand, RegisterNumber } from "../isa/builder.ts";
import { isWhole, type Flag, type FlagUpdate } from "../isa/flags.ts";
import { constant, truncate, unsigned64, Value, type Width } from "../isa/value.ts";
import { access, scratchEnd, segmentIndex, state, tlbArrayBytes } from "../layout.ts";
import { loadValue, stores, TierBuilder } from "../tier/builder.ts";
import { fillSignExponent, mmxRegisters } from "../tier/simd.ts";
import { constantOf, i32, i64, load, onLane, op, type Node } from "../wasm/code.ts";
import type { PendingFlags, RegionFunction, RegisterFile } from "./function.ts";

/** Where the instruction in hand stands, and what its control flow becomes. */
export interface Place {
  readonly place: number;
  /** Instructions of the block that would not have run, were it left before this one. */
  readonly unspent: number;
  branch(): void;
  jump(target: Node): void;
}

type RegisterOperand = Extract<DecodedOperand, { kind: "register" }>;
/** Updates that build on updates are put into locals beyond this. */
const pendingDepthMax = 3;

export class RegionBuilder extends TierBuilder {
  readonly #region: RegionFunction;
  readonly #instruction: Instruction;
  readonly #each: CaseDescription;
  readonly #here: Place;
  readonly #modifies: boolean;
  #host: Node | undefined;
  #addressOffset: Value | undefined;
  /** Flags that this instruction leaves, once it has ended. */
  #after: Omit<PendingFlags, "locals"> | undefined;
  /** Flags go where all others find them at once. */
  #storesFlags = false;

  /** `modifies`: the memory operand is read and written, or written only. */
  constructor(
    region: RegionFunction, instruction: Instruction, each: CaseDescription, here: Place,
    modifies: boolean,
  ) {
    super({ code: region.code, mmu: region.mmu, tlb: region.code.get(region.tlb) }, each.form);
    this.#region = region;
    this.#instruction = instruction;
    this.#each = each;
    this.#here = here;
    this.#modifies = modifies;
  }

  /** Runs the semantics, and hands what they say of flags to the region. */
  run(): void {
    const { code } = this.#region;
    const before = code.takenLocals;
    this.#each.semantics.run(this, ...this.#each.operands);
    this.finishFlags();
    const locals = code.detach(before);
    const after = this.#after;
    if (after === undefined) {
      code.release(locals);
      return;
    }
    const old = this.#region.pending;
    const kept = after.depth > 1 ? [...old?.locals ?? [], ...locals] : locals;
    if (after.depth === 1) {
      this.#region.forgetFlags();
    }
    this.#region.pending = { ...after, locals: kept };
  }

  // Operands.

  #decoded(operand: Operand): DecodedOperand {
    const index = this.#each.operands.findIndex((each) => each.kind === operand.kind);
    return defined(this.#instruction.operands[index], `operand ${operand.kind}`);
  }

  #register(operand: Operand): RegisterOperand {
    const decoded = this.#decoded(operand);
    assert(decoded.kind === "register", `${operand.kind} is a register`);
    return decoded;
  }

  read(operand: Operand): Value {
    switch (operand.kind) {
      case "immediate":
      case "wide": {
        const decoded = this.#decoded(operand);
        assert(decoded.kind === "immediate", "an immediate");
        return constant(operand.width, decoded.value);
      }
      case "memory": return this.#readMemory(operand);
      default: return this.#readRegister(operand, this.#register(operand));
    }
  }

  #readRegister(operand: Operand, { number, high }: RegisterOperand): Value {
    switch (operand.file) {
      case "gpr": return this.#general(number, operand.width, high);
      case "ymm": return this.bind(lowLane(this.#region.upper.get(number), operand.width));
      case "xmm": return this.bind(lowLane(this.#region.vectors.get(number), operand.width));
      case "mmx": return this.bind(loadValue(operand.width, i32(0), mmxRegisters + number * 16));
      default: throw new AssertionFailure(`register file ${String(operand.file)}`);
    }
  }

  #general(number: number, width: Width, high: boolean): Value {
    const whole = this.#region.general.get(number);
    if (width === 64) {
      return this.bind(new Value(whole, 64, true));
    }
    const word = op("i32.wrap_i64", whole);
    if (width === 32) {
      return this.bind(new Value(word, 32, true));
    }
    const shifted = high ? op("i32.shr_u", word, i32(8)) : word;
    return this.bind(new Value(op("i32.and", shifted, i32(2 ** width - 1)), width, true));
  }

  #readMemory(operand: Operand): Value {
    const request = this.#modifies ? access.write | access.modify : 0;
    this.#host = this.hostOf(this.address(operand).node, operand.width, request);
    return this.bind(loadValue(operand.width, this.#host));
  }

  write(operand: Operand, value: Value): void {
    if (operand.kind === "memory") {
      const bound = this.bind(value);
      if (this.#host === undefined) {
        this.storeAt(this.address(operand).node, bound);
      } else {
        this.storeAtHost(this.#host, bound);
      }
      return;
    }
    const { number, high } = this.#register(operand);
    if (operand.file === "gpr") {
      this.#setGeneral(number, value, high);
    } else if (operand.file === "xmm" || operand.file === "ymm") {
      const { vectors, upper } = this.#region;
      setVector(operand.file === "xmm" ? vectors : upper, number, value);
    } else {
      const name = defined(stores[value.width], "a store");
      this.code.store(name, i32(0), value.node, mmxRegisters + number * 16);
      fillSignExponent(this.code, i32(number * 16));
    }
  }

  readWide(operand: Operand): [low: Value, high: Value] {
    const half = (node: Node) => this.bind(new Value(node, 128, true));
    if (operand.kind === "memory") {
      const host = this.hostOf(this.address(operand).node, operand.width, 0);
      return [half(load("v128.load", host)), half(load("v128.load", host, 16))];
    }
    const { number } = this.#register(operand);
    return [half(this.#region.vectors.get(number)), half(this.#region.upper.get(number))];
  }

  writeWide(operand: Operand, low: Value, high: Value): void {
    if (operand.kind === "memory") {
      const host = this.hostOf(this.address(operand).node, operand.width, access.write);
      this.code.store("v128.store", host, high.node, 16);
      this.storeAtHost(host, low);
      return;
    }
    const { number } = this.#register(operand);
    const bound = this.bind(high);
    this.#region.vectors.set(number, low.node);
    this.#region.upper.set(number, bound.node);
  }

  /** Writes of 32 bits clear the upper half; narrower ones leave the rest alone. */
  #setGeneral(number: number, value: Value, high: boolean): void {
    const { general } = this.#region;
    if (value.width >= 32) {
      general.set(number, unsigned64(value));
      return;
    }
    const shift = high ? 8 : 0;
    const mask = (2n ** BigInt(value.width) - 1n) << BigInt(shift);
    const placed = op("i64.shl", unsigned64(value), i64(shift));
    general.set(number, op("i64.or", op("i64.and", general.get(number), i64(~mask)), placed));
  }

  register(number: RegisterNumber, width: Width, high = false): Value {
    return this.#general(number, width, high);
  }

  setRegister(number: RegisterNumber, value: Value, high = false): void {
    this.#setGeneral(number, value, high);
  }

  override firstVector(): Value {
    return this.bind(new Value(this.#region.vectors.get(0), 128, true));
  }

  override requireSimd(sse: boolean, mmx: boolean): void {
    this.#region.usesVectors ||= sse;
    if (mmx) {
      super.requireSimd(sse, mmx);
    }
  }

  // Memory.

  address(operand: Operand): Value {
    assert(operand.kind === "memory", "only memory has an address");
    const memory = defined(this.#instruction.memory, "a memory operand");
    const { addressWidth, segment, row } = this.#instruction;
    const isLea = row.mnemonic === "lea";
    let sum: Node = memory.ripRelative
      ? op("i64.add", this.#region.rip(this.#end()), i64(memory.displacement))
      : i64(memory.displacement);
    if (memory.base >= 0) {
      sum = op("i64.add", this.#region.general.get(memory.base), sum);
    }
    if (memory.index >= 0) {
      const scaled = op("i64.shl", this.#region.general.get(memory.index), i64(memory.scale));
      sum = op("i64.add", scaled, sum);
    }
    if (this.#addressOffset !== undefined) {
      sum = op("i64.add", sum, this.#addressOffset.node);
    }
    if (addressWidth === 32) {
      sum = op("i64.and", sum, i64(0xffff_ffff));
    }
    if (!isLea && segment >= segmentIndex.fs) {
      sum = op("i64.add", sum, load("i64.load", i32(0), state.segmentBase + segment * 8));
    }
    return new Value(sum, 64, true);
  }

  moveAddress(operand: Operand, bytes: Value): void {
    assert(operand.kind === "memory", "only memory has an address");
    this.#addressOffset = this.bind(bytes);
  }

  /** Address and TLB slot, and whether the slot answers; see the interpreter's `hostOf`. */
  #probe(linear: Node, bytes: number, array: number) {
    const { code } = this;
    const address = code.bind(linear);
    const index = op("i32.and", op("i32.wrap_i64", op("i64.shr_u", address, i64(8))),
      i32(tlbArrayBytes - 16));
    const slot = code.bind(op("i32.add", index, code.get(this.#region.tlb)));
    const hit = op("i64.lt_u", op("i64.xor", load("i64.load", slot, array), address),
      i64(4097 - bytes));
    const host = op("i32.add", load("i32.load", slot, array + 8), op("i32.wrap_i64", address));
    return { address, hit, host };
  }

  protected hostOf(linear: Node, width: Width, request: number): Node {
    const { code } = this;
    const array = request & access.write ? tlbArrayBytes : 0;
    const probe = this.#probe(linear, width / 8, array);
    const host = code.local("i32");
    code.if(probe.hit, () => code.set(host, probe.host),
      () => code.set(host, this.#slowHost(probe.address, width / 8 | request)), true);
    return code.get(host);
  }

  /** Translates out of line. */
  #slowHost(address: Node, request: number): Node {
    const { code } = this;
    const host = code.callFor("i32", this.#region.mmu.accessCompiled, address, i32(request));
    code.if(op("i32.lt_u", host, i32(regionExit.goOn)), () => {
      this.undo();
      this.#trap(host);
    }, undefined, false);
    return host;
  }

  protected storeAt(linear: Node, value: Value): void {
    const { code } = this;
    const bytes = value.width / 8;
    const name = defined(stores[value.width], `a store of ${value.width} bits`);
    const probe = this.#probe(linear, bytes, tlbArrayBytes);
    code.if(probe.hit, () => code.store(name, probe.host, value.node),
      () => this.storeAtHost(this.#slowHost(probe.address, bytes | access.write), value), true);
  }

  protected storeAtHost(host: Node, value: Value): void {
    const name = defined(stores[value.width], `a store of ${value.width} bits`);
    this.code.store(name, host, value.node);
    this.code.if(op("i32.lt_u", host, i32(scratchEnd)),
      () => this.code.call(this.#region.mmu.commit), undefined, false);
  }

  // Control.

  #end(): number {
    return this.#here.place + this.#instruction.length;
  }

  /** Leaves before this instruction. */
  #trap(how: Node): void {
    this.#region.trap(how, this.#here.place, this.#here.unspent);
  }

  protected leaveWithFault(): void {
    this.#trap(i32(regionExit.fault));
  }

  protected leaveToRepeat(elements: number): void {
    this.#region.spend(elements);
    this.#trap(i32(regionExit.goOn));
  }

  helper(): void {
    this.#trap(i32(regionExit.interpret));
  }

  protected stringSegment(): Node {
    const { segmentOverride } = this.#instruction;
    return i32(segmentOverride >= 0 ? segmentOverride : segmentIndex.ds);
  }

  override repeat(max: number, done: () => Value, prepare: () => void,
    element: () => Value | undefined): void {
    // The flags of an element must be where the next one, or a fault in it, finds them.
    this.#region.settleFlags(true);
    this.#storesFlags = true;
    this.#region.withTraps(() => super.repeat(max, done, prepare, element));
  }

  nextRip(): Value {
    return truncate(new Value(this.#region.rip(this.#end()), 64, true), this.operandWidth);
  }

  jump(target: Value): void {
    this.#here.jump(unsigned64(target));
  }

  jumpRelative(): void {
    this.#here.branch();
  }

  // Flags.

  protected override keepFlags(update: FlagUpdate): void {
    const known = update.only === undefined ? 1 : constantOf(update.only);
    if (known === 0) {
      return;
    }
    const now = this.#storesFlags || known === undefined;
    if (now || (this.#region.pending?.depth ?? 0) >= pendingDepthMax) {
      this.#region.settleFlags(true);
    }
    if (now) {
      super.keepFlags(update);
      return;
    }
    const base = this.#region.pending;
    const depth = isWhole({ ...update, only: undefined }) ? 1 : (base?.depth ?? 0) + 1;
    const images = () => {
      const present = this.#region.pending;
      this.#region.pending = base;
      const found = this.imagesOf(update);
      this.#region.pending = present;
      return found;
    };
    this.#after = { update, images, depth };
  }

  protected loadResult(): Node {
    return this.#region.flagImages()[0];
  }

  protected loadCarry(): Node {
    return this.#region.flagImages()[1];
  }

  protected loadAux(): Node {
    return this.#region.flagImages()[2];
  }

  protected storeFlags(result: Node, carry: Node, aux: Node): void {
    this.#region.setFlags(result, carry, aux);
  }

  override flag(flag: Flag): Value {
    const pair = flag === "cf" ? 1 : flag === "zf" ? 2 : flag === "sf" ? 4 : undefined;
    const value = (pair === undefined ? undefined : this.#directCondition(pair))
      ?? super.flag(flag);
    // It may become part of this instruction's flags, and outlive what it is computed from.
    return this.bind(value);
  }

  override condition(which: Condition): Value {
    const direct = this.#directCondition(which >> 1);
    if (direct === undefined) {
      return super.condition(which);
    }
    return which & 1 ? new Value(op("i32.eqz", direct.node), 1, true) : direct;
  }

  /** The condition from what the last instruction has computed, where that is shorter. */
  #directCondition(pair: number): Value | undefined {
    const update = this.#region.pending?.update;
    const result = update?.result;
    if (update === undefined || result === undefined || update.bits.size > 0) {
      return undefined;
    }
    const { origin } = update;
    const not = (value: Value) => new Value(op("i32.eqz", value.node), 1, true);
    if (pair === 2) {
      return origin?.operation === "sub" ? this.equal(origin.a, origin.b) : this.isZero(result);
    }
    if (pair === 4) {
      return this.sign(result);
    }
    if (origin?.operation === "sub") {
      const { a, b } = origin;
      switch (pair) {
        case 1: return this.below(a, b);
        case 3: return not(this.below(b, a));
        case 6: return this.less(a, b);
        case 7: return not(this.less(b, a));
        default: return undefined;
      }
    }
    if (origin?.operation === "logic") {
      switch (pair) {
        case 1: return constant(1, 0);
        case 3: return this.isZero(result);
        case 6: return this.sign(result);
        case 7: return not(this.less(constant(result.width, 0), result));
        default: return undefined;
      }
    }
    return origin?.operation === "add" && pair === 1 ? this.below(result, origin.a) : undefined;
  }
}

/** The low part of a vector register. */
function lowLane(whole: Node, width: Width): Value {
  switch (width) {
    case 128: return new Value(whole, 128, true);
    case 64: return new Value(onLane("i64x2.extract_lane", 0, whole), 64, true);
    case 32: return new Value(onLane("i32x4.extract_lane", 0, whole), 32, true);
    case 16:
    case 8: return new Value(op("i32.and", onLane("i32x4.extract_lane", 0, whole),
      i32(2 ** width - 1)), width, true);
    default: throw new AssertionFailure(`the low ${width} bits of a vector`);
  }
}

function setVector(file: RegisterFile, number: number, value: Value): void {
  const old = file.get(number);
  switch (value.width) {
    case 128: file.set(number, value.node); break;
    case 64: file.set(number, onLane("i64x2.replace_lane", 0, old, value.node)); break;
    case 32: file.set(number, onLane("i32x4.replace_lane", 0, old, value.node)); break;
    default: throw new AssertionFailure(`a vector write of ${value.width} bits`);
  }
}
