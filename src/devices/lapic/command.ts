/** Interrupt commands: what a write to the ICR sends (Intel SDM 3A §11.6.1). */
import { deliveryMode, type LocalApics } from "../../fabric/apic-bus.ts";

const shorthand = { none: 0, self: 1, all: 2, others: 3 } as const;
const levelAssert = 1 << 14;
const levelTrigger = 1 << 15;

/** The side of a local APIC that a command comes from. */
export interface CommandSender {
  readonly id: number;
  accept(mode: number, vector: number, level: boolean): void;
}

/** Sends it; returns the bit for the error status register, or 0. */
export function sendCommand(
  sender: CommandSender, apics: LocalApics, low: number, destination: number,
): number {
  const vector = low & 0xff;
  const mode = low >>> 8 & 7;
  const isFixed = mode === deliveryMode.fixed || mode === deliveryMode.lowestPriority;
  if (isFixed && vector < 16) {
    return 1 << 5;
  }
  // The INIT level de-assert only synchronised arbitration ids of the P6 family.
  if (mode === deliveryMode.init && (low & levelTrigger) !== 0 && (low & levelAssert) === 0) {
    return 0;
  }
  const to = low >>> 18 & 3;
  if (to === shorthand.self) {
    if (isFixed) {
      sender.accept(mode, vector, false);
    }
  } else if (to === shorthand.none) {
    apics.deliver(destination, (low & 0x800) !== 0, mode, vector, false);
  } else {
    apics.deliverToAll(to === shorthand.others ? sender.id : -1, mode, vector, false);
  }
  return 0;
}
