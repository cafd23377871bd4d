/** ELF executables (System V ABI, ELF-64 object file format), as far as loading them goes. */
import { alignUp } from "../base/bits.ts";
import type { ImageReader } from "./image-reader.ts";
import { hex, type MemoryLayout } from "./layout.ts";

export interface ElfSegment {
  readonly offset: number;
  readonly fileBytes: number;
  readonly physical: number;
  readonly virtual: number;
  readonly memoryBytes: number;
}

export interface ElfImage {
  readonly is64: boolean;
  readonly entry: number;
  readonly loads: readonly ElfSegment[];
  readonly notes: readonly ElfSegment[];
}

const magic = 0x464c_457f;
const class32 = 1;
const class64 = 2;
const littleEndian = 1;
const machines: readonly number[] = [3, 62]; // i386 and x86-64
const executableTypes: readonly number[] = [2, 3]; // ET_EXEC, ET_DYN
const segmentType = { load: 1, note: 4 } as const;
/** Kernels have fewer than ten; an image with thousands means to keep us busy. */
const segmentsMax = 128;
const noteBytesMax = 64 * 1024;

export function isElf(image: ImageReader): boolean {
  return image.has(0, 4) && image.u32(0) === magic;
}

/** The headers of an ELF for x86; throws ConfigError. */
export function readElf(image: ImageReader): ElfImage {
  const kind = image.u8(4);
  const machine = image.u16(18);
  const is64 = kind === class64;
  if ((kind !== class32 && !is64) || image.u8(5) !== littleEndian || !machines.includes(machine)
    || !executableTypes.includes(image.u16(16))) {
    throw image.error("an ELF file, but no executable for x86; allowed: little-endian ELF "
      + "executables for i386 or x86-64");
  }
  const table = is64 ? image.u64(32) : image.u32(28);
  const entryBytes = image.u16(is64 ? 54 : 42);
  const count = image.u16(is64 ? 56 : 44);
  if (entryBytes !== (is64 ? 56 : 32) || count === 0 || count > segmentsMax) {
    throw image.error(`an ELF file with ${count} program headers of ${entryBytes} bytes; allowed: `
      + `1 to ${segmentsMax} of the usual size`);
  }
  const segments = Array.from({ length: count }, (_each, index) => {
    const at = table + index * entryBytes;
    return { type: image.u32(at), segment: is64 ? segment64(image, at) : segment32(image, at) };
  });
  const ofType = (type: number) =>
    segments.filter((each) => each.type === type).map(({ segment }) => segment);
  return {
    is64, entry: is64 ? image.u64(24) : image.u32(24),
    loads: ofType(segmentType.load).filter(({ memoryBytes }) => memoryBytes > 0),
    notes: ofType(segmentType.note),
  };
}

function segment64(image: ImageReader, at: number): ElfSegment {
  return {
    offset: image.u64(at + 8), virtual: image.u64(at + 16), physical: image.u64(at + 24),
    fileBytes: image.u64(at + 32), memoryBytes: image.u64(at + 40),
  };
}

function segment32(image: ImageReader, at: number): ElfSegment {
  return {
    offset: image.u32(at + 4), virtual: image.u32(at + 8), physical: image.u32(at + 12),
    fileBytes: image.u32(at + 16), memoryBytes: image.u32(at + 20),
  };
}

/** Copies the loadable segments to their physical addresses. */
export function loadElf(image: ImageReader, elf: ElfImage, layout: MemoryLayout): void {
  if (elf.loads.length === 0) {
    throw image.error("an ELF file with nothing to load; allowed: executables");
  }
  for (const { offset, fileBytes, physical, memoryBytes } of elf.loads) {
    const bytes = image.part(offset, fileBytes);
    layout.load(image.file, "a segment of the kernel", physical, bytes, memoryBytes);
  }
}

/** The entry point as a physical address: some linkers leave a virtual one in the header. */
export function physicalEntry(image: ImageReader, elf: ElfImage): number {
  const inside = ({ physical, memoryBytes }: ElfSegment) =>
    elf.entry >= physical && elf.entry < physical + memoryBytes;
  if (elf.loads.some(inside)) {
    return elf.entry;
  }
  const home = elf.loads.find(({ virtual, memoryBytes }) =>
    elf.entry >= virtual && elf.entry < virtual + memoryBytes);
  if (home === undefined) {
    throw image.error(`the entry point ${hex(elf.entry)} lies outside every segment; allowed: `
      + "images that are entered where they are loaded");
  }
  return home.physical + (elf.entry - home.virtual);
}

/** The descriptor of a note, as a number; undefined when the image has none of that kind. */
export function findNote(
  image: ImageReader, elf: ElfImage, owner: string, type: number,
): number | undefined {
  for (const { offset, fileBytes } of elf.notes) {
    const end = offset + Math.min(fileBytes, noteBytesMax);
    for (let at = offset; at + 12 <= end;) {
      const nameBytes = image.u32(at);
      const descriptorBytes = image.u32(at + 4);
      const descriptor = at + 12 + alignUp(nameBytes, 4);
      if (image.u32(at + 8) === type && image.text(at + 12, nameBytes) === owner) {
        return descriptorBytes >= 8 ? image.u64(descriptor) : image.u32(descriptor);
      }
      at = descriptor + alignUp(descriptorBytes, 4);
    }
  }
  return undefined;
}
