/** Where the interpreter goes over to compiled code, and counts what is worth compiling. */
import {
  exitReason, microOp, pageRipSlot, regionEntry, registers, state,
} from "../layout.ts";
import type { MemoryMap } from "../tier/memory-map.ts";
import { i32, i64, load, op, type Code, type Node } from "../wasm/code.ts";
import type { ModuleBuilder } from "../wasm/module.ts";
import { builtin } from "./builtin.ts";

/** What a region's function returns: deliver the fault in the state, interpret what is at
 * state.rip, or go on there. The first two are what `accessCompiled` says too (../tier/mmu.ts). */
export const regionExit = { fault: 0, interpret: 1, goOn: 2 } as const;

/** The table of regions' functions: (entry number, RIP of its first page) → `regionExit`. */
export const regionTable = "regions";

export interface RegionCall {
  /** Type index of regions' functions. */
  readonly type: number;
  readonly map: MemoryMap;
}

export function declareRegions(module: ModuleBuilder, map: MemoryMap): RegionCall {
  module.importTable(regionTable);
  return { type: module.type(["i32", "i64"], ["i32"]), map };
}

/** Calls the region that the micro-op at `upc` enters; faults return from the function. */
export function callRegion(code: Code, { type, map }: RegionCall, upc: Node): Node {
  const distance = map.regionEntries - map.microOps;
  const field = (offset: number) => load("i32.load", upc, distance + offset);
  const entry = load("i32.load16_u", upc, distance + regionEntry.entry);
  const before = op("i64.shl", op("i64.extend_i32_s", field(regionEntry.pages)), i64(12));
  const base = op("i64.sub", load("i64.load", i32(registers), pageRipSlot), before);
  code.store("i32.store", i32(0), i32(0), state.codeChanged);
  const result = code.callIndirect("i32", { type, table: 0 }, field(regionEntry.slot), entry, base);
  code.if(op("i32.eq", result, i32(regionExit.fault)),
    () => code.return(i32(exitReason.fault)), undefined, false);
  return result;
}

/** The micro-op at `pointer`, or a copy of what it was before it entered a region. */
export function bypass(code: Code, map: MemoryMap, pointer: Node): Node {
  const distance = map.regionEntries - map.microOps;
  const chosen = code.local("i32");
  code.set(chosen, pointer);
  const enters = op("i32.eq", load("i32.load16_u", pointer), i32(builtin.enter));
  code.if(enters, () => {
    code.copy(i32(state.bypass), pointer, i32(microOp.bytes));
    code.store("i32.store16", i32(0),
      load("i32.load16_u", pointer, distance + regionEntry.operation), state.bypass);
    const next = state.bypass + microOp.bytes;
    code.store("i32.store16", i32(0), i32(builtin.direct), next + microOp.operation);
    code.store("i32.store", i32(0), op("i32.add", pointer, i32(microOp.bytes)),
      next + microOp.displacement);
    code.store("i32.store", i32(0), pointer, state.bypassed);
    code.set(chosen, i32(state.bypass));
  });
  return code.get(chosen);
}

/** Counts a branch to `pointer`; runs `hot` when it was the last before the code is hot. */
export function countBranch(code: Code, map: MemoryMap, pointer: Node, hot: () => void): void {
  const slot = code.bind(op("i32.and", op("i32.shr_u", pointer, i32(3)),
    i32(map.counterCount * 2 - 2)));
  const left = code.bind(op("i32.sub", load("i32.load16_u", slot, map.counters), i32(1)));
  code.store("i32.store16", slot, left, map.counters);
  code.if(op("i32.eqz", left), hot, undefined, false);
}
