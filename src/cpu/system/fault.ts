/** An exception on its way to the guest (Intel SDM 3A §6): thrown by helpers, caught at their
 * boundary. Not an Error: faults are ordinary, and a stack trace would cost more than they do. */
export class GuestFault {
  readonly vector: number;
  /** Undefined for vectors that push none. */
  readonly error: number | undefined;

  constructor(vector: number, error?: number) {
    this.vector = vector;
    this.error = error;
  }
}

/** No exception: the instruction is left undone, and the run ends with `exit`. */
export const exitFault = 0x100;

/** Vectors that push an error code (SDM 3A table 6-1). */
const withErrorCode = new Set([8, 10, 11, 12, 13, 14, 17, 21]);

export function hasErrorCode(vector: number): boolean {
  return withErrorCode.has(vector);
}
