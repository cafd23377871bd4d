/**
 * The native addon (`native/`): system calls that Node lacks, one function each. It is optional
 * and loaded when first asked for. Results below zero are -errno; a wrong argument throws a
 * TypeError or RangeError. Descriptors are those that the addon opened: `adopt` duplicates one
 * of Node's. Addresses and lengths are doubles below 2^53.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { HostError } from "../base/errors.ts";
import { defined } from "../base/assert.ts";

/** Any typed array; of bytes where nothing else is said. */
export type Bytes = Uint8Array | Int32Array | Uint32Array | Float64Array | BigUint64Array;

export interface NativeAddon {
  readonly interfaceVersion: number;

  open(path: string, flags: number, mode?: number): number;
  /** A duplicate of a descriptor of Node's; both are to be closed. */
  adopt(fd: number): number;
  close(fd: number): number;
  setBlocking(fd: number, blocking: boolean): number;
  /** `bytes` are the argument, in and out; at least as long as `request` tells. */
  ioctl(fd: number, request: number, bytes: Bytes): number;
  /** For requests whose argument is a plain number. Where the result is a new descriptor, as of
   * KVM_CREATE_VM, it is one that the addon opened. */
  ioctlValue(fd: number, request: number, value: number): number;
  /** Carries out rows of `requests` until one fails or writes too little; see `TransferTable`.
   * Returns how many it carried out. */
  transfer(
    fd: number, memory: Uint8Array, requests: Float64Array, count: number, segments: Float64Array,
  ): number;

  addressOf(bytes: Bytes): number;
  pageBytes(): number;
  /** Maps [offset, offset + memory.length) of a descriptor over whole pages of a shared
   * WebAssembly.Memory, readable and writable, MAP_SHARED. What stood there is gone, also when
   * this fails: then there may be zeroes. */
  mapOver(memory: Uint8Array, fd: number, offset: number): number;
  /** Undoes `mapOver`: zeroes again. */
  mapZeroes(memory: Uint8Array): number;
  /** A file in memory that can grow, but not be shortened; `mapOver` takes no other files. */
  memfd(name: string, lengthBytes: number): number;

  eventfd(initial: number, blocking: boolean): number;
  /** Rows of descriptor, events, returned events, as struct pollfd; -1 waits for ever. */
  poll(rows: Int32Array, timeoutMs: number): number;
  /** The calling thread's slot, for `kick`; the same each time. */
  kickSlot(): number;
  /** Ends the system call that the thread of a slot is in, with EINTR. */
  kick(slot: number): number;
  /** Kicks of the calling thread also set this byte of a shared WebAssembly.Memory to 1, so that a
   * system call it is about to make can end at once. Returns the slot. */
  kickCell(cell: Uint8Array): number;
  /** Kicks the calling thread after so many nanoseconds; 0 takes that back. */
  kickAfter(nanoseconds: number): number;

  /** Fills two cells. */
  socketPair(fds: Int32Array): number;
  unixConnect(path: string): number;
  unixListen(path: string, backlog: number): number;
  accept(fd: number): number;
  /** Sends bytes (at least one) and up to 64 descriptors (unix(7), SCM_RIGHTS). */
  send(fd: number, bytes: Uint8Array, fds: Int32Array): number;
  /** Fills `fds` with what came, -1 behind the last; what finds no room is closed. */
  receive(fd: number, bytes: Uint8Array, fds: Int32Array): number;

  /** io_uring(7): see `IoRing`. `params` is struct io_uring_params. */
  ringSetup(entries: number, params: Bytes): number;
  ringEnter(fd: number, toSubmit: number, minComplete: number, flags: number): number;
  ringRegister(fd: number, opcode: number, bytes: Bytes, count: number): number;

  /** Writes a variable of the kernel unless `newValue` is empty, or else reads it; returns the
   * length of what it read. On Linux by /proc/sys. */
  sysctl(name: string, oldValue: Bytes, newValue: Bytes): number;
  /** FreeBSD's, -ENOSYS elsewhere. */
  kqueue(): number;
  kevent(kq: number, changes: Bytes, events: Bytes, timeoutMs: number): number;
  capEnter(): number;
}

const interfaceVersion = 2;
/** The one command that brings the addon. */
export const addonBuildCommand = "npm run build:addon";

export type NativeState =
  | { readonly addon: NativeAddon; readonly path: string }
  | { readonly addon?: undefined; readonly reason: string };

let state: NativeState | undefined;

function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json")) && folder !== dirname(folder)) {
    folder = dirname(folder);
  }
  return folder;
}

function load(): NativeState {
  const require = createRequire(import.meta.url);
  let path: string;
  try {
    path = require("node-gyp-build").resolve(packageRoot());
  } catch {
    return { reason: `the native addon is not built; to build it: ${addonBuildCommand}` };
  }
  try {
    const addon: NativeAddon = require(path);
    return addon.interfaceVersion === interfaceVersion ? { addon, path }
      : { reason: `${path} is of another version; to build it anew: ${addonBuildCommand}` };
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    return { reason: `${path} cannot be loaded (${cause}); to build it: ${addonBuildCommand}` };
  }
}

/** Whether the addon is there, and why not; it is looked for once a thread. */
export function nativeState(): NativeState {
  state ??= load();
  return state;
}

export function nativeAddon(): NativeAddon | undefined {
  return nativeState().addon;
}

/** The addon, for what cannot be without it; throws HostError that says what to do. */
export function requireNative(use: string): NativeAddon {
  const found = nativeState();
  if (found.addon === undefined) {
    throw new HostError(use, found.reason);
  }
  return found.addon;
}

const errorNames: ReadonlyMap<number, string> =
  new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

/** The name of the error in a negative result: `EBUSY`. */
export function errorName(result: number): string {
  return errorNames.get(-result) ?? `errno ${-result}`;
}

/** Passes a result on, or throws HostError: `what: EBUSY`. */
export function checked(what: string, result: number): number {
  if (result < 0) {
    throw new HostError(what, errorName(result));
  }
  return result;
}

/** Kinds of requests of `transfer`. */
export const transferKind = { pread: 0, pwrite: 1, sync: 2, read: 3, write: 4 } as const;

const requestColumns = 5;
const resultColumn = 4;
const segmentColumns = 2;

/** The tables of one batch of `transfer`, filled row by row and reused; allocates nothing. */
export class TransferTable {
  /** Rows of kind, file position, first segment, segments, result (bytes or -errno). */
  readonly requests: Float64Array;
  /** Rows of offset in the memory, length. */
  readonly segments: Float64Array;
  #requestCount = 0;
  #segmentCount = 0;

  constructor(requestsMax: number, segmentsMax: number) {
    this.requests = new Float64Array(requestsMax * requestColumns);
    this.segments = new Float64Array(segmentsMax * segmentColumns);
  }

  get count(): number {
    return this.#requestCount;
  }

  clear(): void {
    this.#requestCount = 0;
    this.#segmentCount = 0;
  }

  /** Starts a request; false when the table is full. Positions mean nothing to streams. */
  request(kind: number, position: number): boolean {
    const at = this.#requestCount * requestColumns;
    if (at >= this.requests.length) {
      return false;
    }
    this.requests[at] = kind;
    this.requests[at + 1] = position;
    this.requests[at + 2] = this.#segmentCount;
    this.requests[at + 3] = 0;
    this.requests[at + resultColumn] = 0;
    this.#requestCount += 1;
    return true;
  }

  /** Adds memory to the latest request; false when the table is full. */
  segment(offset: number, length: number): boolean {
    const at = this.#segmentCount * segmentColumns;
    const row = (this.#requestCount - 1) * requestColumns;
    if (at >= this.segments.length || row < 0) {
      return false;
    }
    this.segments[at] = offset;
    this.segments[at + 1] = length;
    this.#segmentCount += 1;
    this.requests[row + 3] = defined(this.requests[row + 3], "the row") + 1;
    return true;
  }

  /** Bytes moved by a request, or -errno. */
  result(index: number): number {
    return defined(this.requests[index * requestColumns + resultColumn], "the row");
  }

  /** One system call a request, one call of the addon for all; returns how many it carried out:
   * fewer than `count` after one that failed or wrote too little. */
  run(addon: NativeAddon, fd: number, memory: Uint8Array): number {
    return addon.transfer(fd, memory, this.requests, this.#requestCount, this.segments);
  }
}
