/**
 * The vocabulary of instruction semantics. A semantic function calls these once, and what it
 * builds becomes a case of the interpreter (or, with constant operands, compiled code). Nothing
 * here computes: every method returns or records an expression.
 */
import { assert } from "../../base/assert.ts";
import { constantOf, i32, i64, op, select, type Code, type Node } from "../wasm/code.ts";
import type { NumericOp } from "../wasm/opcodes.ts";
import { isWhole, type Flag, type FlagEffect, type FlagOrigin, type FlagUpdate } from "./flags.ts";
import type { Condition, Operand, RegisterNumber } from "./operand.ts";
import type { StringForm } from "./strings.ts";
import {
  clean, constant, signed, signed64, signExtend, truncate, unsigned64, Value, zeroExtend,
  type Width,
} from "./value.ts";

export * from "./operand.ts";

function narrow(name32: NumericOp, name64: NumericOp) {
  return (width: Width, a: Node, b: Node) => op(width === 64 ? name64 : name32, a, b);
}

const add = narrow("i32.add", "i64.add"), sub = narrow("i32.sub", "i64.sub");
const and = narrow("i32.and", "i64.and"), or = narrow("i32.or", "i64.or");
const xor = narrow("i32.xor", "i64.xor"), mul = narrow("i32.mul", "i64.mul");
const shl = narrow("i32.shl", "i64.shl"), shrU = narrow("i32.shr_u", "i64.shr_u");
const shrS = narrow("i32.shr_s", "i64.shr_s");

/** Arithmetic on values, and the flag rules that all tiers share. */
export abstract class SemanticsBuilder {
  readonly code: Code;
  /** Operand size of the instruction: 16, 32 or 64. */
  readonly operandWidth: Width;
  readonly flagEffect: FlagEffect = { reads: false, writes: false, kills: false };
  #flags: FlagUpdate | undefined;
  #finishing = false;

  constructor(code: Code, operandWidth: Width) {
    this.code = code;
    this.operandWidth = operandWidth;
  }

  // Access to the machine; each tier has its own.
  abstract read(operand: Operand): Value;
  abstract write(operand: Operand, value: Value): void;
  abstract register(number: RegisterNumber, width: Width, high?: boolean): Value;
  abstract setRegister(number: RegisterNumber, value: Value, high?: boolean): void;
  /** The linear address of the memory operand. */
  abstract address(operand: Operand): Value;
  abstract load(address: Value, width: Width): Value;
  abstract store(address: Value, value: Value): void;
  abstract push(value: Value): void;
  /** Reads the top of the stack; `release` then moves the stack pointer. */
  abstract top(width: Width, depthBytes?: number): Value;
  abstract release(bytes: number | Value): void;
  /** Reads the stack at another pointer than rSP (LEAVE). */
  abstract topAt(pointer: Value, width: Width): Value;
  /** Pushes several values at once: none of them if one would fault. */
  abstract pushMany(values: readonly Value[]): void;
  /** Runs `body`; a fault in it moves rSP back by `bytes`. */
  abstract undoStackOnFault(bytes: number, body: () => void): void;
  /** Adds to the address of a memory operand. */
  abstract moveAddress(operand: Operand, bytes: Value): void;
  /** CPL permits CLI and STI (CPL <= IOPL outside virtual-8086 mode). */
  abstract mayChangeInterruptFlag(): Value;
  /** No interrupt waits for IF. */
  abstract nothingPending(): Value;
  abstract isVirtual8086(): Value;
  // String instructions.
  /** Hands over the form that this case is for. */
  abstract stringForm(build: (form: StringForm) => void): void;
  abstract directionDown(): Value;
  /** Linear address of the source at rSI, and of the target at rDI, checked by segment. */
  abstract stringSource(form: StringForm): Value;
  abstract stringTarget(form: StringForm, writes: boolean): Value;
  /** Repeats `element` until `done`, or until it returns a false bit, or `max` times in a go. */
  abstract repeat(max: number, done: () => Value, prepare: () => void,
    element: () => Value | undefined): void;
  /** Does as many elements as possible at once; the result is as if done one by one. */
  abstract bulk(kind: "movs" | "stos", form: StringForm): void;
  /** Width of the stack pointer. */
  abstract stackWidth(): Width;
  abstract nextRip(): Value;
  /** #GP(0) at a near branch whose target lies beyond CS; to be asked before anything changes. */
  abstract requireTarget(target: Value): void;
  abstract requireRelative(operand: Operand): void;
  abstract jump(target: Value): void;
  abstract jumpRelative(operand: Operand): void;
  /** Runs the instruction's helper instead. */
  abstract helper(): void;
  abstract raise(vector: number): void;
  // MMX and SSE.
  /** Raises #UD or #NM where control registers forbid the unit, #MF where the x87 has one. */
  abstract requireSimd(sse: boolean, mmx: boolean): void;
  /** Raises #UD or #NM where control registers and XCR0 forbid AVX. */
  abstract requireAvx(): void;
  /** The lower and the upper half of an operand of 256 bits; all of it, or a fault. */
  abstract readWide(operand: Operand): [low: Value, high: Value];
  abstract writeWide(operand: Operand, low: Value, high: Value): void;
  /** TOP becomes 0 and all x87 registers are in use. */
  abstract enterMmx(): void;
  abstract mxcsr(): Value;
  /** XMM0, which some instructions take as a mask. */
  abstract firstVector(): Value;
  protected abstract loadResult(): Node;
  protected abstract loadCarry(): Node;
  protected abstract loadAux(): Node;
  protected abstract storeFlags(result: Node, carry: Node, aux: Node): void;
  abstract systemFlags(): Value;
  abstract setSystemFlags(value: Value): void;

  constant(width: Width, value: number | bigint): Value {
    return constant(width, value);
  }

  /** Computes the value here, so that later writes do not change it. */
  bind(value: Value): Value {
    return constantOf(value.node) === undefined
      ? new Value(this.code.bind(value.node), value.width, value.clean) : value;
  }

  add(a: Value, b: Value): Value {
    return this.#same(a, b, add);
  }

  sub(a: Value, b: Value): Value {
    return this.#same(a, b, sub);
  }

  and(a: Value, b: Value): Value {
    return this.#logic(a, b, and, a.clean || b.clean);
  }

  or(a: Value, b: Value): Value {
    return this.#logic(a, b, or, a.clean && b.clean);
  }

  xor(a: Value, b: Value): Value {
    return this.#logic(a, b, xor, a.clean && b.clean);
  }

  not(a: Value): Value {
    const ones = a.width === 64 ? i64(-1) : i32(-1);
    return new Value(xor(a.width, a.node, ones), a.width, a.width >= 32);
  }

  neg(a: Value): Value {
    return this.sub(constant(a.width, 0), a);
  }

  mul(a: Value, b: Value): Value {
    return this.#same(a, b, mul);
  }

  /** 64-bit quotient; the divisor is not zero and the quotient fits. */
  divide(a: Value, b: Value, isSigned: boolean): Value {
    assert(a.width === 64 && b.width === 64, "division is at 64 bits");
    return new Value(op(isSigned ? "i64.div_s" : "i64.div_u", a.node, b.node), 64, true);
  }

  /** A 32-bit value modulo a constant. */
  modulo(a: Value, divisor: number): Value {
    return new Value(op("i32.rem_u", clean(a), i32(divisor)), a.width, true);
  }

  /** Shifts by `count`, a 32-bit value below the width. */
  shl(a: Value, count: Value): Value {
    return new Value(shl(a.width, a.node, this.#count(a, count)), a.width, a.width >= 32);
  }

  shr(a: Value, count: Value): Value {
    return new Value(shrU(a.width, clean(a), this.#count(a, count)), a.width, true);
  }

  sar(a: Value, count: Value): Value {
    return new Value(shrS(a.width, signed(a), this.#count(a, count)), a.width, a.width >= 32);
  }

  rotateLeft(a: Value, count: Value): Value {
    if (a.width >= 32) {
      const name = a.width === 64 ? "i64.rotl" : "i32.rotl";
      return new Value(op(name, a.node, this.#count(a, count)), a.width, true);
    }
    const opposite = this.and(this.sub(constant(32, a.width), count), constant(32, a.width - 1));
    return this.or(this.shl(a, count), this.shr(a, opposite));
  }

  #count(a: Value, count: Value): Node {
    return a.width === 64 ? unsigned64(count) : clean(count);
  }

  #same(a: Value, b: Value, how: (width: Width, a: Node, b: Node) => Node): Value {
    assert(a.width === b.width, `widths ${a.width} and ${b.width} agree`);
    return new Value(how(a.width, a.node, b.node), a.width, a.width >= 32);
  }

  #logic(
    a: Value, b: Value, how: (width: Width, a: Node, b: Node) => Node, isClean: boolean,
  ): Value {
    assert(a.width === b.width, `widths ${a.width} and ${b.width} agree`);
    return new Value(how(a.width, a.node, b.node), a.width, isClean || a.width >= 32);
  }

  zeroExtend(value: Value, width: Width): Value {
    return zeroExtend(value, width);
  }

  signExtend(value: Value, width: Width): Value {
    return signExtend(value, width);
  }

  truncate(value: Value, width: Width): Value {
    return truncate(value, width);
  }

  /** To `width`, wider or narrower, with zeros above. */
  resize(value: Value, width: Width): Value {
    return width >= value.width ? zeroExtend(value, width) : truncate(value, width);
  }

  #bit(node: Node): Value {
    return new Value(node, 1, true);
  }

  equal(a: Value, b: Value): Value {
    return this.#bit(op(a.width === 64 ? "i64.eq" : "i32.eq", clean(a), clean(b)));
  }

  isZero(a: Value): Value {
    return this.#bit(op(a.width === 64 ? "i64.eqz" : "i32.eqz", clean(a)));
  }

  /** Unsigned a < b. */
  below(a: Value, b: Value): Value {
    return this.#bit(op(a.width === 64 ? "i64.lt_u" : "i32.lt_u", clean(a), clean(b)));
  }

  /** Signed a < b. */
  less(a: Value, b: Value): Value {
    return this.#bit(op(a.width === 64 ? "i64.lt_s" : "i32.lt_s", signed(a), signed(b)));
  }

  /** The top bit. */
  sign(a: Value): Value {
    return a.width === 64
      ? this.#bit(op("i64.lt_s", a.node, i64(0)))
      : this.#bit(op("i32.and", op("i32.shr_u", a.node, i32(a.width - 1)), i32(1)));
  }

  /** Bit `number` of a value. */
  bit(a: Value, number: number): Value {
    const word = a.width === 64
      ? op("i32.wrap_i64", op("i64.shr_u", a.node, i64(number)))
      : op("i32.shr_u", a.node, i32(number));
    return this.#bit(op("i32.and", word, i32(1)));
  }

  select(condition: Value, yes: Value, no: Value): Value {
    assert(yes.width === no.width, "both sides have one width");
    const node = select(clean(condition), yes.node, no.node);
    return new Value(node, yes.width, yes.clean && no.clean);
  }

  /** Trailing or leading zeros of a non-zero value, or its population count. */
  count(kind: "clz" | "ctz" | "popcnt", a: Value): Value {
    if (a.width === 64) {
      return new Value(op(`i64.${kind}`, a.node), 64, true);
    }
    const node = op(`i32.${kind}`, clean(a));
    const surplus = kind === "clz" ? 32 - a.width : 0;
    return new Value(surplus > 0 ? op("i32.sub", node, i32(surplus)) : node, a.width, true);
  }

  /** Statements that run only where `condition` holds. */
  when(condition: Value, then: () => void, otherwise?: () => void, likely?: boolean): void {
    this.code.if(clean(condition), then, otherwise, likely);
  }

  // Flags. What a semantic function says of them is gathered and stored once, at its end.

  #update(): FlagUpdate {
    this.#flags ??= {
      result: undefined, carries: undefined, origin: undefined, bits: new Map(), only: undefined,
    };
    return this.#flags;
  }

  /** Sets one flag from a bit. */
  set(flag: Flag, value: Value): void {
    this.#update().bits.set(flag, value);
  }

  /** ZF, SF and PF from a result. */
  setResultFlags(result: Value): void {
    this.#update().result = result;
  }

  /** CF, OF and AF from the vector of carries out of (or borrows into) each bit position. */
  carries(value: Value, origin?: FlagOrigin): void {
    const update = this.#update();
    update.carries = value;
    update.origin = origin;
  }

  /** CF and OF clear, AF undefined: logical instructions. */
  clearCarries(width: Width): void {
    this.carries(constant(width, 0), { operation: "logic" });
  }

  /** The manual leaves this flag open: ours keeps it, or clears it where that is cheaper. */
  undefinedFlag(...flags: readonly Flag[]): void {
    if (this.#flags === undefined) {
      return;
    }
    for (const flag of flags) {
      if (!this.#update().bits.has(flag) && this.#update().carries === undefined
        && (flag === "of" || flag === "af" || flag === "cf")) {
        this.set(flag, constant(1, 0));
      }
    }
  }

  /** The flags change only where `condition` holds: shifts by zero leave them alone. */
  flagsOnlyIf(condition: Value): void {
    this.#update().only = clean(condition);
  }

  /** The present value of a flag, as a bit. */
  flag(flag: Flag): Value {
    this.flagEffect.reads ||= !this.#finishing;
    switch (flag) {
      case "cf": return this.#bit(this.#negative(this.loadCarry()));
      case "of": return this.#bit(this.#negative(this.#overflowVector()));
      case "zf": return this.#bit(op("i64.eqz", this.loadResult()));
      case "sf": return this.#bit(this.#negative(this.#signVector()));
      case "af": return this.bit(new Value(this.loadAux(), 32, true), 3);
      case "pf": return this.#parity();
    }
  }

  #negative(vector: Node): Node {
    return op("i64.lt_s", vector, i64(0));
  }

  /** Bit 63 is OF. */
  #overflowVector(): Node {
    const carry = this.loadCarry();
    return op("i64.xor", carry, op("i64.shl", carry, i64(1)));
  }

  /** Bit 63 is SF. */
  #signVector(): Node {
    const correction = op("i64.shl", op("i64.extend_i32_u", this.loadAux()), i64(32));
    return op("i64.xor", this.loadResult(), correction);
  }

  #parity(): Value {
    const byte = op("i32.and", op("i32.xor", op("i32.wrap_i64", this.loadResult()),
      op("i32.shr_u", this.loadAux(), i32(8))), i32(0xff));
    const even = op("i32.eqz", op("i32.and", op("i32.popcnt", byte), i32(1)));
    return this.#bit(even);
  }

  condition(which: Condition): Value {
    this.flagEffect.reads = true;
    const positive = this.#positiveCondition(which >> 1);
    return which & 1 ? this.#bit(op("i32.eqz", positive.node)) : positive;
  }

  #positiveCondition(pair: number): Value {
    const less = () => op("i64.xor", this.#overflowVector(), this.#signVector());
    switch (pair) {
      case 0: return this.flag("of");
      case 1: return this.flag("cf");
      case 2: return this.flag("zf");
      case 3: return this.or(this.flag("cf"), this.flag("zf"));
      case 4: return this.flag("sf");
      case 5: return this.flag("pf");
      case 6: return this.#bit(this.#negative(less()));
      default: return this.or(this.flag("zf"), this.#bit(this.#negative(less())));
    }
  }

  /** The six arithmetic flags at their places in RFLAGS, 32 bits wide. */
  flagsImage(): Value {
    const at = (flag: Flag, shift: number) =>
      this.shl(zeroExtend(this.flag(flag), 32), constant(32, shift));
    return [at("cf", 0), at("pf", 2), at("af", 4), at("zf", 6), at("sf", 7), at("of", 11)]
      .reduce((a, b) => this.or(a, b));
  }

  /** All six flags from an RFLAGS image of 32 bits. */
  setFlagsImage(image: Value): void {
    const bits: [Flag, number][] = [
      ["cf", 0], ["pf", 2], ["af", 4], ["zf", 6], ["sf", 7], ["of", 11],
    ];
    for (const [flag, number] of bits) {
      this.set(flag, this.bit(image, number));
    }
  }

  /** Ends a semantic function: stores the flags it has named. */
  finishFlags(): void {
    const update = this.#flags;
    this.#flags = undefined;
    if (update === undefined) {
      return;
    }
    this.flagEffect.writes = true;
    this.flagEffect.kills = isWhole(update);
    this.#finishing = true;
    this.keepFlags(update);
    this.#finishing = false;
  }

  /** The flags as three images: result, carry vector, auxiliary bits (../layout.ts). */
  protected imagesOf(update: FlagUpdate): readonly [Node, Node, Node] {
    const [result, auxOfResult] = this.#resultImage(update);
    const [carry, af] = this.#carryImage(update);
    return [result, carry, af === undefined ? auxOfResult : op("i32.or", auxOfResult, af)];
  }

  /** An instruction has ended: what it said of the flags is true from here on. */
  protected keepFlags(update: FlagUpdate): void {
    const [result, carry, aux] = this.imagesOf(update);
    if (update.only === undefined) {
      this.storeFlags(result, carry, aux);
    } else {
      // Bound first: what is stored must not depend on flags stored a moment before.
      const bound = [result, carry, aux].map((node) => this.code.bind(node));
      const [r = result, c = carry, a = aux] = bound;
      this.code.if(update.only, () => this.storeFlags(r, c, a), undefined, true);
    }
  }

  /** The result field, and the auxiliary field without AF. */
  #resultImage(update: FlagUpdate): [Node, Node] {
    const { bits, result } = update;
    if (result !== undefined && !bits.has("zf") && !bits.has("sf") && !bits.has("pf")) {
      return [signed64(result), i32(0)];
    }
    if (!bits.has("zf") && !bits.has("sf") && !bits.has("pf")) {
      return [this.loadResult(), op("i32.and", this.loadAux(), i32(~0xff))];
    }
    // Any combination: a zero or non-zero result, with corrections to sign and parity.
    const bitOf = (flag: Flag, from: (value: Value) => Value) => clean(bits.get(flag)
      ?? (result === undefined ? this.flag(flag) : from(result)));
    const zero = bitOf("zf", (value) => this.isZero(value));
    const sign = bitOf("sf", (value) => this.sign(value));
    const parity = bitOf("pf", (value) => this.#parityOf(value));
    // The stored result is 0 (even parity) or 1 (odd parity), both with a clear sign.
    const correction = op("i32.xor", op("i32.eqz", parity), op("i32.eqz", zero));
    const aux = op("i32.or", op("i32.shl", sign, i32(31)), op("i32.shl", correction, i32(8)));
    return [op("i64.extend_i32_u", op("i32.eqz", zero)), aux];
  }

  #parityOf(value: Value): Value {
    const low = value.width === 64 ? op("i32.wrap_i64", value.node) : value.node;
    const byte = op("i32.and", low, i32(0xff));
    return this.#bit(op("i32.eqz", op("i32.and", op("i32.popcnt", byte), i32(1))));
  }

  /** The carry field, and AF at bit 3; an undefined second part keeps AF. */
  #carryImage(update: FlagUpdate): [Node, Node | undefined] {
    const { bits, carries } = update;
    const kept = () => op("i32.and", this.loadAux(), i32(8));
    const given = bits.get("af");
    const explicitAf = given === undefined ? undefined : op("i32.shl", clean(given), i32(3));
    if (carries !== undefined && !bits.has("cf") && !bits.has("of")) {
      return [this.#alignCarries(carries), explicitAf ?? this.#auxOfCarries(carries)];
    }
    if (!bits.has("cf") && !bits.has("of")) {
      return [this.loadCarry(), explicitAf ?? kept()];
    }
    const cf = bits.get("cf") ?? (carries === undefined ? this.flag("cf") : this.sign(carries));
    const of = bits.get("of") ?? (carries === undefined
      ? this.flag("of")
      : this.xor(this.sign(carries), this.bit(carries, carries.width - 2)));
    const cfWord = clean(cf);
    const pair = op("i32.or", op("i32.shl", cfWord, i32(1)), op("i32.xor", cfWord, clean(of)));
    const carry = op("i64.shl", op("i64.extend_i32_u", pair), i64(62));
    return [carry, explicitAf ?? (carries === undefined ? kept() : this.#auxOfCarries(carries))];
  }

  #alignCarries(carries: Value): Node {
    if (constantOf(carries.node) !== undefined) {
      return i64(0);
    }
    return carries.width === 64 ? carries.node
      : op("i64.shl", op("i64.extend_i32_u", carries.node), i64(64 - carries.width));
  }

  #auxOfCarries(carries: Value): Node | undefined {
    if (constantOf(carries.node) !== undefined) {
      return undefined;
    }
    const word = carries.width === 64 ? op("i32.wrap_i64", carries.node) : carries.node;
    return op("i32.and", word, i32(8));
  }
}
