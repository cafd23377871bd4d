/**
 * How a guest reaches a local APIC: the memory page (Intel SDM 3A §11.4.1, table 11-1) and the
 * MSRs 0x800-0x83F (§11.12.1.2), from one table.
 */
import { wideDestination } from "../../fabric/apic-bus.ts";
import type { AccessHandler } from "../../fabric/address-space.ts";
import { onesOf } from "../../base/bits.ts";
import { registerMap, type Row } from "../../fabric/register-map.ts";
import { lvt, type Lapic } from "./lapic.ts";

/** Integrated APIC with seven LVT entries. */
const version = 0x14 | (6 << 16);

type LapicRow = Row<Lapic>;

function vectorRows(first: number, name: "ISR" | "TMR" | "IRR"): LapicRow[] {
  const field = { ISR: "isr", TMR: "tmr", IRR: "irr" } as const;
  return Array.from({ length: 8 }, (_, index) => [
    first + index * 16, `${name}${index}`, "r",
    { read: (lapic: Lapic) => lapic.state[field[name]][index] ?? 0 },
  ] as const);
}

function lvtRow(offset: number, name: string, index: number): LapicRow {
  return [offset, name, "rw", {
    read: (lapic) => lapic.state.lvt[index] ?? 0,
    write: (lapic, value) => lapic.writeLvt(index, value),
  }];
}

const rows: readonly LapicRow[] = [
  [0x020, "ID", "r", { read: (lapic) => lapic.isX2apic ? lapic.id : (lapic.id << 24) >>> 0 }],
  [0x030, "VERSION", "r", { read: () => version }],
  [0x080, "TPR", "rw", {
    read: (lapic) => lapic.tpr, write: (lapic, value) => { lapic.tpr = value; },
  }],
  [0x0a0, "PPR", "r", { read: (lapic) => lapic.ppr }],
  [0x0b0, "EOI", "w", { write: (lapic) => lapic.endOfInterrupt() }],
  [0x0d0, "LDR", "rw", {
    read: (lapic) => lapic.logicalId(),
    write: (lapic, value) => { lapic.state.ldr = (value & 0xff00_0000) >>> 0; },
  }],
  [0x0e0, "DFR", "rw", {
    field: "dfr", write: (lapic, value) => { lapic.state.dfr = (value | 0x0fff_ffff) >>> 0; },
  }],
  [0x0f0, "SVR", "rw", { field: "svr", write: (lapic, value) => lapic.writeSpurious(value) }],
  ...vectorRows(0x100, "ISR"), ...vectorRows(0x180, "TMR"), ...vectorRows(0x200, "IRR"),
  [0x280, "ESR", "rw", { field: "esr", write: (lapic) => lapic.writeErrorStatus() }],
  lvtRow(0x2f0, "LVT CMCI", lvt.cmci),
  [0x300, "ICR low", "rw", {
    field: "icrLow", write: (lapic, value) => {
      lapic.state.icrLow = value & 0x000c_cfff;
      lapic.command(value, wideDestination(lapic.state.icrHigh >>> 24));
    },
  }],
  [0x310, "ICR high", "rw", {
    field: "icrHigh",
    write: (lapic, value) => { lapic.state.icrHigh = (value & 0xff00_0000) >>> 0; },
  }],
  lvtRow(0x320, "LVT timer", lvt.timer), lvtRow(0x330, "LVT thermal", lvt.thermal),
  lvtRow(0x340, "LVT performance", lvt.performance), lvtRow(0x350, "LVT LINT0", lvt.lint0),
  lvtRow(0x360, "LVT LINT1", lvt.lint1), lvtRow(0x370, "LVT error", lvt.error),
  [0x380, "Initial count", "rw", {
    read: (lapic) => lapic.timer.state.initialCount,
    write: (lapic, value) => lapic.timer.setInitialCount(value),
  }],
  [0x390, "Current count", "r", { read: (lapic) => lapic.timer.currentCount() }],
  [0x3e0, "Divide", "rw", {
    read: (lapic) => lapic.timer.state.divide,
    write: (lapic, value) => lapic.timer.setDivide(value & 0xb),
  }],
];

const registers = registerMap<Lapic>({ size: 0x400, width: 4, empty: 0, rows });

/** Answers for the page at 0xFEE00000; in x2APIC mode and when disabled nothing is there. */
export function lapicPage(lapic: Lapic): AccessHandler {
  return {
    read: (offset, size) => lapic.isEnabled && !lapic.isX2apic
      ? registers.read(lapic, offset, size)
      : onesOf(size),
    write: (offset, size, value) => {
      if (lapic.isEnabled && !lapic.isX2apic) {
        registers.write(lapic, offset, size, value);
      }
    },
  };
}

/** A 64-bit MSR in two unsigned halves; the caller keeps one and reuses it. */
export interface MsrValue {
  lo: number;
  hi: number;
}

export const lapicMsr = {
  apicBase: 0x1b, tscDeadline: 0x6e0, x2apicFirst: 0x800, x2apicLast: 0x8ff,
  icr: 0x830, selfIpi: 0x83f,
} as const;

/** Registers of the page that x2APIC has as MSRs too (§11.12.1.2): not DFR, nor ICR high. */
const x2apicAccess = new Map(rows.filter(([offset]) => offset !== 0x0e0 && offset !== 0x310)
  .map(([offset, name, access]) => [
    lapicMsr.x2apicFirst + offset / 16, name === "LDR" ? "r" : access,
  ]));

/** Values above these are reserved in x2APIC mode, and #GP. */
const x2apicMax = new Map([[0x808, 0xff], [0x80b, 0], [0x828, 0], [0x83f, 0xff]]);

/** This MSR belongs to the local APIC. */
export function isLapicMsr(index: number): boolean {
  return (index >= lapicMsr.x2apicFirst && index <= lapicMsr.x2apicLast)
    || index === lapicMsr.apicBase || index === lapicMsr.tscDeadline;
}

/** Reads into `result`; false where the processor raises #GP. */
export function readLapicMsr(lapic: Lapic, index: number, result: MsrValue): boolean {
  const { state } = lapic;
  result.hi = 0;
  if (index === lapicMsr.apicBase) {
    result.lo = state.apicBase;
    return true;
  }
  if (index === lapicMsr.tscDeadline) {
    result.lo = state.timer.deadlineLow;
    result.hi = state.timer.deadlineHigh;
    return true;
  }
  if (!lapic.isX2apic || x2apicAccess.get(index)?.includes("r") !== true) {
    return false;
  }
  result.lo = registers.read(lapic, (index - lapicMsr.x2apicFirst) * 16, 4);
  result.hi = index === lapicMsr.icr ? state.icrHigh : 0;
  return true;
}

/** False where the processor raises #GP. */
export function writeLapicMsr(lapic: Lapic, index: number, value: MsrValue): boolean {
  const { lo, hi } = value;
  if (index === lapicMsr.apicBase) {
    return lapic.writeBase(lo, hi);
  }
  if (index === lapicMsr.tscDeadline) {
    lapic.timer.setDeadline(lo, hi);
    return true;
  }
  const reserved = (hi !== 0 && index !== lapicMsr.icr)
    || lo > (x2apicMax.get(index) ?? 0xffff_ffff);
  if (!lapic.isX2apic || reserved) {
    return false;
  }
  if (index === lapicMsr.selfIpi) {
    lapic.command(lo | (1 << 18), 0);
    return true;
  }
  if (index === lapicMsr.icr) {
    lapic.state.icrLow = lo & 0x000c_cfff;
    lapic.state.icrHigh = hi;
    lapic.command(lo, hi);
    return true;
  }
  if (x2apicAccess.get(index)?.includes("w") !== true) {
    return false;
  }
  registers.write(lapic, (index - lapicMsr.x2apicFirst) * 16, 4, lo);
  return true;
}
