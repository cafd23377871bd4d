/** The task-state segment as delivery reads it (Intel SDM 3A §7.2.1, §7.6, §7.7). */
import { segmentIndex, vector } from "../layout.ts";
import type { Processor } from "./processor.ts";
import { descriptorType, typeOf } from "./segments.ts";

function check(cpu: Processor, offset: number, bytes: number): bigint {
  if (offset + bytes - 1 > cpu.segmentLimit(segmentIndex.tr)) {
    cpu.raise(vector.ts, cpu.selector(segmentIndex.tr) & 0xfffc);
  }
  return cpu.segmentBase(segmentIndex.tr) + BigInt(offset);
}

const long = { rsp0: 4, ist1: 36 };

/** Stack pointers that the TSS holds for more privileged code. */
export const innerStack = {
  /** RSPn of the 64-bit TSS. */
  long(cpu: Processor, cpl: number): bigint {
    return cpu.access.read(check(cpu, long.rsp0 + cpl * 8, 8), 8, "system");
  },

  /** ISTn, n from 1 to 7. */
  interruptStack(cpu: Processor, index: number): bigint {
    return cpu.access.read(check(cpu, long.ist1 + (index - 1) * 8, 8), 8, "system");
  },

  /** SSn:ESPn of a 32-bit or 16-bit TSS. */
  legacy(cpu: Processor, cpl: number): { selector: number; pointer: bigint } {
    const type = typeOf(cpu.segmentAttributes(segmentIndex.tr));
    if (type === descriptorType.tss16Busy || type === descriptorType.tss16Available) {
      const at = check(cpu, 2 + cpl * 4, 4);
      return {
        pointer: cpu.access.read(at, 2, "system"),
        selector: cpu.access.read32(at + 2n, 2, "system"),
      };
    }
    const at = check(cpu, 4 + cpl * 8, 6);
    return {
      pointer: cpu.access.read(at, 4, "system"),
      selector: cpu.access.read32(at + 4n, 2, "system"),
    };
  },
};
