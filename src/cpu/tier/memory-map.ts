/** How one vCPU's memory is laid out. Only RAM differs in size, and comes last, so that generated
 * code is the same for every machine. */
import { alignUp } from "../../base/bits.ts";
import { KiB, MiB } from "../../base/units.ts";
import { variableBase } from "../layout.ts";

export interface MemoryMap {
  /** One byte for each page of RAM and ROM: it holds decoded code. */
  readonly codePages: number;
  /** Eight bytes a page: which 64-byte lines hold decoded code. */
  readonly codeLines: number;
  /** Index tables of code pages: 4,096 pointers to micro-ops each. */
  readonly indexTables: number;
  readonly indexTableCount: number;
  readonly microOps: number;
  readonly microOpsEnd: number;
  /** Beside each micro-op, `regionEntry` of the region that it enters. */
  readonly regionEntries: number;
  /** u16 each: branches left until what a micro-op stands for is hot; by its address. */
  readonly counters: number;
  readonly counterCount: number;
  /** Where RAM starts; ROM follows RAM. */
  readonly ram: number;
  readonly ramBytes: number;
  readonly romBytes: number;
  /** Of RAM and ROM, of 4 KiB. */
  readonly pages: number;
  /** Size of the whole memory in 64 KiB pages. */
  readonly wasmPages: number;
}

export const indexTableBytes = 4096 * 4;
// A boot to user space decodes about 2,000 pages and half a million micro-ops; when either runs
// out everything is decoded anew, which costs some milliseconds.
const indexTableCount = 3072;
const microOpBytes = 32 * MiB;
const counterCount = 64 * KiB;
/** Of RAM and ROM: no WebAssembly memory has more. */
const pagesMax = 1 << 20;

export function memoryMap(ramBytes: number, romBytes: number): MemoryMap {
  const codePages = variableBase;
  const codeLines = alignUp(codePages + pagesMax, 64);
  const indexTables = alignUp(codeLines + pagesMax * 8, 4 * KiB);
  const microOps = indexTables + indexTableCount * indexTableBytes;
  const microOpsEnd = microOps + microOpBytes;
  const regionEntries = microOpsEnd;
  const counters = regionEntries + microOpBytes;
  const ram = alignUp(counters + 2 * counterCount, 64 * KiB);
  return {
    codePages, codeLines, indexTables, indexTableCount, microOps, microOpsEnd, regionEntries,
    counters, counterCount, ram, ramBytes, romBytes,
    pages: (ramBytes + romBytes) / (4 * KiB),
    wasmPages: Math.ceil((ram + ramBytes + romBytes) / (64 * KiB)),
  };
}
