/** Kernels with a multiboot header (Multiboot Specification 0.6.96), in ELF files or with load
 * addresses in the header. */
import { GiB, KiB, MiB } from "../base/units.ts";
import type { BootRequest, LoadedBoot } from "./boot.ts";
import { isElf, loadElf, physicalEntry, readElf } from "./elf.ts";
import { protectedMode } from "./entry-states.ts";
import type { ImageReader } from "./image-reader.ts";
import { hex, MemoryLayout } from "./layout.ts";
import { StructWriter, zeroTerminated } from "./struct-writer.ts";
import { placeModules } from "./pvh.ts";

const headerMagic = 0x1bad_b002;
const loaderMagic = 0x2bad_b002n;
/** The header lies within the first 8 KiB. */
const searchBytes = 8 * KiB;
const headerFlag = { addresses: 1 << 16, mandatory: 0xffff } as const;
/** Modules on page boundaries and memory sizes we always give; a video mode is a wish. */
const knownMandatory = 7;
const infoFlag = { memory: 1, commandLine: 4, modules: 8, map: 0x40, loader: 0x200 } as const;
const infoBytes = 116;
const moduleBytes = 16;
const mapEntryBytes = 24;
const loaderName = "tsbhyve";

/** Where the header is in the file; undefined when there is none. */
export function findMultiboot(image: ImageReader): number | undefined {
  for (let at = 0; at < searchBytes && image.has(at, 12); at += 4) {
    const sum = image.u32(at) + image.u32(at + 4) + image.u32(at + 8);
    if (image.u32(at) === headerMagic && sum % 2 ** 32 === 0) {
      return at;
    }
  }
  return undefined;
}

export function loadMultiboot(image: ImageReader, at: number, request: BootRequest): LoadedBoot {
  const flags = image.u32(at + 4);
  if ((flags & headerFlag.mandatory & ~knownMandatory) !== 0) {
    throw image.error(`the multiboot header demands features ${hex(flags & 0xffff)}; `
      + `allowed: ${hex(knownMandatory)}`);
  }
  const layout = new MemoryLayout(request.memory);
  const byAddresses = (flags & headerFlag.addresses) !== 0;
  const entry = byAddresses ? loadByAddresses(image, at, layout) : loadAsElf(image, layout);
  const { file } = image;
  const rbx = BigInt(putInformation(image, layout, request));
  return {
    entry: protectedMode(file, layout, entry, { rax: loaderMagic, rbx }),
    kind: "multiboot kernel", e820: request.tables.e820,
  };
}

function loadAsElf(image: ImageReader, layout: MemoryLayout): number {
  if (!isElf(image)) {
    throw image.error("a multiboot header without load addresses, in a file that is not ELF; "
      + "allowed: ELF files, or headers with addresses");
  }
  const elf = readElf(image);
  loadElf(image, elf, layout);
  const entry = physicalEntry(image, elf);
  if (entry >= 4 * GiB) {
    throw image.error(`the entry ${hex(entry)} cannot be reached in 32-bit mode; `
      + "allowed: entries below 4 GiB");
  }
  return entry;
}

/** The header says which part of the file goes where; zero ends mean all of it and no bss. */
function loadByAddresses(image: ImageReader, at: number, layout: MemoryLayout): number {
  const headerAddress = image.u32(at + 12);
  const loadAddress = image.u32(at + 16);
  const loadEnd = image.u32(at + 20);
  const bssEnd = image.u32(at + 24);
  const entry = image.u32(at + 28);
  const offset = at - (headerAddress - loadAddress);
  const fileBytes = loadEnd === 0 ? image.length - offset : loadEnd - loadAddress;
  if (headerAddress < loadAddress || offset < 0 || fileBytes <= 0) {
    throw image.error("the load addresses of the multiboot header contradict each other; "
      + "allowed: header and load end behind the load address");
  }
  const bytes = image.part(offset, fileBytes);
  const size = Math.max(bssEnd === 0 ? 0 : bssEnd - loadAddress, fileBytes);
  layout.load(image.file, "the kernel", loadAddress, bytes, size);
  if (entry < loadAddress || entry >= loadAddress + size) {
    throw image.error(`the entry ${hex(entry)} lies outside the loaded image; `
      + "allowed: images that are entered where they are loaded");
  }
  return entry;
}

/** The structure that EBX points at. */
function putInformation(image: ImageReader, layout: MemoryLayout, request: BootRequest): number {
  const { file } = image;
  const { e820 } = request.tables;
  const modules = placeModules(layout, request);
  const list = new StructWriter(modules.length * moduleBytes);
  for (const [index, { base, size, text }] of modules.entries()) {
    list.u32(index * moduleBytes, base).u32(index * moduleBytes + 4, base + size)
      .u32(index * moduleBytes + 8, layout.put(file, zeroTerminated(text)));
  }
  const map = new StructWriter(e820.length * mapEntryBytes);
  for (const [index, { base, length, type }] of e820.entries()) {
    // An entry's first field is the size of the rest of it.
    map.u32(index * mapEntryBytes, mapEntryBytes - 4).u64(index * mapEntryBytes + 4, base)
      .u64(index * mapEntryBytes + 12, length).u32(index * mapEntryBytes + 20, type);
  }
  const { lowBytes } = request.memory;
  const present = infoFlag.memory | infoFlag.commandLine | infoFlag.modules | infoFlag.map
    | infoFlag.loader;
  const info = new StructWriter(infoBytes)
    .u32(0, present)
    .u32(4, Math.min(lowBytes / KiB, 640)).u32(8, Math.max(lowBytes - MiB, 0) / KiB)
    .u32(16, layout.put(file, zeroTerminated(request.commandLine)))
    .u32(20, modules.length)
    .u32(24, modules.length === 0 ? 0 : layout.put(file, list.bytes))
    .u32(44, map.bytes.length).u32(48, layout.put(file, map.bytes))
    .u32(64, layout.put(file, zeroTerminated(loaderName)));
  return layout.put(file, info.bytes);
}
