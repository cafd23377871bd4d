/**
 * Starts a guest without a boot ROM: recognises a kernel by its content, loads it, and says with
 * which registers the first processor enters it. Kinds: Linux bzImage and images that keep its
 * boot protocol, ELF with a PVH note, multiboot 1.
 */
import type { GuestMemory } from "../fabric/memory.ts";
import type { BootFile, BootModule } from "./boot-file.ts";
import type { E820Entry } from "./e820.ts";
import { isElf, readElf } from "./elf.ts";
import type { EntryState } from "./entry.ts";
import { ImageReader } from "./image-reader.ts";
import { isLinux, loadLinux } from "./linux.ts";
import { findMultiboot, loadMultiboot } from "./multiboot.ts";
import { loadPvh, pvhEntry } from "./pvh.ts";

export type { BootFile, BootModule };

const allowed = "a Linux bzImage, an ELF file with a PVH note, a multiboot kernel";

export interface BootRequest {
  readonly memory: GuestMemory;
  readonly kernel: BootFile;
  readonly initrd?: BootFile | undefined;
  readonly modules?: readonly BootModule[] | undefined;
  /** Value of `boot.cmdline`. */
  readonly commandLine: string;
  /** What `buildFirmwareTables` returned. */
  readonly tables: { readonly rsdp?: number | undefined; readonly e820: readonly E820Entry[] };
}

export interface LoadedBoot {
  readonly entry: EntryState;
  /** What was found, for the log: `Linux 6.1.0-50-cloud-amd64, XZ, 64-bit entry`. */
  readonly kind: string;
  /** The map that the guest was told. */
  readonly e820: readonly E820Entry[];
}

/**
 * Loads everything into RAM. Throws ConfigError. After a reset of the machine it is called again
 * (the guest has overwritten what it loaded); it keeps nothing between calls.
 */
export async function loadBoot(request: BootRequest): Promise<LoadedBoot> {
  const image = new ImageReader(request.kernel);
  if (image.length === 0) {
    throw image.error(`the file is empty; allowed: ${allowed}`);
  }
  if (isLinux(image)) {
    return loadLinux(image, request);
  }
  const elf = isElf(image) ? readElf(image) : undefined;
  const entry = elf && pvhEntry(image, elf);
  if (elf !== undefined && entry !== undefined) {
    return loadPvh(image, elf, entry, request);
  }
  const multiboot = findMultiboot(image);
  if (multiboot !== undefined) {
    return loadMultiboot(image, multiboot, request);
  }
  throw image.error(elf === undefined
    ? `not a kernel that can be started; allowed: ${allowed}`
    : `an ELF file without a PVH note or a multiboot header; allowed: ${allowed}`);
}
