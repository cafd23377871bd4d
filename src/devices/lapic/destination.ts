/** Whom a message means (Intel SDM 3A §11.6.2 for xAPIC, §11.12.10 for x2APIC). */
import { everyApic } from "../../fabric/apic-bus.ts";

/** The logical id that an x2APIC derives from its id. */
export function x2apicLogicalId(id: number): number {
  return (((id >>> 4) << 16) | (1 << (id & 15))) >>> 0;
}

export function isMeantX2apic(id: number, destination: number, logical: boolean): boolean {
  if (destination === everyApic || !logical) {
    return destination === everyApic || destination === id;
  }
  const mine = x2apicLogicalId(id);
  return destination >>> 16 === mine >>> 16 && (destination & mine & 0xffff) !== 0;
}

export interface XapicAddress {
  readonly id: number;
  readonly ldr: number;
  readonly dfr: number;
}

export function isMeantXapic(me: XapicAddress, destination: number, logical: boolean): boolean {
  if (destination === everyApic || !logical) {
    return destination === everyApic || destination === me.id;
  }
  const mine = me.ldr >>> 24;
  return me.dfr >>> 28 === 0xf
    ? (destination & mine & 0xff) !== 0
    : destination >>> 4 === mine >>> 4 && (destination & mine & 0xf) !== 0;
}
