/**
 * The tables by which PC firmware describes the board to an operating system: ACPI, SMBIOS and
 * MP table, at the addresses and with the content that bhyve gives them.
 */
import type { GuestMemory } from "../fabric/memory.ts";
import type { BusWindows } from "../fabric/pci/placement.ts";
import type { PciRoute } from "../fabric/pci/routing.ts";
import { makeAcpiImage } from "./acpi/tables.ts";
import { e820, type E820Entry } from "./e820.ts";
import { buildMpTable } from "./mp-table.ts";
import { buildSmbios } from "./smbios.ts";

/** The interrupt of ACPI events on this board where no ACPI tables say so. */
const standardSciIrq = 9;

/** Ports and commands of the ACPI fixed hardware: `acpiPorts` and its neighbours of the model. */
export interface AcpiFixedHardware {
  readonly pm1Event: number;
  readonly pm1Control: number;
  readonly pmTimer: number;
  readonly gpe0: number;
  readonly smiCommand: number;
  readonly enableCommand: number;
  readonly disableCommand: number;
  readonly sciIrq: number;
  /** SLP_TYP of power-off. */
  readonly sleepTypeS5: number;
}

/** A serial port of the LPC bridge. */
export interface SerialPort {
  /** 1 for COM1. */
  readonly number: number;
  readonly port: number;
  readonly irq: number;
}

/** PCI as the guest shall find it: what `PciHost` says once devices are placed. */
export interface PciDescription {
  /** `PciHost.windows()`: a root bus each, with the addresses it decodes. */
  readonly windows: ReadonlyMap<number, BusWindows>;
  /** `PciHost.routes()`. */
  readonly routes: readonly PciRoute[];
  /** Where the LPC bridge sits, if there is one: serial ports, PS/2 and PIRQ links go with it. */
  readonly lpc?: { readonly bus: number; readonly slot: number; readonly func: number } | undefined;
}

/** Texts of the SMBIOS tables by their names in `config/schema.ts`; missing ones are bhyve's. */
export type SmbiosTexts = { readonly [name in SmbiosTextName]?: string | undefined };

export type SmbiosTextName =
  | "biosVendor" | "biosVersion" | "biosDate"
  | "systemManufacturer" | "systemProduct" | "systemVersion" | "systemSerial" | "systemSku"
  | "systemFamily"
  | "boardManufacturer" | "boardProduct" | "boardVersion" | "boardSerial" | "boardAsset"
  | "boardLocation"
  | "chassisManufacturer" | "chassisVersion" | "chassisSerial" | "chassisAsset" | "chassisSku";

export interface FirmwareOptions {
  readonly memory: GuestMemory;
  /** Sockets * cores * threads; local APIC ids count from 0. */
  readonly cpus: { readonly sockets: number; readonly cores: number; readonly threads: number };
  readonly pci: PciDescription;
  /** Undefined: no ACPI tables in memory (`acpi_tables`, `acpi_tables_in_memory`). */
  readonly acpi: AcpiFixedHardware | undefined;
  /** Low half of the HPET's capability register and its address, if there is an HPET. */
  readonly hpet?: { readonly base: number; readonly capabilities: number } | undefined;
  readonly serialPorts: readonly SerialPort[];
  /** Where QEMU's firmware interface answers, if it is there (two ports). */
  readonly fwCfgPort?: number | undefined;
  /** `x86.mptable`. */
  readonly mpTable: boolean;
  readonly smbios: SmbiosTexts;
  /** Value of `uuid`; undefined makes one from `name` and `hostName`, as bhyve does. */
  readonly uuid: string | undefined;
  readonly name: string;
  readonly hostName: string;
}

export interface FirmwareTables {
  /** Address of the ACPI root pointer. */
  readonly rsdp: number | undefined;
  /** Address of the SMBIOS entry point. */
  readonly smbios: number;
  readonly e820: readonly E820Entry[];
}

/**
 * Writes all tables into RAM below 1 MiB. To be called when devices are placed, and again after
 * each reset of the machine. Throws ConfigError for SMBIOS texts that do not fit. Not for guests
 * of a boot ROM, whose shadow lies at the same addresses: such firmware makes its own.
 */
export function buildFirmwareTables(options: FirmwareOptions): FirmwareTables {
  const { memory, acpi } = options;
  if (options.mpTable) {
    buildMpTable({ ...options, sciIrq: acpi?.sciIrq ?? standardSciIrq });
  }
  return {
    smbios: buildSmbios(options),
    rsdp: acpi && makeAcpiImage({ ...options, acpi }).writeTo(memory),
    e820: e820(memory.lowBytes + memory.highBytes),
  };
}
