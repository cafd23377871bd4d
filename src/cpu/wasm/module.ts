/** A WebAssembly module in the making: types, imports, functions, a table, exports (§5.5). */
import { assert, defined } from "../../base/assert.ts";
import { ByteWriter } from "./bytes.ts";
import { Code, type CompiledBody } from "./code.ts";
import { types, type Type } from "./opcodes.ts";

interface Import {
  readonly name: string;
  readonly type: number;
}

interface MemoryLimits {
  readonly initialPages: number;
  readonly maximumPages: number;
}

/** Limits that every memory keeps. */
export const anyMemory: MemoryLimits = { initialPages: 1, maximumPages: 65_536 };

export class ModuleBuilder {
  readonly #types: string[] = [];
  readonly #signatures: { params: readonly Type[]; results: readonly Type[] }[] = [];
  readonly #imports: Import[] = [];
  readonly #functions: { type: number; body: CompiledBody | undefined; code: Code }[] = [];
  readonly #exports: { name: string; index: number }[] = [];
  readonly #memory: MemoryLimits;
  /** Functions in the module's own table, from index 0 on. */
  readonly #elements: number[] = [];
  #importedTable: string | undefined;

  /** The module imports shared memory `env.memory` with these limits. */
  constructor(memory: MemoryLimits) {
    this.#memory = memory;
  }

  type(params: readonly Type[], results: readonly Type[]): number {
    const key = `${params.join()}>${results.join()}`;
    const known = this.#types.indexOf(key);
    if (known >= 0) {
      return known;
    }
    this.#signatures.push({ params, results });
    return this.#types.push(key) - 1;
  }

  /** An imported function `env.<name>`; all imports come before the first function. */
  import(name: string, params: readonly Type[], results: readonly Type[]): number {
    assert(this.#functions.length === 0, "imports come first");
    return this.#imports.push({ name, type: this.type(params, results) }) - 1;
  }

  /** An imported table `env.<name>` of functions; it becomes table 0, and our own table 1. */
  importTable(name: string): void {
    this.#importedTable = name;
  }

  /** Number of the module's own table. */
  get ownTable(): number {
    return this.#importedTable === undefined ? 0 : 1;
  }

  /** Declares a function; its `code` is filled in by the caller before `finish`. */
  declare(params: readonly Type[], results: readonly Type[]): { index: number; code: Code } {
    const code = new Code(params);
    const index = this.#imports.length
      + this.#functions.push({ type: this.type(params, results), body: undefined, code }) - 1;
    return { index, code };
  }

  export(name: string, index: number): void {
    this.#exports.push({ name, index });
  }

  /** Puts a function into the table and gives its place there. */
  addToTable(index: number): number {
    return this.#elements.push(index) - 1;
  }

  finish(): Uint8Array<ArrayBuffer> {
    const out = new ByteWriter(1 << 16);
    out.bytes([0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    section(out, 1, (body) => this.#typeSection(body));
    section(out, 2, (body) => this.#importSection(body));
    section(out, 3, (body) => {
      body.unsigned(this.#functions.length);
      for (const each of this.#functions) body.unsigned(each.type);
    });
    section(out, 4, (body) => {
      body.bytes([1, 0x70, 0]);
      body.unsigned(this.#elements.length);
    });
    section(out, 7, (body) => {
      body.unsigned(this.#exports.length);
      for (const each of this.#exports) {
        body.name(each.name);
        body.byte(0);
        body.unsigned(each.index);
      }
    });
    section(out, 9, (body) => {
      body.bytes(this.ownTable === 0 ? [1, 0, 0x41, 0, 0x0b] : [1, 2, 1, 0x41, 0, 0x0b, 0]);
      body.unsigned(this.#elements.length);
      for (const index of this.#elements) body.unsigned(index);
    });
    const bodies = this.#functions.map((each) => each.code.compile(scratch));
    section(out, 0, (body) => this.#hintSection(body, bodies));
    section(out, 10, (body) => {
      body.unsigned(bodies.length);
      for (const each of bodies) {
        body.unsigned(each.bytes.length);
        body.bytes(each.bytes);
      }
    });
    return out.finish();
  }

  #typeSection(body: ByteWriter): void {
    body.unsigned(this.#signatures.length);
    for (const { params, results } of this.#signatures) {
      body.byte(0x60);
      for (const list of [params, results]) {
        body.unsigned(list.length);
        for (const type of list) body.byte(types[type]);
      }
    }
  }

  #importSection(body: ByteWriter): void {
    body.unsigned(this.#imports.length + 1 + this.ownTable);
    for (const each of this.#imports) {
      body.name("env");
      body.name(each.name);
      body.byte(0);
      body.unsigned(each.type);
    }
    if (this.#importedTable !== undefined) {
      body.name("env");
      body.name(this.#importedTable);
      body.bytes([1, 0x70, 0, 0]); // Of function references, from no entry on.
    }
    body.name("env");
    body.name("memory");
    body.bytes([2, 3]); // A memory that is shared and has a maximum.
    body.unsigned(this.#memory.initialPages);
    body.unsigned(this.#memory.maximumPages);
  }

  /** Section `metadata.code.branch_hint` of the branch-hinting proposal. */
  #hintSection(body: ByteWriter, bodies: readonly CompiledBody[]): void {
    body.name("metadata.code.branch_hint");
    const hinted = bodies.map((each, index) => ({ hints: each.hints, index }))
      .filter((each) => each.hints.length > 0);
    body.unsigned(hinted.length);
    for (const { hints, index } of hinted) {
      body.unsigned(this.#imports.length + index);
      body.unsigned(hints.length);
      for (const hint of hints) {
        body.unsigned(hint.offset);
        body.bytes([1, hint.likely ? 1 : 0]);
      }
    }
  }
}

/** Bodies are lowered here, one after the other. */
const scratch = new ByteWriter(1 << 16);

function section(out: ByteWriter, id: number, fill: (body: ByteWriter) => void): void {
  const body = new ByteWriter();
  fill(body);
  out.byte(id);
  out.unsigned(body.length);
  out.bytes(body.view());
}

/** The exported function `name` of an instance. */
export function exportedFunction(instance: WebAssembly.Instance, name: string):
(...args: (number | bigint)[]) => number {
  const found = defined(instance.exports[name], `export ${name}`);
  assert(typeof found === "function", `${name} is a function`);
  return found as (...args: (number | bigint)[]) => number;
}
