/**
 * io_uring (io_uring(7), io_uring_setup(2), io_uring_enter(2)): the rings are mapped over pages of
 * a WebAssembly.Memory and filled here as typed arrays; the addon only enters the kernel.
 * Nothing is allocated per request.
 */
import { constants } from "node:os";
import { assert, defined } from "../base/assert.ts";
import { checked, type NativeAddon } from "./native.ts";

/** Opcodes (enum io_uring_op). */
export const ringOp = {
  nop: 0, readv: 1, writev: 2, fsync: 3, readFixed: 4, writeFixed: 5, pollAdd: 6,
  fallocate: 17, close: 19, read: 22, write: 23, send: 26, recv: 27,
} as const;

/** Opcodes of `ringRegister`. */
export const ringRegistration = { buffers: 0, files: 2, eventfd: 4, eventfdAsync: 7 } as const;

/** Flags of an entry: IOSQE_FIXED_FILE, IOSQE_IO_DRAIN, IOSQE_IO_LINK. */
export const ringEntryFlag = { fixedFile: 1, drain: 2, link: 4 } as const;

const paramsBytes = 120;
/** Words of struct io_uring_params: sizes, then the offsets of both rings' fields. */
const param = {
  entries: 0, completionEntries: 1, flags: 2, submissionOffsets: 10, completionOffsets: 20,
} as const;
const submissionOffset = { head: 0, tail: 1, mask: 2, flags: 4, array: 6 } as const;
const completionOffset = { head: 0, tail: 1, mask: 2, entries: 5 } as const;
/** With IORING_SETUP_NO_MMAP, where io_uring_params has the addresses of entries and rings. */
const entriesAddress = 18, ringsAddress = 28, noMmap = 1 << 14;
/** Offsets of mmap(2): both rings, and the entries. */
const mapping = { rings: 0, entries: 0x1000_0000 } as const;
/** More than struct io_rings takes before its completions, and before the order of submissions. */
const ringsHeadBytes = 512;
const entriesMax = 4096;
const entryWords = 16;
const completionWords = 4;
const getEvents = 1;
const wasmPageBytes = 64 * 1024;
const highWord = 2 ** 32;

/** Fields of one request; `address` is one of the process (`NativeAddon.addressOf`). */
export interface RingRequest {
  readonly op: number;
  readonly fd: number;
  readonly address: number;
  readonly length: number;
  readonly position: number;
  /** Comes back with the completion; an unsigned 32-bit number. */
  readonly tag: number;
  readonly flags?: number;
}

const wholePages = (bytes: number) => Math.ceil(bytes / wasmPageBytes) * wasmPageBytes;

function wordsAt(bytes: Uint8Array, offset: number, count: number): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset + offset, count);
}

export class IoRing {
  readonly fd: number;
  /** Requests that can wait for `submit` at a time. */
  readonly entries: number;
  /** Set by `take`: what the request was tagged with, and bytes or -errno. */
  tag = 0;
  result = 0;
  readonly #addon: NativeAddon;
  readonly #entryPages: Uint8Array;
  readonly #ringPages: Uint8Array;
  readonly #submissionHead: Uint32Array;
  readonly #submissionTail: Uint32Array;
  readonly #submissionMask: number;
  readonly #order: Uint32Array;
  readonly #requests: Uint32Array;
  readonly #completionHead: Uint32Array;
  readonly #completionTail: Uint32Array;
  readonly #completionMask: number;
  readonly #completions: Uint32Array;
  #unsubmitted = 0;

  /** Throws HostError where the kernel has no io_uring or forbids it; up to 4096 entries. */
  constructor(addon: NativeAddon, entriesWanted: number) {
    assert(entriesWanted > 0 && entriesWanted <= entriesMax, "entries of a ring: 1 to 4096");
    this.#addon = addon;
    this.entries = 2 ** Math.ceil(Math.log2(entriesWanted));
    const entryBytes = wholePages(this.entries * entryWords * 4);
    const ringBytes = wholePages(ringsHeadBytes
      + this.entries * (2 * completionWords * 4 + Uint32Array.BYTES_PER_ELEMENT));
    const memory = new WebAssembly.Memory({
      initial: (entryBytes + ringBytes) / wasmPageBytes,
      maximum: (entryBytes + ringBytes) / wasmPageBytes, shared: true,
    });
    this.#entryPages = new Uint8Array(memory.buffer, 0, entryBytes);
    this.#ringPages = new Uint8Array(memory.buffer, entryBytes, ringBytes);
    const params = new Uint32Array(paramsBytes / 4);
    this.fd = checked("io_uring", this.#setUp(params));
    const word = (index: number) => defined(params[index], "a word of io_uring_params");
    assert(word(param.entries) === this.entries, "the kernel rounds entries as we do");
    const at = (offset: number, count = 1) => wordsAt(this.#ringPages, offset, count);
    const submission = (index: number) => word(param.submissionOffsets + index);
    const completion = (index: number) => word(param.completionOffsets + index);
    this.#requests = wordsAt(this.#entryPages, 0, this.entries * entryWords);
    this.#submissionHead = at(submission(submissionOffset.head));
    this.#submissionTail = at(submission(submissionOffset.tail));
    this.#submissionMask = defined(at(submission(submissionOffset.mask))[0], "the mask");
    this.#order = at(submission(submissionOffset.array), this.entries);
    this.#completionHead = at(completion(completionOffset.head));
    this.#completionTail = at(completion(completionOffset.tail));
    this.#completionMask = defined(at(completion(completionOffset.mask))[0], "the mask");
    this.#completions = at(completion(completionOffset.entries),
      word(param.completionEntries) * completionWords);
  }

  /** Queues a request; false when the ring is full: `submit` first. The request is read at once,
   * so that a caller can reuse one object. */
  add(request: RingRequest): boolean {
    const { op, fd, address, length, position, tag, flags = 0 } = request;
    const tail = Atomics.load(this.#submissionTail, 0);
    const used = (tail - Atomics.load(this.#submissionHead, 0)) >>> 0;
    if (used >= this.entries) {
      return false;
    }
    const index = tail & this.#submissionMask;
    const at = index * entryWords;
    const words = this.#requests;
    words.fill(0, at, at + entryWords);
    words[at] = op | (flags << 8);
    words[at + 1] = fd;
    words[at + 2] = position >>> 0;
    words[at + 3] = Math.floor(position / highWord);
    words[at + 4] = address >>> 0;
    words[at + 5] = Math.floor(address / highWord);
    words[at + 6] = length;
    words[at + 8] = tag;
    this.#order[index] = index;
    Atomics.store(this.#submissionTail, 0, (tail + 1) >>> 0);
    this.#unsubmitted += 1;
    return true;
  }

  /** Hands the queued requests to the kernel, and waits for some completions where asked.
   * Returns how many the kernel took, or -errno (EINTR, EAGAIN, EBUSY: try again). */
  submit(completionsMin = 0): number {
    const flags = completionsMin > 0 ? getEvents : 0;
    const taken = this.#addon.ringEnter(this.fd, this.#unsubmitted, completionsMin, flags);
    this.#unsubmitted -= Math.max(0, taken);
    return taken;
  }

  /** Takes the next completion into `tag` and `result`; false when there is none. */
  take(): boolean {
    const head = Atomics.load(this.#completionHead, 0);
    if (head === Atomics.load(this.#completionTail, 0)) {
      return false;
    }
    const at = (head & this.#completionMask) * completionWords;
    this.tag = defined(this.#completions[at], "a completion");
    this.result = defined(this.#completions[at + 2], "a completion") | 0;
    Atomics.store(this.#completionHead, 0, (head + 1) >>> 0);
    return true;
  }

  /** Completions go on being signalled through an eventfd of the addon. */
  signalTo(eventfd: number): void {
    checked("io_uring: register an eventfd", this.#addon.ringRegister(
      this.fd, ringRegistration.eventfd, Int32Array.of(eventfd), 1));
  }

  close(): void {
    this.#addon.close(this.fd);
    this.#addon.mapZeroes(this.#entryPages);
    this.#addon.mapZeroes(this.#ringPages);
  }

  /** Linux 6.5 and later take memory of ours for the rings and no longer map theirs where they are
   * told; earlier ones map them over ours. */
  #setUp(params: Uint32Array): number {
    const setAddress = (at: number, pages: Uint8Array) => {
      const address = this.#addon.addressOf(pages);
      params[at] = address >>> 0;
      params[at + 1] = Math.floor(address / highWord);
    };
    params[param.flags] = noMmap;
    setAddress(entriesAddress, this.#entryPages);
    setAddress(ringsAddress, this.#ringPages);
    const fd = this.#addon.ringSetup(this.entries, params);
    if (fd !== -constants.errno.EINVAL) {
      return fd;
    }
    params.fill(0);
    const early = this.#addon.ringSetup(this.entries, params);
    if (early >= 0) {
      checked("io_uring rings", this.#addon.mapOver(this.#ringPages, early, mapping.rings));
      checked("io_uring entries", this.#addon.mapOver(this.#entryPages, early, mapping.entries));
    }
    return early;
  }
}
