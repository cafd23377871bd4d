/**
 * ACPI tables (ACPI 5.1 §5.2) as bhyve makes them: RSDP, RSDT, XSDT, FADT, MADT, HPET, MCFG, FACS
 * and DSDT, with bhyve's identification and at its address.
 */
import { ecamBase } from "../../fabric/pci/placement.ts";
import { StructWriter } from "../struct-writer.ts";
import type { AcpiFixedHardware, FirmwareOptions } from "../tables.ts";
import { definitionBlock } from "./dsdt.ts";
import { AcpiImage, madtSignature, type PlaceOptions } from "./image.ts";

const rsdpBytes = 36;
const headerBytes = 36;
const facsBytes = 64;

const oemId = "BHYVE ";
const compilerId = "BHYV";

const localApicBase = 0xfee0_0000;
const ioApicBase = 0xfec0_0000;
const resetPort = 0xcf9;
const resetValue = 6;
const centuryRegister = 0x32;

type Options = Pick<FirmwareOptions, "cpus" | "pci" | "hpet" | "serialPorts" | "fwCfgPort"> & {
  readonly acpi: AcpiFixedHardware;
};

/** Makes a table of `bodyBytes` behind the common header; its checksum comes later. */
function table(signature: string, revision: number, bodyBytes: number): StructWriter {
  return new StructWriter(headerBytes + bodyBytes)
    .text(0, signature)
    .u32(4, headerBytes + bodyBytes)
    .u8(8, revision)
    .text(10, oemId).text(16, `BV${signature.padEnd(6)}`).u32(24, 1)
    .text(28, compilerId).u32(32, 1);
}

/** Makes the tables of a board, not yet placed. */
export function makeAcpiImage(options: Options): AcpiImage {
  const image = new AcpiImage(rsdpBytes);
  const facs = image.put(makeFacs(), { align: facsBytes, checksum: false });
  const dsdt = image.put(makeDsdt(options));
  const tables = [
    image.put(makeFadt(options.acpi, facs, dsdt), { pointers: fadtPointers }),
    image.put(makeMadt(options)),
    ...(options.hpet === undefined ? [] : [image.put(makeHpet(options.hpet))]),
    image.put(makeMcfg()),
  ];
  const rsdt = image.put(...pointerTable("RSDT", 4, tables));
  const xsdt = image.put(...pointerTable("XSDT", 8, tables));
  const rsdp = new StructWriter(rsdpBytes)
    .text(0, "RSD PTR ").text(9, oemId).u8(15, 2)
    .u32(16, rsdt).u32(20, rsdpBytes).u64(24, xsdt);
  image.setRoot(rsdp, [{ at: 16, size: 4 }, { at: 24, size: 8 }]);
  return image;
}

/** A table that consists of pointers to others. */
function pointerTable(
  signature: string, size: 4 | 8, tables: readonly number[],
): [StructWriter, PlaceOptions] {
  const writer = table(signature, 1, tables.length * size);
  const places = tables.map((_, index) => headerBytes + index * size);
  for (const [index, offset] of tables.entries()) {
    writer.u32(headerBytes + index * size, offset);
  }
  return [writer, { pointers: places.map((at) => ({ at, size })) }];
}

function makeDsdt(options: Options): StructWriter {
  const body = definitionBlock(options);
  return table("DSDT", 2, body.length).copy(headerBytes, Uint8Array.from(body));
}

function makeFacs(): StructWriter {
  return new StructWriter(facsBytes).text(0, "FACS").u32(4, facsBytes).u8(32, 2);
}

const fadtFlags = {
  wbinvd: 1 << 0, c1: 1 << 2, sleepButtonIsDevice: 1 << 5, timer32: 1 << 8, resetRegister: 1 << 10,
  headless: 1 << 12, physicalApic: 1 << 19,
} as const;
const bootFlags = { noVga: 1 << 2, noAspm: 1 << 4 } as const;
const access = { undefined: 0, byte: 1, word: 2, dword: 3 } as const;
const noLatency = { c2: 101, c3: 1001 } as const; // Above the limits: these states do not exist.

/** A generic address: a port. */
function putPort(writer: StructWriter, at: number, port: number, bits: number, size: number): void {
  const systemIo = 1;
  writer.u8(at, systemIo).u8(at + 1, bits).u8(at + 3, size).u64(at + 4, port);
}

/** FIRMWARE_CTRL, DSDT and X_DSDT. */
const fadtPointers = [{ at: 36, size: 4 }, { at: 40, size: 4 }, { at: 140, size: 8 }] as const;

/** Revision 5.1. */
function makeFadt(acpi: AcpiFixedHardware, facs: number, dsdt: number): StructWriter {
  const flags = Object.values(fadtFlags).reduce((all, flag) => all | flag, 0);
  const fadt = table("FACP", 5, 268 - headerBytes)
    .u32(36, facs).u32(40, dsdt)
    .u16(46, acpi.sciIrq)
    .u32(48, acpi.smiCommand).u8(52, acpi.enableCommand).u8(53, acpi.disableCommand)
    .u32(56, acpi.pm1Event).u32(64, acpi.pm1Control).u32(76, acpi.pmTimer).u32(80, acpi.gpe0)
    .u8(88, 4).u8(89, 2).u8(91, 4).u8(92, 2)
    .u16(96, noLatency.c2).u16(98, noLatency.c3)
    .u8(108, centuryRegister)
    .u16(109, bootFlags.noVga | bootFlags.noAspm)
    .u32(112, flags)
    .u8(128, resetValue).u8(131, 1)
    .u64(140, dsdt);
  putPort(fadt, 116, resetPort, 8, access.byte);
  putPort(fadt, 148, acpi.pm1Event, 32, access.word);
  putPort(fadt, 172, acpi.pm1Control, 16, access.word);
  putPort(fadt, 208, acpi.pmTimer, 32, access.dword);
  putPort(fadt, 220, acpi.gpe0, 16, access.byte);
  return fadt;
}

/** Local APIC ids that fit into a byte; larger ones need x2APIC entries. */
const smallApicIds = 255;
const polarity = { activeHighEdge: 0x05, activeLowLevel: 0x0f } as const;
const nmiInput = 1;

function makeMadt({ cpus, acpi }: Options): StructWriter {
  const count = cpus.sockets * cpus.cores * cpus.threads;
  const small = Math.min(count, smallApicIds);
  const large = count - small;
  const size = 8 + small * 8 + large * 16 + 12 + 2 * 10 + 6 + (large > 0 ? 12 : 0);
  const madt = table(madtSignature, 3, size).u32(36, localApicBase).u32(40, 1);
  let at = 44;
  const next = (type: number, length: number): number => {
    const start = at;
    madt.u8(start, type).u8(start + 1, length);
    at += length;
    return start;
  };
  for (let id = 0; id < small; id += 1) {
    madt.u8(next(0, 8) + 2, id).u8(at - 5, id).u32(at - 4, 1);
  }
  for (let id = small; id < count; id += 1) {
    madt.u32(next(9, 16) + 4, id).u32(at - 8, 1).u32(at - 4, id);
  }
  madt.u32(next(1, 12) + 4, ioApicBase);
  const override = (irq: number, gsi: number, flags: number) =>
    madt.u8(next(2, 10) + 3, irq).u32(at - 6, gsi).u16(at - 2, flags);
  override(0, 2, polarity.activeHighEdge);
  override(acpi.sciIrq, acpi.sciIrq, polarity.activeLowLevel);
  madt.u8(next(4, 6) + 2, 0xff).u16(at - 3, polarity.activeHighEdge).u8(at - 1, nmiInput);
  if (large > 0) {
    madt.u16(next(10, 12) + 2, polarity.activeHighEdge).u32(at - 8, 0xffff_ffff)
      .u8(at - 4, nmiInput);
  }
  return madt;
}

function makeHpet({ base, capabilities }: NonNullable<Options["hpet"]>): StructWriter {
  const pageProtection4KiB = 1;
  return table("HPET", 1, 20).u32(36, capabilities)
    .u64(44, base).u8(55, pageProtection4KiB);
}

function makeMcfg(): StructWriter {
  const lastBus = 255;
  return table("MCFG", 1, 24).u64(44, ecamBase).u8(55, lastBus);
}
