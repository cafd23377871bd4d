/** Statements of a function as bytes of WebAssembly (core specification 2.0, §5.4). */
import { assert } from "../../base/assert.ts";
import type { ByteWriter } from "./bytes.ts";
import { nodeKind, type Node, type Scope } from "./node.ts";
import type { Type } from "./opcodes.ts";

export interface Label {
  depth: number;
}

export type Statement =
  | { readonly is: "set"; readonly index: number; readonly value: Node }
  | { readonly is: "drop"; readonly value: Node }
  | { readonly is: "store"; readonly op: number; readonly offset: number;
      readonly address: Node; readonly value: Node }
  | { readonly is: "if"; readonly condition: Node; readonly likely: boolean | undefined;
      readonly body: readonly Statement[]; readonly otherwise: readonly Statement[] }
  | { readonly is: "block" | "loop"; readonly label: Label; readonly body: readonly Statement[] }
  | { readonly is: "scope"; readonly body: readonly Statement[] }
  | { readonly is: "dispatch"; readonly index: Node; readonly labels: readonly Label[];
      readonly bodies: readonly (readonly Statement[])[] }
  | { readonly is: "br"; readonly label: Label; readonly condition: Node | undefined;
      readonly likely: boolean | undefined }
  | { readonly is: "table"; readonly index: Node; readonly labels: readonly Label[];
      readonly otherwise: Label }
  | { readonly is: "return"; readonly value: Node | undefined }
  | { readonly is: "call"; readonly callee: number; readonly args: readonly Node[];
      readonly into: number }
  | { readonly is: "callIndirect"; readonly type: number; readonly table: number;
      readonly index: Node;
      readonly args: readonly Node[]; readonly into: number }
  | { readonly is: "copy" | "fill"; readonly args: readonly Node[] }
  | { readonly is: "setGlobal"; readonly index: number; readonly value: Node }
  | { readonly is: "unreachable" };

/** A branch hint (§ code metadata): where in the body, and whether the branch is likely taken. */
export interface Hint {
  readonly offset: number;
  readonly likely: boolean;
}

const doubleBits = new DataView(new ArrayBuffer(8));

/** Statements to bytes. */
export class Lowering {
  readonly out: ByteWriter;
  readonly hints: Hint[] = [];
  readonly #start: number;
  readonly #locals: Type[];
  #depth = 0;
  #scope: Scope = { open: true, locals: [] };
  readonly #free = new Map<Type, number[]>();

  /** Code goes to `out`, and locals that it needs are added to `locals`. */
  constructor(locals: Type[], out: ByteWriter) {
    this.#locals = locals;
    this.out = out;
    this.#start = out.length;
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
      this.hints.push({ offset: this.out.length - this.#start, likely });
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
        this.#memory(statement.op, statement.offset);
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
      case "scope":
        this.#scoped(statement.body);
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
      out.unsigned(statement.table);
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
    const { out } = this;
    if (node.scope?.open === true) {
      out.byte(0x20);
      out.unsigned(node.local);
      return;
    }
    switch (node.kind) {
      case nodeKind.constant:
        this.#constant(node.type, node.value);
        return;
      case nodeKind.local:
      case nodeKind.global:
        out.byte(node.kind === nodeKind.local ? 0x20 : 0x23);
        out.unsigned(node.code);
        return;
      default:
        this.#operation(node);
    }
    if (node.uses > 1) {
      node.local = this.#temporary(node.type);
      node.scope = this.#scope;
      out.byte(0x22);
      out.unsigned(node.local);
    }
  }

  #operation(node: Node): void {
    const { out } = this;
    if (node.a !== undefined) this.#node(node.a);
    if (node.b !== undefined) this.#node(node.b);
    if (node.c !== undefined) this.#node(node.c);
    switch (node.kind) {
      case nodeKind.numeric:
        out.byte(node.code);
        break;
      case nodeKind.load:
        this.#memory(node.code, Number(node.value));
        break;
      case nodeKind.select:
        out.byte(0x1b);
        break;
      default:
        out.byte(0xfd);
        out.unsigned(node.code);
        if (node.kind === nodeKind.lane) {
          out.byte(Number(node.value));
        } else if (node.bytes !== undefined) {
          out.bytes(node.bytes);
        }
    }
  }

  #constant(type: Type, value: number | bigint): void {
    const out = this.out;
    if (type === "i32") {
      out.byte(0x41);
      out.signed32(Number(value));
    } else if (type === "i64") {
      out.byte(0x42);
      out.signed64(value);
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
