/**
 * Files and block devices of the host, read and written in the calling thread: a queue of disk
 * requests costs one system call each and no promise. Every refusal is a HostError.
 */
import {
  closeSync, constants, existsSync, fstatSync, fsyncSync, ftruncateSync, openSync, readFileSync,
  readSync, readvSync, realpathSync, writeSync, writevSync,
} from "node:fs";
import { HostError } from "../base/errors.ts";
import { Holes } from "./holes.ts";
import { nativeAddon } from "./native.ts";

export interface OpenFlags {
  readonly write: boolean;
  /** Past the host's page cache (O_DIRECT); the host may demand aligned buffers then. */
  readonly direct?: boolean;
  /** Every write is stable before it returns (O_SYNC). */
  readonly sync?: boolean;
  /** It must not exist yet. */
  readonly create?: boolean;
}

export type FileKind = "file" | "directory" | "blockDevice" | "charDevice" | "other";

/** The error code of a failed system call (`ENOSPC`), or "" for any other error. */
export function systemErrorCode(error: unknown): string {
  const cause = error instanceof HostError ? error.cause : error;
  return cause instanceof Error && "code" in cause && typeof cause.code === "string"
    ? cause.code
    : "";
}

function attempt<T>(what: string, path: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw new HostError(`${what} ${path}`, error);
  }
}

/** An open file. Offsets are in bytes and doubles: exact to 2^53. */
export class HostFile {
  readonly path: string;
  readonly kind: FileKind;
  readonly sizeBytes: number;
  /** What the host prefers to transfer at once (st_blksize). */
  readonly preferredBytes: number;
  /** Sector sizes a block device states, if it does. */
  readonly sectorBytes: number | undefined;
  readonly physicalSectorBytes: number | undefined;
  readonly #fd: number;
  #open = true;

  constructor(path: string, flags: OpenFlags) {
    this.path = path;
    this.#fd = attempt("cannot open", path, () => openSync(path, openBits(flags)));
    const stat = fstatSync(this.#fd);
    this.kind = stat.isFile() ? "file" : stat.isDirectory() ? "directory"
      : stat.isBlockDevice() ? "blockDevice" : stat.isCharacterDevice() ? "charDevice" : "other";
    this.preferredBytes = stat.blksize;
    const device = this.kind === "blockDevice" ? linuxBlockDevice(stat.rdev) : undefined;
    this.sectorBytes = device?.sectorBytes;
    this.physicalSectorBytes = device?.physicalSectorBytes;
    this.sizeBytes = this.kind === "blockDevice" || this.kind === "charDevice"
      ? device?.sizeBytes ?? this.#probeSize()
      : stat.size;
  }

  /** Fills `into`, or `length` bytes of it from `start` on; fewer only at the file's end. Returns
   * how many. A part is named by numbers so that a disk request makes no object. */
  read(offset: number, into: Uint8Array, start = 0, length = into.length - start): number {
    let done = 0;
    try {
      while (done < length) {
        const count = readSync(this.#fd, into, start + done, length - done, offset + done);
        if (count === 0) {
          break;
        }
        done += count;
      }
    } catch (error) {
      throw new HostError(`cannot read ${this.path}`, error);
    }
    return done;
  }

  /** Fills the parts in order; fewer bytes only at the end. One system call as a rule. */
  readParts(offset: number, parts: readonly Uint8Array[]): number {
    let count = 0;
    try {
      count = readvSync(this.#fd, parts, offset);
    } catch (error) {
      throw new HostError(`cannot read ${this.path}`, error);
    }
    return count === totalBytes(parts)
      ? count
      : this.#eachPart(parts, count, (at, part) => this.read(offset + at, part));
  }

  write(offset: number, from: Uint8Array, start = 0, length = from.length - start): number {
    let done = 0;
    try {
      while (done < length) {
        done += writeSync(this.#fd, from, start + done, length - done, offset + done);
      }
    } catch (error) {
      throw new HostError(`cannot write ${this.path}`, error);
    }
    return done;
  }

  writeParts(offset: number, parts: readonly Uint8Array[]): void {
    let count = 0;
    try {
      count = writevSync(this.#fd, parts, offset);
    } catch (error) {
      throw new HostError(`cannot write ${this.path}`, error);
    }
    if (count !== totalBytes(parts)) {
      this.#eachPart(parts, count, (at, part) => this.write(offset + at, part));
    }
  }

  /** The size now: of a file that others may change. */
  currentSizeBytes(): number {
    return this.kind === "file"
      ? attempt("cannot look at", this.path, () => fstatSync(this.#fd).size) : this.sizeBytes;
  }

  /** The descriptor, for calls that only the addon has; this object goes on owning it. */
  get descriptor(): number {
    return this.#fd;
  }

  /** What frees ranges of this file; undefined where that cannot be done. */
  holes(): Holes | undefined {
    const addon = nativeAddon();
    return addon === undefined ? undefined
      : Holes.over(addon, this.#fd, this.path, this.sizeBytes);
  }

  truncate(lengthBytes: number): void {
    attempt("cannot resize", this.path, () => ftruncateSync(this.#fd, lengthBytes));
  }

  /** Returns once everything written is stable. */
  sync(): void {
    attempt("cannot sync", this.path, () => fsyncSync(this.#fd));
  }

  close(): void {
    if (this.#open) {
      this.#open = false;
      closeSync(this.#fd);
    }
  }

  /** Goes on after a short vectored call, from byte `start` of the whole. */
  #eachPart(
    parts: readonly Uint8Array[], start: number, call: (at: number, part: Uint8Array) => number,
  ): number {
    let at = 0;
    let done = start;
    for (const part of parts) {
      const skip = Math.min(Math.max(start - at, 0), part.length);
      const wanted = part.length - skip;
      const count = wanted === 0 ? 0 : call(at + skip, part.subarray(skip));
      done += count;
      at += part.length;
      if (count < wanted) {
        break;
      }
    }
    return done;
  }

  /** The end of a device that does not state its size: the last sector that can be read. */
  #probeSize(): number {
    const sector = new Uint8Array(probeBytes);
    const readable = (index: number) => {
      try {
        return readSync(this.#fd, sector, 0, probeBytes, index * probeBytes) === probeBytes;
      } catch {
        return false;
      }
    };
    let beyond = 1;
    while (beyond < probeSectorsMax && readable(beyond - 1)) {
      beyond *= 2;
    }
    let low = 0;
    while (low < beyond) {
      const middle = Math.floor((low + beyond) / 2);
      if (readable(middle)) {
        low = middle + 1;
      } else {
        beyond = middle;
      }
    }
    return low * probeBytes;
  }
}

const probeBytes = 4096;
const probeSectorsMax = 2 ** 40; // 4 PiB; an endless device such as /dev/zero ends here.

/** Opens a file; throws HostError. */
export function openFile(path: string, flags: OpenFlags): HostFile {
  return new HostFile(path, flags);
}

/** Makes a new file for reading and writing; one that exists is an error. */
export function createFile(path: string): HostFile {
  return new HostFile(path, { write: true, create: true });
}

export function fileExists(path: string): boolean {
  return existsSync(path);
}

/** The path without symbolic links; throws HostError. */
export function realPath(path: string): string {
  return attempt("cannot find", path, () => realpathSync(path));
}

/** A whole file; throws HostError. */
export function readWholeFile(path: string): Uint8Array {
  return attempt("cannot read", path, () => readFileSync(path));
}

function openBits(flags: OpenFlags): number {
  return (flags.write ? constants.O_RDWR : constants.O_RDONLY)
    | (flags.direct ? constants.O_DIRECT ?? 0 : 0)
    | (flags.sync ? constants.O_SYNC : 0)
    | (flags.create ? constants.O_CREAT | constants.O_EXCL : 0);
}

function totalBytes(parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    sum += part.length;
  }
  return sum;
}

interface BlockDeviceFacts {
  readonly sizeBytes: number;
  readonly sectorBytes: number;
  readonly physicalSectorBytes: number;
}

/** What Linux says of a block device in sysfs (Documentation/ABI/stable/sysfs-block). */
function linuxBlockDevice(rdev: number): BlockDeviceFacts | undefined {
  // The kernel's 64-bit encoding of a device number, as stat(2) gives it to Node.
  const major = ((rdev >>> 8) & 0xfff) | (Math.floor(rdev / 2 ** 32) & 0xffff_f000);
  const minor = (rdev & 0xff) | ((rdev >>> 12) & 0xfff_ff00);
  let folder = `/sys/dev/block/${major}:${minor}`;
  if (!existsSync(`${folder}/size`)) {
    return undefined;
  }
  const number = (name: string) => Number(readFileSync(`${folder}/${name}`, "latin1"));
  const sizeBytes = number("size") * 512; // Always in units of 512 bytes, whatever the sector.
  if (!existsSync(`${folder}/queue`)) {
    folder += "/.."; // A partition: its disk has the queue.
  }
  if (!existsSync(`${folder}/queue/logical_block_size`)) {
    return undefined;
  }
  return {
    sizeBytes,
    sectorBytes: number("queue/logical_block_size"),
    physicalSectorBytes: number("queue/physical_block_size"),
  };
}
