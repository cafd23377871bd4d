/** The processor after power-on or INIT (Intel SDM 3A table 9-1). */
import { segmentIndex, state } from "../layout.ts";
import { X87 } from "../x87/x87.ts";
import type { GuestState } from "./guest-state.ts";

const codeAttributes = 0x9b, dataAttributes = 0x93;
const ldtrAttributes = 0x82, tssAttributes = 0x8b;
const mxcsrDefault = 0x1f80;
/** Family 6, model 0x2C, stepping 2: what CPUID leaf 1 says too. */
export const processorSignature = 0x0002_06c2;
const patDefault = 0x0007_0406_0007_0406n;

/** Cache control: power-on sets these bits of CR0, INIT leaves them. */
const cacheBits = 0x6000_0000n;

/** The state after INIT: the general and system registers start anew, all else goes on. */
export function initialiseState(cpu: GuestState): void {
  for (let number = 0; number < 16; number += 1) {
    cpu.setGpr(number, 0n);
  }
  cpu.setGpr32(2, processorSignature);
  for (let index = 0; index < 6; index += 1) {
    cpu.setSegment(index, { selector: 0, base: 0n, limit: 0xffff, attributes: dataAttributes });
  }
  cpu.setSegment(segmentIndex.cs, {
    selector: 0xf000, base: 0xffff_0000n, limit: 0xffff, attributes: codeAttributes,
  });
  const none = { selector: 0, base: 0n, limit: 0xffff };
  cpu.setSegment(segmentIndex.ldtr, { ...none, attributes: ldtrAttributes });
  cpu.setSegment(segmentIndex.tr, { ...none, attributes: tssAttributes });
  cpu.rip = 0xfff0n;
  cpu.flags = 2;
  cpu.setU64(state.cr0, (cpu.u64(state.cr0) & cacheBits) | 0x10n);
  for (const register of [state.cr2, state.cr3, state.cr4, state.efer, state.gdtrBase,
    state.idtrBase]) {
    cpu.setU64(register, 0n);
  }
  cpu.setU32(state.gdtrLimit, 0xffff);
  cpu.setU32(state.idtrLimit, 0xffff);
  cpu.setU32(state.cpl, 0);
}

/** The state after power-on. */
export function resetState(cpu: GuestState): void {
  initialiseState(cpu);
  cpu.setU64(state.cr0, cacheBits | 0x10n);
  cpu.setU32(state.mxcsr, mxcsrDefault);
  cpu.setU64(state.pat, patDefault);
  cpu.bytes.fill(0, state.xmm, state.xmm + 0x200);
  new X87(cpu.view, state.x87).reset();
}
