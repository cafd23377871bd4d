/** What a processor has done, for people: `vmm.soft.stats`. */
import { exitReason, state } from "../layout.ts";
import type { Processor } from "./processor.ts";

const perMillion = 1e6;

/** Lines of text: instructions, exits by kind, memory translation, compiled code. */
export function statisticsOf(cpu: Processor): string[] {
  const { counts, code, regions } = cpu;
  const kinds = Object.entries(exitReason)
    .map(([name, number]) => `${counts.exits[number] ?? 0} ${name}`);
  const misses = cpu.u32(state.tlbMisses);
  const millions = (counts.instructions / perMillion).toFixed(1);
  const lines = [
    `instructions: about ${millions} million, ${code.decodedInstructions} decoded`,
    `exits: ${kinds.join(", ")}`,
    `helpers: ${counts.helpers}; exceptions: ${counts.faults}; interrupts: ${counts.interrupts}`,
    `translation: ${misses} TLB misses, ${counts.tlbFlushes} flushes, `
      + `${code.invalidations} pages of code dropped`,
  ];
  if (regions === undefined) {
    return [...lines, "compiled code: none, vmm.soft.jit=false"];
  }
  const { compiled, dropped, instructions, bytes, milliseconds } = regions.counts;
  return [...lines,
    `compiled code: ${compiled} regions of ${instructions} instructions in ${bytes} bytes, `
      + `${dropped} dropped, ${regions.liveCount} live; ${milliseconds.toFixed(0)} ms of compiling`,
  ];
}
