/** The guest's memory map as PC firmware states it (ACPI 6.4 §15, INT 15h E820). */
import { GiB, KiB, MiB } from "../base/units.ts";
import { highMemoryBase, lowMemoryLimit } from "../fabric/memory.ts";

export const e820Type = { ram: 1, reserved: 2, acpi: 3, nvs: 4 } as const;

export interface E820Entry {
  readonly base: number;
  readonly length: number;
  readonly type: number;
}

/** Where RAM ends for guests in real mode, and with it conventional memory; the VGA window is
 * here and then comes what PCs keep their firmware in. */
export const conventionalEnd = 640 * KiB;
export const firmwareArea = { base: 768 * KiB, end: 1 * MiB } as const;

/** bhyve's map: the VGA window is a hole, firmware's area is reserved though RAM is behind it. */
export function e820(memoryBytes: number): readonly E820Entry[] {
  const { ram, reserved } = e820Type;
  const low = Math.min(memoryBytes, lowMemoryLimit);
  const high = memoryBytes - low;
  const map: E820Entry[] = [
    { base: 0, length: Math.min(low, conventionalEnd), type: ram },
    { base: firmwareArea.base, length: firmwareArea.end - firmwareArea.base, type: reserved },
  ];
  if (low > firmwareArea.end) {
    map.push({ base: firmwareArea.end, length: low - firmwareArea.end, type: ram });
  }
  if (high > 0) {
    map.push({ base: highMemoryBase, length: high, type: ram });
  }
  return map;
}

/** Where RAM above 4 GiB ends, or 4 GiB. */
export function memoryEnd(memoryBytes: number): number {
  return 4 * GiB + Math.max(memoryBytes - lowMemoryLimit, 0);
}
