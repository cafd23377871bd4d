/** The interpreter's main function: its locals, and the places where its cases branch to. */
import { microOp, pageRipSlot, registers, state } from "../layout.ts";
import { i32, load, op, type Code, type Label, type Node } from "../wasm/code.ts";
import type { Exits } from "./builder.ts";

/** The main function's locals and the places its cases branch to. */
export class Main {
  readonly code: Code;
  /** The micro-op in hand, and the first one since the last branch. */
  readonly upc: number;
  readonly start: number;
  /** The index table of the current code page. */
  readonly table: number;
  readonly offset: number;
  readonly rip: number;
  readonly result: number;
  readonly tlb: number;
  /** The next look-up finds an instruction for the interpreter, whatever region starts there. */
  readonly skip: number;

  constructor(code: Code) {
    this.code = code;
    this.upc = code.local("i32");
    this.start = code.local("i32");
    this.table = code.local("i32");
    this.offset = code.local("i32");
    this.rip = code.local("i64");
    this.result = code.local("i32");
    this.tlb = code.local("i32");
    this.skip = code.local("i32");
  }

  exits(labels: Labels): Exits {
    const { code } = this;
    return {
      fault: () => code.br(labels.fault),
      jump: (target) => {
        code.set(this.rip, target);
        code.br(labels.lookup);
      },
      jumpInPage: (offset) => {
        code.set(this.offset, offset);
        code.br(labels.taken);
      },
      finish: (result) => {
        code.set(this.result, result);
        code.br(labels.finished);
      },
    };
  }

  /** RIP of the instruction in hand. */
  ripHere(): Node {
    const place = load("i32.load16_u", this.code.get(this.upc), microOp.place);
    return op("i64.add", load("i64.load", i32(registers), pageRipSlot),
      op("i64.extend_i32_u", op("i32.and", place, i32(0xfff))));
  }

  storeRip(rip: Node): void {
    this.code.store("i64.store", i32(0), rip, state.rip);
  }

  /** Takes what ran since the last branch off the time slice; leaves the new budget. */
  charge(): Node {
    const { code } = this;
    const spent = op("i32.add", op("i32.sub", code.get(this.upc), code.get(this.start)),
      i32(microOp.bytes));
    const budget = code.bind(op("i32.sub", load("i32.load", i32(0), state.budget), spent));
    code.store("i32.store", i32(0), budget, state.budget);
    return budget;
  }

  enter(pointer: Node): void {
    this.code.set(this.upc, pointer);
    this.code.set(this.start, pointer);
  }
}

export interface Labels {
  readonly next: Label;
  readonly taken: Label;
  readonly lookup: Label;
  readonly fault: Label;
  readonly finished: Label;
}
