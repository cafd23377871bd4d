/** Values in instruction semantics: an expression with the width the manual gives it. */
import { assert } from "../../base/assert.ts";
import { constantOf, i32, i64, op, type Node } from "../wasm/code.ts";

/** 256 bits are the width of operands only: values are at most one half of them. */
export type Width = 1 | 8 | 16 | 32 | 64 | 128 | 256;

/** `clean` says that the bits above `width` are zero; widths up to 32 live in an i32. */
export class Value {
  readonly node: Node;
  readonly width: Width;
  readonly clean: boolean;

  constructor(node: Node, width: Width, clean: boolean) {
    this.node = node;
    this.width = width;
    this.clean = clean;
  }
}

function maskOf(width: Width): number {
  return width >= 32 ? 0xffff_ffff : 2 ** width - 1;
}

/** The value with zeros above its width. */
export function clean(value: Value): Node {
  if (value.clean || value.width >= 32) {
    return value.node;
  }
  const constant = constantOf(value.node);
  return constant === undefined
    ? op("i32.and", value.node, i32(maskOf(value.width)))
    : i32(Number(constant) & maskOf(value.width));
}

export function constant(width: Width, value: number | bigint): Value {
  if (width === 64) {
    return new Value(i64(BigInt.asIntN(64, BigInt(value))), width, true);
  }
  return new Value(i32(Number(BigInt.asUintN(width, BigInt(value)))), width, true);
}

/** Sign-extended within its i32 or i64. */
export function signed(value: Value): Node {
  switch (value.width) {
    case 8: return op("i32.extend8_s", value.node);
    case 16: return op("i32.extend16_s", value.node);
    case 1: return op("i32.sub", i32(0), clean(value));
    default: return value.node;
  }
}

/** As a 64-bit number, zero-extended. */
export function unsigned64(value: Value): Node {
  return value.width === 64 ? value.node : op("i64.extend_i32_u", clean(value));
}

/** As a 64-bit number, sign-extended. */
export function signed64(value: Value): Node {
  return value.width === 64 ? value.node : op("i64.extend_i32_s", signed(value));
}

export function zeroExtend(value: Value, width: Width): Value {
  assert(width >= value.width, "zeroExtend widens");
  if (width === value.width) {
    return value;
  }
  return new Value(width === 64 ? unsigned64(value) : clean(value), width, true);
}

export function signExtend(value: Value, width: Width): Value {
  assert(width >= value.width, "signExtend widens");
  if (width === value.width) {
    return value;
  }
  return width === 64
    ? new Value(signed64(value), 64, true)
    : new Value(signed(value), width, width === 32);
}

export function truncate(value: Value, width: Width): Value {
  assert(width <= value.width, "truncate narrows");
  if (width === value.width) {
    return value;
  }
  const node = value.width === 64 ? op("i32.wrap_i64", value.node) : value.node;
  return new Value(node, width, width === 32);
}
