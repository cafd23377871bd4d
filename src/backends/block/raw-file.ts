/** Opens a raw image file or a block device of the host (bhyve_config(5), block devices). */
import { isPowerOfTwo } from "../../base/bits.ts";
import { ConfigError, HostError } from "../../base/errors.ts";
import type { BlockBackend } from "../../fabric/device.ts";
import { openFile, systemErrorCode } from "../../host/files.ts";
import type { HostFile, OpenFlags } from "../../host/files.ts";
import { InlineDisk } from "./inline.ts";
import { RawImage } from "./raw-image.ts";
import { readSectorSize, sectorBytesMin, sectorSizeHelp } from "./sector-size.ts";
import type { SectorSize } from "./sector-size.ts";

export interface RawFileOptions {
  /** Full key of the disk's node, for messages: `pci.0.3.0`. */
  readonly key: string;
  readonly path: string;
  readonly readOnly?: boolean;
  readonly nocache?: boolean;
  /** Either of bhyve's `sync` and `direct`: every write is stable before it completes. */
  readonly sync?: boolean;
  /** The text of the `sectorsize` key. */
  readonly sectorSize?: string;
}

/** The disk of a device that runs in the same thread. */
export function openRawFile(options: RawFileOptions): BlockBackend {
  return new InlineDisk(openRawImage(options));
}

/** Opens the disk; a wrong key or a path that cannot serve as a disk is a ConfigError. */
export function openRawImage(options: RawFileOptions): RawImage {
  const sizes = chosenSectorSize(options);
  const { file, readOnly } = openAsAllowed(options);
  try {
    return new RawImage(file, readOnly, fittingSectorSize(options, file, sizes));
  } catch (error) {
    file.close();
    throw error;
  }
}

/** bhyve's rule: what cannot be opened for writing is tried again for reading only. */
function openAsAllowed(options: RawFileOptions): { file: HostFile; readOnly: boolean } {
  const { path, nocache = false, sync = false } = options;
  const key = `${options.key}.path`;
  const open = (write: boolean) => {
    const flags: OpenFlags = { write, direct: nocache, sync };
    return { file: checkKind(openFile(path, flags)), readOnly: !write };
  };
  const checkKind = (file: HostFile): HostFile => {
    if (file.kind === "directory") {
      file.close();
      throw new ConfigError({
        key, value: path, message: "is a directory; a disk is an image file or a block device",
      });
    }
    return file;
  };
  if (path === "") {
    throw new ConfigError({ key, value: path, message: "names no file" });
  }
  try {
    return options.readOnly ? open(false) : openEither(open);
  } catch (error) {
    if (!(error instanceof HostError)) {
      throw error;
    }
    if (nocache && systemErrorCode(error) === "EINVAL") {
      throw new ConfigError({
        key: `${options.key}.nocache`, value: "true",
        message: `the file system of ${path} cannot bypass the cache (O_DIRECT)`,
      });
    }
    throw new ConfigError({ key, value: path, message: whyNot(error) });
  }
}

function openEither<T>(open: (write: boolean) => T): T {
  try {
    return open(true);
  } catch (error) {
    if (error instanceof ConfigError || systemErrorCode(error) === "ENOENT") {
      throw error;
    }
    return open(false);
  }
}

function whyNot(error: HostError): string {
  switch (systemErrorCode(error)) {
    case "ENOENT": return "no such file";
    case "EACCES": return "the file may not be read by this user";
    default: return error.message;
  }
}

function chosenSectorSize(options: RawFileOptions): SectorSize | undefined {
  if (options.sectorSize === undefined) {
    return undefined;
  }
  const sizes = readSectorSize(options.sectorSize);
  if (sizes === undefined) {
    throw new ConfigError({
      key: `${options.key}.sectorsize`, value: options.sectorSize,
      message: `expected ${sectorSizeHelp}`,
    });
  }
  return sizes;
}

/** A device's own sectors are the unit it accepts, so ours must be made of whole ones. */
function fittingSectorSize(
  options: RawFileOptions, file: HostFile, chosen: SectorSize | undefined,
): SectorSize {
  const device = file.sectorBytes;
  if (chosen === undefined) {
    const sectorBytes = device ?? sectorBytesMin;
    const preferred = isPowerOfTwo(file.preferredBytes) ? file.preferredBytes : sectorBytes;
    const physical = file.physicalSectorBytes ?? preferred;
    return { sectorBytes, physicalSectorBytes: Math.max(sectorBytes, physical) };
  }
  if (device !== undefined && chosen.sectorBytes % device !== 0) {
    throw new ConfigError({
      key: `${options.key}.sectorsize`, value: options.sectorSize ?? "",
      message: `${options.path} has sectors of ${device} bytes; a multiple of that is needed`,
    });
  }
  return chosen;
}
