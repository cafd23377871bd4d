/** The chip set's shadow of a boot ROM: its last 128 KiB in RAM below 1 MiB. */
import { gpa, MiB } from "../base/units.ts";
import type { GuestMemory } from "../fabric/memory.ts";

const shadowBytes = 128 * 1024;
const shadowEnd = 1 * MiB;

export function shadowRom(memory: GuestMemory, rom: Uint8Array): void {
  const tail = rom.subarray(Math.max(0, rom.length - shadowBytes));
  memory.write(gpa(shadowEnd - tail.length), tail);
}
