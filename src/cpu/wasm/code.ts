/**
 * Bodies of WebAssembly functions as expression trees and statements. A pure node that is used
 * more than once is computed once, into a local; what must happen in order is a statement.
 */
import { defined } from "../../base/assert.ts";
import { ByteWriter } from "./bytes.ts";
import { Lowering, type Hint, type Label, type Statement } from "./lowering.ts";
import { constantOf, localNode, type Node } from "./node.ts";
import { memoryOps, types, type StoreOp, type Type } from "./opcodes.ts";

export * from "./node.ts";
export type { Label } from "./lowering.ts";

export interface CompiledBody {
  readonly bytes: Uint8Array;
  readonly hints: readonly Hint[];
}

export type DetachedLocals = readonly { readonly type: Type; readonly index: number }[];

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
    return localNode(defined(this.#locals[index], "a local"), index);
  }

  /** A local that lives until the function ends, or until `recycle`. */
  local(type: Type): number {
    const reused = this.#free.get(type)?.pop();
    const index = reused ?? this.#locals.push(type) - 1;
    this.#taken.push({ type, index });
    return index;
  }

  /** A local that is never recycled. */
  permanent(type: Type): number {
    return this.#locals.push(type) - 1;
  }

  /** Hands all locals taken since `keepFrom` back for reuse: their values are dead. */
  recycle(keepFrom: number): void {
    this.release(this.#taken.splice(keepFrom));
  }

  get takenLocals(): number {
    return this.#taken.length;
  }

  /** The locals taken since `keepFrom`, no longer those of `recycle`: for `release` later. */
  detach(keepFrom: number): DetachedLocals {
    return this.#taken.splice(keepFrom);
  }

  release(locals: DetachedLocals): void {
    for (const { type, index } of locals) {
      const list = this.#free.get(type) ?? [];
      list.push(index);
      this.#free.set(type, list);
    }
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
    this.#push({ is: "store", op: memoryOps[name].opcode, offset, address, value }, address, value);
  }

  /** `likely` becomes a branch hint: whether the condition usually holds. */
  if(condition: Node, then: () => void, otherwise?: () => void, likely?: boolean): void {
    const known = constantOf(condition);
    if (known !== undefined) {
      (known === 0 ? otherwise : then)?.();
      return;
    }
    this.#push({
      is: "if", condition, likely, body: this.collect(then),
      otherwise: otherwise === undefined ? [] : this.collect(otherwise),
    }, condition);
  }

  block(body: (label: Label) => void): void {
    const label = { depth: -1 };
    this.#push({ is: "block", label, body: this.collect(() => body(label)) });
  }

  /** A block whose label was made before. */
  blockAt(label: Label, body: () => void): void {
    this.#push({ is: "block", label, body: this.collect(body) });
  }

  loop(body: (label: Label) => void): void {
    const label = { depth: -1 };
    this.#push({ is: "loop", label, body: this.collect(() => body(label)) });
  }

  /** Values computed in `body` are not kept for what follows. */
  scope(body: () => void): void {
    this.#push({ is: "scope", body: this.collect(body) });
  }

  /** Adds statements that were collected before. */
  append(list: readonly Statement[]): void {
    this.#list.push(...list);
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

  /** Calls the function at `index` of a table; `type` is the index of its type. */
  callIndirect(
    result: Type, { type, table }: { type: number; table: number }, index: Node,
    ...args: readonly Node[]
  ): Node {
    const into = this.local(result);
    this.#push({ is: "callIndirect", type, table, index, args, into }, index, ...args);
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

  /** Nests blocks so that `bodyOf(i)` runs for index i; a body that ends runs into the next, and
   * may branch to the labels of those that follow it. */
  dispatch(
    index: Node, count: number, bodyOf: (number: number, labels: readonly Label[]) => void,
  ): void {
    const labels = Array.from({ length: count }, (): Label => ({ depth: -1 }));
    const bodies = labels.map((_, number) => this.collect(() => bodyOf(number, labels)));
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
  compile(scratch = new ByteWriter(1 << 12)): CompiledBody {
    scratch.length = 0;
    const lowering = new Lowering(this.#locals, scratch);
    lowering.run(this.#list);
    const header = new ByteWriter(64);
    const runs: { type: Type; count: number }[] = [];
    for (const type of this.#locals.slice(this.#params)) {
      const last = runs.at(-1);
      if (last?.type === type) {
        last.count += 1;
      } else {
        runs.push({ type, count: 1 });
      }
    }
    header.unsigned(runs.length);
    for (const { type, count } of runs) {
      header.unsigned(count);
      header.byte(types[type]);
    }
    const start = header.length;
    header.bytes(scratch.view());
    header.byte(0x0b);
    const hints = lowering.hints.map((hint) => ({ ...hint, offset: hint.offset + start }));
    return { bytes: header.finish(), hints };
  }
}
