/**
 * What a disk's own thread and the machine's thread share: slots for requests with room for their
 * data, and two rings of slot numbers. Each ring has one producer and one consumer.
 */
import { WakeWord } from "../../../fabric/byte-ring.ts";

/** Requests beyond this many wait in the machine's thread. */
export const slotCount = 64;
/** Larger requests take several slots. */
export const slotBytes = 256 * 1024;

/** Besides the operations of `blockOperation`. */
export const mailboxOperation = { barrier: 5, close: 6 } as const;

export const threadState = { starting: 0, ready: 1, refused: 2, dead: 3, closed: 4 } as const;

export interface MailboxParts {
  readonly memory: SharedArrayBuffer;
  readonly toThread: SharedArrayBuffer;
  readonly toMachine: SharedArrayBuffer;
}

/** Cells at the start; then operation and outcome of each slot, then both rings. */
const cell = { state: 0, submitTail: 1, completeTail: 2, resized: 3 } as const;
const headerCells = 16;
const cells = headerCells + 4 * slotCount;
const numbers = 2 * slotCount + 1;
const numbersAt = cells * 4;
const dataAt = numbersAt + numbers * 8;

export class Mailbox {
  readonly parts: MailboxParts;
  readonly toThread: WakeWord;
  readonly toMachine: WakeWord;
  readonly operation: Int32Array;
  /** Non-zero: the request failed, and a message says why. */
  readonly failed: Int32Array;
  readonly offset: Float64Array;
  readonly length: Float64Array;
  readonly data: Uint8Array;
  readonly #cells: Int32Array;
  readonly #submitted: Int32Array;
  readonly #completed: Int32Array;
  /** Size of the disk, while `resized` says that it has changed. */
  readonly #size: Float64Array;
  /** This side's own place in the ring that it consumes. */
  #taken = 0;

  constructor(parts: MailboxParts) {
    const { memory } = parts;
    this.parts = parts;
    this.toThread = new WakeWord(parts.toThread);
    this.toMachine = new WakeWord(parts.toMachine);
    this.#cells = new Int32Array(memory, 0, headerCells);
    const column = (index: number) =>
      new Int32Array(memory, (headerCells + index * slotCount) * 4, slotCount);
    [this.operation, this.failed, this.#submitted, this.#completed] =
      [column(0), column(1), column(2), column(3)];
    this.offset = new Float64Array(memory, numbersAt, slotCount);
    this.length = new Float64Array(memory, numbersAt + slotCount * 8, slotCount);
    this.#size = new Float64Array(memory, numbersAt + slotCount * 16, 1);
    this.data = new Uint8Array(memory, dataAt, slotCount * slotBytes);
  }

  static create(toMachine: WakeWord): Mailbox {
    return new Mailbox({
      memory: new SharedArrayBuffer(dataAt + slotCount * slotBytes),
      toThread: new WakeWord().shared, toMachine: toMachine.shared,
    });
  }

  get state(): number {
    return Atomics.load(this.#cells, cell.state);
  }

  setState(state: number): void {
    Atomics.store(this.#cells, cell.state, state);
    this.toMachine.signal();
  }

  submit(slot: number): void {
    push(this.#cells, cell.submitTail, this.#submitted, slot);
  }

  /** The thread: the next slot to serve, or -1. */
  takeSubmitted(): number {
    return this.#take(cell.submitTail, this.#submitted);
  }

  complete(slot: number): void {
    push(this.#cells, cell.completeTail, this.#completed, slot);
    this.toMachine.signal();
  }

  /** The machine: the next slot that is done, or -1. */
  takeCompleted(): number {
    return this.#take(cell.completeTail, this.#completed);
  }

  resize(sizeBytes: number): void {
    this.#size[0] = sizeBytes;
    Atomics.store(this.#cells, cell.resized, 1);
    this.toMachine.signal();
  }

  /** The machine: the new size, or -1 if it is the old one. */
  takeResized(): number {
    return Atomics.exchange(this.#cells, cell.resized, 0) === 0 ? -1 : this.#size[0] ?? -1;
  }

  /** Both rings have as many places as there are slots, so neither is ever full. */
  #take(tail: number, ring: Int32Array): number {
    if (this.#taken === Atomics.load(this.#cells, tail)) {
      return -1;
    }
    const slot = ring[this.#taken % slotCount] ?? -1;
    this.#taken += 1;
    return slot;
  }
}

function push(cells: Int32Array, tail: number, ring: Int32Array, slot: number): void {
  const at = Atomics.load(cells, tail);
  ring[at % slotCount] = slot;
  Atomics.store(cells, tail, at + 1); // Publishes the slot and what lies in it.
}
