/** The MP configuration table (MultiProcessor Specification 1.4) with bhyve's content. */
import { gpa } from "../base/units.ts";
import { StructWriter } from "./struct-writer.ts";
import { smbiosAddress } from "./smbios.ts";
import type { FirmwareOptions } from "./tables.ts";

const mpTableAddress = 0xf_0000;
const pointerBytes = 16;
const headerBytes = 44;
const spec14 = 4;

const localApicBase = 0xfee0_0000;
const ioApicBase = 0xfec0_0000;
const apicVersion = { local: 0x10, io: 0x11 } as const;
const entryType = { processor: 0, bus: 1, ioApic: 2, ioInterrupt: 3, localInterrupt: 4 } as const;
const busId = { pci: 0, isa: 1 } as const;
const interruptType = { vectored: 0, nmi: 1, external: 3 } as const;
const interruptFlags = { conforming: 0, lowLevel: 0x0f } as const;
const allApics = 0xff;
const isaIrqs = 16;
/** Ids below the broadcast id; bhyve's manual advises ACPI beyond 16 processors anyway. */
const cpusMax = 254;

type Options = Pick<FirmwareOptions, "memory" | "cpus" | "pci"> & { readonly sciIrq: number };

/** Writes the table, unless there are more processors or interrupts than there is room for. */
export function buildMpTable(options: Options): void {
  const { memory, cpus } = options;
  const count = cpus.sockets * cpus.cores * cpus.threads;
  if (count > cpusMax) {
    return;
  }
  const entries = [
    ...Array.from({ length: count }, (_each, id) => processor(id)),
    bus(busId.pci, "PCI"), bus(busId.isa, "ISA"),
    ioApic(),
    ...isaInterrupts(options.sciIrq), ...pciInterrupts(options),
    localInterrupt(interruptType.external, 0), localInterrupt(interruptType.nmi, 1),
  ];
  const length = entries.reduce((sum, { bytes }) => sum + bytes.length, headerBytes);
  if (mpTableAddress + pointerBytes + length > smbiosAddress) {
    return;
  }
  const table = new StructWriter(length)
    .text(0, "PCMP").u16(4, length).u8(6, spec14)
    .text(8, "BHyVe   ").text(16, "Hypervisor  ")
    .u16(34, entries.length).u32(36, localApicBase);
  let at = headerBytes;
  for (const { bytes } of entries) {
    table.copy(at, bytes);
    at += bytes.length;
  }
  table.u8(7, checksum(table.bytes));
  const pointer = new StructWriter(pointerBytes)
    .text(0, "_MP_").u32(4, mpTableAddress + pointerBytes).u8(8, 1).u8(9, spec14);
  pointer.u8(10, checksum(pointer.bytes));
  memory.write(gpa(mpTableAddress), pointer.bytes);
  memory.write(gpa(mpTableAddress + pointerBytes), table.bytes);
}

function checksum(bytes: Uint8Array): number {
  return -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
}

function processor(id: number): StructWriter {
  const enabled = 1;
  const bootProcessor = 2;
  // Family 15, model 0, stepping 1; with an FPU and a local APIC.
  return new StructWriter(20).u8(0, entryType.processor).u8(1, id).u8(2, apicVersion.local)
    .u8(3, enabled | (id === 0 ? bootProcessor : 0)).u32(4, 0xf01).u32(8, 0x201);
}

function bus(id: number, name: string): StructWriter {
  return new StructWriter(8).u8(0, entryType.bus).u8(1, id).text(2, name.padEnd(6));
}

function ioApic(): StructWriter {
  const enabled = 1;
  return new StructWriter(8).u8(0, entryType.ioApic).u8(1, 0).u8(2, apicVersion.io)
    .u8(3, enabled).u32(4, ioApicBase);
}

function ioInterrupt(
  type: number, flags: number, source: { readonly bus: number; readonly irq: number }, pin: number,
): StructWriter {
  return new StructWriter(8).u8(0, entryType.ioInterrupt).u8(1, type).u16(2, flags)
    .u8(4, source.bus).u8(5, source.irq).u8(6, 0).u8(7, pin);
}

/** ISA interrupts go to the pin of their number, but for the timer, which takes the cascade's. */
function isaInterrupts(sciIrq: number): readonly StructWriter[] {
  const { vectored, external } = interruptType;
  return Array.from({ length: isaIrqs }, (_each, pin) => {
    const flags = pin === sciIrq ? interruptFlags.lowLevel : interruptFlags.conforming;
    const irq = pin === 2 ? 0 : pin;
    return ioInterrupt(pin === 0 ? external : vectored, flags, { bus: busId.isa, irq }, pin);
  });
}

function pciInterrupts({ pci }: Options): readonly StructWriter[] {
  return pci.routes.filter(({ bus: number }) => number === busId.pci)
    .map(({ slot, pin, ioapicPin }) => ioInterrupt(
      interruptType.vectored, interruptFlags.lowLevel,
      { bus: busId.pci, irq: slot * 4 + pin - 1 }, ioapicPin));
}

function localInterrupt(type: number, input: number): StructWriter {
  return new StructWriter(8).u8(0, entryType.localInterrupt).u8(1, type)
    .u16(2, interruptFlags.conforming).u8(4, busId.isa).u8(6, allApics).u8(7, input);
}
