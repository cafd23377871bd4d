/** Instructions that are no expressions, by mnemonic: what the generated interpreter calls. */
import type { Instruction } from "../decoder/instruction.ts";
import type { HelperRecord } from "../interpreter/code-cache.ts";
import { eflags, segmentIndex, state, status, vector } from "../layout.ts";
import * as control from "./control.ts";
import * as decimal from "./decimal.ts";
import { cpuid } from "./cpuid.ts";
import { deliverOnce } from "./delivery.ts";
import * as far from "./far.ts";
import { GuestFault } from "./fault.ts";
import { fpuHelpers } from "./fpu.ts";
import { simdHelpers } from "./simd.ts";
import * as integer from "./integer.ts";
import * as io from "./io.ts";
import { readMsr, writeMsr } from "./msr.ts";
import { readWordOperand, writeWordOperand } from "./operands.ts";
import type { Processor } from "./processor.ts";
import * as syscall from "./syscall.ts";
import * as tables from "./tables.ts";
import { xsaveHelpers } from "./xsave.ts";

/** Does one instruction; throws GuestFault. A number is a status or exit (see `status`);
 * nothing means that the guest goes on behind the instruction. */
export type Helper = (cpu: Processor, instruction: Instruction) => number | void;

function setAccessControl(value: boolean): Helper {
  return (cpu, instruction) => {
    if (cpu.cpl !== 0) {
      cpu.raise(vector.ud);
    }
    cpu.flags = value ? cpu.flags | eflags.ac : cpu.flags & ~eflags.ac;
    return cpu.resyncAfter(instruction);
  };
}

function privilegedNothing(cpu: Processor): void {
  cpu.requireCpl0();
}

function undefinedInstruction(cpu: Processor): never {
  return cpu.raise(vector.ud);
}

const interrupts: readonly (readonly [string, Helper])[] = [
  ["int", (cpu, instruction) => {
    const [operand] = instruction.operands;
    const which = operand?.kind === "immediate" ? Number(operand.value & 0xffn) : 0;
    return far.softwareInterrupt(cpu, instruction, which);
  }],
  ["int3", (cpu, instruction) => cpu.stopsHere() ? cpu.resync()
    : far.softwareInterrupt(cpu, instruction, vector.bp)],
  ["into", (cpu, instruction) => {
    if ((cpu.flags & eflags.of) !== 0) {
      return far.softwareInterrupt(cpu, instruction, vector.of);
    }
    return undefined;
  }],
  ["int1", (cpu, instruction) => {
    deliverOnce(cpu, {
      vector: vector.db, error: undefined, kind: "trap", returnRip: cpu.nextRip(instruction),
    });
    return cpu.resync();
  }],
  ["iret", far.interruptReturn], ["hlt", (cpu, instruction) => {
    cpu.requireCpl0();
    return cpu.haltAfter(instruction);
  }],
];

export const helpers: ReadonlyMap<string, Helper> = new Map<string, Helper>([
  ...interrupts, ...fpuHelpers, ...simdHelpers, ...xsaveHelpers,
  ["jmp.far", far.jumpFar], ["call.far", far.callFar], ["ret.far", far.returnFar],
  ["ud", undefinedInstruction], ["vmcall", undefinedInstruction], ["bound", integer.bound],
  ["in", io.input], ["out", io.output], ["ins", io.inputString], ["outs", io.outputString],
  ["cpuid", cpuid], ["rdtsc", integer.readTsc], ["rdtscp", integer.readTscAndAux],
  ["rdpmc", (cpu) => cpu.raise(vector.gp, 0)], ["rdmsr", readMsr], ["wrmsr", writeMsr],
  ["mov.from.control", control.moveFromControl], ["mov.to.control", control.moveToControl],
  ["mov.from.debug", control.moveFromDebug], ["mov.to.debug", control.moveToDebug],
  ["clts", control.clearTaskSwitched],
  ["smsw", (cpu, instruction) => {
    control.requireNoUmip(cpu);
    writeWordOperand(cpu, instruction, 0, cpu.cr0 & 0xffff);
  }],
  ["daa", decimal.adjustPacked(1)], ["das", decimal.adjustPacked(-1)],
  ["aaa", decimal.adjustUnpacked(1)], ["aas", decimal.adjustUnpacked(-1)],
  ["aam", decimal.adjustProduct], ["aad", decimal.adjustDividend],
  ["lmsw", (cpu, instruction) => {
    cpu.requireCpl0(); // Before the operand is read.
    return control.loadMachineStatus(cpu, readWordOperand(cpu, instruction, 0), instruction);
  }],
  ["invlpg", control.invalidatePage], ["invpcid", control.invalidatePcid],
  ["wbinvd", privilegedNothing], ["swapgs", syscall.swapGs], ["syscall", syscall.systemCall],
  ["sysret", syscall.systemReturn], ["sysenter", syscall.systemEnter],
  ["sysexit", syscall.systemExit],
  ["lgdt", tables.loadTable("gdt")], ["lidt", tables.loadTable("idt")],
  ["sgdt", tables.storeTable("gdt")], ["sidt", tables.storeTable("idt")],
  ["lldt", tables.loadLocalTable], ["sldt", tables.storeLocalTable],
  ["ltr", tables.loadTask], ["str", tables.storeTask],
  ["lar", tables.loadRights("rights")], ["lsl", tables.loadRights("limit")],
  ["verr", tables.verify("read")], ["verw", tables.verify("write")], ["arpl", tables.adjustRpl],
  ["stac", setAccessControl(true)], ["clac", setAccessControl(false)],
  ["rdrand", integer.random], ["rdseed", integer.random],
  ["rdfsbase", integer.readBase(segmentIndex.fs)], ["rdgsbase", integer.readBase(segmentIndex.gs)],
  ["wrfsbase", integer.writeBase(segmentIndex.fs)],
  ["wrgsbase", integer.writeBase(segmentIndex.gs)],
  ["div", integer.divide(false)], ["idiv", integer.divide(true)],
  ["xlat", integer.translateByte],
  ["enter", integer.enter], ["cli", integer.clearInterrupts], ["sti", integer.setInterrupts],
  ["pushf", integer.pushFlags], ["popf", integer.popFlags],
  ["mov.from.segment", integer.moveFromSegment], ["mov.to.segment", integer.moveToSegment],
  ["push.segment", integer.pushSegment], ["pop.segment", integer.popSegment],
  ["load.far", integer.loadFarPointer],
]);

/** Runs the helper of an instruction; a fault goes into the state. Returns a status. */
export function runHelper(cpu: Processor, record: HelperRecord | undefined): number {
  try {
    if (record === undefined || record === "undefined") {
      cpu.raise(vector.ud);
    }
    if (record === "long") {
      cpu.raise(vector.gp, 0);
    }
    const helper = helpers.get(record.row.mnemonic);
    return helper === undefined ? cpu.raise(vector.ud) : helper(cpu, record) ?? status.next;
  } catch (fault) {
    if (!(fault instanceof GuestFault)) {
      throw fault;
    }
    cpu.setU32(state.faultVector, fault.vector);
    cpu.setU32(state.faultError, fault.error ?? 0);
    cpu.setU64(state.faultAddress, cpu.u64(state.cr2));
    return status.fault;
  }
}
