/** How a device asks for attention. */

/** A level: true while the device wants service. Setting the same level again does nothing. */
export interface IrqLine {
  set(level: boolean): void;
}

/** Where message-signalled interrupts go: a write of `data` to `address` (Intel SDM 3A §11.11). */
export interface MsiSink {
  send(address: number, data: number): void;
}

/** What the machine's interrupt controllers offer to the boards that wire devices to them. */
export interface InterruptRouter extends MsiSink {
  /** Both the 8259 input `isaIrq` and the I/O APIC input `ioapicPin`; -1 leaves one of them out. */
  line(isaIrq: number, ioapicPin: number): IrqLine;
}

export const unwiredIrq: IrqLine = { set: () => {} };

/** Joins several sources onto one shared level-triggered line (PCI INTx, Local Bus 3.0 §2.2.6). */
export function shareLine(line: IrqLine): () => IrqLine {
  let active = 0;
  return () => {
    let mine = false;
    return {
      set: (level) => {
        if (level !== mine) {
          mine = level;
          active += level ? 1 : -1;
          line.set(active > 0);
        }
      },
    };
  };
}
