/** Kernels with a PVH entry (Xen, docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h). */
import { GiB, KiB, MiB } from "../base/units.ts";
import type { BootRequest, LoadedBoot } from "./boot.ts";
import type { BootModule } from "./boot-file.ts";
import { findNote, loadElf, type ElfImage } from "./elf.ts";
import { protectedMode } from "./entry-states.ts";
import { fileError, type ImageReader } from "./image-reader.ts";
import { hex, MemoryLayout } from "./layout.ts";
import { StructWriter, zeroTerminated } from "./struct-writer.ts";

const entryNote = { owner: "Xen", type: 18 } as const; // XEN_ELFNOTE_PHYS32_ENTRY
const startInfoMagic = 0x336e_c578;
const startInfoVersion = 1;
const startInfoBytes = 56;
const moduleBytes = 32;
const mapEntryBytes = 24;

/** The 32-bit entry that the image's note states, if it has one. */
export function pvhEntry(image: ImageReader, elf: ElfImage): number | undefined {
  return findNote(image, elf, entryNote.owner, entryNote.type);
}

export function loadPvh(
  image: ImageReader, elf: ElfImage, entry: number, request: BootRequest,
): LoadedBoot {
  if (!elf.loads.some(({ physical, memoryBytes }) =>
    entry >= physical && entry < physical + memoryBytes) || entry >= 4 * GiB) {
    throw image.error(`the PVH entry ${hex(entry)} lies outside every segment; allowed: images `
      + "that are entered where they are loaded");
  }
  const { file } = image;
  const { tables } = request;
  const layout = new MemoryLayout(request.memory);
  loadElf(image, elf, layout);
  const modules = placeModules(layout, request);
  const list = new StructWriter(modules.length * moduleBytes);
  for (const [index, { base, size, text }] of modules.entries()) {
    list.u64(index * moduleBytes, base).u64(index * moduleBytes + 8, size)
      .u64(index * moduleBytes + 16, layout.put(file, zeroTerminated(text)));
  }
  const map = new StructWriter(tables.e820.length * mapEntryBytes);
  for (const [index, { base, length, type }] of tables.e820.entries()) {
    map.u64(index * mapEntryBytes, base).u64(index * mapEntryBytes + 8, length)
      .u32(index * mapEntryBytes + 16, type);
  }
  const start = new StructWriter(startInfoBytes)
    .u32(0, startInfoMagic).u32(4, startInfoVersion)
    .u32(12, modules.length)
    .u64(16, modules.length === 0 ? 0 : layout.put(file, list.bytes))
    .u64(24, layout.put(file, zeroTerminated(request.commandLine)))
    .u64(32, tables.rsdp ?? 0)
    .u64(40, layout.put(file, map.bytes))
    .u32(48, tables.e820.length);
  const rbx = BigInt(layout.put(file, start.bytes));
  return {
    entry: protectedMode(file, layout, entry, { rbx }),
    kind: `PVH kernel, ${elf.is64 ? "64-bit" : "32-bit"} ELF`, e820: tables.e820,
  };
}

export interface PlacedModule {
  readonly base: number;
  readonly size: number;
  readonly text: string;
}

/** Puts the initrd and the modules, in this order, on pages of their own behind the kernel. */
export function placeModules(layout: MemoryLayout, request: BootRequest): readonly PlacedModule[] {
  const { initrd, modules = [] } = request;
  const all: readonly BootModule[] = initrd === undefined
    ? modules : [{ ...initrd, commandLine: initrd.path }, ...modules];
  return all.map((each) => {
    const { bytes, commandLine: text } = each;
    const base = layout.place(bytes.length, {
      align: 4 * KiB, from: 1 * MiB, below: layout.memory.lowBytes,
    });
    if (base === undefined) {
      throw fileError(each, `${bytes.length} bytes do not fit into memory beside the kernel; `
        + `allowed: what ends below ${hex(layout.memory.lowBytes)}; memory.size enlarges it`);
    }
    layout.memory.write(base, bytes);
    return { base, size: bytes.length, text };
  });
}
