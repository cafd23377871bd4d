/** What an MSR does that a back end has not: `x86.strictmsr`, `x86.verbosemsr`. */
import { limitedLog } from "../base/log.ts";
import type { VmOptions } from "./hypervisor.ts";

/** Whether a read gives 0 and a write is lost, instead of #GP; writes come with their value. */
export type UnknownMsr = (index: number, value?: bigint) => boolean;

export function unknownMsr({ x86, log }: Pick<VmOptions, "x86" | "log">): UnknownMsr {
  const limited = limitedLog(log);
  return (index, value) => {
    if (x86?.verboseMsr === true) {
      limited.info(value === undefined ? `rdmsr of unknown register 0x${index.toString(16)}`
        : `wrmsr of 0x${value.toString(16)} to unknown register 0x${index.toString(16)}`);
    }
    return x86?.strictMsr === false;
  };
}
