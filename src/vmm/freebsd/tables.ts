/**
 * What a table of `abi/` says about one version of the /dev/vmm interface, and how structures are
 * read and written by it. Layouts are text, `size; name offset kind; ...`, where a kind is i32,
 * u32, u64, i64, u16, u8, a bit field of one of these (`u16.3-5`), or `bytesN`.
 */
import { assert, defined } from "../../base/assert.ts";

export interface VmmTables {
  readonly name: string;
  readonly ioctls: Readonly<Record<string, number | undefined>>;
  readonly structs: Readonly<Record<string, string | undefined>>;
  /** Enumerations and constants, by their C names. */
  readonly constants: Readonly<Record<string, number | undefined>>;
}

export interface FieldLayout {
  readonly offset: number;
  /** Bytes of the field, or of the unit that a bit field lies in. */
  readonly size: number;
  readonly signed: boolean;
  /** First bit and count of a bit field. */
  readonly bits?: readonly [first: number, count: number];
}

export interface StructLayout {
  readonly name: string;
  readonly size: number;
  readonly fields: ReadonlyMap<string, FieldLayout>;
}

const unitBytes: Readonly<Record<string, number>> = {
  u8: 1, u16: 2, i32: 4, u32: 4, i64: 8, u64: 8,
};

function parseKind(kind: string): Omit<FieldLayout, "offset"> {
  const bytes = /^bytes(\d+)$/.exec(kind);
  if (bytes !== null) {
    return { size: Number(bytes[1]), signed: false };
  }
  const [, unit = "", first, last] = /^([iu]\d+)(?:\.(\d+)-(\d+))?$/.exec(kind) ?? [];
  const size = defined(unitBytes[unit], `the size of ${kind}`);
  return {
    size, signed: unit.startsWith("i"),
    ...(first !== undefined && last !== undefined
      && { bits: [Number(first), Number(last) - Number(first) + 1] as const }),
  };
}

export function parseLayout(name: string, text: string): StructLayout {
  const [size = "", ...fields] = text.split("; ");
  return {
    name, size: Number(size),
    fields: new Map(fields.map((field) => {
      const [fieldName = "", offset = "", kind = ""] = field.split(" ");
      return [fieldName, { offset: Number(offset), ...parseKind(kind) }];
    })),
  };
}

/** One structure in memory of ours, read and written by the names of its fields. */
export class Struct {
  readonly layout: StructLayout;
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(layout: StructLayout, bytes: Uint8Array = new Uint8Array(layout.size)) {
    assert(bytes.length >= layout.size, `room for ${layout.name}`);
    this.layout = layout;
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  has(field: string): boolean {
    return this.layout.fields.has(field);
  }

  /** A number; of a 64-bit field the nearest double. */
  get(field: string): number {
    const { offset, size, signed, bits } = this.#field(field);
    if (bits !== undefined) {
      return (this.#unit(offset, size) >>> bits[0]) & (2 ** bits[1] - 1);
    }
    if (size === 8) {
      return Number(this.big(field));
    }
    return size === 4 && signed ? this.#view.getInt32(offset, true) : this.#unit(offset, size);
  }

  big(field: string): bigint {
    const { offset, signed } = this.#field(field);
    return signed ? this.#view.getBigInt64(offset, true) : this.#view.getBigUint64(offset, true);
  }

  /** Of any size, as the bits that it has. */
  unsigned(field: string): bigint {
    const { size } = this.#field(field);
    return size === 8 ? BigInt.asUintN(64, this.big(field)) : BigInt(this.get(field) >>> 0);
  }

  set(field: string, value: number | bigint): this {
    const { offset, size, bits } = this.#field(field);
    if (size === 8) {
      this.#view.setBigUint64(offset, BigInt.asUintN(64, BigInt(value)), true);
    } else if (bits !== undefined) {
      const mask = (2 ** bits[1] - 1) << bits[0];
      const unit = this.#unit(offset, size);
      this.#setUnit(offset, size, unit & ~mask | Number(value) << bits[0] & mask);
    } else {
      this.#setUnit(offset, size, Number(value));
    }
    return this;
  }

  /** Bytes of an array field. */
  part(field: string): Uint8Array {
    const { offset, size } = this.#field(field);
    return this.bytes.subarray(offset, offset + size);
  }

  /** A C string in an array field; the caller has checked its length. */
  setText(field: string, text: string): this {
    const part = this.part(field);
    part.fill(0);
    part.set(Buffer.from(text).subarray(0, part.length - 1));
    return this;
  }

  #field(name: string): FieldLayout {
    return defined(this.layout.fields.get(name), `${this.layout.name}.${name}`);
  }

  #unit(offset: number, size: number): number {
    return size === 1 ? this.#view.getUint8(offset)
      : size === 2 ? this.#view.getUint16(offset, true) : this.#view.getUint32(offset, true);
  }

  #setUnit(offset: number, size: number, value: number): void {
    if (size === 1) {
      this.#view.setUint8(offset, value);
    } else if (size === 2) {
      this.#view.setUint16(offset, value, true);
    } else {
      assert(size === 4, "a number has 1, 2, 4 or 8 bytes");
      this.#view.setUint32(offset, value, true);
    }
  }
}

/** One version of the interface, its layouts parsed once. */
export class VmmAbi {
  readonly name: string;
  readonly #tables: VmmTables;
  readonly #layouts = new Map<string, StructLayout>();

  constructor(tables: VmmTables) {
    this.name = tables.name;
    this.#tables = tables;
  }

  hasIoctl(name: string): boolean {
    return this.#tables.ioctls[name] !== undefined;
  }

  ioctl(name: string): number {
    return defined(this.#tables.ioctls[name], `${name} of ${this.name}`);
  }

  constant(name: string): number {
    return defined(this.#tables.constants[name], `${name} of ${this.name}`);
  }

  hasConstant(name: string): boolean {
    return this.#tables.constants[name] !== undefined;
  }

  layout(name: string): StructLayout {
    const known = this.#layouts.get(name);
    const layout = known
      ?? parseLayout(name, defined(this.#tables.structs[name], `struct ${name} of ${this.name}`));
    this.#layouts.set(name, layout);
    return layout;
  }

  struct(name: string, bytes?: Uint8Array): Struct {
    return new Struct(this.layout(name), bytes);
  }

  /** Names of the constants that start so, by value: for reports. */
  nameOf(prefix: string, value: number): string {
    const found = Object.entries(this.#tables.constants)
      .find(([name, each]) => each === value && name.startsWith(prefix));
    return found === undefined ? `${prefix}${value}` : found[0];
  }
}
