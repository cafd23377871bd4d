/** Expressions of WebAssembly, without side effects, as trees. */
import { foldConstants } from "./fold.ts";
import {
  laneOps, memoryOps, numericOps, vectorOps,
  type LaneOp, type LoadOp, type NumericOp, type Type, type VectorOp,
} from "./opcodes.ts";

/** How a node is written: its number is the place in `Lowering`. */
export const nodeKind = {
  constant: 0, local: 1, global: 2, numeric: 3, vector: 4, lane: 5, bytes: 6, load: 7, select: 8,
} as const;

/** A stretch of statements in which a computed local stays valid. */
export interface Scope {
  open: boolean;
  readonly locals: { readonly type: Type; readonly index: number }[];
}

/** An expression without side effects. Loads count as such: who stores in between, binds first. */
export class Node {
  readonly type: Type;
  readonly kind: number;
  /** Opcode of the instruction; index of a local or global. */
  readonly code: number;
  /** Value of a constant (numbers where they are exact), offset of a load, number of a lane. */
  readonly value: number | bigint;
  readonly a: Node | undefined;
  readonly b: Node | undefined;
  readonly c: Node | undefined;
  uses = 0;
  /** The local that holds the value, and the scope in which that was computed. */
  local = -1;
  scope: Scope | undefined = undefined;
  /** Lanes of a shuffle, or a vector constant. */
  bytes: readonly number[] | undefined = undefined;

  constructor(
    type: Type, kind: number, code: number, value: number | bigint, a?: Node, b?: Node, c?: Node,
  ) {
    this.type = type;
    this.kind = kind;
    this.code = code;
    this.value = value;
    this.a = a;
    this.b = b;
    this.c = c;
    if (a !== undefined) {
      a.uses += 1;
      if (b !== undefined) {
        b.uses += 1;
        if (c !== undefined) {
          c.uses += 1;
        }
      }
    }
  }
}

export function i32(value: number): Node {
  return new Node("i32", nodeKind.constant, 0, value | 0);
}

export function i64(value: number | bigint): Node {
  const exact = typeof value === "bigint" && Number.isSafeInteger(Number(value))
    ? Number(value) : value;
  return new Node("i64", nodeKind.constant, 0, exact);
}

export function f64(value: number): Node {
  return new Node("f64", nodeKind.constant, 0, value);
}

export function f32(value: number): Node {
  return new Node("f32", nodeKind.constant, 0, value);
}

/** A numeric instruction by its name in the specification. */
export function op(name: NumericOp, a: Node, b?: Node): Node {
  const what = numericOps[name];
  if (a.kind === nodeKind.constant || b?.kind === nodeKind.constant) {
    const folded = foldConstants(name, constantOf(a), b && constantOf(b), b !== undefined);
    if (folded === "first") {
      return a;
    }
    if (folded !== undefined) {
      return what.result === "i32" ? i32(Number(folded)) : i64(folded);
    }
  }
  return new Node(what.result, nodeKind.numeric, what.opcode, 0, a, b);
}

export function simd(name: VectorOp, a: Node, b?: Node, c?: Node): Node {
  const what = vectorOps[name];
  return new Node(what.result, nodeKind.vector, what.opcode, 0, a, b, c);
}

export function onLane(name: LaneOp, lane: number, a: Node, b?: Node): Node {
  const what = laneOps[name];
  return new Node(what.result, nodeKind.lane, what.opcode, lane, a, b);
}

const shuffleOpcode = 13, constantOpcode = 12;

export function shuffle(lanes: readonly number[], a: Node, b: Node): Node {
  const node = new Node("v128", nodeKind.bytes, shuffleOpcode, 0, a, b);
  node.bytes = lanes;
  return node;
}

/** A 128-bit constant, from 16 bytes, lowest first. */
export function v128(bytes: readonly number[]): Node {
  const node = new Node("v128", nodeKind.bytes, constantOpcode, 0);
  node.bytes = bytes;
  return node;
}

export function load(name: LoadOp, address: Node, offset = 0): Node {
  const what = memoryOps[name];
  return new Node(what.result, nodeKind.load, what.opcode, offset, address);
}

export function select(condition: Node, yes: Node, no: Node): Node {
  const known = constantOf(condition);
  if (known !== undefined) {
    return known === 0 ? no : yes;
  }
  return new Node(yes.type, nodeKind.select, 0, 0, yes, no, condition);
}

export function localNode(type: Type, index: number): Node {
  return new Node(type, nodeKind.local, index, 0);
}

/** The value of a constant node, or undefined. */
export function constantOf(node: Node): number | bigint | undefined {
  return node.kind === nodeKind.constant ? node.value : undefined;
}
