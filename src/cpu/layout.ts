/**
 * Where the vCPU's state lies in the shared memory: below guest RAM, at fixed addresses, so that
 * generated code reaches every field with a constant. The Chapter numbers are those of the Intel
 * SDM, volume 3A.
 */

/** General registers: 16 of 8 bytes, then slots that micro-ops may name as registers too. */
export const registers = 0x1000;
/** Always zero: stands for an absent base or index. */
export const zeroSlot = 16 * 8;
/** Linear address computed by a preceding `ea` micro-op. */
export const addressSlot = 17 * 8;
/** RIP that the first byte of the current code page has, for RIP-relative operands. */
export const pageRipSlot = 18 * 8;

export const state = {
  rip: 0x10a0,
  /** Flags without kinds: the last result sign-extended; carry vector with CF in bit 63 and
   * CF^OF in bit 62; AF in bit 3, parity correction in bits 15:8, sign correction in bit 31. */
  flagResult: 0x10a8,
  flagCarry: 0x10b0,
  flagAux: 0x10b8,
  /** RFLAGS without CF PF AF ZF SF OF, and without the fixed bit 1. */
  systemFlags: 0x10bc,
  xmm: 0x1100,
  ymmHigh: 0x1200,
  /** Eight segment registers each: es cs ss ds fs gs ldtr tr. */
  segmentBase: 0x1300,
  segmentSelector: 0x1340,
  segmentLimit: 0x1360,
  segmentAttributes: 0x1380,
  gdtrBase: 0x13a0,
  idtrBase: 0x13a8,
  gdtrLimit: 0x13b0,
  idtrLimit: 0x13b4,
  cr0: 0x13c0,
  cr2: 0x13c8,
  cr3: 0x13d0,
  cr4: 0x13d8,
  efer: 0x13e0,
  mxcsr: 0x1400,
  /** Address of the soft TLB set for the present privilege. */
  tlb: 0x1404,
  cpl: 0x1408,
  /** Time slice: 16 for each micro-op; run() returns at a taken branch once it is spent. */
  budget: 0x140c,
  /** Non-zero when an interrupt may be deliverable; STI and POPF look at it. */
  attention: 0x1410,
  /** The fault that a slow path met. */
  faultVector: 0x1418,
  faultError: 0x141c,
  faultAddress: 0x1420,
  /** Bits 51:12 of the physical addresses allowed in page tables; above is reserved. */
  nxReserved: 0x1428,
  /** Address of the instruction TLB for the present privilege. */
  itlb: 0x1430,
  /** Compiled code leaves its loops once the budget is not above it: 0, or the largest number. */
  poll: 0x1434,
  /** Counters for `vmm.soft.stats`. */
  tlbMisses: 0x1438,
  /** A store has dropped compiled code since the region in hand was entered. */
  codeChanged: 0x143c,
  /** Memory-type regions: count, then entries of 32 bytes. */
  regionCount: 0x1440,
  /** Physical regions that are memory: start, end (i64), delta to the host address, flags. */
  regions: 0x1448,
  /** Accesses that cross a page or reach a device go through here. */
  scratch: 0x1500,
  pendingAddress: 0x1540,
  pendingSize: 0x1548,
  pendingKind: 0x154c,
  pendingHost0: 0x1550,
  pendingHost1: 0x1554,
  pendingGpa: 0x1558,
  /** A copy of a micro-op that would enter a region, to be interpreted, and a way back; then the
   * address of the original. */
  bypass: 0x1580,
  bypassed: 0x15a0,
  pat: 0x1560,
  pkru: 0x1568,
  /** The exception (#UD, #NM) that vector instructions behind VEX meet, and that those of general
   * registers meet outside 64-bit mode; 0 where they are allowed. */
  avxFault: 0x156c,
  vexFault: 0x1570,
  /** Non-zero: accesses to devices may end the run before their instruction (`PhysicalBus`). */
  deviceExits: 0x1574,
  x87: 0x1600,
} as const;

export const regionFlags = { readOnly: 1 } as const;
export const regionsMax = 5;

/** Soft TLB: a set has a read and a write array of 1,024 entries {i64 page, i32 delta, pad}. */
export const tlbEntries = 1024;
export const tlbArrayBytes = tlbEntries * 16;
export const tlbSetBytes = 2 * tlbArrayBytes;
export const tlbBase = 0x1_0000;
/** Which translations a privilege sees: supervisor, user, supervisor with EFLAGS.AC (SMAP §4.6). */
export const tlbSets = { supervisor: 0, user: 1, supervisorAc: 2 } as const;
export const tlbSetCount = 3;
/** Instruction TLB: entries {i64 page, i32 code page index table, pad}; one set a privilege. */
export const itlbEntries = 512;
export const itlbBytes = itlbEntries * 16;
export const itlbBase = tlbBase + tlbSetCount * tlbSetBytes;
/** After the fixed tables: page flags and line maps, by RAM page; then code; then RAM. */
export const variableBase = 0x4_0000;

/** A TLB entry that matches no page: no linear page address has low bits set. */
export const emptyTag = 0xff;

export const segmentIndex = {
  es: 0, cs: 1, ss: 2, ds: 3, fs: 4, gs: 5, ldtr: 6, tr: 7,
} as const;
export type SegmentRegister = keyof typeof segmentIndex;

/** Bits of segment attributes (VMCS access-rights format, SDM 3C §24.4.1). */
export const attribute = {
  typeMask: 0xf, system: 0x10, dplShift: 5, present: 0x80, long: 0x2000, big: 0x4000,
  granularity: 0x8000, unusable: 0x1_0000,
} as const;

/** RFLAGS bits (SDM 1 §3.4.3). */
export const eflags = {
  cf: 1, fixed: 2, pf: 4, af: 0x10, zf: 0x40, sf: 0x80, tf: 0x100, if: 0x200, df: 0x400,
  of: 0x800, iopl: 0x3000, nt: 0x4000, rf: 0x1_0000, vm: 0x2_0000, ac: 0x4_0000,
  vif: 0x8_0000, vip: 0x10_0000, id: 0x20_0000,
} as const;
export const arithmeticFlags = 0x8d5;

/** Exception vectors (SDM 3A §6.3.1). */
export const vector = {
  de: 0, db: 1, nmi: 2, bp: 3, of: 4, br: 5, ud: 6, nm: 7, df: 8, ts: 10, np: 11, ss: 12, gp: 13,
  pf: 14, mf: 16, ac: 17, mc: 18, xm: 19,
} as const;

/** A micro-op: 16 bytes. */
export const microOp = {
  bytes: 16,
  /** u16: the case of the interpreter. */
  operation: 0,
  /** u16: offset of the instruction in its page (bits 11:0) and its length (bits 15:12). */
  place: 2,
  /** u8 each: byte offsets from `registers` (or from xmm, mmx). */
  first: 4,
  base: 5,
  index: 6,
  scale: 7,
  /** i32 */
  displacement: 8,
  immediate: 12,
  /** u8 each, beside an immediate of 8 bits: byte offsets of more registers. */
  third: 13,
  fourth: 14,
} as const;

/** What stands beside a micro-op that enters a region: as far from it as the tables are apart. */
export const regionEntry = {
  /** u16: the operation that the micro-op had. */
  operation: 0,
  /** u16: the entry of the function. */
  entry: 2,
  /** u32: the function's place in the table. */
  slot: 4,
  /** i32: pages from the region's first page to this one. */
  pages: 8,
} as const;

/** `state.poll` when the vCPU shall look around: no budget is above it. */
export const pollNow = 0x7fff_ffff;

/** Why `run` returned. */
export const exitReason = {
  /** The code at state.rip is not decoded, or not in the instruction TLB. */
  lookup: 0,
  budget: 1,
  /** state.fault* holds an exception of the instruction at state.rip. */
  fault: 2,
  /** A helper changed the mode, privilege or translation; go on at state.rip. */
  resync: 3,
  halt: 4,
  /** Like resync, and interrupts wait for one more instruction (STI, MOV SS). */
  shadow: 5,
  shutdown: 6,
  /** The code at state.rip has been branched to often enough to be compiled. */
  hot: 7,
} as const;

/** What a helper tells the generated code. */
export const helperStatus = { next: -1, retry: -2 } as const;

/** How an out-of-line case or a helper ends; larger numbers are exit reasons plus `leave`. */
export const status = { next: 0, retry: 1, again: 2, fault: 3, leave: 16 } as const;

/** The request word of a slow access: size in bytes, and what the access wants. */
export const access = { sizeMask: 0xff, write: 0x100, modify: 0x200 } as const;

/** Page-fault error code bits (SDM 3A §4.7), which the walk takes as its request too. */
export const pageFault = { present: 1, write: 2, user: 4, reserved: 8, fetch: 16 } as const;

/** The error of a #GP for an address that is not canonical: a stack access makes it #SS. */
export const notCanonical = 0xffff_ffff;

/** Any address from here on is memory of the guest; below are our own structures. */
export const scratchEnd = 0x2000;

export const cr0Bits = {
  pe: 1, mp: 2, em: 4, ts: 8, et: 0x10, ne: 0x20, wp: 0x1_0000, am: 0x4_0000, nw: 0x2000_0000,
  cd: 0x4000_0000, pg: 0x8000_0000,
} as const;
export const cr4Bits = {
  vme: 1, pvi: 2, tsd: 4, de: 8, pse: 0x10, pae: 0x20, mce: 0x40, pge: 0x80, pce: 0x100,
  osfxsr: 0x200, osxmmexcpt: 0x400, umip: 0x800, fsgsbase: 0x1_0000, pcide: 0x2_0000,
  osxsave: 0x4_0000, smep: 0x10_0000, smap: 0x20_0000,
} as const;
export const eferBits = { sce: 1, lme: 0x100, lma: 0x400, nxe: 0x800 } as const;

/** Bits of a physical address that we implement; CPUID leaf 80000008h says the same. */
export const physicalAddressBits = 40;
