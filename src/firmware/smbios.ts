/**
 * SMBIOS tables (DSP0134 2.6, with some fields of 2.7 and 2.8) with bhyve's structures, in its
 * order and at its address.
 */
import { ConfigError } from "../base/errors.ts";
import { md5 } from "../base/md5.ts";
import { gpa, KiB, MiB } from "../base/units.ts";
import { highMemoryBase } from "../fabric/memory.ts";
import { StructWriter } from "./struct-writer.ts";
import type { FirmwareOptions, SmbiosTextName } from "./tables.ts";

/** The entry point; the structures follow it. */
export const smbiosAddress = 0xf_1000;
const entryBytes = 0x1f;
/** All of it ends where the ACPI tables begin. */
const totalBytesMax = 0x1400;
/** There is no room for hundreds; systems count processors by the ACPI tables, and these are for
 * people to read. */
const processorsMax = 32;
const version = { major: 2, minor: 6, bcd: 0x24 } as const;

type Options = Pick<FirmwareOptions, "memory" | "cpus" | "smbios" | "uuid" | "name" | "hostName">;

/** Keys of the texts and what they are when the user does not say. */
const texts: {
  readonly [name in SmbiosTextName]: { readonly key: string; readonly standard: string };
} = {
  biosVendor: { key: "bios.vendor", standard: "BHYVE" },
  biosVersion: { key: "bios.version", standard: "14.0" },
  biosDate: { key: "bios.release_date", standard: "10/17/2021" },
  systemManufacturer: { key: "system.manufacturer", standard: "FreeBSD" },
  systemProduct: { key: "system.product_name", standard: "BHYVE" },
  systemVersion: { key: "system.version", standard: "1.0" },
  systemSerial: { key: "system.serial_number", standard: "None" },
  systemSku: { key: "system.sku", standard: "None" },
  systemFamily: { key: "system.family_name", standard: "Virtual Machine" },
  boardManufacturer: { key: "board.manufacturer", standard: "FreeBSD" },
  boardProduct: { key: "board.product_name", standard: "BHYVE" },
  boardVersion: { key: "board.version", standard: "1.0" },
  boardSerial: { key: "board.serial_number", standard: "None" },
  boardAsset: { key: "board.asset_tag", standard: "None" },
  boardLocation: { key: "board.location", standard: "None" },
  chassisManufacturer: { key: "chassis.manufacturer", standard: "FreeBSD" },
  chassisVersion: { key: "chassis.version", standard: "1.0" },
  chassisSerial: { key: "chassis.serial_number", standard: "None" },
  chassisAsset: { key: "chassis.asset_tag", standard: "None" },
  chassisSku: { key: "chassis.sku", standard: "None" },
};

/** One structure: its fields, whose header is filled in later, and the strings behind them. */
interface Structure {
  readonly type: number;
  readonly fields: StructWriter;
  readonly strings: readonly string[];
}

/** Fields that refer to strings by number, counted from 1; empty strings are number 0. */
function structure(
  type: number, size: number,
  strings: readonly (readonly [offset: number, text: string])[],
  fill: (fields: StructWriter) => void = () => {},
): Structure {
  const fields = new StructWriter(size);
  fill(fields);
  const kept: string[] = [];
  for (const [offset, text] of strings) {
    if (text !== "") {
      kept.push(text);
      fields.u8(offset, kept.length);
    }
  }
  return { type, fields, strings: kept };
}

/** Writes the tables and returns the address of the entry point. */
export function buildSmbios(options: Options): number {
  const structures = describe(options);
  const parts = structures.map((each, index) => encode(each, index + 1));
  const length = parts.reduce((sum, { length: bytes }) => sum + bytes, 0);
  if (entryBytes + length > totalBytesMax) {
    throw tooLong(options.smbios);
  }
  const tableAt = smbiosAddress + entryBytes;
  const entry = new StructWriter(entryBytes)
    .text(0, "_SM_").u8(5, entryBytes).u8(6, version.major).u8(7, version.minor)
    .u16(8, Math.max(...parts.map((part) => part.length)))
    .text(16, "_DMI_").u16(22, length).u32(24, tableAt).u16(28, parts.length)
    .u8(30, version.bcd);
  entry.u8(21, checksum(entry.bytes.subarray(16)));
  entry.u8(4, checksum(entry.bytes));
  options.memory.write(gpa(smbiosAddress), entry.bytes);
  options.memory.write(gpa(tableAt), Buffer.concat(parts));
  return smbiosAddress;
}

function checksum(bytes: Uint8Array): number {
  return -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
}

function encode({ type, fields, strings }: Structure, handle: number): Uint8Array {
  fields.u8(0, type).u8(1, fields.bytes.length).u16(2, handle);
  const texts = strings.length === 0 ? "\0\0" : `${strings.join("\0")}\0\0`;
  return Buffer.concat([fields.bytes, Buffer.from(texts, "utf8")]);
}

/** The user's longest text is the one to shorten. */
function tooLong(given: FirmwareOptions["smbios"]): ConfigError {
  let longest: { readonly key: string; readonly value: string } = { key: "bios", value: "" };
  for (const [name, value] of Object.entries(given)) {
    const key = Object.entries(texts).find(([each]) => each === name)?.[1].key;
    if (key !== undefined && value !== undefined && value.length > longest.value.length) {
      longest = { key, value };
    }
  }
  return new ConfigError({
    ...longest, message: `too long: the SMBIOS tables have ${totalBytesMax} bytes in all; `
      + "allowed: shorter texts",
  });
}

function describe(options: Options): readonly Structure[] {
  const { smbios, cpus } = options;
  const text = (name: SmbiosTextName) => smbios[name] ?? texts[name].standard;
  const processors = Math.min(cpus.sockets, processorsMax);
  const arrayHandle = 4 + processors + 1;
  return [
    bios(text), system(text, machineUuid(options)), board(text), chassis(text),
    ...Array.from({ length: processors }, (_each, index) => processor(index, cpus)),
    ...memoryStructures(options.memory, arrayHandle),
    structure(32, 11, []),
    structure(127, 4, []),
  ];
}

type TextOf = (name: SmbiosTextName) => string;

function bios(text: TextOf): Structure {
  // ISA and PCI are there; it shadows, boots from CD, and knows EDD.
  const characteristics = 1 << 4 | 1 << 7 | 1 << 12 | 1 << 15 | 1 << 19;
  const extension = { acpi: 1, bootSpecificationAndVirtual: 1 << 0 | 1 << 4 } as const;
  return structure(0, 24, [
    [4, text("biosVendor")], [5, text("biosVersion")], [8, text("biosDate")],
  ], (fields) => fields.u16(6, 0xf000).u64(10, characteristics)
    .u8(18, extension.acpi).u8(19, extension.bootSpecificationAndVirtual)
    .u8(22, 0xff).u8(23, 0xff));
}

function system(text: TextOf, uuid: Uint8Array): Structure {
  const powerSwitch = 6;
  return structure(1, 27, [
    [4, text("systemManufacturer")], [5, text("systemProduct")], [6, text("systemVersion")],
    [7, text("systemSerial")], [25, text("systemSku")], [26, text("systemFamily")],
  ], (fields) => fields.copy(8, uuid).u8(24, powerSwitch));
}

function board(text: TextOf): Structure {
  const isHostingBoard = 1;
  const motherboard = 10;
  const chassisHandle = 4;
  return structure(2, 15, [
    [4, text("boardManufacturer")], [5, text("boardProduct")], [6, text("boardVersion")],
    [7, text("boardSerial")], [8, text("boardAsset")], [10, text("boardLocation")],
  ], (fields) => fields.u8(9, isHostingBoard).u16(11, chassisHandle).u8(13, motherboard));
}

function chassis(text: TextOf): Structure {
  const unknown = 2;
  const safe = 3;
  return structure(3, 22, [
    [4, text("chassisManufacturer")], [6, text("chassisVersion")], [7, text("chassisSerial")],
    [8, text("chassisAsset")], [21, text("chassisSku")],
  ], (fields) => fields.u8(5, unknown).u8(9, safe).u8(10, safe).u8(11, safe).u8(12, unknown));
}

function processor(index: number, cpus: Options["cpus"]): Structure {
  const central = 3;
  const other = 1;
  const populatedEnabled = 0x41;
  const noHandle = 0xffff;
  const is64Bit = 1 << 2;
  // A byte counts up to 254; 0 says "unknown".
  const countByte = (count: number) => (count > 254 ? 0 : count);
  const cores = countByte(cpus.cores);
  return structure(4, 42, [
    [4, `CPU #${index}`], [7, " "], [16, ""], [32, "None"], [33, "None"], [34, "None"],
  ], (fields) => fields.u8(5, central).u8(6, other).u8(24, populatedEnabled).u8(25, other)
    .u16(26, noHandle).u16(28, noHandle).u16(30, noHandle)
    .u8(35, cores).u8(36, cores).u8(37, countByte(cpus.cores * cpus.threads))
    .u16(38, is64Bit).u16(40, other));
}

/** The array, one device of the whole size, and where it is mapped. */
function memoryStructures(memory: Options["memory"], arrayHandle: number): readonly Structure[] {
  const { lowBytes, highBytes } = memory;
  const total = lowBytes + highBytes;
  const noErrors = 0xfffe;
  const totalKiB = total / KiB;
  const extended = totalKiB >= 0x8000_0000;
  const array = structure(16, 23, [], (fields) => fields.u8(4, 3).u8(5, 3).u8(6, 2)
    .u32(7, extended ? 0x8000_0000 : totalKiB).u16(11, noErrors).u16(13, highBytes > 0 ? 2 : 1)
    .u64(15, extended ? total : 0));
  const { field, extendedMiB } = deviceSize(total);
  const unknown = 2;
  const device = structure(17, 40, [
    [16, "SIMM"], [17, "Main"], [23, "None"], [24, "None"], [25, "None"], [26, "None"],
  ], (fields) => fields.u16(4, arrayHandle).u16(6, noErrors).u16(8, 64).u16(10, 64)
    .u16(12, field).u8(14, unknown).u8(18, unknown).u16(19, 1 << 2).u32(28, extendedMiB));
  return [
    array, device, mapping(arrayHandle, 0, lowBytes),
    ...(highBytes > 0 ? [mapping(arrayHandle, highMemoryBase, highBytes)] : []),
  ];
}

/** The size of a memory device: in KiB, in MiB, or too large for the old field. */
function deviceSize(bytes: number): { readonly field: number; readonly extendedMiB: number } {
  const inKiB = 0x8000;
  const limit = 0x7fff;
  if (bytes / KiB <= limit) {
    return { field: inKiB | (bytes / KiB), extendedMiB: 0 };
  }
  const mib = Math.floor(bytes / MiB);
  return mib < limit ? { field: mib, extendedMiB: 0 } : { field: limit, extendedMiB: mib };
}

function mapping(arrayHandle: number, base: number, size: number): Structure {
  const end = base + size;
  const extended = end / KiB > 0xffff_ffff;
  return structure(19, 31, [], (fields) => {
    fields.u32(4, extended ? 0xffff_ffff : base / KiB)
      .u32(8, extended ? 0xffff_ffff : end / KiB - 1)
      .u16(12, arrayHandle).u8(14, 1);
    if (extended) {
      fields.u64(15, base).u64(23, end - 1);
    }
  });
}

const uuidBytes = 16;
/** MAXHOSTNAMELEN of FreeBSD: bhyve digests its whole buffer, zeros included. */
const hostNameBytes = 256;

/** The UUID as it stands in the table. A given one has its first three groups little-endian;
 * bhyve's own, an MD5 digest, goes in as it is. */
function machineUuid({ uuid, name, hostName }: Options): Uint8Array {
  if (uuid !== undefined) {
    const hex = uuid.replaceAll("-", "").padEnd(2 * uuidBytes, "0");
    const bytes = Uint8Array.from(Buffer.from(hex, "hex"));
    for (const [start, end] of [[0, 4], [4, 6], [6, 8]] as const) {
      bytes.subarray(start, end).reverse();
    }
    return bytes;
  }
  const host = hostName.slice(0, hostNameBytes - 1);
  const digest = Uint8Array.from(md5(name + host.padEnd(hostNameBytes, "\0")));
  digest[6] = ((digest[6] ?? 0) & 0x0f) | 0x30;
  digest[8] = ((digest[8] ?? 0) & 0x3f) | 0x80;
  return digest;
}
