/**
 * Bodies of WebAssembly functions as expression trees and statements. A pure node that is used
 * more than once is computed once, into a local; what must happen in order is a statement.
 */
import { assert, defined } from "../../base/assert.ts";
import { ByteWriter } from "./bytes.ts";
import {
  opcodes, resultOfLane, resultOfLoad, resultOfNumeric, resultOfVector, types,
  type LaneOp, type LoadOp, type NumericOp, type StoreOp, type Type, type VectorOp,
} from "./opcodes.ts";

type Operation =
  | { readonly is: "const"; readonly value: number | bigint }
  | { readonly is: "local"; readonly index: number }
  | { readonly is: "numeric"; readonly op: NumericOp }
  | { readonly is: "vector"; readonly op: VectorOp }
  | { readonly is: "lane"; readonly op: LaneOp; readonly lane: number }
  | { readonly is: "shuffle"; readonly lanes: readonly number[] }
  | { readonly is: "v128"; readonly bytes: readonly number[] }
  | { readonly is: "load"; readonly op: LoadOp; readonly offset: number }
  | { readonly is: "select" }
  | { readonly is: "global"; readonly index: number };

/** An expression without side effects. Loads count as such: who stores in between, binds first. */
export class Node {
  readonly type: Type;
  readonly what: Operation;
  readonly args: readonly Node[];
  uses = 0;
  /** The local that holds the value, and the scope in which that was computed. */
  local = -1;
  scope: Scope | undefined;

  constructor(type: Type, what: Operation, args: readonly Node[] = []) {
    this.type = type;
    this.what = what;
    this.args = args;
    for (const arg of args) {
      arg.uses += 1;
    }
  }
}

/** A stretch of statements in which a computed local stays valid. */
interface Scope {
  open: boolean;
  readonly locals: { readonly type: Type; readonly index: number }[];
}

export interface Label {
  depth: number;
}

type Statement =
  | { readonly is: "set"; readonly index: number; readonly value: Node }
  | { readonly is: "drop"; readonly value: Node }
  | { readonly is: "store"; readonly op: StoreOp; readonly offset: number;
      readonly address: Node; readonly value: Node }
  | { readonly is: "if"; readonly condition: Node; readonly likely: boolean | undefined;
      readonly body: readonly Statement[]; readonly otherwise: readonly Statement[] }
  | { readonly is: "block" | "loop"; readonly label: Label; readonly body: readonly Statement[] }
  | { readonly is: "dispatch"; readonly index: Node; readonly labels: readonly Label[];
      readonly bodies: readonly (readonly Statement[])[] }
  | { readonly is: "br"; readonly label: Label; readonly condition: Node | undefined;
      readonly likely: boolean | undefined }
  | { readonly is: "table"; readonly index: Node; readonly labels: readonly Label[];
      readonly otherwise: Label }
  | { readonly is: "return"; readonly value: Node | undefined }
  | { readonly is: "call"; readonly callee: number; readonly args: readonly Node[];
      readonly into: number }
  | { readonly is: "callIndirect"; readonly type: number; readonly index: Node;
      readonly args: readonly Node[]; readonly into: number }
  | { readonly is: "copy" | "fill"; readonly args: readonly Node[] }
  | { readonly is: "setGlobal"; readonly index: number; readonly value: Node }
  | { readonly is: "unreachable" };

/** A branch hint (§ code metadata): where in the body, and whether the branch is likely taken. */
export interface Hint {
  readonly offset: number;
  readonly likely: boolean;
}

export interface CompiledBody {
  readonly bytes: Uint8Array;
  readonly hints: readonly Hint[];
}

export function i32(value: number): Node {
  return new Node("i32", { is: "const", value: value | 0 });
}

export function i64(value: number | bigint): Node {
  return new Node("i64", { is: "const", value: BigInt(value) });
}

export function f64(value: number): Node {
  return new Node("f64", { is: "const", value });
}

export function f32(value: number): Node {
  return new Node("f32", { is: "const", value });
}

/** A numeric instruction by its name in the specification. */
export function op(name: NumericOp, ...args: readonly Node[]): Node {
  return new Node(resultOfNumeric(name), { is: "numeric", op: name }, args);
}

export function simd(name: VectorOp, ...args: readonly Node[]): Node {
  return new Node(resultOfVector(name), { is: "vector", op: name }, args);
}

export function onLane(name: LaneOp, lane: number, ...args: readonly Node[]): Node {
  return new Node(resultOfLane(name), { is: "lane", op: name, lane }, args);
}

export function shuffle(lanes: readonly number[], a: Node, b: Node): Node {
  return new Node("v128", { is: "shuffle", lanes }, [a, b]);
}

/** A 128-bit constant, from 16 bytes, lowest first. */
export function v128(bytes: readonly number[]): Node {
  return new Node("v128", { is: "v128", bytes });
}

export function load(name: LoadOp, address: Node, offset = 0): Node {
  return new Node(resultOfLoad(name), { is: "load", op: name, offset }, [address]);
}

export function select(condition: Node, yes: Node, no: Node): Node {
  return new Node(yes.type, { is: "select" }, [yes, no, condition]);
}

/** The value of a constant node, or undefined. */
export function constantOf(node: Node): number | bigint | undefined {
  return node.what.is === "const" ? node.what.value : undefined;
}

/** Collects the statements of one function and turns them into bytes. */
export class Code {
  readonly #params: number;
  readonly #locals: Type[] = [];
  #free = new Map<Type, number[]>();
  #taken: { type: Type; index: number }[] = [];
  #list: Statement[] = [];

  constructor(params: readonly Type[]) {
    this.#params = params.length;
    for (const type of params) {
      this.#locals.push(type);
    }
  }

  /** The current value of a local or parameter. */
  get(index: number): Node {
    const type = defined(this.#locals[index], `local ${index}`);
    return new Node(type, { is: "local", index });
  }

  /** A local that lives until the function ends, or until `recycle`. */
  local(type: Type): number {
    const reused = this.#free.get(type)?.pop();
    const index = reused ?? this.#locals.push(type) - 1;
    this.#taken.push({ type, index });
    return index;
  }

  /** Hands all locals taken since `keepFrom` back for reuse: their values are dead. */
  recycle(keepFrom: number): void {
    for (const { type, index } of this.#taken.splice(keepFrom)) {
      const list = this.#free.get(type) ?? [];
      list.push(index);
      this.#free.set(type, list);
    }
  }

  get takenLocals(): number {
    return this.#taken.length;
  }

  set(index: number, value: Node): void {
    this.#push({ is: "set", index, value }, value);
  }

  /** Computes `value` here and now; the result may be used later, whatever is stored then. */
  bind(value: Node): Node {
    const index = this.local(value.type);
    this.set(index, value);
    return this.get(index);
  }

  drop(value: Node): void {
    this.#push({ is: "drop", value }, value);
  }

  store(name: StoreOp, address: Node, value: Node, offset = 0): void {
    this.#push({ is: "store", op: name, offset, address, value }, address, value);
  }

  /** `likely` becomes a branch hint: whether the condition usually holds. */
  if(condition: Node, then: () => void, otherwise?: () => void, likely?: boolean): void {
    this.#push({
      is: "if", condition, likely, body: this.collect(then),
      otherwise: otherwise === undefined ? [] : this.collect(otherwise),
    }, condition);
  }

  block(body: (label: Label) => void): void {
    const label = { depth: -1 };
    this.#push({ is: "block", label, body: this.collect(() => body(label)) });
  }

  loop(body: (label: Label) => void): void {
    const label = { depth: -1 };
    this.#push({ is: "loop", label, body: this.collect(() => body(label)) });
  }

  br(label: Label, condition?: Node, likely?: boolean): void {
    if (condition === undefined) {
      this.#push({ is: "br", label, condition, likely });
    } else {
      this.#push({ is: "br", label, condition, likely }, condition);
    }
  }

  table(index: Node, labels: readonly Label[], otherwise: Label): void {
    this.#push({ is: "table", index, labels, otherwise }, index);
  }

  return(value?: Node): void {
    if (value === undefined) {
      this.#push({ is: "return", value });
    } else {
      this.#push({ is: "return", value }, value);
    }
  }

  /** Calls a function without result. */
  call(callee: number, ...args: readonly Node[]): void {
    this.#push({ is: "call", callee, args, into: -1 }, ...args);
  }

  /** Calls a function with one result of type `type`. */
  callFor(type: Type, callee: number, ...args: readonly Node[]): Node {
    const into = this.local(type);
    this.#push({ is: "call", callee, args, into }, ...args);
    return this.get(into);
  }

  callIndirect(result: Type, typeIndex: number, index: Node, ...args: readonly Node[]): Node {
    const into = this.local(result);
    this.#push({ is: "callIndirect", type: typeIndex, index, args, into }, index, ...args);
    return this.get(into);
  }

  /** memory.copy: target, source, length in bytes. */
  copy(target: Node, source: Node, length: Node): void {
    this.#push({ is: "copy", args: [target, source, length] }, target, source, length);
  }

  /** memory.fill: target, byte, length in bytes. */
  fill(target: Node, byte: Node, length: Node): void {
    this.#push({ is: "fill", args: [target, byte, length] }, target, byte, length);
  }

  unreachable(): void {
    this.#push({ is: "unreachable" });
  }

  /** Nests blocks so that `bodyOf(i)` runs for index i; a body that ends runs into the next. */
  dispatch(index: Node, count: number, bodyOf: (number: number) => void): void {
    const labels = Array.from({ length: count }, (): Label => ({ depth: -1 }));
    const bodies = labels.map((_, number) => this.collect(() => bodyOf(number)));
    this.#push({ is: "dispatch", index, labels, bodies }, index);
  }

  collect(body: () => void): Statement[] {
    const outer = this.#list;
    const inner: Statement[] = [];
    this.#list = inner;
    body();
    this.#list = outer;
    return inner;
  }

  #push(statement: Statement, ...used: readonly Node[]): void {
    for (const node of used) {
      node.uses += 1;
    }
    this.#list.push(statement);
  }

  /** The function's body: locals, then code. */
  compile(): CompiledBody {
    const lowering = new Lowering(this.#locals);
    lowering.run(this.#list);
    const header = new ByteWriter();
    const own = this.#locals.slice(this.#params);
    header.unsigned(own.length);
    for (const type of own) {
      header.unsigned(1);
      header.byte(types[type]);
    }
    const start = header.length;
    header.bytes(lowering.out.view());
    header.byte(0x0b);
    const hints = lowering.hints.map((hint) => ({ ...hint, offset: hint.offset + start }));
    return { bytes: header.finish(), hints };
  }
}

const doubleBits = new DataView(new ArrayBuffer(8));

/** Statements to bytes. */
class Lowering {
  readonly out = new ByteWriter(1 << 12);
  readonly hints: Hint[] = [];
  readonly #locals: Type[];
  #depth = 0;
  #scope: Scope = { open: true, locals: [] };
  readonly #free = new Map<Type, number[]>();

  constructor(locals: Type[]) {
    this.#locals = locals;
  }

  run(list: readonly Statement[]): void {
    this.#list(list);
    this.#close(this.#scope);
  }

  #list(list: readonly Statement[]): void {
    for (const statement of list) {
      this.#statement(statement);
    }
  }

  #dispatch(statement: Extract<Statement, { is: "dispatch" }>): void {
    const { index, labels, bodies } = statement;
    const outer = this.#depth;
    for (const [number, label] of labels.entries()) {
      this.out.bytes([0x02, 0x40]);
      label.depth = outer + labels.length - number;
    }
    this.#depth = outer + labels.length;
    this.#node(index);
    this.out.byte(0x0e);
    this.out.unsigned(labels.length - 1);
    for (const label of labels) {
      this.out.unsigned(this.#relative(label));
    }
    for (const body of bodies) {
      this.#depth -= 1;
      this.out.byte(0x0b);
      this.#scoped(body);
    }
  }

  /** Lowers a list whose computed values are unknown to what follows it. */
  #scoped(list: readonly Statement[]): void {
    const outer = this.#scope;
    const scope: Scope = { open: true, locals: [] };
    this.#scope = scope;
    this.#list(list);
    this.#close(scope);
    this.#scope = outer;
  }

  #close(scope: Scope): void {
    scope.open = false;
    for (const { type, index } of scope.locals) {
      const list = this.#free.get(type) ?? [];
      list.push(index);
      this.#free.set(type, list);
    }
  }

  /** A local for a value that lives until its scope closes. */
  #temporary(type: Type): number {
    const index = this.#free.get(type)?.pop() ?? this.#locals.push(type) - 1;
    this.#scope.locals.push({ type, index });
    return index;
  }

  #nest(label: Label | undefined, list: readonly Statement[]): void {
    this.#depth += 1;
    if (label !== undefined) {
      label.depth = this.#depth;
    }
    this.#scoped(list);
    this.#depth -= 1;
  }

  #relative(label: Label): number {
    assert(label.depth > 0 && label.depth <= this.#depth, "the label encloses the branch");
    return this.#depth - label.depth;
  }

  #hint(likely: boolean | undefined): void {
    if (likely !== undefined) {
      this.hints.push({ offset: this.out.length, likely });
    }
  }

  #statement(statement: Statement): void {
    const out = this.out;
    switch (statement.is) {
      case "set":
        this.#node(statement.value);
        out.byte(0x21);
        out.unsigned(statement.index);
        break;
      case "drop":
        this.#node(statement.value);
        out.byte(0x1a);
        break;
      case "store":
        this.#node(statement.address);
        this.#node(statement.value);
        this.#memory(opcodes.memory[statement.op], statement.offset);
        break;
      case "if":
        this.#conditional(statement);
        break;
      case "block":
      case "loop":
        out.byte(statement.is === "block" ? 0x02 : 0x03);
        out.byte(0x40);
        this.#nest(statement.label, statement.body);
        out.byte(0x0b);
        break;
      case "dispatch":
        this.#dispatch(statement);
        break;
      case "setGlobal":
        this.#node(statement.value);
        out.byte(0x24);
        out.unsigned(statement.index);
        break;
      case "unreachable":
        out.byte(0x00);
        break;
      default:
        this.#transfer(statement);
    }
  }

  #conditional(statement: Extract<Statement, { is: "if" }>): void {
    const out = this.out;
    this.#node(statement.condition);
    this.#hint(statement.likely);
    out.byte(0x04);
    out.byte(0x40);
    this.#nest(undefined, statement.body);
    if (statement.otherwise.length > 0) {
      out.byte(0x05);
      this.#nest(undefined, statement.otherwise);
    }
    out.byte(0x0b);
  }

  #transfer(statement: Extract<Statement,
    { is: "br" | "table" | "return" | "call" | "callIndirect" | "copy" | "fill" }>): void {
    const out = this.out;
    switch (statement.is) {
      case "br":
        if (statement.condition === undefined) {
          out.byte(0x0c);
        } else {
          this.#node(statement.condition);
          this.#hint(statement.likely);
          out.byte(0x0d);
        }
        out.unsigned(this.#relative(statement.label));
        break;
      case "table":
        this.#node(statement.index);
        out.byte(0x0e);
        out.unsigned(statement.labels.length);
        for (const label of statement.labels) {
          out.unsigned(this.#relative(label));
        }
        out.unsigned(this.#relative(statement.otherwise));
        break;
      case "return":
        if (statement.value !== undefined) {
          this.#node(statement.value);
        }
        out.byte(0x0f);
        break;
      case "copy":
      case "fill":
        this.#args(statement.args);
        out.bytes(statement.is === "copy" ? [0xfc, 0x0a, 0, 0] : [0xfc, 0x0b, 0]);
        break;
      default:
        this.#call(statement);
    }
  }

  #call(statement: Extract<Statement, { is: "call" | "callIndirect" }>): void {
    const out = this.out;
    this.#args(statement.args);
    if (statement.is === "call") {
      out.byte(0x10);
      out.unsigned(statement.callee);
    } else {
      this.#node(statement.index);
      out.byte(0x11);
      out.unsigned(statement.type);
      out.byte(0);
    }
    if (statement.into >= 0) {
      out.byte(0x21);
      out.unsigned(statement.into);
    }
  }

  #args(args: readonly Node[]): void {
    for (const arg of args) {
      this.#node(arg);
    }
  }

  #memory(code: number, offset: number): void {
    if (code >= 0xfd00) {
      this.out.byte(0xfd);
    }
    this.out.byte(code & 0xff);
    this.out.byte(0); // Alignment is only a hint; guests align as they like.
    this.out.unsigned(offset);
  }

  /** Leaves the node's value on the stack. */
  #node(node: Node): void {
    if (node.scope?.open === true) {
      this.out.byte(0x20);
      this.out.unsigned(node.local);
      return;
    }
    const what = node.what;
    if (what.is === "const") {
      this.#constant(node.type, what.value);
    } else if (what.is === "local" || what.is === "global") {
      this.out.byte(what.is === "local" ? 0x20 : 0x23);
      this.out.unsigned(what.index);
    } else {
      this.#args(node.args);
      this.#operation(what);
      if (node.uses > 1) {
        node.local = this.#temporary(node.type);
        node.scope = this.#scope;
        this.out.byte(0x22);
        this.out.unsigned(node.local);
      }
    }
  }

  #operation(what: Exclude<Operation, { is: "const" | "local" | "global" }>): void {
    const out = this.out;
    switch (what.is) {
      case "numeric":
        out.byte(opcodes.numeric[what.op]);
        break;
      case "vector":
        out.byte(0xfd);
        out.unsigned(opcodes.vector[what.op]);
        break;
      case "lane":
        out.byte(0xfd);
        out.unsigned(opcodes.lane[what.op]);
        out.byte(what.lane);
        break;
      case "shuffle":
      case "v128":
        out.byte(0xfd);
        out.unsigned(what.is === "shuffle" ? 13 : 12);
        out.bytes(what.is === "shuffle" ? what.lanes : what.bytes);
        break;
      case "load":
        this.#memory(opcodes.memory[what.op], what.offset);
        break;
      case "select":
        out.byte(0x1b);
        break;
    }
  }

  #constant(type: Type, value: number | bigint): void {
    const out = this.out;
    if (type === "i32") {
      out.byte(0x41);
      out.signed32(Number(value));
    } else if (type === "i64") {
      out.byte(0x42);
      out.signed64(BigInt(value));
    } else if (type === "f64") {
      out.byte(0x44);
      doubleBits.setFloat64(0, Number(value), true);
      out.bytes(new Uint8Array(doubleBits.buffer));
    } else {
      out.byte(0x43);
      doubleBits.setFloat32(0, Number(value), true);
      out.bytes(new Uint8Array(doubleBits.buffer, 0, 4));
    }
  }
}
