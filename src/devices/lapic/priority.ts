/** Which interrupt comes next: IRR, ISR, TMR and the priorities (Intel SDM 3A §11.8.3, §11.8.4). */

/** 256 bits in eight words, vector 0 in bit 0 of word 0. */
type VectorSet = Uint32Array;

function hasVector(set: VectorSet, vector: number): boolean {
  return ((set[vector >>> 5] ?? 0) >>> (vector & 31) & 1) !== 0;
}

function setVector(set: VectorSet, vector: number, present: boolean): void {
  const index = vector >>> 5;
  const bit = 1 << (vector & 31);
  const word = set[index] ?? 0;
  set[index] = present ? word | bit : word & ~bit;
}

/** The highest vector of the set, or -1. */
function highestVector(set: VectorSet): number {
  for (let index = 7; index >= 0; index -= 1) {
    const word = set[index] ?? 0;
    if (word !== 0) {
      return index * 32 + 31 - Math.clz32(word);
    }
  }
  return -1;
}

export function newVectors() {
  return {
    tpr: 0, irr: new Uint32Array(8), isr: new Uint32Array(8), tmr: new Uint32Array(8),
  };
}

/** Works on the vectors inside a local APIC's state. */
export class Priority {
  readonly #state: ReturnType<typeof newVectors>;
  /** The processor priority; follows from TPR and ISR. */
  ppr = 0;

  constructor(state: ReturnType<typeof newVectors>) {
    this.#state = state;
  }

  /** Derives PPR; after every change of the vectors. */
  update(): void {
    const { tpr, isr } = this.#state;
    const inService = Math.max(0, highestVector(isr));
    this.ppr = tpr >>> 4 >= inService >>> 4 ? tpr : inService & 0xf0;
  }

  /** The vector that may be delivered now, or -1. */
  pending(): number {
    const vector = highestVector(this.#state.irr);
    return vector >= 0 && vector >>> 4 > this.ppr >>> 4 ? vector : -1;
  }

  request(vector: number, level: boolean): void {
    setVector(this.#state.irr, vector, true);
    setVector(this.#state.tmr, vector, level);
  }

  /** From requested to in service. */
  begin(vector: number): void {
    setVector(this.#state.irr, vector, false);
    setVector(this.#state.isr, vector, true);
  }

  /** Ends the highest vector in service; gives it back, or -1. */
  end(): number {
    const vector = highestVector(this.#state.isr);
    if (vector >= 0) {
      setVector(this.#state.isr, vector, false);
    }
    return vector;
  }

  isLevel(vector: number): boolean {
    return hasVector(this.#state.tmr, vector);
  }
}
