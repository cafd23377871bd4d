/**
 * Linux bzImage and images that keep its boot protocol (Documentation/arch/x86/boot.rst). The
 * compressed kernel inside is unpacked here and entered directly; the kernel is not moved, so
 * there is no address randomisation. When only the image can unpack itself, or has nothing
 * packed, its own code is entered.
 */
import { GiB, KiB } from "../base/units.ts";
import type { BootRequest, LoadedBoot } from "./boot.ts";
import { isElf, loadElf, physicalEntry, readElf } from "./elf.ts";
import { longMode, protectedMode } from "./entry-states.ts";
import type { EntryState } from "./entry.ts";
import { fileError, ImageReader } from "./image-reader.ts";
import { hex, MemoryLayout } from "./layout.ts";
import { StructWriter, zeroTerminated } from "./struct-writer.ts";
import { packingOf, unpack } from "./unpack.ts";

const headerStart = 0x1f1;
const headerMagic = 0x5372_6448; // "HdrS"
const sectorBytes = 512;
const setupSectorsDefault = 4;
const paragraphBytes = 16;
/** Where the setup header ends at most, since the e820 table follows. */
const headerEndMax = 0x290;
const versionMin = 0x0206;
const versions = { payload: 0x0208, extent: 0x020a, loadFlags: 0x020c, rsdp: 0x020e } as const;
const loadedHigh = 1;
const xload = { kernel64: 1, above4GiB: 2 } as const;
const startup64Offset = 0x200;
const legacyLoadAddress = 0x10_0000;
const commandLineMaxDefault = 255;
const initrdMaxDefault = 0x37ff_ffff;
const loaderUnknown = 0xff;
const askNoVideoMode = 0xffff;

/** Fields of the zero page (struct boot_params). */
const zeroPage = {
  size: 4 * KiB, rsdp: 0x070, extInitrd: 0x0c0, extInitrdSize: 0x0c4, extCommandLine: 0x0c8,
  extendedKiB: 0x002, alternativeKiB: 0x1e0, e820Count: 0x1e8, e820: 0x2d0, e820Bytes: 20,
  videoMode: 0x1fa, loaderType: 0x210, loadFlags: 0x211, code32: 0x214,
  initrd: 0x218, initrdSize: 0x21c, commandLine: 0x228,
} as const;

interface Header {
  readonly version: number;
  readonly setupBytes: number;
  /** Where the header ends in the file. */
  readonly end: number;
  readonly loadHigh: boolean;
  readonly initrdMax: number;
  readonly commandLineMax: number;
  readonly relocatable: boolean;
  readonly xloadFlags: number;
  readonly payloadOffset: number;
  readonly payloadBytes: number;
  readonly preferredAddress: number;
  readonly initBytes: number;
  readonly release: string;
}

export function isLinux(image: ImageReader): boolean {
  return image.has(0x1fe, 8) && image.u16(0x1fe) === 0xaa55 && image.u32(0x202) === headerMagic;
}

function readHeader(image: ImageReader): Header {
  const version = image.u16(0x206);
  if (version < versionMin) {
    throw image.error(`the kernel's boot protocol is ${version >>> 8}.`
      + `${String(version & 0xff).padStart(2, "0")}; allowed: 2.06 or newer (Linux 2.6.22)`);
  }
  checkComplete(image);
  const from = (needed: number, read: () => number, old: number) =>
    version >= needed ? read() : old;
  const releaseAt = image.u16(0x20e);
  return {
    version,
    setupBytes: setupBytes(image),
    end: Math.min(0x202 + image.u8(0x201), headerEndMax),
    loadHigh: (image.u8(zeroPage.loadFlags) & loadedHigh) !== 0,
    initrdMax: image.u32(0x22c) || initrdMaxDefault,
    commandLineMax: image.u32(0x238) || commandLineMaxDefault,
    relocatable: image.u8(0x234) !== 0,
    xloadFlags: from(versions.loadFlags, () => image.u16(0x236), 0),
    payloadOffset: from(versions.payload, () => image.u32(0x248), 0),
    payloadBytes: from(versions.payload, () => image.u32(0x24c), 0),
    preferredAddress: from(versions.extent, () => image.u64(0x258), legacyLoadAddress),
    initBytes: from(versions.extent, () => image.u32(0x260), 0),
    release: releaseAt === 0 ? "" : image.text(releaseAt + sectorBytes, 64).split(" (")[0] ?? "",
  };
}

/** The header states the size of the rest in paragraphs, rounded up; signatures may follow. */
function checkComplete(image: ImageReader): void {
  const stated = setupBytes(image) + image.u32(0x1f4) * paragraphBytes;
  if (stated > image.length + paragraphBytes - 1) {
    throw image.error(`the image is truncated: it states ${stated} bytes and has `
      + `${image.length}; allowed: complete images`);
  }
}

function setupBytes(image: ImageReader): number {
  return ((image.u8(headerStart) || setupSectorsDefault) + 1) * sectorBytes;
}

/** Where the loaded kernel is entered, and how. */
interface Loaded {
  readonly entry: number;
  readonly long: boolean;
  readonly how: string;
}

export function loadLinux(image: ImageReader, request: BootRequest): LoadedBoot {
  const header = readHeader(image);
  if (request.modules !== undefined && request.modules.length > 0) {
    const { key, path } = request.modules[0] ?? request.kernel;
    throw fileError({ key, path, bytes: new Uint8Array() },
      "Linux takes no modules; allowed: boot.initrd, or a multiboot or PVH kernel");
  }
  const layout = new MemoryLayout(request.memory);
  const loaded = loadUnpacked(image, header, layout) ?? loadImage(image, header, layout);
  const entry = enter(image, header, layout, request, loaded);
  return {
    entry, kind: `Linux ${header.release || "image"}, ${loaded.how}`, e820: request.tables.e820,
  };
}

/** The kernel itself, unpacked; undefined when the image has no payload that we can unpack. */
function loadUnpacked(
  image: ImageReader, header: Header, layout: MemoryLayout,
): Loaded | undefined {
  if (header.payloadBytes === 0) {
    return undefined;
  }
  const payload = image.part(header.setupBytes + header.payloadOffset, header.payloadBytes);
  const packing = packingOf(payload);
  if (packing === undefined) {
    return undefined;
  }
  const kernel = new ImageReader(image.file, unpack(image, payload, packing));
  if (!isElf(kernel)) {
    throw image.error("the packed kernel inside is no ELF file; allowed: images as Linux builds "
      + "them");
  }
  const elf = readElf(kernel);
  const long = elf.is64 && (header.xloadFlags & xload.kernel64) !== 0;
  if (elf.is64 && !long) {
    return undefined; // Its own code knows how to leave 32-bit mode.
  }
  loadElf(kernel, elf, layout);
  // Memory behind the image that the kernel uses before it has read the memory map.
  layout.reserve(header.preferredAddress, header.preferredAddress + header.initBytes);
  const bits = long ? "64-bit" : "32-bit";
  return { entry: physicalEntry(kernel, elf), long, how: `packing ${packing}, ${bits} entry` };
}

/** The image's own code, behind its real-mode part. */
function loadImage(image: ImageReader, header: Header, layout: MemoryLayout): Loaded {
  if (!header.loadHigh) {
    throw image.error("a zImage, which is loaded below 1 MiB; allowed: bzImage");
  }
  const code = image.part(header.setupBytes, image.length - header.setupBytes);
  if (code.length <= startup64Offset) {
    throw image.error("the image is truncated: nothing follows its real-mode part; "
      + "allowed: complete images");
  }
  const at = header.relocatable ? header.preferredAddress : legacyLoadAddress;
  layout.load(image.file, "the kernel", at, code, Math.max(code.length, header.initBytes));
  const long = (header.xloadFlags & xload.kernel64) !== 0;
  return {
    entry: long ? at + startup64Offset : at, long,
    how: `its own loader, ${long ? "64-bit" : "32-bit"} entry`,
  };
}

function enter(
  image: ImageReader, header: Header, layout: MemoryLayout, request: BootRequest, loaded: Loaded,
): EntryState {
  const { file } = image;
  const params = bootParameters(image, header, request);
  placeInitrd(header, layout, request, params);
  const line = zeroTerminated(request.commandLine);
  if (line.length - 1 > header.commandLineMax) {
    throw fileError({ key: "boot.cmdline", path: request.commandLine, bytes: line },
      `the command line has ${line.length - 1} bytes; allowed: up to ${header.commandLineMax}, `
      + "which this kernel states as its limit");
  }
  params.u32(zeroPage.commandLine, layout.put(file, line));
  const at = layout.put(file, params.bytes, zeroPage.size);
  const registers = { rsi: BigInt(at), rbx: 0n, rbp: 0n, rdi: 0n };
  return loaded.long
    ? longMode(file, layout, loaded.entry, registers)
    : protectedMode(file, layout, loaded.entry, registers);
}

function bootParameters(
  image: ImageReader, header: Header, { memory, tables }: BootRequest,
): StructWriter {
  const extendedKiB = Math.max(memory.lowBytes / KiB - KiB, 0);
  const params = new StructWriter(zeroPage.size)
    .copy(headerStart, image.part(headerStart, header.end - headerStart))
    .u16(zeroPage.extendedKiB, Math.min(extendedKiB, 0xfc00))
    .u32(zeroPage.alternativeKiB, extendedKiB)
    .u16(zeroPage.videoMode, askNoVideoMode)
    .u8(zeroPage.loaderType, loaderUnknown)
    .u8(zeroPage.e820Count, tables.e820.length);
  if (header.version >= versions.rsdp && tables.rsdp !== undefined) {
    params.u64(zeroPage.rsdp, tables.rsdp);
  }
  for (const [index, { base, length, type }] of tables.e820.entries()) {
    const at = zeroPage.e820 + index * zeroPage.e820Bytes;
    params.u64(at, base).u64(at + 8, length).u32(at + 16, type);
  }
  return params;
}

/** The initrd goes as high as the kernel reaches, out of the way of what it unpacks. */
function placeInitrd(
  header: Header, layout: MemoryLayout, { initrd, memory }: BootRequest, params: StructWriter,
): void {
  if (initrd === undefined || initrd.bytes.length === 0) {
    return;
  }
  const reach = (header.xloadFlags & xload.above4GiB) !== 0
    ? 4 * GiB : Math.min(header.initrdMax + 1, 4 * GiB);
  const at = layout.place(initrd.bytes.length, {
    align: 4 * KiB, from: legacyLoadAddress, below: reach, top: true,
  });
  if (at === undefined) {
    throw fileError(initrd, `${initrd.bytes.length} bytes do not fit into memory beside the `
      + `kernel; allowed: what ends below ${hex(Math.min(reach, memory.lowBytes))}; `
      + "memory.size enlarges it");
  }
  memory.write(at, initrd.bytes);
  params.u32(zeroPage.initrd, at).u32(zeroPage.initrdSize, initrd.bytes.length);
}
