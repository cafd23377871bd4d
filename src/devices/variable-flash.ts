/**
 * The flash chip that a boot ROM keeps its variables in (bhyve, bootrom.c; the command set of
 * Intel's CFI): it lies below the ROM, is read as memory, and takes one byte after each 0x10.
 */
import { assert } from "../base/assert.ts";
import type { AccessHandler } from "../fabric/address-space.ts";
import { ClaimList, type Board, type BoardDevice } from "../fabric/board.ts";
import { assignState } from "../fabric/state.ts";

const command = { readArray: 0xff, readStatus: 0x70, clearStatus: 0x50, writeByte: 0x10 } as const;

/** What the chip keeps without power. */
export interface FlashStore {
  readonly sizeBytes: number;
  read(offset: number): number;
  /** Stable when it returns. */
  program(offset: number, byte: number): void;
  close(): void;
}

function newState() {
  return { command: command.readArray as number };
}

export class VariableFlash implements BoardDevice {
  readonly #store: FlashStore;
  readonly #base: number;
  readonly #claims = new ClaimList();
  readonly state = newState();

  /** `end` is where the ROM begins. */
  constructor(store: FlashStore, end: number) {
    assert(store.sizeBytes <= end, "the chip lies below 4 GiB");
    this.#store = store;
    this.#base = end - store.sizeBytes;
  }

  attach(board: Board): void {
    const at = { name: "firmware variables", base: this.#base, size: this.#store.sizeBytes };
    const handler: AccessHandler = {
      read: (offset, size) => this.#read(offset, size),
      write: (offset, size, value) => this.#write(offset, size, value),
    };
    this.#claims.claim(board.mmio, at, handler);
  }

  reset(): void {
    assignState(this.state, newState());
  }

  sync(): void {}

  detach(): void {
    this.#claims.release();
  }

  /** A status is always "ready, no error": 0. Reading it goes back to the array. */
  #read(offset: number, size: number): number {
    const { state } = this;
    if (state.command === command.clearStatus || state.command === command.readStatus) {
      state.command = command.readArray;
      return 0;
    }
    let value = 0;
    for (let index = 0; index < size; index += 1) {
      value |= this.#store.read(offset + index) << (index * 8);
    }
    return value >>> 0;
  }

  #write(offset: number, size: number, value: number): void {
    const { state } = this;
    if (state.command !== command.writeByte) {
      state.command = value & 0xff;
      return;
    }
    for (let index = 0; index < size; index += 1) {
      this.#store.program(offset + index, (value >>> (index * 8)) & 0xff);
    }
    state.command = command.clearStatus;
  }
}
