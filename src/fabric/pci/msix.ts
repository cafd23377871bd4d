/** Message-signalled interrupts of a function: MSI-X (PCI Local Bus 3.0 §6.8.2). */
import { bits, onesOf } from "../../base/bits.ts";
import type { AccessHandler } from "../address-space.ts";
import type { MsiSink } from "../interrupt.ts";
import { capabilityId, type ConfigSpace } from "./config-space.ts";

/** Message control, at offset 2 of the capability. */
const control = bits({ functionMask: 14, enable: 15 });
const controlAt = 2;

const entryBytes = 16;
const entryWords = 4;
const vectorMasked = 1;
/** The pending bits follow at the next page after the table (bhyve). */
const pageBytes = 4096;
/** The table size field has 11 bits. */
export const vectorsMax = 2048;

/** Bytes of the BAR that holds table and pending bits; a power of two. */
export function msixBarBytes(vectors: number): number {
  const tablePages = Math.ceil((vectors * entryBytes) / pageBytes);
  return 2 ** Math.ceil(Math.log2((tablePages + 1) * pageBytes));
}

export class Msix implements AccessHandler {
  readonly vectors: number;
  readonly #config: ConfigSpace;
  readonly #offset: number;
  readonly #pendingAt: number;
  #sink: MsiSink = { send: () => {} };
  readonly state: { readonly table: Uint32Array; readonly pending: Uint32Array };

  constructor(config: ConfigSpace, options: { readonly bar: number; readonly vectors: number }) {
    this.#config = config;
    this.vectors = options.vectors;
    this.#pendingAt = Math.ceil((this.vectors * entryBytes) / pageBytes) * pageBytes;
    const body = new Uint8Array(10);
    const view = new DataView(body.buffer);
    view.setUint16(0, this.vectors - 1, true);
    view.setUint32(2, options.bar, true);
    view.setUint32(6, this.#pendingAt | options.bar, true);
    this.#offset = config.addCapability(capabilityId.msix, body);
    config.allow(this.#offset + controlAt, 2, control.functionMask | control.enable);
    this.state = {
      table: new Uint32Array(this.vectors * entryWords),
      pending: new Uint32Array(Math.ceil(this.vectors / 64) * 2),
    };
    this.reset();
  }

  connect(sink: MsiSink): void {
    this.#sink = sink;
  }

  get enabled(): boolean {
    return (this.#config.get(this.#offset + controlAt, 2) & control.enable) !== 0;
  }

  /** Sends a vector's message; a masked one waits as a pending bit. */
  signal(vector: number): void {
    if (!this.enabled || vector >= this.vectors) {
      return;
    }
    const { table, pending } = this.state;
    const word = vector * entryWords;
    if (this.#masked(vector)) {
      pending[vector >>> 5] = (pending[vector >>> 5] ?? 0) | (1 << (vector & 31));
    } else {
      // As in bhyve, the low half of the address is the message's target.
      this.#sink.send(table[word] ?? 0, table[word + 2] ?? 0);
    }
  }

  /** Sends what has waited and is no longer masked; after any change of masks. */
  sendPending(): void {
    const { pending } = this.state;
    for (let index = 0; index < pending.length; index += 1) {
      for (let left = pending[index] ?? 0; left !== 0 && this.enabled; left &= left - 1) {
        const bit = left & -left;
        const vector = index * 32 + 31 - Math.clz32(bit);
        if (!this.#masked(vector)) {
          pending[index] = (pending[index] ?? 0) & ~bit;
          this.signal(vector);
        }
      }
    }
  }

  reset(): void {
    const { table, pending } = this.state;
    pending.fill(0);
    for (let word = 0; word < table.length; word += 1) {
      table[word] = word % entryWords === 3 ? vectorMasked : 0;
    }
  }

  read(offset: number, size: number): number {
    if (size !== 4 || offset % 4 !== 0) {
      return onesOf(size);
    }
    const { table, pending } = this.state;
    const word = offset / 4;
    return table[word] ?? pending[word - this.#pendingAt / 4] ?? 0;
  }

  /** Only whole dwords reach the table (§6.8.2); the pending bits are read-only. */
  write(offset: number, size: number, value: number): void {
    const { table } = this.state;
    const word = offset / 4;
    if (size === 4 && offset % 4 === 0 && word < table.length) {
      table[word] = word % entryWords === 3 ? value & vectorMasked : value;
      this.sendPending();
    }
  }

  #masked(vector: number): boolean {
    const functionMask = this.#config.get(this.#offset + controlAt, 2) & control.functionMask;
    return functionMask !== 0
      || ((this.state.table[vector * entryWords + 3] ?? 0) & vectorMasked) !== 0;
  }
}
