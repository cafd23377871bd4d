/** One region's function in the making: what lives in locals, pending flags, ways out. */
import { regionExit } from "../interpreter/enter.ts";
import type { FlagUpdate } from "../isa/flags.ts";
import { microOp, registers, state } from "../layout.ts";
import type { MmuFunctions } from "../tier/mmu.ts";
import {
  i32, i64, load, op, type Code, type DetachedLocals, type Label, type Node,
} from "../wasm/code.ts";

/** Flags that an instruction has set and nobody has stored yet. */
export interface PendingFlags {
  readonly update: FlagUpdate;
  readonly images: () => readonly [Node, Node, Node];
  /** Locals that the update is made of. */
  readonly locals: DetachedLocals;
  /** How many updates stand behind the images. */
  readonly depth: number;
}

/** Where the traps of a stretch of code go. */
interface Traps {
  readonly label: Label;
  used: boolean;
}

/** A register file of the guest in locals, taken when first used. */
export class RegisterFile {
  readonly #code: Code;
  readonly #type: "i64" | "v128";
  readonly #locals = new Map<number, number>();
  readonly #written = new Set<number>();
  readonly #at: number;

  constructor(code: Code, type: "i64" | "v128", at: number) {
    this.#code = code;
    this.#type = type;
    this.#at = at;
  }

  #local(number: number): number {
    const known = this.#locals.get(number);
    if (known !== undefined) {
      return known;
    }
    const index = this.#code.permanent(this.#type);
    this.#locals.set(number, index);
    return index;
  }

  get(number: number): Node {
    return this.#code.get(this.#local(number));
  }

  set(number: number, value: Node): void {
    this.#written.add(number);
    this.#code.set(this.#local(number), value);
  }

  #address(number: number): number {
    return this.#at + number * (this.#type === "i64" ? 8 : 16);
  }

  loadAll(): void {
    for (const [number, index] of this.#locals) {
      const name = this.#type === "i64" ? "i64.load" : "v128.load";
      this.#code.set(index, load(name, i32(0), this.#address(number)));
    }
  }

  storeWritten(): void {
    for (const number of this.#written) {
      const name = this.#type === "i64" ? "i64.store" : "v128.store";
      this.#code.store(name, i32(0), this.get(number), this.#address(number));
    }
  }
}

export class RegionFunction {
  readonly code: Code;
  readonly mmu: MmuFunctions;
  readonly general: RegisterFile;
  readonly vectors: RegisterFile;
  /** Bits 255:128 of the vector registers. */
  readonly upper: RegisterFile;
  /** RIP of the first byte of the region's first page. */
  readonly base: number;
  readonly budget: number;
  readonly #budgetBefore: number;
  readonly tlb: number;
  /** Which root the dispatch goes to. */
  readonly entry = 0;
  readonly #flags: readonly [number, number, number];
  readonly #rip: number;
  readonly #exitCode: number;
  readonly #trapPlace: number;
  readonly #unspent: number;
  readonly #newFlags: readonly [number, number];
  #exit: Label = { depth: -1 };
  #trapped: Label = { depth: -1 };
  #traps: Traps = { label: { depth: -1 }, used: false };
  pending: PendingFlags | undefined;
  /** Some instruction needs SSE to be on, which is looked at once. */
  usesVectors = false;

  /** `code` takes the entry and the RIP of the region's first page, and returns a `regionExit`. */
  constructor(code: Code, mmu: MmuFunctions) {
    this.code = code;
    this.mmu = mmu;
    this.general = new RegisterFile(code, "i64", registers);
    this.vectors = new RegisterFile(code, "v128", state.xmm);
    this.upper = new RegisterFile(code, "v128", state.ymmHigh);
    this.base = 1;
    this.budget = code.permanent("i32");
    this.#budgetBefore = code.permanent("i32");
    this.tlb = code.permanent("i32");
    this.#flags = [code.permanent("i64"), code.permanent("i64"), code.permanent("i32")];
    this.#rip = code.permanent("i64");
    this.#exitCode = code.permanent("i32");
    this.#trapPlace = code.permanent("i32");
    this.#unspent = code.permanent("i32");
    this.#newFlags = [code.permanent("i64"), code.permanent("i64")];
  }

  /** RIP of a place. */
  rip(place: number): Node {
    return op("i64.add", this.code.get(this.base), i64(place));
  }

  /** Builds the whole function around `body`, which leaves by `leave` only. */
  build(body: () => void): void {
    const { code } = this;
    const statements = code.collect(() => {
      code.block((exit) => {
        this.#exit = exit;
        code.block((trapped) => {
          this.#trapped = trapped;
          body();
        });
        code.set(this.#rip, op("i64.add", code.get(this.base),
          op("i64.extend_i32_s", code.get(this.#trapPlace))));
        code.set(this.budget, op("i32.add", code.get(this.budget), code.get(this.#unspent)));
      });
    });
    this.#prologue();
    code.append(statements);
    this.#epilogue();
  }

  #prologue(): void {
    const { code } = this;
    if (this.usesVectors) {
      const cr0 = load("i32.load", i32(0), state.cr0), cr4 = load("i32.load", i32(0), state.cr4);
      const off = op("i32.or", op("i32.and", cr0, i32(0xc)),
        op("i32.xor", op("i32.and", cr4, i32(0x200)), i32(0x200)));
      code.if(off, () => code.return(i32(regionExit.interpret)), undefined, false);
    }
    const [result, carry, aux] = this.#flags;
    code.set(result, load("i64.load", i32(0), state.flagResult));
    code.set(carry, load("i64.load", i32(0), state.flagCarry));
    code.set(aux, load("i32.load", i32(0), state.flagAux));
    code.set(this.budget, load("i32.load", i32(0), state.budget));
    code.set(this.#budgetBefore, code.get(this.budget));
    code.set(this.tlb, load("i32.load", i32(0), state.tlb));
    this.general.loadAll();
    this.vectors.loadAll();
    this.upper.loadAll();
  }

  #epilogue(): void {
    const { code } = this;
    const [result, carry, aux] = this.#flags;
    this.general.storeWritten();
    this.vectors.storeWritten();
    this.upper.storeWritten();
    code.store("i64.store", i32(0), code.get(result), state.flagResult);
    code.store("i64.store", i32(0), code.get(carry), state.flagCarry);
    code.store("i32.store", i32(0), code.get(aux), state.flagAux);
    // Whoever wants the vCPU's attention has meanwhile taken what was left of the budget.
    const spent = op("i32.sub", code.get(this.#budgetBefore), code.get(this.budget));
    code.store("i32.store", i32(0), op("i32.sub", load("i32.load", i32(0), state.budget), spent),
      state.budget);
    code.store("i64.store", i32(0), code.get(this.#rip), state.rip);
    code.return(code.get(this.#exitCode));
  }

  /** Leaves the function for `rip`. */
  leave(how: number, rip: Node): void {
    const { code } = this;
    this.settleFlags(false);
    code.set(this.#rip, rip);
    code.set(this.#exitCode, i32(how));
    code.br(this.#exit);
  }

  spend(instructions: number): void {
    const { code } = this;
    code.set(this.budget, op("i32.sub", code.get(this.budget),
      i32(instructions * microOp.bytes)));
  }

  // Traps leave in the middle of a block.

  /** Leaves before the instruction at `place`, which was paid for with `unspent` - 1 others. */
  trap(how: Node, place: number, unspent: number): void {
    const { code } = this;
    this.#traps.used = true;
    code.set(this.#trapPlace, i32(place));
    code.set(this.#unspent, i32(unspent * microOp.bytes));
    code.set(this.#exitCode, how);
    code.br(this.#traps.label);
  }

  /** Builds `body`; its traps share the flags that are pending now. */
  withTraps(body: () => void): void {
    const { code, pending } = this;
    const outer = this.#traps;
    const traps: Traps = { label: { depth: -1 }, used: false };
    this.#traps = traps;
    const statements = code.collect(body);
    this.#traps = outer;
    if (!traps.used) {
      code.append(statements);
      return;
    }
    code.block((done) => {
      code.blockAt(traps.label, () => {
        code.append(statements);
        code.br(done);
      });
      const after = this.pending;
      this.pending = pending;
      this.settleFlags(false);
      this.pending = after;
      code.br(this.#trapped);
    });
  }

  // Flags.

  flagImages(): readonly [Node, Node, Node] {
    const { code } = this;
    const [result, carry, aux] = this.#flags;
    return this.pending?.images() ?? [code.get(result), code.get(carry), code.get(aux)];
  }

  setFlags(result: Node, carry: Node, aux: Node): void {
    const { code } = this;
    const [r, c, a] = this.#flags;
    // Not in place: each may depend on the old value of the others.
    const [newResult, newCarry] = this.#newFlags;
    code.set(newResult, result);
    code.set(newCarry, carry);
    code.set(a, aux);
    code.set(r, code.get(newResult));
    code.set(c, code.get(newCarry));
  }

  /** Puts pending flags into their locals; `forget` says that they are there for good. */
  settleFlags(forget: boolean): void {
    if (this.pending === undefined) {
      return;
    }
    this.setFlags(...this.pending.images());
    if (forget) {
      this.forgetFlags();
    }
  }

  forgetFlags(): void {
    const locals = this.pending?.locals;
    this.pending = undefined;
    if (locals !== undefined) {
      this.code.release(locals);
    }
  }
}
