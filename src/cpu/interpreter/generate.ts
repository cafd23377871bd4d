/**
 * The interpreter as one WebAssembly module: a main function with the hot cases, and a table of
 * small functions with the rare ones. Called `run`, it goes on until there is something to decide.
 */
import { defined } from "../../base/assert.ts";
import type { Operand } from "../isa/builder.ts";
import type { FlagEffect } from "../isa/flags.ts";
import {
  exitReason, microOp, pageRipSlot, registers, segmentIndex, state, status, addressSlot,
  itlbBytes,
} from "../layout.ts";
import { Code, i32, i64, load, op, select, type Label, type Node } from "../wasm/code.ts";
import { anyMemory, ModuleBuilder } from "../wasm/module.ts";
import { builtin } from "./builtin.ts";
import {
  bypass, callRegion, countBranch, declareRegions, regionExit, type RegionCall,
} from "./enter.ts";
import { Main, type Labels } from "./main.ts";
import { InterpreterBuilder, type Environment, type Exits } from "./builder.ts";
import { allCases, type CaseDescription } from "./forms.ts";
import { memoryMap, type MemoryMap } from "../tier/memory-map.ts";
import { buildMmu, type MmuFunctions } from "../tier/mmu.ts";
import { buildFlush } from "../tier/tlb.ts";
import { requireSimd } from "../tier/simd.ts";

export interface GeneratedInterpreter {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Case key → operation number. */
  readonly operations: ReadonlyMap<string, number>;
  /** Keys of cases whose memory operand is written: they ask the segment for that. */
  readonly writesMemory: ReadonlySet<string>;
  /** What hot cases that cannot fault do with the flags; all others need them to be right. */
  readonly flagEffects: ReadonlyMap<string, FlagEffect>;
  /** Operation number → the same without its flags, for where nobody will see them. */
  readonly withoutFlags: ReadonlyMap<number, number>;
}

interface Imported {
  readonly helper: number;
  readonly deviceRead: number;
  readonly deviceWrite: number;
  readonly codeWritten: number;
  readonly regions: RegionCall;
}

function importAll(module: ModuleBuilder, map: MemoryMap): Imported {
  return {
    regions: declareRegions(module, map),
    helper: module.import("helper", ["i32"], ["i32"]),
    deviceRead: module.import("deviceRead", ["i32", "i32", "i32"], ["i32"]),
    deviceWrite: module.import("deviceWrite", ["i32", "i32", "i32", "i32"], []),
    codeWritten: module.import("codeWritten", ["i32", "i32"], []),
  };
}

/** Runs the semantics once into nowhere: which operands they write, what becomes of flags; `leaves`
 * is told when they may end early. */
export function rehearse(
  each: CaseDescription, mmu: MmuFunctions, leaves: () => void = () => {},
): InterpreterBuilder {
  const code = new Code(["i32"]);
  const exits: Exits = { fault: leaves, jump() {}, jumpInPage() {}, finish: leaves };
  const env: Environment = { code, upc: code.get(0), exits, mmu, helper: 0, tlb: i32(0) };
  const builder = new InterpreterBuilder(env, each.form, new Set());
  each.semantics.run(builder, ...each.operands);
  builder.finishFlags();
  return builder;
}

function writtenOperands(each: CaseDescription, mmu: MmuFunctions): ReadonlySet<Operand> {
  return each.operands.some((operand) => operand.kind === "memory")
    ? rehearse(each, mmu).written : new Set();
}

/** The flags before such an instruction can only be seen by what it says itself. */
function isTransparent({ semantics, operands, cold }: CaseDescription): boolean {
  const touchesMemory = operands.some((operand) => operand.kind === "memory")
    && semantics.mnemonic !== "lea";
  return !cold && !touchesMemory && !semantics.stack && !semantics.branch && !semantics.helped
    && operands.every((operand) => operand.file === "gpr") && operands.length > 0
    && !mayFault.has(semantics.mnemonic);
}

const mayFault = new Set(["div", "idiv", "cli", "sti", "jmp.indirect"]);

/** A rare case as a function of its own: (micro-op) → status. */
function buildCold(
  module: ModuleBuilder, each: CaseDescription, mmu: MmuFunctions, helper: number,
  written: ReadonlySet<Operand>,
): number {
  const { index, code } = module.declare(["i32"], ["i32"]);
  const exits: Exits = {
    fault: () => code.return(i32(status.fault)),
    jump: (target) => {
      code.store("i64.store", i32(0), target, state.rip);
      code.return(i32(status.retry));
    },
    jumpInPage: (offset) => {
      const rip = op("i64.add", load("i64.load", i32(registers), pageRipSlot),
        op("i64.extend_i32_u", op("i32.shr_u", offset, i32(2))));
      code.store("i64.store", i32(0), rip, state.rip);
      code.return(i32(status.retry));
    },
    finish: (result) => code.return(result),
  };
  const tlb = code.bind(load("i32.load", i32(0), state.tlb));
  const env: Environment = { code, upc: code.get(0), exits, mmu, helper, tlb };
  const builder = new InterpreterBuilder(env, each.form, written);
  each.semantics.run(builder, ...each.operands);
  builder.finishFlags();
  code.return(i32(status.next));
  return index;
}

/** A branch within the page was taken: the place is in `offset`. */
function buildTaken(main: Main, again: Label, lookup: Label, parts: Parts): void {
  const { code } = main;
  const budget = main.charge();
  const pointer = code.bind(load("i32.load", op("i32.add", code.get(main.table),
    code.get(main.offset))));
  code.if(op("i32.eqz", pointer), () => {
    code.set(main.rip, op("i64.add", load("i64.load", i32(registers), pageRipSlot),
      op("i64.extend_i32_u", op("i32.shr_u", code.get(main.offset), i32(2)))));
    // Already charged.
    code.set(main.start, op("i32.add", code.get(main.upc), i32(microOp.bytes)));
    code.br(lookup);
  }, undefined, false);
  main.enter(pointer);
  countHot(main, pointer, parts);
  code.br(again, op("i32.gt_s", budget, i32(0)), true);
  main.storeRip(main.ripHere());
  code.return(i32(exitReason.budget));
}

/** Counts a branch to where the interpreter now stands. */
function countHot(main: Main, pointer: Node, { map, countsBranches }: Parts): void {
  if (countsBranches) {
    countBranch(main.code, map, pointer, () => {
      main.storeRip(main.ripHere());
      main.code.return(i32(exitReason.hot));
    });
  }
}

/** Finds decoded code for the address in `rip`, through the instruction TLB. */
function buildLookup(main: Main, again: Label, parts: Parts): void {
  const { code } = main;
  const budget = main.charge();
  const rip = code.get(main.rip);
  const linear = code.bind(op("i64.add", rip,
    load("i64.load", i32(0), state.segmentBase + segmentIndex.cs * 8)));
  const index = op("i32.and", op("i32.wrap_i64", op("i64.shr_u", linear, i64(8))),
    i32(itlbBytes - 16));
  const slot = code.bind(op("i32.add", index, load("i32.load", i32(0), state.itlb)));
  const offset = code.bind(op("i64.and", linear, i64(4095)));
  const hit = op("i64.eq", load("i64.load", slot, 0), op("i64.sub", linear, offset));
  code.if(hit, () => {
    code.set(main.table, load("i32.load", slot, 8));
    const pointer = code.bind(load("i32.load", op("i32.add", code.get(main.table),
      op("i32.shl", op("i32.wrap_i64", offset), i32(2)))));
    code.if(pointer, () => {
      code.store("i64.store", i32(registers), op("i64.sub", code.get(main.rip), offset),
        pageRipSlot);
      code.if(op("i32.and", code.get(main.skip), op("i32.gt_s", budget, i32(0))), () => {
        code.set(main.skip, i32(0));
        main.enter(bypass(code, parts.map, pointer));
        code.br(again);
      }, undefined, false);
      main.enter(pointer);
      countHot(main, pointer, parts);
      code.br(again, op("i32.gt_s", budget, i32(0)), true);
      main.storeRip(code.get(main.rip));
      code.return(i32(exitReason.budget));
    }, undefined, true);
  }, undefined, true);
  main.storeRip(code.get(main.rip));
  code.return(i32(exitReason.lookup));
}

/** A helper or an out-of-line case has come back with a status. */
function buildFinished(main: Main, labels: Pick<Labels, "next" | "lookup" | "fault">): void {
  const { code } = main;
  const result = code.get(main.result);
  code.if(op("i32.eq", result, i32(status.next)), () => {
    code.set(main.upc, op("i32.add", code.get(main.upc), i32(microOp.bytes)));
    code.br(labels.next);
  }, undefined, true);
  code.if(op("i32.eq", result, i32(status.retry)), () => {
    code.set(main.rip, load("i64.load", i32(0), state.rip));
    code.br(labels.lookup);
  });
  code.br(labels.fault, op("i32.eq", result, i32(status.fault)));
  code.if(op("i32.eq", result, i32(status.again)), () => {
    // The same instruction once more, unless the time slice is over.
    const budget = main.charge();
    code.set(main.start, code.get(main.upc));
    code.br(labels.next, op("i32.gt_s", budget, i32(0)));
    main.storeRip(main.ripHere());
    code.return(i32(exitReason.budget));
  });
  // The helper has left RIP where the guest goes on.
  code.drop(main.charge());
  code.return(op("i32.sub", result, i32(status.leave)));
}

/** base + index << scale + displacement of the micro-op in hand. */
function effectiveAddress(main: Main): Node {
  const { code } = main;
  const upc = code.get(main.upc);
  const slot = (field: number) => load("i64.load", load("i32.load8_u", upc, field), registers);
  const scale = op("i64.extend_i32_u", load("i32.load8_u", upc, microOp.scale));
  return op("i64.add", op("i64.add", slot(microOp.base),
    op("i64.shl", slot(microOp.index), scale)),
  load("i64.load32_s", upc, microOp.displacement));
}

function buildAddress(main: Main, which: number, labels: Labels, mmu: MmuFunctions): void {
  const { code } = main;
  const upc = code.get(main.upc);
  const segment = load("i32.load8_u", upc, microOp.first);
  const cut = (bits: 16 | 32, value: Node) => op("i64.and", value, i64(2n ** BigInt(bits) - 1n));
  const extra = load("i64.load32_s", upc, microOp.immediate);
  // Only FS and GS have a base in 64-bit mode.
  const base = () => select(op("i32.ge_u", segment, i32(segmentIndex.fs)),
    load("i64.load", op("i32.shl", segment, i32(3)), state.segmentBase), i64(0));
  const put = (value: Node) => code.store("i64.store", i32(registers), value, addressSlot);
  const segmented = (bits: 16 | 32) => {
    const linear = code.callFor("i64", mmu.segment, segment, cut(bits, effectiveAddress(main)),
      load("i32.load", upc, microOp.immediate));
    code.br(labels.fault, op("i64.eq", linear, i64(-1)), false);
    put(linear);
  };
  switch (which) {
    case builtin.address:
      put(op("i64.add", op("i64.add", effectiveAddress(main), extra), base()));
      break;
    case builtin.address32:
      put(op("i64.add", cut(32, op("i64.add", effectiveAddress(main), extra)), base()));
      break;
    case builtin.segmented32: segmented(32); break;
    case builtin.segmented16: segmented(16); break;
    case builtin.narrow32:
      put(cut(32, op("i64.add", effectiveAddress(main), extra)));
      break;
    case builtin.narrow16: put(cut(16, effectiveAddress(main))); break;
    default:
      put(op("i64.add", load("i64.load", upc, microOp.displacement), base()));
  }
}

/** Compiled code runs, and then the interpreter goes on where it has left off. */
function buildEnter(main: Main, labels: Labels, regions: RegionCall): void {
  const { code } = main;
  // The micro-op itself counts for nothing.
  code.set(main.start, op("i32.add", code.get(main.start), i32(microOp.bytes)));
  code.drop(main.charge());
  main.storeRip(main.ripHere());
  const result = callRegion(code, regions, code.get(main.upc));
  code.set(main.start, op("i32.add", code.get(main.upc), i32(microOp.bytes)));
  code.set(main.skip, op("i32.eq", result, i32(regionExit.interpret)));
  code.set(main.rip, load("i64.load", i32(0), state.rip));
  code.br(labels.lookup);
}

function buildBuiltin(main: Main, which: number, labels: Labels, parts: Parts): void {
  const { code } = main;
  const { mmu, helper } = parts;
  const upc = code.get(main.upc);
  switch (which) {
    case builtin.stale:
      code.set(main.rip, main.ripHere());
      code.br(labels.lookup);
      return;
    case builtin.goto:
      code.set(main.offset, load("i32.load", upc, microOp.displacement));
      code.br(labels.taken);
      return;
    case builtin.leavePage:
      code.set(main.rip, op("i64.add", load("i64.load", i32(registers), pageRipSlot),
        load("i64.load32_s", upc, microOp.displacement)));
      code.br(labels.lookup);
      return;
    case builtin.enter:
      buildEnter(main, labels, parts.regions);
      return;
    case builtin.direct:
      // It counts for nothing itself.
      code.set(main.upc, op("i32.sub", upc, i32(microOp.bytes)));
      code.drop(main.charge());
      main.enter(load("i32.load", op("i32.add", upc, i32(microOp.bytes)), microOp.displacement));
      code.br(labels.next);
      return;
    case builtin.helper:
      code.set(main.result, code.callFor("i32", helper, upc));
      code.br(labels.finished);
      return;
    case builtin.requireSse:
    case builtin.requireMmx: {
      const sse = which === builtin.requireSse;
      requireSimd(code, sse, !sse, (vector) => {
        code.store("i32.store", i32(0), i32(vector), state.faultVector);
        code.br(labels.fault);
      });
      return;
    }
    case builtin.requireVex:
    case builtin.requireAvx: {
      const fault = load("i32.load", i32(0),
        which === builtin.requireVex ? state.vexFault : state.avxFault);
      code.if(fault, () => {
        code.store("i32.store", i32(0), fault, state.faultVector);
        code.br(labels.fault);
      }, undefined, false);
      return;
    }
    default:
      buildAddress(main, which, labels, mmu);
  }
}

interface Parts {
  readonly mmu: MmuFunctions;
  readonly helper: number;
  readonly hot: readonly CaseDescription[];
  /** Hot cases once more, without flags; they follow the others. */
  readonly quiet: readonly CaseDescription[];
  readonly written: ReadonlyMap<string, ReadonlySet<Operand>>;
  readonly coldType: number;
  readonly map: MemoryMap;
  readonly regions: RegionCall;
  readonly countsBranches: boolean;
}

function buildCase(main: Main, number: number, labels: Labels, parts: Parts): void {
  const { code } = main;
  const taken = code.takenLocals;
  if (number < builtin.count) {
    buildBuiltin(main, number, labels, parts);
  } else if (number < builtin.count + parts.hot.length + parts.quiet.length) {
    const place = number - builtin.count;
    const isQuiet = place >= parts.hot.length;
    const each = defined(isQuiet ? parts.quiet[place - parts.hot.length] : parts.hot[place],
      "a case");
    const env: Environment = {
      code, upc: code.get(main.upc), exits: main.exits(labels), mmu: parts.mmu,
      helper: parts.helper, tlb: code.get(main.tlb),
    };
    const builder = new InterpreterBuilder(env, each.form,
      defined(parts.written.get(each.key), each.key));
    each.semantics.run(builder, ...each.operands);
    if (!isQuiet) {
      builder.finishFlags();
    }
  } else {
    const which = op("i32.sub", load("i32.load16_u", code.get(main.upc)),
      i32(builtin.count + parts.hot.length + parts.quiet.length));
    code.set(main.result, code.callIndirect("i32", { type: parts.coldType, table: 1 }, which,
      code.get(main.upc)));
    code.br(labels.finished);
  }
  code.set(main.upc, op("i32.add", code.get(main.upc), i32(microOp.bytes)));
  code.br(labels.next);
  code.recycle(taken);
}

/** (first micro-op, its index table), or zeros to start at state.rip → exit reason. */
function buildMain(module: ModuleBuilder, parts: Parts): number {
  const { index, code } = module.declare(["i32", "i32"], ["i32"]);
  const main = new Main(code);
  code.set(main.tlb, load("i32.load", i32(0), state.tlb));
  code.set(main.rip, load("i64.load", i32(0), state.rip));
  code.if(code.get(0), () => {
    main.enter(code.get(0));
    code.set(main.table, code.get(1));
  }, () => {
    // Nothing has run yet: the first look-up must charge nothing.
    code.set(main.upc, i32(-microOp.bytes));
  });
  code.loop((outer) => {
    code.block((lookup) => {
      code.br(lookup, op("i32.lt_s", code.get(main.upc), i32(0)));
      code.loop((next) => {
        code.block((fault) => {
          code.block((finished) => {
            code.block((taken) => {
              const labels = { next, taken, lookup, fault, finished };
              code.dispatch(load("i32.load16_u", code.get(main.upc)),
                builtin.count + parts.hot.length + parts.quiet.length + 1,
                (number) => buildCase(main, number, labels, parts));
            });
            buildTaken(main, next, lookup, parts);
          });
          buildFinished(main, { next, lookup, fault });
        });
        code.drop(main.charge());
        main.storeRip(main.ripHere());
        code.return(i32(exitReason.fault));
      });
    });
    buildLookup(main, outer, parts);
  });
  code.unreachable();
  return index;
}

/** Generates the whole interpreter, for memory of any size; `countsBranches` finds what is hot. */
export function generateInterpreter(countsBranches: boolean): GeneratedInterpreter {
  const map = memoryMap(0, 0);
  const module = new ModuleBuilder(anyMemory);
  const imported = importAll(module, map);
  const mmu = buildMmu(module, imported, map);
  const cases = allCases();
  const written = new Map(cases.map((each) => [each.key, writtenOperands(each, mmu)]));
  const hot = cases.filter((each) => !each.cold);
  const cold = cases.filter((each) => each.cold);
  const { effects, quiet } = studyFlags(hot, mmu);
  const operations = new Map<string, number>();
  const withoutFlags = new Map<number, number>();
  for (const [number, each] of hot.entries()) {
    operations.set(each.key, builtin.count + number);
    const place = quiet.indexOf(each);
    if (place >= 0) {
      withoutFlags.set(builtin.count + number, builtin.count + hot.length + place);
    }
  }
  for (const each of cold) {
    const index = buildCold(module, each, mmu, imported.helper,
      defined(written.get(each.key), each.key));
    operations.set(each.key,
      builtin.count + hot.length + quiet.length + module.addToTable(index));
  }
  const coldType = module.type(["i32"], ["i32"]);
  const parts: Parts = {
    mmu, helper: imported.helper, hot, quiet, written, coldType, map, countsBranches,
    regions: imported.regions,
  };
  module.export("flush", buildFlush(module));
  module.export("run", buildMain(module, parts));
  module.export("access", mmu.access);
  module.export("accessCompiled", mmu.accessCompiled);
  module.export("commit", mmu.commit);
  module.export("walk", mmu.walk);
  module.export("segment", mmu.segment);
  const writesMemory = new Set(cases.filter((each) =>
    [...defined(written.get(each.key), each.key)].some((operand) => operand.kind === "memory"))
    .map((each) => each.key));
  const flagEffects = new Map(hot.filter(isTransparent)
    .map((each) => [each.key, defined(effects.get(each.key), each.key)]));
  return { bytes: module.finish(), operations, writesMemory, flagEffects, withoutFlags };
}

/** What hot cases do with flags, and those worth having without: they write more than flags. */
function studyFlags(hot: readonly CaseDescription[], mmu: MmuFunctions) {
  const effects = new Map<string, FlagEffect>();
  const quiet: CaseDescription[] = [];
  for (const each of hot) {
    const { flagEffect, written } = rehearse(each, mmu);
    effects.set(each.key, flagEffect);
    if (flagEffect.writes && written.size > 0) {
      quiet.push(each);
    }
  }
  return { effects, quiet };
}
