/** The 256-bit interrupt registers of a local APIC: IRR, ISR and TMR (Intel SDM 3A §11.8.4). */

/** Eight 32-bit words, vector 0 in bit 0 of word 0. */
export type VectorSet = Uint32Array;

export function newVectorSet(): VectorSet {
  return new Uint32Array(8);
}

export function hasVector(set: VectorSet, vector: number): boolean {
  return ((set[vector >>> 5] ?? 0) >>> (vector & 31) & 1) !== 0;
}

export function setVector(set: VectorSet, vector: number, present: boolean): void {
  const index = vector >>> 5;
  const bit = 1 << (vector & 31);
  const word = set[index] ?? 0;
  set[index] = present ? word | bit : word & ~bit;
}

/** The highest vector of the set, or -1. */
export function highestVector(set: VectorSet): number {
  for (let index = 7; index >= 0; index -= 1) {
    const word = set[index] ?? 0;
    if (word !== 0) {
      return index * 32 + 31 - Math.clz32(word);
    }
  }
  return -1;
}
