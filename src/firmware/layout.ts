/** Which guest memory a loader has filled, so that nothing it places later lies on it. */
import { alignUp } from "../base/bits.ts";
import { gpa, KiB, type Gpa } from "../base/units.ts";
import type { GuestMemory } from "../fabric/memory.ts";
import { conventionalEnd, firmwareArea } from "./e820.ts";
import { fileError } from "./image-reader.ts";
import type { BootFile } from "./boot-file.ts";

interface Range {
  readonly base: number;
  readonly end: number;
}

export interface Placement {
  readonly align: number;
  /** The lowest address; by default behind the pages that real-mode code owns. */
  readonly from?: number;
  /** The address that it must end below or at. */
  readonly below: number;
  /** As high as possible instead of as low as possible. */
  readonly top?: boolean;
}

/** The interrupt table and BIOS variables of a PC, which kernels do not expect data in. */
const lowestFree = 4 * KiB;

export class MemoryLayout {
  readonly memory: GuestMemory;
  readonly #taken: Range[] = [
    { base: 0, end: lowestFree },
    // The VGA window and the area of the firmware's tables.
    { base: conventionalEnd, end: firmwareArea.end },
  ];

  constructor(memory: GuestMemory) {
    this.memory = memory;
  }

  /** Copies part of `file` to a fixed address and clears the rest up to `size` bytes. */
  load(file: BootFile, what: string, at: number, bytes: Uint8Array, size = bytes.length): void {
    const end = at + size;
    const { lowBytes } = this.memory;
    if (size < bytes.length || at % 1 !== 0 || !this.memory.contains(gpa(at), size)) {
      throw fileError(file, `${what} needs memory from ${hex(at)} to ${hex(end)}; allowed: an `
        + `image for the guest's memory, which ends at ${hex(lowBytes)}; memory.size enlarges it`);
    }
    if (this.#taken.some(({ base, end: last }) => at < last && base < end)) {
      throw fileError(file, `${what} would be loaded from ${hex(at)} to ${hex(end)}, over firmware `
        + "or another part of the image; allowed: addresses from 0x1000 to 0xa0000, and from "
        + "0x100000 on");
    }
    this.reserve(at, end);
    this.memory.write(gpa(at), bytes);
    const rest = size - bytes.length;
    this.memory.window(gpa(at + bytes.length), rest)?.fill(0);
    this.memory.noteWrite(gpa(at + bytes.length), Math.max(rest, 1));
  }

  reserve(base: number, end: number): void {
    if (end > base) {
      this.#taken.push({ base, end });
    }
  }

  /** Finds room below 3 GiB and takes it; undefined when there is none. */
  place(
    size: number, { align, from = lowestFree, below, top = false }: Placement,
  ): Gpa | undefined {
    const limit = Math.min(below, this.memory.lowBytes);
    const free = this.#gaps(limit)
      .map(({ base, end }) => {
        const first = alignUp(Math.max(base, from), align);
        const last = Math.floor((end - size) / align) * align;
        return { first, last };
      })
      .filter(({ first, last }) => first <= last);
    const gap = top ? free.at(-1) : free[0];
    if (gap === undefined) {
      return undefined;
    }
    const at = top ? gap.last : gap.first;
    this.reserve(at, at + size);
    return gpa(at);
  }

  /** Places a small structure that must exist; `file` is whose loading needs it. */
  put(file: BootFile, bytes: Uint8Array, align = 16): Gpa {
    const at = this.place(bytes.length, { align, below: conventionalEnd })
      ?? this.place(bytes.length, { align, from: firmwareArea.end, below: 2 ** 32 });
    if (at === undefined) {
      throw fileError(file, "no room is left in memory for the boot parameters; "
        + "allowed: a larger memory.size");
    }
    this.memory.write(at, bytes);
    return at;
  }

  /** Unused ranges below `limit`, upwards. */
  #gaps(limit: number): Range[] {
    const gaps: Range[] = [];
    let next = 0;
    for (const { base, end } of [...this.#taken].sort((a, b) => a.base - b.base)) {
      if (base > next) {
        gaps.push({ base: next, end: Math.min(base, limit) });
      }
      next = Math.max(next, end);
    }
    gaps.push({ base: next, end: limit });
    return gaps.filter(({ base, end }) => base < end);
  }
}

export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
