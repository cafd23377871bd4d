/**
 * Structures of /dev/vmm as the kernel's side reads them: by the offsets in vmm-abi.json, which
 * were compiled from headers. Nothing of src/vmm/freebsd has a part in this.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot } from "../../../support/paths.ts";

interface FactField {
  readonly name: string;
  readonly offset: number;
  readonly type: string;
  readonly bits?: readonly [first: number, last: number];
}

interface Platform {
  readonly ioctls: Readonly<Record<string, {
    readonly value: string; readonly size: number; readonly direction: string;
    readonly arg: string;
  }>>;
  readonly structs: Readonly<Record<string, {
    readonly size: number; readonly fields: readonly FactField[];
  }>>;
  readonly enums: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly constants: Readonly<Record<string, number>>;
}

export interface FactIoctl {
  readonly name: string;
  readonly size: number;
  readonly writesBack: boolean;
  /** Name of the structure, or undefined for an int or nothing. */
  readonly struct: string | undefined;
}

const eightBytes = new Set(["uint64_t", "int64_t", "size_t", "const size_t", "vm_paddr_t",
  "vm_ooffset_t", "time_t", "long"]);

const bytesOf = (type: string): number => {
  if (type.includes("*") || eightBytes.has(type)) {
    return 8;
  }
  return /^uint16_t$/.test(type) ? 2 : /^(uint8_t|char)$/.test(type) ? 1 : 4;
};

export class Facts {
  readonly #platform: Platform;
  readonly #ioctls = new Map<number, FactIoctl>();

  constructor(name: string) {
    const all = JSON.parse(readFileSync(
      join(repositoryRoot, "test", "vmm", "freebsd", "vmm-abi.json"), "utf8"));
    this.#platform = all.platforms[name];
    for (const [ioctl, { value, size, direction, arg }] of Object.entries(this.#platform.ioctls)) {
      this.#ioctls.set(Number(value), {
        name: ioctl, size, writesBack: direction.includes("out"),
        struct: /^struct (\w+)$/.exec(arg ?? "")?.[1],
      });
    }
  }

  ioctl(number: number): FactIoctl | undefined {
    return this.#ioctls.get(number);
  }

  number(ioctl: string): number {
    return Number(this.#platform.ioctls[ioctl]?.value);
  }

  /** A constant of any enumeration. */
  value(name: string): number {
    for (const values of [...Object.values(this.#platform.enums), this.#platform.constants]) {
      const found = values[name];
      if (found !== undefined) {
        return found;
      }
    }
    throw new Error(`no constant ${name}`);
  }

  /** Names of an enumeration by value. */
  names(enumeration: string): ReadonlyMap<number, string> {
    return new Map(Object.entries(this.#platform.enums[enumeration] ?? {})
      .map(([name, value]) => [value, name]));
  }

  size(struct: string): number {
    return this.#platform.structs[struct]?.size ?? 0;
  }

  field(struct: string, name: string): FactField {
    const { fields = [] } = this.#platform.structs[struct] ?? {};
    const found = fields.find((each) => each.name === name);
    if (found !== undefined) {
      return found;
    }
    // A structure within one, whose own fields are listed by its type alone.
    const outer = fields.find((each) => name.startsWith(`${each.name}.`)
      && each.type.startsWith("struct "));
    if (outer === undefined) {
      throw new Error(`no field ${struct}.${name}`);
    }
    const inner = this.field(outer.type.slice("struct ".length),
      name.slice(outer.name.length + 1));
    return { ...inner, offset: inner.offset + outer.offset };
  }

  has(struct: string, name: string): boolean {
    return this.#platform.structs[struct]?.fields.some((each) => each.name === name) === true;
  }
}

/** Reads and writes one structure. */
export class Fact {
  readonly bytes: Uint8Array;
  readonly #facts: Facts;
  readonly #struct: string;
  readonly #view: DataView;

  constructor(facts: Facts, struct: string, bytes?: Uint8Array) {
    this.#facts = facts;
    this.#struct = struct;
    this.bytes = bytes ?? new Uint8Array(facts.size(struct));
    this.#view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length);
  }

  get(name: string): number {
    const { offset, type, bits } = this.#facts.field(this.#struct, name);
    const size = bytesOf(type);
    if (size === 8) {
      return Number(this.#view.getBigUint64(offset, true));
    }
    const value = size === 1 ? this.#view.getUint8(offset)
      : size === 2 ? this.#view.getUint16(offset, true) : this.#view.getInt32(offset, true);
    return bits === undefined ? value : (value >>> bits[0]) & (2 ** (bits[1] - bits[0] + 1) - 1);
  }

  big(name: string): bigint {
    return this.#view.getBigUint64(this.#facts.field(this.#struct, name).offset, true);
  }

  text(name: string): string {
    const { offset, type } = this.#facts.field(this.#struct, name);
    const length = Number(/\[(\d+)\]/.exec(type)?.[1] ?? 0);
    const text = Buffer.from(this.bytes.subarray(offset, offset + length)).toString();
    return text.slice(0, text.indexOf("\0"));
  }

  set(name: string, value: number | bigint): this {
    const { offset, type, bits } = this.#facts.field(this.#struct, name);
    const size = bytesOf(type);
    if (size === 8) {
      this.#view.setBigUint64(offset, BigInt.asUintN(64, BigInt(value)), true);
      return this;
    }
    const mask = bits === undefined ? -1 : (2 ** (bits[1] - bits[0] + 1) - 1) << bits[0];
    const number = Number(value) << (bits?.[0] ?? 0);
    if (size === 1) {
      this.#view.setUint8(offset, this.#view.getUint8(offset) & ~mask | number & mask);
    } else if (size === 2) {
      const kept = this.#view.getUint16(offset, true) & ~mask;
      this.#view.setUint16(offset, kept | number & mask, true);
    } else {
      this.#view.setInt32(offset, this.#view.getInt32(offset, true) & ~mask | number & mask, true);
    }
    return this;
  }

  /** Bytes into an array field. */
  put(name: string, bytes: Uint8Array): this {
    this.bytes.set(bytes, this.#facts.field(this.#struct, name).offset);
    return this;
  }
}
