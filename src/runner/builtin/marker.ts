/**
 * The disk of the built-in guest. Sector 0 has a mark, a nonce of sixteen hexadecimal digits and
 * numbers that follow a rule; the guest checks all of it, writes the complement to sector 1,
 * reads that back, and prints a sum of what it read.
 */

export const sectorBytes = 512;
export const markText = "tsbhyve built-in";
export const nonceAt = 16;
export const nonceBytes = 16;
export const ruleAt = 32;
/** The 32-bit word at offset 4n, from `ruleAt` on, is n times this (the golden ratio's bits). */
export const ruleFactor = 0x9e37_79b1;
export const builtinDiskBytes = 1024 * 1024;

export function markerSector(nonce: string): Uint8Array {
  if (!/^[0-9a-f]{16}$/.test(nonce)) {
    throw new RangeError("a nonce has sixteen hexadecimal digits");
  }
  const sector = new Uint8Array(sectorBytes);
  sector.set(Buffer.from(markText + nonce, "latin1"));
  const view = new DataView(sector.buffer);
  for (let at = ruleAt; at < sectorBytes; at += 4) {
    view.setUint32(at, Math.imul(at / 4, ruleFactor), true);
  }
  return sector;
}

/** What the guest must have written to sector 1. */
export function answerSector(nonce: string): Uint8Array {
  return markerSector(nonce).map((byte) => ~byte);
}

export const fnv = { start: 0x811c_9dc5, prime: 0x0100_0193 } as const;

/** FNV-1a of 32 bits, in hexadecimal: what the guest prints. */
export function fnvText(bytes: Uint8Array): string {
  const sum = bytes.reduce((hash, byte) => Math.imul(hash ^ byte, fnv.prime), fnv.start);
  return (sum >>> 0).toString(16).padStart(8, "0");
}
