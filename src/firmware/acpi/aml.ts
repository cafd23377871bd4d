/**
 * ACPI Machine Language (ACPI 6.4 §20.2), as far as our tables need it: each function returns the
 * encoding of one term, and terms nest as in the source language. No names of the language are
 * shortened: `device("PC00", [...])` reads like `Device (PC00) { ... }`.
 */
import { assert } from "../../base/assert.ts";

/** The encoding of a term or of several in a row. */
export type Aml = readonly number[];

const op = {
  zero: 0x00, one: 0x01, name: 0x08, byte: 0x0a, word: 0x0b, dword: 0x0c, string: 0x0d,
  qword: 0x0e, scope: 0x10, buffer: 0x11, packageOf: 0x12, method: 0x14, dualName: 0x2e,
  multiName: 0x2f, extended: 0x5b, root: 0x5c, local0: 0x60, argument0: 0x68, store: 0x70,
  decrement: 0x76, shiftLeft: 0x79, and: 0x7b, findSetRightBit: 0x82, createWord: 0x8b,
  ifTrue: 0xa0, otherwise: 0xa1, returnOf: 0xa4,
} as const;
const extendedOp = { region: 0x80, field: 0x81, device: 0x82 } as const;

/** An integer below 2^53, the lowest byte first. */
export function bytesOf(value: number, count: number): number[] {
  return Array.from({ length: count }, (_each, index) =>
    Math.floor(value / 2 ** (8 * index)) % 256);
}

/** Package length (§20.2.4): it counts itself, and has the shortest of four forms. */
function packageLength(bodyBytes: number): number[] {
  if (bodyBytes + 1 < 0x40) {
    return [bodyBytes + 1];
  }
  const extra = [1, 2, 3].find((count) => bodyBytes + 1 + count < 2 ** (4 + 8 * count));
  assert(extra !== undefined, "an AML package has fewer than 2^28 bytes");
  const length = bodyBytes + 1 + extra;
  return [(extra << 6) | (length & 0xf), ...bytesOf(Math.floor(length / 16), extra)];
}

function sized(opcode: readonly number[], ...parts: readonly Aml[]): Aml {
  const body = parts.flat();
  return [...opcode, ...packageLength(body.length), ...body];
}

/** One segment: four characters, filled up with `_`. */
function segment(name: string): number[] {
  assert(/^[A-Z_][A-Z0-9_]{0,3}$/.test(name), `${name} is a name of ACPI`);
  return [...Buffer.from(name.padEnd(4, "_"), "latin1")];
}

/** A path such as `_CRS`, `\_SB.PC00` or `^LNKA`. */
export function path(text: string): Aml {
  const match = /^(\\|\^*)(.*)$/.exec(text);
  const prefix = [...Buffer.from(match?.[1] ?? "", "latin1")];
  const names = (match?.[2] ?? "").split(".").filter((name) => name !== "");
  const encoded = names.flatMap(segment);
  switch (names.length) {
    case 0: return [...prefix, 0];
    case 1: return [...prefix, ...encoded];
    case 2: return [...prefix, op.dualName, ...encoded];
    default: return [...prefix, op.multiName, names.length, ...encoded];
  }
}

export function integer(value: number): Aml {
  assert(Number.isSafeInteger(value) && value >= 0, "AML integers are unsigned and exact");
  if (value <= 1) {
    return [value === 0 ? op.zero : op.one];
  }
  const forms = [[op.byte, 1], [op.word, 2], [op.dword, 4], [op.qword, 8]] as const;
  const [opcode, size] = forms.find(([, bytes]) => value < 2 ** (8 * bytes)) ?? [op.qword, 8];
  return [opcode, ...bytesOf(value, size)];
}

export function string(text: string): Aml {
  return [op.string, ...Buffer.from(text, "latin1"), 0];
}

export function buffer(bytes: Aml): Aml {
  return sized([op.buffer], integer(bytes.length), bytes);
}

export function packageOf(elements: readonly Aml[]): Aml {
  return sized([op.packageOf], [elements.length], ...elements);
}

/** A compressed EISA id: three letters and four hexadecimal digits. */
export function eisaId(id: string): Aml {
  const letters = [...Buffer.from(id.slice(0, 3), "latin1")].map((code) => code - 0x40);
  const [a = 0, b = 0, c = 0] = letters;
  const maker = (a << 10) | (b << 5) | c;
  const product = Number.parseInt(id.slice(3), 16);
  // The id is big-endian in memory, an integer is not.
  return integer(
    (maker >>> 8) + (maker & 0xff) * 2 ** 8 + (product >>> 8) * 2 ** 16
      + (product & 0xff) * 2 ** 24);
}

export function name(text: string, value: Aml): Aml {
  return [op.name, ...path(text), ...value];
}

export function scope(text: string, terms: readonly Aml[]): Aml {
  return sized([op.scope], path(text), ...terms);
}

export function device(text: string, terms: readonly Aml[]): Aml {
  return sized([op.extended, extendedOp.device], path(text), ...terms);
}

/** Serialized when it makes named objects: two threads must not make them at once. */
export function method(
  text: string, argumentCount: number, terms: readonly Aml[], serialized = false,
): Aml {
  return sized([op.method], path(text), [argumentCount | (serialized ? 8 : 0)], ...terms);
}

export const regionSpace = { systemMemory: 0, systemIo: 1, pciConfig: 2 } as const;

export function operationRegion(
  text: string, space: number, offset: number, length: number,
): Aml {
  return [
    op.extended, extendedOp.region, ...path(text), space, ...integer(offset), ...integer(length),
  ];
}

/** A named field of this many bits, or bits left out. */
export type FieldElement = readonly [name: string, bits: number] | { readonly skipBits: number };

export function field(region: string, elements: readonly FieldElement[]): Aml {
  const anyAccessPreserve = 0;
  return sized([op.extended, extendedOp.field], path(region), [anyAccessPreserve],
    ...elements.map((element) => ("skipBits" in element
      ? [0, ...fieldLength(element.skipBits)]
      : [...segment(element[0]), ...fieldLength(element[1])])));
}

/** The same form as a package length, which here does not count itself. */
function fieldLength(bits: number): number[] {
  if (bits < 0x40) {
    return [bits];
  }
  assert(bits < 2 ** 12, "fields are within 4096 bits of the one before");
  return [0x40 | (bits & 0xf), bits >>> 4];
}

export const local0: Aml = [op.local0];
export const argument0: Aml = [op.argument0];

export function store(value: Aml, target: Aml): Aml {
  return [op.store, ...value, ...target];
}

export function and(a: Aml, b: Aml, target: Aml = [op.zero]): Aml {
  return [op.and, ...a, ...b, ...target];
}

export function shiftLeft(value: Aml, count: Aml, target: Aml = [op.zero]): Aml {
  return [op.shiftLeft, ...value, ...count, ...target];
}

/** The number of the lowest set bit, counted from 1; 0 when none is set. */
export function findSetRightBit(value: Aml, target: Aml): Aml {
  return [op.findSetRightBit, ...value, ...target];
}

export function decrement(target: Aml): Aml {
  return [op.decrement, ...target];
}

export function ifTrue(condition: Aml, terms: readonly Aml[]): Aml {
  return sized([op.ifTrue], condition, ...terms);
}

export function otherwise(terms: readonly Aml[]): Aml {
  return sized([op.otherwise], ...terms);
}

export function returnOf(value: Aml): Aml {
  return [op.returnOf, ...value];
}

/** Names a word within a buffer. */
export function createWordField(of: Aml, byteIndex: number, text: string): Aml {
  return [op.createWord, ...of, ...integer(byteIndex), ...path(text)];
}
