/**
 * Split virtqueues (VIRTIO 1.2 §2.7; the same rings as in the legacy interface). Everything read
 * here was written by the guest: indexes are masked or checked, walks are bounded by the table.
 */
import { gpa } from "../../base/units.ts";
import type { GuestMemory } from "../../fabric/memory.ts";
import { struct, u16, u32, u64 } from "../../fabric/struct.ts";
import { areaAddress, ringViews, type ChainTable, type QueueState, type Ring } from "./ring.ts";

const descriptor = struct({ address: u64, length: u32, flags: u16, next: u16 });
const flag = { next: 1, write: 2, indirect: 4 } as const;

/** Flags and index stand before the entries of both rings, in units of two bytes. */
const indexWord = 1;
const entriesWord = 2;
const usedHeaderBytes = 4;
const usedEntryBytes = 8;
/** Flag of the available ring: no interrupts, please. */
const noInterrupt = 1;

const bytesOf = {
  descriptors: (size: number) => size * descriptor.size,
  available: (size: number) => 4 + size * 2 + 2,
  used: (size: number) => usedHeaderBytes + size * usedEntryBytes + 2,
} as const;
/** §2.7: alignment of the three parts. */
const alignment = { descriptors: 16, available: 2, used: 4 } as const;

/** Where the parts lie when they follow each other in the legacy layout (§2.7.2). */
export function legacyLayout(base: number, size: number): readonly [number, number, number] {
  const available = base + bytesOf.descriptors(size);
  const used = Math.ceil((available + bytesOf.available(size)) / 4096) * 4096;
  return [base, available, used];
}

export class SplitRing implements Ring {
  readonly #memory: GuestMemory;
  readonly #view: DataView;
  /** RAM as 16-bit words, for the accesses that both sides race on. */
  readonly #words: Uint16Array;
  #state: QueueState;
  #mask = 0;
  #descriptors = 0;
  /** In units of two bytes. */
  #available = 0;
  #used = 0;
  #usedBytes = 0;
  /** The used index that the guest has seen last. */
  #published = 0;
  fault: string | undefined;
  indirect = false;
  eventIndex = false;

  constructor(memory: GuestMemory, state: QueueState) {
    const { view, words } = ringViews(memory);
    this.#memory = memory;
    this.#view = view;
    this.#words = words;
    this.#state = state;
  }

  locate(state: QueueState): string | undefined {
    const { size } = state;
    const find = (index: number, part: keyof typeof bytesOf): number => {
      const address = areaAddress(state, index);
      return address % alignment[part] === 0
        ? this.#memory.offsetOf(gpa(address), bytesOf[part](size)) : -1;
    };
    const descriptors = find(0, "descriptors");
    const available = find(1, "available");
    const used = find(2, "used");
    if (descriptors < 0 || available < 0 || used < 0) {
      return "a ring lies outside RAM or is not aligned";
    }
    this.#state = state;
    this.#mask = size - 1;
    this.#descriptors = descriptors;
    this.#available = available / 2;
    this.#used = used / 2;
    this.#usedBytes = used;
    this.#published = state.nextUsed;
    this.fault = undefined;
    return undefined;
  }

  pop(table: ChainTable, row: number): boolean {
    const state = this.#state;
    // The index is read before the entry it covers: atomics keep that order.
    const waiting = (Atomics.load(this.#words, this.#available + indexWord)
      - state.nextAvailable) & 0xffff;
    if (waiting === 0) {
      return false;
    }
    if (waiting > state.size) {
      this.fault = "the available index runs ahead of the ring";
      return false;
    }
    const slot = this.#available + entriesWord + (state.nextAvailable & this.#mask);
    state.nextAvailable = (state.nextAvailable + 1) & 0xffff;
    this.fault = this.#walk(table, row, this.#words[slot] ?? 0);
    return this.fault === undefined;
  }

  give(table: ChainTable, row: number, writtenBytes: number): void {
    const state = this.#state;
    const at = this.#usedBytes + usedHeaderBytes
      + (state.nextUsed & this.#mask) * usedEntryBytes;
    this.#view.setUint32(at, table.id[row] ?? 0, true);
    this.#view.setUint32(at + 4, writtenBytes, true);
    state.nextUsed = (state.nextUsed + 1) & 0xffff;
  }

  rearm(): boolean {
    const state = this.#state;
    if (this.eventIndex) {
      const event = this.#used + entriesWord + state.size * (usedEntryBytes / 2);
      Atomics.store(this.#words, event, state.nextAvailable);
    }
    // Read after the store above, or a chain added in between would wait for the next one.
    return Atomics.load(this.#words, this.#available + indexWord) !== state.nextAvailable;
  }

  publish(): boolean {
    const state = this.#state;
    const before = this.#published;
    const now = state.nextUsed;
    if (before === now) {
      return false;
    }
    // The entries become visible before the index that covers them: atomics keep that order.
    Atomics.store(this.#words, this.#used + indexWord, now);
    this.#published = now;
    this.#memory.noteWriteAt(this.#usedBytes, bytesOf.used(state.size));
    if (!this.eventIndex) {
      return (Atomics.load(this.#words, this.#available) & noInterrupt) === 0;
    }
    const event = Atomics.load(this.#words, this.#available + entriesWord + state.size);
    return ((now - event - 1) & 0xffff) < ((now - before) & 0xffff);
  }

  /** Follows a chain; says what is wrong with it. The table's limit on pieces ends every walk, also
   * one that goes in a circle. */
  #walk(table: ChainTable, row: number, head: number): string | undefined {
    const view = this.#view;
    let base = this.#descriptors;
    let count = this.#state.size;
    let index = head;
    let inTable = false;
    table.begin(row, head);
    for (;;) {
      if (index >= count) {
        return "a descriptor's number is out of range";
      }
      const at = base + index * descriptor.size;
      const low = view.getUint32(at, true);
      const address = gpa(view.getUint32(at + 4, true) * 2 ** 32 + low);
      const length = view.getUint32(at + descriptor.length.offset, true);
      const flags = view.getUint16(at + descriptor.flags.offset, true);
      const start = length === 0 ? -1 : this.#memory.offsetOf(address, length);
      if (start < 0) {
        return "a descriptor is empty or points outside RAM";
      }
      if ((flags & flag.indirect) !== 0) {
        if (inTable || !this.indirect || (flags & flag.next) !== 0
          || length % descriptor.size !== 0) {
          return "an indirect descriptor is not allowed here";
        }
        inTable = true;
        base = start;
        count = length / descriptor.size;
        index = 0;
        continue;
      }
      const wrong = table.add(row, start, length, (flags & flag.write) !== 0);
      if (wrong !== undefined || (flags & flag.next) === 0) {
        return wrong;
      }
      index = view.getUint16(at + descriptor.next.offset, true);
    }
  }
}
