/** The records that host.c reads and answers, and the address space it runs them in. */

/** Code lies in slots; the last one's instruction may reach into the next page. */
export const codeBase = 0x4d3b_7000;
/** Where the host program itself lies: at no round number that a case may use as an address. */
export const foreignBase = 0x6ab3_0000;
export const foreignBytes = 0x100_0000;
export const codeBytes = 0x1_1000;
export const slotBytes = 64;
/** Where in its slot an instruction starts: every 64th slot then crosses a page. */
export const slotStart = 56;
export const slotCount = 1023;

/** Two pages of data; none before and after them. */
export const dataBase = 0x2000_1000;
export const dataBytes = 0x2000;
export const gsBase = 0x1000;

/** The parts of the data that records carry: both ends, and around the border of the pages. */
export const edgeBytes = 64;
export const middleBytes = 512;
export const memoryBytes = edgeBytes + middleBytes + edgeBytes;
export const middleBase = dataBase + dataBytes / 2 - middleBytes / 2;
export const endBase = dataBase + dataBytes - edgeBytes;

/** Offsets in a record. */
export const at = {
  gpr: 0, rflags: 128, rip: 136, vector: 144, error: 148, address: 152, options: 160,
  codeLength: 164, code: 168, memory: 192, fx: 832, upper: 1344,
} as const;

export const integerRecordBytes = 832;
export const floatRecordBytes = 1600;
/** Bits 255:128 of one vector register. */
export const upperBytes = 16;
export const headerBytes = 8;

/** `compatible`: 32-bit code, as a 64-bit kernel runs it (compatibility mode). */
export const options = { float: 1, stopAtOnce: 2, compatible: 4, narrow: 8 } as const;

/** Size of the code: 16-bit code has segments that start at `codeBase` and at `narrowBase`. */
export type CodeBits = 16 | 32 | 64;
export const narrowBase = 0x2000_0000;
export const narrowLimit = 0x2fff;
/** 16-bit code has 64 KiB. */
export const narrowSlotCount = 1000;
/** No exception: the instruction was left behind. */
export const noVector = 0xffff;
