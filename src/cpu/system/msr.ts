/** Model-specific registers (Intel SDM 4), and the TSC. */
import { eferBits, segmentIndex, state, vector } from "../layout.ts";
import type { Instruction } from "../decoder/instruction.ts";
import { isCanonical } from "./execution.ts";
import type { MsrValue } from "./options.ts";
import type { Processor } from "./processor.ts";

const number = {
  tsc: 0x10, platformId: 0x17, apicBase: 0x1b, featureControl: 0x3a, tscAdjust: 0x3b,
  specCtrl: 0x48, predCmd: 0x49, biosSignature: 0x8b, mtrrCap: 0xfe, archCapabilities: 0x10a,
  flushCmd: 0x10b, sysenterCs: 0x174, sysenterEsp: 0x175, sysenterEip: 0x176, mcgCap: 0x179,
  mcgStatus: 0x17a, miscEnable: 0x1a0, debugControl: 0x1d9, pat: 0x277, mtrrDefault: 0x2ff,
  efer: 0xc000_0080, star: 0xc000_0081, lstar: 0xc000_0082, cstar: 0xc000_0083,
  fmask: 0xc000_0084, fsBase: 0xc000_0100, gsBase: 0xc000_0101, kernelGsBase: 0xc000_0102,
  tscAux: 0xc000_0103,
} as const;

/** A software processor speculates nothing: none of the known leaks is there (SDM 4, 10AH). */
const archCapabilities = [0, 1, 3, 4, 5, 6, 8, 13, 14, 15, 20, 24, 26, 27, 62]
  .reduce((all, index) => all | (1n << BigInt(index)), 0n);
/** Fast strings; the branch-trace and PEBS stores are not there. */
const miscEnable = 0x1801n;
/** Eight variable ranges, the fixed ones, write combining. */
const mtrrCap = 0x508n;
const mtrrVariable = { first: 0x200, last: 0x20f };
const mtrrFixed = new Set([0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e,
  0x26f]);
const machineCheckBank = { first: 0x400, last: 0x47f };
const patTypes = new Set([0, 1, 4, 5, 6, 7]);
const efers = eferBits.sce | eferBits.lme | eferBits.nxe;

const rax = 0, rcx = 1, rdx = 2;

export class ModelRegisters {
  readonly #cpu: Processor;
  /** Registers that only keep what is written. */
  readonly #plain = new Map<number, bigint>();
  readonly #apicValue: MsrValue = { lo: 0, hi: 0 };
  #tscOffset = 0;
  xcr0 = 1;

  constructor(cpu: Processor) {
    this.#cpu = cpu;
  }

  reset(): void {
    this.#plain.clear();
    this.#tscOffset = -this.#cpu.options.now();
    this.xcr0 = 1;
  }

  /** The local APIC is on, as IA32_APIC_BASE says. */
  get apicEnabled(): boolean {
    const { apic } = this.#cpu.options;
    return apic !== undefined && apic.readMsr(number.apicBase, this.#apicValue)
      && (this.#apicValue.lo & 0x800) !== 0;
  }

  /** Ticks, a double: exact for a hundred days. */
  tsc(): number {
    return this.#cpu.options.now() + this.#tscOffset;
  }

  /** The clock's nanosecond at which the TSC has a value. */
  tscToNs(tsc: number): number {
    return tsc - this.#tscOffset;
  }

  plain(index: number): bigint {
    return this.#plain.get(index) ?? 0n;
  }

  get star(): bigint { return this.plain(number.star); }
  get lstar(): bigint { return this.plain(number.lstar); }
  get fmask(): number { return Number(this.plain(number.fmask) & 0xffff_ffffn); }
  get tscAux(): bigint { return this.plain(number.tscAux); }
  get sysenter(): { readonly cs: number; readonly esp: bigint; readonly eip: bigint } {
    return {
      cs: Number(this.plain(number.sysenterCs) & 0xffffn), esp: this.plain(number.sysenterEsp),
      eip: this.plain(number.sysenterEip),
    };
  }

  swapGs(): void {
    const cpu = this.#cpu;
    const kernel = this.plain(number.kernelGsBase);
    this.#plain.set(number.kernelGsBase, cpu.segmentBase(segmentIndex.gs));
    cpu.setSegmentBase(segmentIndex.gs, kernel);
  }

  read(index: number): bigint {
    const cpu = this.#cpu;
    switch (index) {
      case number.tsc: return BigInt(Math.floor(this.tsc()));
      case number.tscAdjust: return BigInt(Math.floor(this.#tscOffset));
      case number.archCapabilities: return archCapabilities;
      case number.miscEnable: return miscEnable;
      case number.mtrrCap: return mtrrCap;
      case number.pat: return cpu.u64(state.pat);
      case number.efer: return cpu.u64(state.efer);
      case number.fsBase: return cpu.segmentBase(segmentIndex.fs);
      case number.gsBase: return cpu.segmentBase(segmentIndex.gs);
      case number.platformId: case number.biosSignature: case number.mcgCap:
      case number.mcgStatus: return 0n;
      case number.featureControl: return 1n; // Locked, and VMX off.
      default: return this.#readRest(index);
    }
  }

  #readRest(index: number): bigint {
    const { apic } = this.#cpu.options;
    if (apic?.ownsMsr(index) === true) {
      if (!apic.readMsr(index, this.#apicValue)) {
        this.#cpu.raise(vector.gp, 0);
      }
      return (BigInt(this.#apicValue.hi) << 32n) | BigInt(this.#apicValue.lo);
    }
    if (!isPlain(index)) {
      this.#passOver(index);
    }
    return this.plain(index);
  }

  write(index: number, value: bigint): void {
    const cpu = this.#cpu;
    switch (index) {
      case number.tsc:
        this.#tscOffset = Number(value) - cpu.options.now();
        return;
      case number.tscAdjust:
        this.#tscOffset = Number(BigInt.asIntN(64, value));
        return;
      case number.efer: this.#writeEfer(value); return;
      case number.pat: this.#writePat(value); return;
      case number.fsBase: this.#writeBase(segmentIndex.fs, value); return;
      case number.gsBase: this.#writeBase(segmentIndex.gs, value); return;
      case number.biosSignature: case number.predCmd: case number.flushCmd:
      case number.mcgStatus: case number.miscEnable: return;
      default: this.#writeRest(index, value);
    }
  }

  #writeRest(index: number, value: bigint): void {
    const { apic } = this.#cpu.options;
    if (apic?.ownsMsr(index) === true) {
      this.#apicValue.lo = Number(value & 0xffff_ffffn);
      this.#apicValue.hi = Number(value >> 32n);
      if (!apic.writeMsr(index, this.#apicValue)) {
        this.#cpu.raise(vector.gp, 0);
      }
      return;
    }
    const readOnly = index === number.mtrrCap || index === number.archCapabilities
      || index === number.platformId || index === number.mcgCap || index === number.featureControl;
    const needsCanonical = index === number.lstar || index === number.cstar
      || index === number.kernelGsBase || index === number.sysenterEsp
      || index === number.sysenterEip;
    if (!isPlain(index) && !readOnly) {
      this.#passOver(index, value);
      return;
    }
    if (readOnly || (needsCanonical && !isCanonical(value))) {
      this.#cpu.raise(vector.gp, 0);
    }
    this.#plain.set(index, value);
  }

  /** #GP, unless whoever runs us wants unknown registers passed over. */
  #passOver(index: number, value?: bigint): void {
    const { unknownMsr } = this.#cpu.options;
    if (unknownMsr?.(index, value) !== true) {
      this.#cpu.raise(vector.gp, 0);
    }
  }

  #writeBase(segment: number, value: bigint): void {
    if (!isCanonical(value)) {
      this.#cpu.raise(vector.gp, 0);
    }
    this.#cpu.setSegmentBase(segment, value);
  }

  #writeEfer(value: bigint): void {
    const cpu = this.#cpu;
    const changesLme = ((value ^ cpu.u64(state.efer)) & BigInt(eferBits.lme)) !== 0n;
    if ((value & ~BigInt(efers | eferBits.lma)) !== 0n
      || (changesLme && (cpu.cr0 & 0x8000_0000) !== 0)) {
      cpu.raise(vector.gp, 0);
    }
    const lma = cpu.efer & eferBits.lma;
    cpu.setU64(state.efer, BigInt((Number(value) & efers) | lma));
    cpu.flushTlb();
  }

  #writePat(value: bigint): void {
    for (let index = 0n; index < 8n; index += 1n) {
      if (!patTypes.has(Number((value >> (8n * index)) & 0xffn))) {
        this.#cpu.raise(vector.gp, 0);
      }
    }
    this.#cpu.setU64(state.pat, value);
  }
}

const plainNumbers = new Set<number>([
  number.specCtrl, number.sysenterCs, number.sysenterEsp, number.sysenterEip, number.debugControl,
  number.mtrrDefault, number.star, number.lstar, number.cstar, number.fmask, number.kernelGsBase,
  number.tscAux,
]);

function isPlain(index: number): boolean {
  return plainNumbers.has(index) || mtrrFixed.has(index)
    || (index >= mtrrVariable.first && index <= mtrrVariable.last)
    || (index >= machineCheckBank.first && index <= machineCheckBank.last);
}

export function readMsr(cpu: Processor): void {
  cpu.requireCpl0();
  const value = cpu.msr.read(cpu.gpr32(rcx));
  cpu.setGpr(rax, value & 0xffff_ffffn);
  cpu.setGpr(rdx, value >> 32n);
}

export function writeMsr(cpu: Processor, instruction: Instruction): number {
  cpu.requireCpl0();
  const value = ((cpu.gpr(rdx) & 0xffff_ffffn) << 32n) | (cpu.gpr(rax) & 0xffff_ffffn);
  cpu.msr.write(cpu.gpr32(rcx), value);
  return cpu.resyncAfter(instruction);
}

/** Splits a TSC value into EDX:EAX. */
export function setTsc(cpu: Processor): void {
  const tsc = Math.floor(cpu.msr.tsc());
  const wrapped = tsc < 0 ? Number(BigInt.asUintN(64, BigInt(tsc))) : tsc;
  cpu.setGpr32(rax, wrapped % 2 ** 32);
  cpu.setGpr32(rdx, Math.floor(wrapped / 2 ** 32) % 2 ** 32);
}
