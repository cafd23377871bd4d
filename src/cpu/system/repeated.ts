/** A repeated string instruction, an element at a time. */
import type { Instruction } from "../decoder/instruction.ts";
import { eflags, exitReason } from "../layout.ts";
import { repeatsOn } from "./debug-accesses.ts";
import type { Processor } from "./processor.ts";

const rcx = 1;

/** One element of a repeated string: traps come between them (SDM 2, REP). */
export function runElement(
  cpu: Processor, record: Instruction, run: () => number,
): number {
  const { addressWidth } = record;
  const { rip } = cpu;
  const count = cpu.gprSized(rcx, addressWidth);
  if (count <= 1n) {
    return run();
  }
  cpu.setGprSized(rcx, addressWidth, 1n);
  const reason = run();
  const isDone = reason !== exitReason.fault;
  cpu.setGprSized(rcx, addressWidth, isDone ? count - 1n : count);
  if (isDone && repeatsOn(record, (cpu.flags & eflags.zf) !== 0)) {
    cpu.rip = rip;
  }
  return reason;
}
