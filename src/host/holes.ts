/**
 * Ranges of a file that are given back to the host, or become zero without being written:
 * fallocate(2), which Node lacks. It goes through an io_uring of its own.
 */
import { constants } from "node:os";
import { HostError } from "../base/errors.ts";
import { IoRing, ringOp } from "./io-ring.ts";
import { errorName, type NativeAddon } from "./native.ts";

/** FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE. */
const mode = { keepSize: 1, punchHole: 2, zeroRange: 16 } as const;
/** The length travels as an address, which is exact; the kernel's own limit is its file size. */
const probeBytes = 4096;

export class Holes {
  readonly #ring: IoRing;
  readonly #addon: NativeAddon;
  readonly #fd: number;
  readonly #path: string;

  private constructor(addon: NativeAddon, ring: IoRing, fd: number, path: string) {
    this.#addon = addon;
    this.#ring = ring;
    this.#fd = fd;
    this.#path = path;
  }

  /** For a descriptor of Node's; undefined where the host or the file system cannot do it. */
  static over(
    addon: NativeAddon, fd: number, path: string, sizeBytes: number,
  ): Holes | undefined {
    const own = addon.adopt(fd);
    if (own < 0) {
      return undefined;
    }
    let ring: IoRing | undefined;
    try {
      ring = new IoRing(addon, 1);
      const holes = new Holes(addon, ring, own, path);
      // A hole behind the end changes nothing, but tells whether there can be any.
      const end = Math.ceil(sizeBytes / probeBytes) * probeBytes;
      const answer = holes.#call(mode.punchHole | mode.keepSize, end, probeBytes);
      if (answer === 0 || answer === -constants.errno.EINVAL) {
        return holes;
      }
    } catch (error) {
      if (!(error instanceof HostError)) {
        throw error;
      }
    }
    ring?.close();
    addon.close(own);
    return undefined;
  }

  /** Frees a range; it reads as zeros then. */
  punch(offset: number, length: number): void {
    this.#check("free a range of", this.#call(mode.punchHole | mode.keepSize, offset, length));
  }

  /** Makes a range read as zeros and keeps its place, where the file system can. */
  zero(offset: number, length: number): void {
    const answer = this.#call(mode.zeroRange | mode.keepSize, offset, length);
    if (answer === -constants.errno.EOPNOTSUPP) {
      this.punch(offset, length);
    } else {
      this.#check("zero a range of", answer);
    }
  }

  close(): void {
    this.#ring.close();
    this.#addon.close(this.#fd);
  }

  #check(what: string, answer: number): void {
    if (answer < 0) {
      throw new HostError(`cannot ${what} ${this.#path}`, errorName(answer));
    }
  }

  #call(flags: number, offset: number, length: number): number {
    this.#ring.add({
      op: ringOp.fallocate, fd: this.#fd, address: length, length: flags, position: offset, tag: 0,
    });
    for (;;) {
      this.#ring.submit(1);
      if (this.#ring.take()) {
        return this.#ring.result;
      }
    }
  }
}
