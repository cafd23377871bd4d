/** SYSCALL, SYSRET, SYSENTER, SYSEXIT and SWAPGS (Intel SDM 2B). */
import type { Instruction } from "../decoder/instruction.ts";
import { eferBits, eflags, segmentIndex, state, vector } from "../layout.ts";
import { isCanonical } from "./execution.ts";
import type { Processor } from "./processor.ts";

const rcx = 1, rdx = 2, rsp = 4, r11 = 11;
/** Flat segments: present, with DPL; code is readable, data writable. */
const flat = { base: 0n, limit: 0xffff_ffff };
const code64 = 0xa09b, code32 = 0xc09b, data = 0xc093;
const user = 3 << 5;
/** SYSRET takes these from R11. */
const returnedFlags = 0x3c_7fd7;

function setPair(
  cpu: Processor, cs: number, code: number, ss: number, cpl: 0 | 3,
): void {
  const dpl = cpl === 3 ? user : 0;
  cpu.setSegment(segmentIndex.cs, { ...flat, selector: cs, attributes: code | dpl });
  cpu.setSegment(segmentIndex.ss, { ...flat, selector: ss, attributes: data | dpl });
  cpu.setU32(state.cpl, cpl);
}

export function systemCall(cpu: Processor, instruction: Instruction): number {
  if (!cpu.is64Bit || (cpu.efer & eferBits.sce) === 0) {
    cpu.raise(vector.ud);
  }
  const { msr } = cpu;
  const { flags } = cpu;
  cpu.setGpr(rcx, cpu.nextRip(instruction));
  cpu.setGpr(r11, BigInt(flags & ~eflags.rf));
  const selector = Number((msr.star >> 32n) & 0xfffcn);
  setPair(cpu, selector, code64, selector + 8, 0);
  cpu.flags = flags & ~msr.fmask & ~eflags.rf;
  cpu.rip = msr.lstar;
  return cpu.resync();
}

export function systemReturn(cpu: Processor, instruction: Instruction): number {
  if (!cpu.is64Bit || (cpu.efer & eferBits.sce) === 0) {
    cpu.raise(vector.ud);
  }
  const to64 = instruction.operandWidth === 64;
  if (cpu.cpl !== 0 || (to64 && !isCanonical(cpu.gpr(rcx)))) {
    cpu.raise(vector.gp, 0);
  }
  const selector = Number((cpu.msr.star >> 48n) & 0xffffn);
  const target = to64 ? cpu.gpr(rcx) : BigInt(cpu.gpr32(rcx));
  setPair(cpu, ((selector + (to64 ? 16 : 0)) & 0xffff) | 3, to64 ? code64 : code32,
    (selector + 8) | 3, 3);
  cpu.flags = cpu.gpr32(r11) & returnedFlags;
  cpu.rip = target;
  return cpu.resync();
}

export function systemEnter(cpu: Processor): number {
  const { cs, esp, eip } = cpu.msr.sysenter;
  if (!cpu.isProtected || (cs & 0xfffc) === 0) {
    cpu.raise(vector.gp, 0);
  }
  const long = cpu.isLongMode;
  cpu.flags = cpu.flags & ~(eflags.vm | eflags.if | eflags.rf);
  const selector = cs & 0xfffc;
  setPair(cpu, selector, long ? code64 : code32, selector + 8, 0);
  cpu.setGpr(rsp, long ? esp : esp & 0xffff_ffffn);
  cpu.rip = long ? eip : eip & 0xffff_ffffn;
  return cpu.resync();
}

export function systemExit(cpu: Processor, instruction: Instruction): number {
  const { cs } = cpu.msr.sysenter;
  if (!cpu.isProtected || (cs & 0xfffc) === 0 || cpu.cpl !== 0) {
    cpu.raise(vector.gp, 0);
  }
  const to64 = instruction.operandWidth === 64;
  if (to64 && (!isCanonical(cpu.gpr(rdx)) || !isCanonical(cpu.gpr(rcx)))) {
    cpu.raise(vector.gp, 0);
  }
  const offset = to64 ? 32 : 16;
  const target = to64 ? cpu.gpr(rdx) : BigInt(cpu.gpr32(rdx));
  const stack = to64 ? cpu.gpr(rcx) : BigInt(cpu.gpr32(rcx));
  setPair(cpu, (cs + offset) | 3, to64 ? code64 : code32, (cs + offset + 8) | 3, 3);
  cpu.setGpr(rsp, stack);
  cpu.rip = target;
  return cpu.resync();
}

export function swapGs(cpu: Processor): void {
  cpu.requireCpl0();
  cpu.msr.swapGs();
}
