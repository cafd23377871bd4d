/** What local APICs, I/O APICs and MSI writers say to each other (Intel SDM 3A §11). */

/** Delivery modes, as encoded in the ICR, the LVT, redirection entries and MSI data. */
export const deliveryMode = {
  fixed: 0, lowestPriority: 1, smi: 2, nmi: 4, init: 5, startUp: 6, extInt: 7,
} as const;

/** The destination that means every local APIC, in both destination modes. */
export const everyApic = 0xffff_ffff;

/** Widens the 8-bit destinations of xAPIC, I/O APIC and MSI: all ones stay all ones. */
export function wideDestination(destination: number): number {
  return destination === 0xff ? everyApic : destination;
}

/** The local APICs as senders see them. Plain numbers, because this runs per interrupt. */
export interface LocalApics {
  /** `logical` tells the destination mode, `level` the trigger mode. */
  deliver(
    destination: number, logical: boolean, mode: number, vector: number, level: boolean,
  ): void;
  /** To every local APIC, without the one with index `except` (-1: none is left out). */
  deliverToAll(except: number, mode: number, vector: number, level: boolean): void;
}

/** Hears of the end of level-triggered interrupts. */
export interface EoiListener {
  endOfInterrupt(vector: number): void;
}
