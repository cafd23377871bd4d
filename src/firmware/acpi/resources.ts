/** Resource descriptors of ACPI devices (ACPI 6.4 §6.4). */
import { buffer, bytesOf, type Aml } from "./aml.ts";

/** Ports from `base` on, decoded in 16 bits. */
export function ports(base: number, count: number): Aml {
  const decode16 = 1;
  const alignment = 1;
  return [0x47, decode16, ...bytesOf(base, 2), ...bytesOf(base, 2), alignment, count];
}

/** An ISA interrupt: edge-triggered, active high, not shared. */
export function isaInterrupt(irq: number): Aml {
  return [0x22, ...bytesOf(1 << irq, 2)];
}

/** A choice of interrupts that PCI devices share: level-triggered, active low. */
export function pciInterrupts(irqs: readonly number[]): Aml {
  const levelLowShared = 0x18;
  const mask = irqs.reduce((bits, irq) => bits | (1 << irq), 0);
  return [0x23, ...bytesOf(mask, 2), levelLowShared];
}

export function fixedMemory(base: number, size: number, writable = true): Aml {
  return [0x86, ...bytesOf(9, 2), writable ? 1 : 0, ...bytesOf(base, 4), ...bytesOf(size, 4)];
}

/** Addresses [base, end) that a bridge passes on. */
export interface Window {
  readonly base: number;
  readonly end: number;
}

const spaceType = { memory: 0, io: 1, bus: 2 } as const;
const generalFlags = 0x0c; // Minimum and maximum are fixed; the device produces what it decodes.
const ioEntireRange = 3;
const memoryWritable = 1;

function addressSpace(
  tag: number, width: number, type: number, flags: number, { base, end }: Window,
): Aml {
  const body = [
    type, generalFlags, flags,
    ...[0, base, end - 1, 0, end - base].flatMap((value) => bytesOf(value, width)),
  ];
  return [tag, ...bytesOf(body.length, 2), ...body];
}

export function busNumbers(first: number, last: number): Aml {
  return addressSpace(0x88, 2, spaceType.bus, 0, { base: first, end: last + 1 });
}

export function portWindow(window: Window): Aml {
  return addressSpace(0x88, 2, spaceType.io, ioEntireRange, window);
}

export function memoryWindow32(window: Window): Aml {
  return addressSpace(0x87, 4, spaceType.memory, memoryWritable, window);
}

export function memoryWindow64(window: Window): Aml {
  return addressSpace(0x8a, 8, spaceType.memory, memoryWritable, window);
}

const endTag: Aml = [0x79, 0];

export function resources(descriptors: readonly Aml[]): Aml {
  return buffer([...descriptors.flat(), ...endTag]);
}
