/**
 * Packed virtqueues (VIRTIO 1.2 §2.8): one ring of descriptors that both sides write. Everything
 * read here was written by the guest: chains are bounded by the ring and by the table.
 */
import { gpa } from "../../base/units.ts";
import type { GuestMemory } from "../../fabric/memory.ts";
import { struct, u16, u32, u64 } from "../../fabric/struct.ts";
import { areaAddress, ringViews, type ChainTable, type QueueState, type Ring } from "./ring.ts";

const descriptor = struct({ address: u64, length: u32, id: u16, flags: u16 });
const flag = { next: 1, write: 2, indirect: 4, available: 1 << 7, used: 1 << 15 } as const;
/** In units of two bytes. */
const descriptorWords = descriptor.size / 2;
const flagsWord = descriptor.flags.offset / 2;

/** Event suppression (§2.8.10): a position and flags, two bytes each. */
const event = { bytes: 4, position: 0, flags: 1 } as const;
const eventFlag = { enable: 0, disable: 1, position: 2 } as const;

/** A position is a slot of the ring, and in bit 15 how often, modulo 2, the ring was gone round.
 * Both sides start with that bit set (§2.8.1). */
const wrapBit = 0x8000;
export const packedStart = wrapBit;

export class PackedRing implements Ring {
  readonly #memory: GuestMemory;
  readonly #view: DataView;
  /** RAM as 16-bit words, for the accesses that both sides race on. */
  readonly #words: Uint16Array;
  #state: QueueState;
  #ring = 0;
  /** Event suppression of both sides, in units of two bytes. */
  #driverEvent = 0;
  #deviceEvent = 0;
  /** The used position up to which the guest has been told. */
  #published = packedStart;
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
    const find = (index: number, bytes: number, alignment: number): number => {
      const address = areaAddress(state, index);
      return address % alignment === 0 ? this.#memory.offsetOf(gpa(address), bytes) : -1;
    };
    const ring = find(0, state.size * descriptor.size, 16);
    const driver = find(1, event.bytes, 4);
    const device = find(2, event.bytes, 4);
    if (ring < 0 || driver < 0 || device < 0) {
      return "a ring lies outside RAM or is not aligned";
    }
    const slot = Math.max(state.nextAvailable & ~wrapBit, state.nextUsed & ~wrapBit);
    if (slot >= state.size) {
      return "a position lies outside the ring"; // Of a snapshot; no driver sets it.
    }
    this.#state = state;
    this.#ring = ring;
    this.#driverEvent = driver / 2;
    this.#deviceEvent = device / 2;
    this.#published = state.nextUsed;
    this.fault = undefined;
    return undefined;
  }

  pop(table: ChainTable, row: number): boolean {
    if (!this.#waiting()) {
      return false;
    }
    this.fault = this.#walk(table, row);
    return this.fault === undefined;
  }

  /** The used descriptor becomes visible at once; the flags are stored last (§2.8.6). */
  give(table: ChainTable, row: number, writtenBytes: number): void {
    const state = this.#state;
    const wrap = state.nextUsed & wrapBit;
    const slot = state.nextUsed & ~wrapBit;
    const at = this.#ring + slot * descriptor.size;
    this.#view.setUint32(at + descriptor.length.offset, writtenBytes, true);
    this.#view.setUint16(at + descriptor.id.offset, table.id[row] ?? 0, true);
    const turn = wrap === 0 ? 0 : flag.available | flag.used;
    Atomics.store(this.#words, at / 2 + flagsWord, turn | (writtenBytes > 0 ? flag.write : 0));
    this.#memory.noteWriteAt(at, descriptor.size);
    state.nextUsed = this.#advance(state.nextUsed, table.slots[row] ?? 1);
  }

  rearm(): boolean {
    const { nextAvailable } = this.#state;
    if (this.eventIndex) {
      Atomics.store(this.#words, this.#deviceEvent + event.position, nextAvailable);
      Atomics.store(this.#words, this.#deviceEvent + event.flags, eventFlag.position);
    }
    // Read after the stores above, or a chain added in between would wait for the next one.
    return this.#waiting();
  }

  publish(): boolean {
    const { nextUsed, size } = this.#state;
    const before = this.#published;
    if (before === nextUsed) {
      return false;
    }
    this.#published = nextUsed;
    const wanted = Atomics.load(this.#words, this.#driverEvent + event.flags) & 3;
    if (wanted !== eventFlag.position || !this.eventIndex) {
      return wanted !== eventFlag.disable;
    }
    // All three as slots of the turn that the device is in; earlier turns are below zero.
    const wrap = nextUsed & wrapBit;
    const inTurn = (position: number) =>
      (position & ~wrapBit) - ((position & wrapBit) === wrap ? 0 : size);
    const asked = inTurn(Atomics.load(this.#words, this.#driverEvent + event.position));
    const now = nextUsed & ~wrapBit;
    const old = inTurn(before);
    return ((now - asked - 1) & 0xffff) < ((now - old) & 0xffff);
  }

  #waiting(): boolean {
    const { nextAvailable } = this.#state;
    const at = this.#ring / 2 + (nextAvailable & ~wrapBit) * descriptorWords + flagsWord;
    // The flags are read before the rest of the descriptor: atomics keep that order.
    const flags = Atomics.load(this.#words, at);
    const turn = (nextAvailable & wrapBit) !== 0;
    return ((flags & flag.available) !== 0) === turn && ((flags & flag.used) !== 0) !== turn;
  }

  /** Chains are no longer than the ring, so one step goes round at most once. */
  #advance(position: number, slots: number): number {
    const next = (position & ~wrapBit) + slots;
    const wrap = position & wrapBit;
    return next < this.#state.size ? next | wrap : (next - this.#state.size) | (wrap ^ wrapBit);
  }

  #walk(table: ChainTable, row: number): string | undefined {
    const state = this.#state;
    const view = this.#view;
    table.begin(row, 0);
    for (let slots = 1; slots <= state.size; slots += 1) {
      const slot = state.nextAvailable & ~wrapBit;
      const at = this.#ring + slot * descriptor.size;
      const flags = view.getUint16(at + descriptor.flags.offset, true);
      const wrong = (flags & flag.indirect) === 0 ? this.#add(table, row, at, flags)
        : this.#walkTable(table, row, at, flags);
      if (wrong !== undefined) {
        return wrong;
      }
      state.nextAvailable = this.#advance(state.nextAvailable, 1);
      if ((flags & flag.next) === 0) {
        // The last descriptor has the chain's name (§2.8.2).
        table.id[row] = view.getUint16(at + descriptor.id.offset, true);
        table.slots[row] = slots;
        return undefined;
      }
    }
    return "a chain is longer than its ring";
  }

  #add(table: ChainTable, row: number, at: number, flags: number): string | undefined {
    const address = this.#view.getUint32(at + 4, true) * 2 ** 32 + this.#view.getUint32(at, true);
    const length = this.#view.getUint32(at + descriptor.length.offset, true);
    const start = length === 0 ? -1 : this.#memory.offsetOf(gpa(address), length);
    return start < 0 ? "a descriptor is empty or points outside RAM"
      : table.add(row, start, length, (flags & flag.write) !== 0);
  }

  /** §2.8.7: the whole table is the chain, in order, whatever its NEXT flags say. */
  #walkTable(table: ChainTable, row: number, at: number, flags: number): string | undefined {
    const view = this.#view;
    const address = view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
    const length = view.getUint32(at + descriptor.length.offset, true);
    const start = length === 0 ? -1 : this.#memory.offsetOf(gpa(address), length);
    if (!this.indirect || start < 0 || (flags & flag.next) !== 0 || (table.pieces[row] ?? 0) > 0
      || length % descriptor.size !== 0) {
      return "an indirect descriptor is not allowed here";
    }
    for (let entry = start; entry < start + length; entry += descriptor.size) {
      const inner = view.getUint16(entry + descriptor.flags.offset, true);
      const wrong = (inner & flag.indirect) !== 0 ? "an indirect descriptor is not allowed here"
        : this.#add(table, row, entry, inner);
      if (wrong !== undefined) {
        return wrong;
      }
    }
    return undefined;
  }
}
