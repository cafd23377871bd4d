/** Emptying the soft TLB (see ../layout.ts), from outside the generated module and inside. */
import {
  emptyTag, itlbBase, itlbBytes, tlbArrayBytes, tlbBase, tlbSetBytes, tlbSetCount,
} from "../layout.ts";
import { i32, i64 } from "../wasm/code.ts";
import type { ModuleBuilder } from "../wasm/module.ts";

/**
 * Empties one array of entries. A tag of ones is near every address of the last page, which looks
 * for itself in the last entry: that one gets the tag of page 0, which never looks there.
 */
export function emptyTlbArray(bytes: Uint8Array, start: number): void {
  const end = start + tlbArrayBytes;
  bytes.fill(emptyTag, start, end);
  bytes.fill(0, end - 16, end - 8);
}

/** () → nothing: empties all sets and the instruction TLB behind them. A fill in WebAssembly takes
 * a tenth of the time of one of a shared typed array. */
export function buildFlush(module: ModuleBuilder): number {
  const { index, code } = module.declare([], []);
  const end = itlbBase + tlbSetCount * itlbBytes;
  code.fill(i32(tlbBase), i32(emptyTag), i32(end - tlbBase));
  for (let array = tlbBase; array < tlbBase + tlbSetCount * tlbSetBytes; array += tlbArrayBytes) {
    code.store("i64.store", i32(0), i64(0), array + tlbArrayBytes - 16);
  }
  return index;
}
