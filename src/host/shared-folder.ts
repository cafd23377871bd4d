/**
 * A folder of the host as a tree that cannot be left. Every file is held by a descriptor, and
 * names are looked up one at a time below the descriptor of their folder, without following
 * symbolic links: whatever is renamed or replaced meanwhile, by anyone, a path cannot lead out.
 * Linux's /proc/self/fd stands in for openat(2) and its kin, which Node lacks.
 */
import {
  chmodSync, chownSync, closeSync, constants, existsSync, fstatSync, fsyncSync, linkSync,
  lstatSync, mkdirSync, openSync, readSync, readdirSync, readlinkSync, renameSync, rmdirSync,
  statfsSync, symlinkSync, truncateSync, unlinkSync, utimesSync, writeSync, type BigIntStats,
  type Dirent, type StatsFs,
} from "node:fs";
import { HostError } from "../base/errors.ts";

/** open(2): a handle on the file itself, be it a link, a pipe or a device, without opening it. */
const pathOnly = 0x20_0000;
const { O_NOFOLLOW, O_DIRECTORY, O_CREAT, O_EXCL } = constants;
const magicFolder = "/proc/self/fd";

/** A refusal with its number, for protocols that pass numbers on. */
export class FileRefusal extends Error {
  override readonly name = "FileRefusal";
  readonly errno: number;

  constructor(errno: number) {
    super(`errno ${errno}`);
    this.errno = errno;
  }
}

/** Runs a call of the host; what it refuses becomes a FileRefusal. */
function attempt<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (error instanceof Error && "errno" in error && typeof error.errno === "number") {
      throw new FileRefusal(Math.abs(error.errno));
    }
    throw error;
  }
}

/** Names a guest may use: one component, and neither this folder nor the one above. */
export function isPlainName(name: string): boolean {
  return name !== "" && name !== "." && name !== ".." && !/[/\0]/.test(name)
    && Buffer.byteLength(name) <= 255;
}

/** One file of the tree, held until `release` has been called as often as `retain` plus one. */
export class SharedFile {
  readonly #fd: number;
  #parent: SharedFile | undefined;
  #name: string;
  #users = 1;

  private constructor(fd: number, parent: SharedFile | undefined, name: string) {
    this.#fd = fd;
    this.#parent = parent?.retain();
    this.#name = name;
  }

  /** The top of a tree; throws HostError. */
  static root(path: string): SharedFile {
    if (!existsSync(`${magicFolder}/0`)) {
      throw new HostError(`cannot share ${path}`, `this host has no ${magicFolder}`);
    }
    try {
      return new SharedFile(openSync(path, pathOnly | O_DIRECTORY), undefined, "");
    } catch (error) {
      throw new HostError(`cannot share ${path}`, error);
    }
  }

  retain(): this {
    this.#users += 1;
    return this;
  }

  release(): void {
    this.#users -= 1;
    if (this.#users === 0) {
      closeSync(this.#fd);
      this.#parent?.release();
    }
  }

  /** The folder in which this was found; the top is its own. */
  get parent(): SharedFile {
    return this.#parent ?? this;
  }

  child(name: string): SharedFile {
    const fd = attempt(() => openSync(this.#below(name), pathOnly | O_NOFOLLOW));
    return new SharedFile(fd, this, name);
  }

  stat(): BigIntStats {
    return attempt(() => fstatSync(this.#fd, { bigint: true }));
  }

  statFs(): StatsFs {
    return attempt(() => statfsSync(this.#itself));
  }

  /** Opens this very file; only plain files and folders, since others may block or act. */
  open(flags: number): OpenedFile {
    const stat = this.stat();
    if (!stat.isFile() && !stat.isDirectory()) {
      throw new FileRefusal(errorNumber.EPERM);
    }
    return new OpenedFile(attempt(() => openSync(this.#itself, flags & ~(O_CREAT | O_EXCL))));
  }

  /** Makes a plain file, or opens the one that is there, in this folder. */
  create(name: string, flags: number, mode: number): { file: SharedFile; opened: OpenedFile } {
    const fd = attempt(() => openSync(
      this.#below(name), flags | O_CREAT | O_NOFOLLOW | constants.O_NONBLOCK, mode & 0o7777));
    const opened = new OpenedFile(fd);
    try {
      if (!attempt(() => fstatSync(fd)).isFile()) {
        throw new FileRefusal(errorNumber.EPERM);
      }
      return { file: this.child(name), opened };
    } catch (error) {
      opened.close();
      throw error;
    }
  }

  makeFolder(name: string, mode: number): void {
    attempt(() => mkdirSync(this.#below(name), { mode: mode & 0o7777 }));
  }

  /** The text of a link is the guest's business: nothing here ever follows it. */
  makeLink(name: string, target: string): void {
    attempt(() => symlinkSync(target, this.#below(name)));
  }

  /** A second name for a file. */
  linkAs(folder: SharedFile, name: string): void {
    attempt(() => linkSync(this.#byName, folder.#below(name)));
  }

  readLink(): string {
    return attempt(() => readlinkSync(this.#byName));
  }

  remove(name: string, isFolder: boolean): void {
    attempt(() => (isFolder ? rmdirSync(this.#below(name)) : unlinkSync(this.#below(name))));
  }

  /** Removes this file from its folder. */
  removeSelf(): void {
    if (this.#parent === undefined) {
      throw new FileRefusal(errorNumber.EBUSY);
    }
    this.#parent.remove(this.#name, this.stat().isDirectory());
  }

  rename(name: string, folder: SharedFile, newName: string): void {
    attempt(() => renameSync(this.#below(name), folder.#below(newName)));
  }

  moveSelf(folder: SharedFile, newName: string): void {
    const old = this.#parent;
    if (old === undefined) {
      throw new FileRefusal(errorNumber.EBUSY);
    }
    old.rename(this.#name, folder, newName);
    this.#parent = folder.retain();
    this.#name = newName;
    old.release();
  }

  setMode(mode: number): void {
    attempt(() => chmodSync(this.#itself, mode & 0o7777));
  }

  setOwner(user: number, group: number): void {
    attempt(() => chownSync(this.#itself, user, group));
  }

  setSize(bytes: number): void {
    if (!this.stat().isFile()) {
      throw new FileRefusal(errorNumber.EINVAL);
    }
    attempt(() => truncateSync(this.#itself, bytes));
  }

  /** In seconds since 1970. */
  setTimes(accessed: number, modified: number): void {
    attempt(() => utimesSync(this.#itself, accessed, modified));
  }

  list(): readonly Dirent[] {
    return attempt(() => readdirSync(this.#itself, { withFileTypes: true }));
  }

  inodeOf(name: string): bigint {
    return attempt(() => lstatSync(this.#below(name), { bigint: true }).ino);
  }

  get #itself(): string {
    return `${magicFolder}/${this.#fd}`;
  }

  /** A link cannot be reached through its own descriptor. */
  get #byName(): string {
    return this.#parent === undefined ? this.#itself : this.#parent.#below(this.#name);
  }

  #below(name: string): string {
    if (!isPlainName(name)) {
      throw new FileRefusal(errorNumber.EINVAL);
    }
    return `${magicFolder}/${this.#fd}/${name}`;
  }
}

/** Linux's numbers, which the protocol speaks and this host has. */
const errorNumber = { EPERM: 1, EBUSY: 16, EINVAL: 22 } as const;

export class OpenedFile {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  read(offset: number, into: Uint8Array): number {
    return attempt(() => readSync(this.#fd, into, 0, into.length, offset));
  }

  write(offset: number, from: Uint8Array): number {
    return attempt(() => writeSync(this.#fd, from, 0, from.length, offset));
  }

  sync(): void {
    attempt(() => fsyncSync(this.#fd));
  }

  close(): void {
    closeSync(this.#fd);
  }
}
