/**
 * ACPI tables before they have an address: their bytes, and where pointers and checksums stand in
 * them. They become tables in guest memory, or files for firmware that puts them there itself.
 */
import { alignUp } from "../../base/bits.ts";
import { ConfigError } from "../../base/errors.ts";
import { gpa } from "../../base/units.ts";
import type { GuestMemory } from "../../fabric/memory.ts";
import { firmwareArea } from "../e820.ts";
import { StructWriter } from "../struct-writer.ts";

/** Where bhyve puts the root pointer; everything else follows. */
const rsdpAddress = 0xf_2400;
const tableAlign = 16;
/** Of the FACS, and so of all tables together. */
const imageAlign = 64;
const checksumOffset = 9;
export const madtSignature = "APIC";

export type AcpiFile = "rsdp" | "tables";

/** A field that holds an offset in the tables, and shall hold an address. */
interface Pointer {
  readonly file: AcpiFile;
  readonly at: number;
  readonly size: 4 | 8;
}

/** A byte that makes the sum of a range zero. */
interface Checksum {
  readonly file: AcpiFile;
  readonly at: number;
  readonly start: number;
  readonly length: number;
}

export interface PlaceOptions {
  readonly align?: number;
  /** Fields that hold offsets of other tables. */
  readonly pointers?: readonly { readonly at: number; readonly size: 4 | 8 }[];
  /** False for the FACS, which has none. */
  readonly checksum?: boolean;
}

/** Tables one behind the other, as offsets. */
export class AcpiImage {
  readonly #rsdp: Uint8Array;
  readonly #tables: { readonly at: number; readonly bytes: Uint8Array }[] = [];
  readonly #pointers: Pointer[] = [];
  readonly #checksums: Checksum[] = [];
  #end = 0;

  constructor(rsdpBytes: number) {
    this.#rsdp = new Uint8Array(rsdpBytes);
  }

  /** Appends a table and returns its offset. */
  put({ bytes }: StructWriter, options: PlaceOptions = {}): number {
    const { align = tableAlign, pointers = [], checksum = true } = options;
    const at = alignUp(this.#end, align);
    this.#tables.push({ at, bytes });
    this.#end = at + bytes.length;
    this.#pointers.push(...pointers.map((each) =>
      ({ file: "tables" as const, at: at + each.at, size: each.size })));
    if (checksum) {
      this.#checksums.push({
        file: "tables", at: at + checksumOffset, start: at, length: bytes.length,
      });
    }
    return at;
  }

  /** Takes the root pointer, whose checksums cover the first 20 bytes and all of it. */
  setRoot({ bytes }: StructWriter, pointers: NonNullable<PlaceOptions["pointers"]>): void {
    this.#rsdp.set(bytes);
    this.#pointers.push(...pointers.map((each) => ({ file: "rsdp" as const, ...each })));
    this.#checksums.push({ file: "rsdp", at: 8, start: 0, length: 20 },
      { file: "rsdp", at: 32, start: 0, length: bytes.length });
  }

  /** Writes root pointer and tables below 1 MiB; returns the address of the former. */
  writeTo(memory: GuestMemory): number {
    const base = alignUp(rsdpAddress + this.#rsdp.length, imageAlign);
    this.#requireFit(base);
    const files = { rsdp: this.#rsdp.slice(), tables: this.#bytes() };
    for (const { file, at, size } of this.#pointers) {
      const view = new DataView(files[file].buffer);
      view.setUint32(at, view.getUint32(at, true) + base, true);
      if (size === 8) {
        view.setUint32(at + 4, 0, true); // All of it is below 1 MiB.
      }
    }
    for (const { file, at, start, length } of this.#checksums) {
      files[file][at] = 0;
      const sum = files[file].subarray(start, start + length).reduce((all, byte) => all + byte, 0);
      files[file][at] = -sum & 0xff;
    }
    memory.write(gpa(rsdpAddress), files.rsdp);
    memory.write(gpa(base), files.tables);
    return rsdpAddress;
  }

  /** The files of QEMU's fw_cfg, and the commands by which firmware places them (QEMU,
   * hw/acpi/bios-linker-loader.c). */
  files(): readonly { readonly name: string; readonly bytes: Uint8Array }[] {
    const zone = { high: 1, fseg: 2 };
    const commands = [
      allocate(fileNames.tables, imageAlign, zone.high),
      allocate(fileNames.rsdp, tableAlign, zone.fseg),
      ...this.#pointers.map(addPointer),
      ...this.#checksums.map(addChecksum),
    ];
    return [
      { name: fileNames.rsdp, bytes: this.#rsdp.slice() },
      { name: fileNames.tables, bytes: this.#bytes() },
      { name: "etc/table-loader", bytes: new Uint8Array(Buffer.concat(commands)) },
    ];
  }

  #bytes(): Uint8Array {
    const all = new Uint8Array(this.#end);
    for (const { at, bytes } of this.#tables) {
      all.set(bytes, at);
    }
    return all;
  }

  #requireFit(base: number): void {
    const over = this.#tables.find(({ at, bytes }) => base + at + bytes.length > firmwareArea.end);
    if (over !== undefined) {
      const signature = Buffer.from(over.bytes.subarray(0, 4)).toString("latin1");
      throw new ConfigError({
        key: signature === madtSignature ? "cpus" : "pci",
        message: `the ACPI table ${signature} does not fit below 1 MiB; allowed: some thousand `
          + "processors, some hundred devices, or acpi_tables=false",
      });
    }
  }
}

const fileNames = { rsdp: "etc/acpi/rsdp", tables: "etc/acpi/tables" } as const;
const commandBytes = 128, nameBytes = 56;
const commandCode = { allocate: 1, addPointer: 2, addChecksum: 3 } as const;

function command(code: number): StructWriter {
  return new StructWriter(commandBytes).u32(0, code);
}

function allocate(name: string, align: number, zone: number): Uint8Array {
  return command(commandCode.allocate).text(4, name)
    .u32(4 + nameBytes, align).u8(8 + nameBytes, zone).bytes;
}

function addPointer({ file, at, size }: Pointer): Uint8Array {
  return command(commandCode.addPointer).text(4, fileNames[file])
    .text(4 + nameBytes, fileNames.tables)
    .u32(4 + 2 * nameBytes, at).u8(8 + 2 * nameBytes, size).bytes;
}

function addChecksum({ file, at, start, length }: Checksum): Uint8Array {
  return command(commandCode.addChecksum).text(4, fileNames[file])
    .u32(4 + nameBytes, at).u32(8 + nameBytes, start).u32(12 + nameBytes, length).bytes;
}
