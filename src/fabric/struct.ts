/**
 * Structures in guest memory: little-endian, without padding but what is declared. A structure is
 * stated once and its fields are read in place; nothing is allocated. `field.offset` serves hot
 * paths that have resolved the structure's address already.
 */
import { assert } from "../base/assert.ts";
import { gpa, type Gpa } from "../base/units.ts";
import type { GuestMemory } from "./memory.ts";

interface FieldKind {
  readonly size: number;
  get(memory: GuestMemory, address: Gpa): number;
  set(memory: GuestMemory, address: Gpa, value: number): void;
}

export const u8: FieldKind = {
  size: 1,
  get: (memory, address) => memory.u8(address),
  set: (memory, address, value) => memory.setU8(address, value),
};
export const u16: FieldKind = {
  size: 2,
  get: (memory, address) => memory.u16(address),
  set: (memory, address, value) => memory.setU16(address, value),
};
export const u32: FieldKind = {
  size: 4,
  get: (memory, address) => memory.u32(address),
  set: (memory, address, value) => memory.setU32(address, value),
};
/** An address or length: a double below 2^53 (see `GuestMemory.u64`). */
export const u64: FieldKind = {
  size: 8,
  get: (memory, address) => memory.u64(address),
  set: (memory, address, value) => memory.setU64(address, value),
};

/** One field; `base` is the address of its structure. */
export interface Field {
  /** Bytes from the start of the structure. */
  readonly offset: number;
  get(memory: GuestMemory, base: number): number;
  set(memory: GuestMemory, base: number, value: number): void;
}

export type Struct<T> = { readonly [K in keyof T]: Field } & { readonly size: number };

/** Lays the fields out in the order given. */
export function struct<T extends { readonly [name: string]: FieldKind }>(fields: T): Struct<T>;
export function struct(fields: { readonly [name: string]: FieldKind }): unknown {
  assert(!("size" in fields), "a structure's size is not one of its fields");
  const made: { [name: string]: Field | number } = {};
  let next = 0;
  for (const [name, kind] of Object.entries(fields)) {
    const offset = next;
    made[name] = {
      offset,
      get: (memory, base) => kind.get(memory, gpa(base + offset)),
      set: (memory, base, value) => kind.set(memory, gpa(base + offset), value),
    };
    next += kind.size;
  }
  made["size"] = next;
  return made;
}
