/** The driver's side of split and packed rings (VIRTIO 1.2 §2.7, §2.8), for tests. */
import { gpa, type Gpa } from "../../base/units.ts";
import type { GuestMemory } from "../../fabric/memory.ts";

export const descriptorFlag = {
  next: 1, write: 2, indirect: 4, available: 1 << 7, used: 1 << 15,
} as const;
export const descriptorBytes = 16;

export interface Buffer {
  readonly address: number;
  readonly length: number;
  readonly flags: number;
}

export interface Used {
  readonly id: number;
  readonly length: number;
}

/** Where a ring's parts lie: descriptors, driver's area, device's area. */
export type RingParts = readonly [descriptors: Gpa, driver: Gpa, device: Gpa];

export interface DriverRing {
  /** Makes a chain available; returns the id under which it comes back. */
  offer(buffers: readonly Buffer[]): number;
  /** The next chain that came back. */
  take(): Used | undefined;
  suppressInterrupts(suppress: boolean): void;
  /** EVENT_IDX: an interrupt once the chain after the next `count` has come back. */
  interruptAfter(count: number): void;
}

export function writeDescriptor(
  memory: GuestMemory, at: number, buffer: Buffer, last: number,
): void {
  memory.setU64(gpa(at), buffer.address);
  memory.setU32(gpa(at + 8), buffer.length);
  memory.setU16(gpa(at + 12), buffer.flags);
  memory.setU16(gpa(at + 14), last);
}

export class SplitDriverRing implements DriverRing {
  readonly #memory: GuestMemory;
  readonly #parts: RingParts;
  readonly #size: number;
  #free = 0;
  #nextAvailable = 0;
  #nextUsed = 0;

  constructor(memory: GuestMemory, parts: RingParts, size: number) {
    this.#memory = memory;
    this.#parts = parts;
    this.#size = size;
  }

  offer(buffers: readonly Buffer[]): number {
    const head = this.#free;
    for (const [position, buffer] of buffers.entries()) {
      const at = this.#parts[0] + this.#free * descriptorBytes;
      this.#free = (this.#free + 1) % this.#size;
      const more = position < buffers.length - 1 ? descriptorFlag.next : 0;
      writeDescriptor(this.#memory, at, { ...buffer, flags: buffer.flags | more }, this.#free);
    }
    this.offerHead(head);
    return head;
  }

  /** Puts a head, right or wrong, into the available ring. */
  offerHead(head: number): void {
    const [, available] = this.#parts;
    this.#memory.setU16(gpa(available + 4 + (this.#nextAvailable % this.#size) * 2), head);
    this.#nextAvailable = (this.#nextAvailable + 1) & 0xffff;
    this.#memory.setU16(gpa(available + 2), this.#nextAvailable);
  }

  take(): Used | undefined {
    const [, , used] = this.#parts;
    if (this.#nextUsed === this.#memory.u16(gpa(used + 2))) {
      return undefined;
    }
    const entry = used + 4 + (this.#nextUsed % this.#size) * 8;
    this.#nextUsed = (this.#nextUsed + 1) & 0xffff;
    return { id: this.#memory.u32(gpa(entry)), length: this.#memory.u32(gpa(entry + 4)) };
  }

  suppressInterrupts(suppress: boolean): void {
    this.#memory.setU16(this.#parts[1], suppress ? 1 : 0);
  }

  interruptAfter(count: number): void {
    const [, available] = this.#parts;
    this.#memory.setU16(gpa(available + 4 + this.#size * 2), (this.#nextUsed + count) & 0xffff);
  }
}

export class PackedDriverRing implements DriverRing {
  readonly #memory: GuestMemory;
  readonly #parts: RingParts;
  readonly #size: number;
  readonly #slotsOf = new Map<number, number>();
  #id = 0;
  #available = 0;
  #availableWrap = true;
  #used = 0;
  #usedWrap = true;

  constructor(memory: GuestMemory, parts: RingParts, size: number) {
    this.#memory = memory;
    this.#parts = parts;
    this.#size = size;
  }

  /** The first descriptor becomes available last, as §2.8.13 wants it. */
  offer(buffers: readonly Buffer[]): number {
    const id = this.#id;
    this.#id = (this.#id + 1) % this.#size;
    const first = { at: 0, flags: 0 };
    for (const [position, { address, length, flags }] of buffers.entries()) {
      const at = this.#parts[0] + this.#available * descriptorBytes;
      const more = position < buffers.length - 1 ? descriptorFlag.next : 0;
      const turn = this.#availableWrap ? descriptorFlag.available : descriptorFlag.used;
      this.#memory.setU64(gpa(at), address);
      this.#memory.setU32(gpa(at + 8), length);
      this.#memory.setU16(gpa(at + 12), id);
      if (position === 0) {
        Object.assign(first, { at, flags: flags | more | turn });
      } else {
        this.#memory.setU16(gpa(at + 14), flags | more | turn);
      }
      this.#available += 1;
      if (this.#available === this.#size) {
        this.#available = 0;
        this.#availableWrap = !this.#availableWrap;
      }
    }
    this.#memory.setU16(gpa(first.at + 14), first.flags);
    this.#slotsOf.set(id, buffers.length);
    return id;
  }

  take(): Used | undefined {
    const at = this.#parts[0] + this.#used * descriptorBytes;
    const flags = this.#memory.u16(gpa(at + 14));
    const available = (flags & descriptorFlag.available) !== 0;
    const used = (flags & descriptorFlag.used) !== 0;
    if (available !== used || used !== this.#usedWrap) {
      return undefined;
    }
    const id = this.#memory.u16(gpa(at + 12));
    const next = this.#used + (this.#slotsOf.get(id) ?? 1);
    this.#usedWrap = this.#usedWrap !== (next >= this.#size);
    this.#used = next % this.#size;
    return { id, length: this.#memory.u32(gpa(at + 8)) };
  }

  suppressInterrupts(suppress: boolean): void {
    this.#memory.setU16(gpa(this.#parts[1] + 2), suppress ? 1 : 0);
  }

  /** Counts slots; a test whose chains have one descriptor may take them for chains. */
  interruptAfter(count: number): void {
    const slot = this.#used + count;
    const wrap = this.#usedWrap !== (slot >= this.#size);
    this.#memory.setU16(this.#parts[1], (slot % this.#size) | (wrap ? 0x8000 : 0));
    this.#memory.setU16(gpa(this.#parts[1] + 2), 2);
  }
}
