/**
 * A disk in a raw image file or a block device of the host (bhyve_config(5), block devices).
 * Requests run in the calling thread; each costs one system call.
 */
import { assert } from "../../base/assert.ts";
import { isPowerOfTwo } from "../../base/bits.ts";
import { ConfigError, HostError } from "../../base/errors.ts";
import { MiB } from "../../base/units.ts";
import type { BlockBackend, BufferParts } from "../../fabric/device.ts";
import { openFile, systemErrorCode } from "../../host/files.ts";
import type { HostFile, OpenFlags } from "../../host/files.ts";
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

/** Opens the disk; a wrong key or a path that cannot serve as a disk is a ConfigError. */
export function openRawFile(options: RawFileOptions): BlockBackend {
  const sizes = chosenSectorSize(options);
  const { file, readOnly } = openAsAllowed(options);
  try {
    return new RawFile(file, readOnly, fittingSectorSize(options, file, sizes));
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

const bounceBytes = 1 * MiB; // Large requests pass in pieces of this size.
const wasmPageBytes = 64 * 1024;

class RawFile implements BlockBackend {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly sectorBytes: number;
  readonly physicalSectorBytes: number;
  readonly #file: HostFile;
  /** A page-aligned buffer for O_DIRECT, which refuses others; made when first needed. */
  #bounce: Uint8Array | undefined;

  constructor(file: HostFile, readOnly: boolean, sectors: SectorSize) {
    this.#file = file;
    this.sizeBytes = file.sizeBytes;
    this.readOnly = readOnly;
    this.sectorBytes = sectors.sectorBytes;
    this.physicalSectorBytes = sectors.physicalSectorBytes;
  }

  read(offset: number, into: Uint8Array): void {
    this.#checkRange(offset, into.length);
    let count = 0;
    try {
      count = this.#file.read(offset, into);
    } catch (error) {
      if (systemErrorCode(error) !== "EINVAL") {
        throw error;
      }
      count = this.#readBounced(offset, into);
    }
    // The file may have been cut since it was opened: what is missing reads as zeros.
    into.fill(0, count);
  }

  write(offset: number, from: Uint8Array): void {
    assert(!this.readOnly, "nothing writes to a disk that was opened for reading");
    this.#checkRange(offset, from.length);
    try {
      this.#file.write(offset, from);
    } catch (error) {
      if (systemErrorCode(error) !== "EINVAL") {
        throw error;
      }
      this.#writeBounced(offset, from);
    }
  }

  readParts(offset: number, parts: BufferParts): void {
    this.#checkRange(offset, parts.totalBytes);
    try {
      const views = viewsOf(parts);
      const count = views === undefined
        ? this.#file.read(offset, parts.bytes, parts.starts[0], parts.lengths[0])
        : this.#file.readParts(offset, views);
      clearFrom(parts, count);
    } catch (error) {
      if (systemErrorCode(error) !== "EINVAL") {
        throw error;
      }
      eachPart(parts, (at, part) => this.read(offset + at, part));
    }
  }

  writeParts(offset: number, parts: BufferParts): void {
    assert(!this.readOnly, "nothing writes to a disk that was opened for reading");
    this.#checkRange(offset, parts.totalBytes);
    try {
      const views = viewsOf(parts);
      if (views === undefined) {
        this.#file.write(offset, parts.bytes, parts.starts[0], parts.lengths[0]);
      } else {
        this.#file.writeParts(offset, views);
      }
    } catch (error) {
      if (systemErrorCode(error) !== "EINVAL") {
        throw error;
      }
      eachPart(parts, (at, part) => this.write(offset + at, part));
    }
  }

  flush(): void {
    this.#file.sync();
  }

  /** Punching holes needs fallocate(2) or an ioctl, which Node does not offer. */
  discard(_offset: number, _length: number): boolean {
    return false;
  }

  close(): void {
    this.#file.close();
  }

  /** The device model has checked the guest's numbers; a write here would grow the file. */
  #checkRange(offset: number, length: number): void {
    assert(offset >= 0, "a disk request starts inside the disk");
    assert(offset + length <= this.sizeBytes, "a disk request ends inside the disk");
  }

  #aligned(): Uint8Array {
    // WebAssembly memories are page aligned, which no ordinary buffer promises.
    this.#bounce ??= new Uint8Array(
      new WebAssembly.Memory({ initial: bounceBytes / wasmPageBytes }).buffer);
    return this.#bounce;
  }

  #readBounced(offset: number, into: Uint8Array): number {
    const bounce = this.#aligned();
    let done = 0;
    while (done < into.length) {
      const wanted = Math.min(bounce.length, into.length - done);
      const count = this.#file.read(offset + done, bounce.subarray(0, wanted));
      into.set(bounce.subarray(0, count), done);
      done += count;
      if (count < wanted) {
        break;
      }
    }
    return done;
  }

  #writeBounced(offset: number, from: Uint8Array): void {
    const bounce = this.#aligned();
    for (let done = 0; done < from.length; done += bounce.length) {
      const piece = from.subarray(done, done + bounce.length);
      bounce.set(piece);
      this.#file.write(offset + done, bounce.subarray(0, piece.length));
    }
  }
}

/** A vectored call wants objects; a single part, which is most of them, needs none. */
function viewsOf(parts: BufferParts): Uint8Array[] | undefined {
  if (parts.count === 1) {
    return undefined;
  }
  const views: Uint8Array[] = [];
  eachPart(parts, (_at, part) => views.push(part));
  return views;
}

function eachPart(parts: BufferParts, use: (at: number, part: Uint8Array) => void): void {
  let at = 0;
  for (let index = 0; index < parts.count; index += 1) {
    const start = parts.starts[index] ?? 0;
    const length = parts.lengths[index] ?? 0;
    use(at, parts.bytes.subarray(start, start + length));
    at += length;
  }
}

/** What a cut file no longer has reads as zeros. */
function clearFrom(parts: BufferParts, count: number): void {
  if (count < parts.totalBytes) {
    eachPart(parts, (at, part) => part.fill(0, Math.max(0, count - at)));
  }
}
