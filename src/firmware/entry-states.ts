/**
 * Processor states that boot protocols ask for: flat 32-bit protected mode, and long mode over
 * an identity mapping. Attributes are VMCS access rights (Intel SDM 3C §24.4.1).
 */
import { GiB, KiB, MiB, type Gpa } from "../base/units.ts";
import { conventionalEnd } from "./e820.ts";
import type { BootFile } from "./boot-file.ts";
import type { EntryRegister, EntrySegment, EntryState } from "./entry.ts";
import { fileError } from "./image-reader.ts";
import { type MemoryLayout } from "./layout.ts";
import { StructWriter } from "./struct-writer.ts";

type Segment = NonNullable<EntryState["segments"][EntrySegment]>;
type Registers = Readonly<Partial<Record<EntryRegister, bigint>>>;

const selectors = { code: 0x10, data: 0x18, task: 0x20 } as const;
const attributes = {
  code64: 0xa09b, code32: 0xc09b, data: 0xc093, busyTask: 0x008b, unusable: 0x1_0000,
} as const;
const flatLimit = 0xffff_ffff;
const taskLimit = 0x67;

const cr0 = { protection: 1n << 0n, extensionType: 1n << 4n, paging: 1n << 31n } as const;
const cr4PhysicalAddressExtension = 1n << 5n;
const efer = { longModeEnable: 1n << 8n, longModeActive: 1n << 10n } as const;
/** Bit 1 is always set; interrupts are off. */
const flags = 2n;

/** Descriptors as they stand in memory, for kernels that reload a selector before their own GDT
 * is in place: null, unused, code, data, task. */
const gdtEntries: { readonly [mode in "long" | "protected"]: readonly bigint[] } = {
  long: [0n, 0n, 0x00af_9b00_0000_ffffn, 0x00cf_9300_0000_ffffn, 0x0000_8b00_0000_0067n, 0n],
  protected: [0n, 0n, 0x00cf_9b00_0000_ffffn, 0x00cf_9300_0000_ffffn, 0x0000_8b00_0000_0067n],
};

function flat(selector: number, rights: number): Segment {
  return { selector, base: 0n, limit: flatLimit, attributes: rights };
}

function segments(code: number): EntryState["segments"] {
  const data = flat(selectors.data, attributes.data);
  return {
    cs: flat(selectors.code, code), ds: data, es: data, ss: data, fs: data, gs: data,
    tr: { selector: selectors.task, base: 0n, limit: taskLimit, attributes: attributes.busyTask },
    ldtr: { selector: 0, base: 0n, limit: 0, attributes: attributes.unusable },
  };
}

function gdt(file: BootFile, layout: MemoryLayout, mode: "long" | "protected") {
  const entries = gdtEntries[mode];
  const table = new StructWriter(entries.length * 8);
  for (const [index, entry] of entries.entries()) {
    table.u32(index * 8, Number(entry & 0xffff_ffffn)).u32(index * 8 + 4, Number(entry >> 32n));
  }
  return { base: BigInt(layout.put(file, table.bytes)), limit: table.bytes.length - 1 };
}

/** Flat segments of 4 GiB, paging off. */
export function protectedMode(
  file: BootFile, layout: MemoryLayout, entry: number, registers: Registers,
): EntryState {
  return {
    registers: {
      ...registers, rip: BigInt(entry), rflags: flags,
      cr0: cr0.protection | cr0.extensionType, cr3: 0n, cr4: 0n, efer: 0n,
    },
    segments: segments(attributes.code32),
    gdtr: gdt(file, layout, "protected"),
    idtr: { base: 0n, limit: 0 },
  };
}

/** 64-bit code, the first 4 GiB mapped to themselves. */
export function longMode(
  file: BootFile, layout: MemoryLayout, entry: number, registers: Registers,
): EntryState {
  return {
    registers: {
      ...registers, rip: BigInt(entry), rflags: flags,
      cr0: cr0.protection | cr0.extensionType | cr0.paging,
      cr3: BigInt(identityMap(file, layout)), cr4: cr4PhysicalAddressExtension,
      efer: efer.longModeEnable | efer.longModeActive,
    },
    segments: segments(attributes.code64),
    gdtr: gdt(file, layout, "long"),
    idtr: { base: 0n, limit: 0 },
  };
}

const tableBytes = 4 * KiB;
const mappedGiB = 4;
const page = { present: 1, writable: 2, large: 0x80 } as const;
const entriesPerTable = 512;
const largePageBytes = 2 * MiB;

/** Page tables for 4 GiB of 2 MiB pages: a root, one table of directories, four directories. */
function identityMap(file: BootFile, layout: MemoryLayout): Gpa {
  const tables = new StructWriter((2 + mappedGiB) * tableBytes);
  const size = tables.bytes.length;
  const root = layout.place(size, { align: tableBytes, below: conventionalEnd })
    ?? layout.place(size, { align: tableBytes, below: 4 * GiB });
  if (root === undefined) {
    throw fileError(file, "no room is left in memory for page tables; "
      + "allowed: a larger memory.size");
  }
  const link = page.present | page.writable;
  tables.u64(0, root + tableBytes + link);
  for (let gib = 0; gib < mappedGiB; gib += 1) {
    tables.u64(tableBytes + gib * 8, root + (2 + gib) * tableBytes + link);
  }
  for (let index = 0; index < mappedGiB * entriesPerTable; index += 1) {
    tables.u64(2 * tableBytes + index * 8, index * largePageBytes + (link | page.large));
  }
  layout.memory.write(root, tables.bytes);
  return root;
}
