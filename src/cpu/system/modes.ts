/** What follows from the control registers and segments: kind of code, translations in force, and
 * what VEX-encoded instructions meet. */
import type { CodeMode } from "../interpreter/forms.ts";
import {
  attribute, cr4Bits, eflags, itlbBase, itlbBytes, segmentIndex, state, tlbBase, tlbSetBytes,
  tlbSets, vector,
} from "../layout.ts";
import type { Execution } from "./execution.ts";
import type { Processor } from "./processor.ts";

/** SSE and AVX state in XCR0. */
const vectorStates = 6;

export function codeModeOf(cpu: Execution): CodeMode {
  const code = cpu.segmentAttributes(segmentIndex.cs);
  if (cpu.isLongMode && (code & attribute.long) !== 0) {
    return { bits: 64, stackBits: 64 };
  }
  const stack = cpu.segmentAttributes(segmentIndex.ss);
  const bitsOf = (attributes: number) => (attributes & attribute.big) !== 0 ? 32 : 16;
  return { bits: bitsOf(code), stackBits: bitsOf(stack) };
}

/** Points generated code to the TLB sets of the present privilege. */
export function selectTlb(cpu: Execution): void {
  const user = cpu.cpl === 3;
  const open = (cpu.cr4 & cr4Bits.smap) !== 0 && (cpu.u32(state.systemFlags) & eflags.ac) !== 0;
  const set = user ? tlbSets.user : open ? tlbSets.supervisorAc : tlbSets.supervisor;
  cpu.setU32(state.tlb, tlbBase + set * tlbSetBytes);
  cpu.setU32(state.itlb, itlbBase + (user ? tlbSets.user : tlbSets.supervisor) * itlbBytes);
}

/** The exception of VEX-encoded instructions, or 0 (SDM 2A §2.4, §2.5). */
export function setVexFaults(cpu: Processor): void {
  const vex = cpu.isProtected && !cpu.isVirtual8086 ? 0 : vector.ud;
  const enabled = (cpu.cr4 & cr4Bits.osxsave) !== 0
    && (cpu.msr.xcr0 & vectorStates) === vectorStates;
  const avx = vex !== 0 || !enabled ? vector.ud : cpu.hasCr0("ts") ? vector.nm : 0;
  cpu.setU32(state.vexFault, vex);
  cpu.setU32(state.avxFault, avx);
}
