/** A boot ROM's image: what the processor runs from the reset vector on, ending at 4 GiB. */
import { ConfigError } from "../base/errors.ts";
import { KiB, MiB } from "../base/units.ts";
import type { BootFile } from "./boot-file.ts";

const pageBytes = 4 * KiB;
/** The addresses below 4 GiB that bhyve keeps for ROM. */
const romBytesMax = 16 * MiB;

/** The bytes for `VmOptions.rom`; throws ConfigError for what cannot be a ROM. */
export function readBootRom(file: BootFile): Uint8Array {
  const { key, path, bytes } = file;
  if (bytes.length === 0 || bytes.length % pageBytes !== 0 || bytes.length > romBytesMax) {
    throw new ConfigError({
      key, value: path, message: `a boot ROM cannot have ${bytes.length} bytes; `
        + "allowed: a multiple of 4096 up to 16 MiB",
    });
  }
  return bytes;
}
