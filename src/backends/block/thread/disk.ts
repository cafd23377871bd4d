/**
 * The machine's side of a disk that has a thread of its own: the guest goes on while a server
 * answers, a limit holds requests back, or a disk is full. Data is copied here, in the machine's
 * thread, so that nothing writes to guest memory behind its back.
 */
import { MessageChannel, receiveMessageOnPort, Worker } from "node:worker_threads";
import type { MessagePort } from "node:worker_threads";
import { assert } from "../../../base/assert.ts";
import { ConfigError, HostError } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { blockOperation, eachPart, type BlockQueue, type BlockRequest,
} from "../../../fabric/block-queue.ts";
import type { WakeWord } from "../../../fabric/byte-ring.ts";
import type { BlockBackend, BufferParts } from "../../../fabric/device.ts";
import type { BlockSpec } from "../spec.ts";
import { Mailbox, mailboxOperation, slotBytes, slotCount, threadState } from "./mailbox.ts";
import type { FromThread, ThreadStart } from "./messages.ts";
import { WholeRequest } from "./whole-request.ts";

/** A server that does not answer when the machine ends is left alone after this long. */
const closePatienceMs = 5000;
const waitStepMs = 100;

/** What a slot is used for: a piece of a request, or none. */
interface Piece {
  request: BlockRequest | undefined;
  /** Where the piece begins in the request's data. */
  at: number;
}

export class ThreadDisk implements BlockBackend, BlockQueue {
  readonly readOnly: boolean;
  readonly sectorBytes: number;
  readonly physicalSectorBytes: number;
  readonly canDiscard: boolean;
  readonly writeZeroes?: (offset: number, length: number) => void;
  readonly #mailbox: Mailbox;
  readonly #port: MessagePort;
  readonly #worker: Worker;
  readonly #log: Log;
  readonly #path: string;
  readonly #free = Array.from({ length: slotCount }, (_none, slot) => slotCount - 1 - slot);
  readonly #pieces: Piece[] = this.#free.map(() => ({ request: undefined, at: 0 }));
  /** Submitted and not yet wholly in slots; the first may be there in part. */
  readonly #waiting: (BlockRequest | "barrier")[] = [];
  #firstAt = 0;
  /** Pieces under way and failures of requests of more than one piece. */
  readonly #left = new Map<BlockRequest, { pieces: number; error: HostError | undefined }>();
  #sizeBytes = 0;
  #onBatch: () => void = () => {};
  #onResized: () => void = () => {};

  /** Returns when the disk is open; throws ConfigError if it cannot be. */
  constructor(spec: BlockSpec, wake: WakeWord, log: Log) {
    this.#mailbox = Mailbox.create(wake);
    this.#log = log;
    this.#path = spec.path;
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const start: ThreadStart = { spec, mailbox: this.#mailbox.parts, port: port2 };
    this.#worker = new Worker(new URL("./worker.js", import.meta.url), {
      workerData: start, transferList: [port2],
    });
    this.#worker.unref();
    this.#waitFor(() => this.#mailbox.state !== threadState.starting, Infinity);
    const facts = this.#readMessages();
    assert(facts !== undefined, "a thread says what it has opened");
    this.#sizeBytes = facts.sizeBytes;
    this.readOnly = facts.readOnly;
    this.sectorBytes = facts.sectorBytes;
    this.physicalSectorBytes = facts.physicalSectorBytes;
    this.canDiscard = facts.canDiscard;
    if (facts.canZero) {
      this.writeZeroes = (offset, length) =>
        this.#runNow(new WholeRequest(blockOperation.writeZeroes, offset, length));
    }
  }

  get queue(): BlockQueue {
    return this;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  submit(request: BlockRequest): void {
    this.#waiting.push(request);
    this.#fillSlots();
  }

  kick(): void {
    this.#mailbox.toThread.signal();
  }

  onBatch(listener: () => void): void {
    this.#onBatch = listener;
  }

  barrier(): void {
    this.#waiting.push("barrier");
    this.#fillSlots();
    this.kick();
  }

  drain(): void {
    this.kick();
    this.#waitFor(() => this.#idle, Infinity);
  }

  onResized(listener: () => void): void {
    this.#onResized = listener;
  }

  read(offset: number, into: Uint8Array): void {
    this.#runNow(new WholeRequest(blockOperation.read, offset, 0, into));
  }

  write(offset: number, from: Uint8Array): void {
    this.#runNow(new WholeRequest(blockOperation.write, offset, 0, from));
  }

  flush(): void {
    this.#runNow(new WholeRequest(blockOperation.flush, 0, 0));
  }

  discard(offset: number, length: number): boolean {
    this.#runNow(new WholeRequest(blockOperation.discard, offset, length));
    return this.canDiscard;
  }

  /** Called between time slices: passes on what the thread has done. */
  poll(): void {
    if (this.#takeCompletions()) {
      this.#onBatch();
      this.kick(); // Requests that had waited for a slot.
    }
    const size = this.#mailbox.takeResized();
    if (size >= 0) {
      this.#sizeBytes = size;
      this.#onResized();
    }
  }

  close(): void {
    this.barrier();
    const closing = () => this.#mailbox.state >= threadState.dead;
    this.#waitFor(() => this.#idle || closing(), closePatienceMs);
    const slot = this.#free.pop();
    if (slot !== undefined && !closing()) {
      this.#send(slot, mailboxOperation.close, 0, 0);
      this.kick();
      this.#waitFor(closing, closePatienceMs);
    }
    this.#readMessages();
    this.#port.close();
    void this.#worker.terminate();
  }

  get #idle(): boolean {
    return this.#waiting.length === 0 && this.#free.length === slotCount;
  }

  #runNow(request: WholeRequest): void {
    this.submit(request);
    this.kick();
    this.#waitFor(() => request.done, Infinity);
    if (request.error !== undefined) {
      throw request.error;
    }
  }

  /** Blocks this thread; what else is completed meanwhile is shown at the next poll. */
  #waitFor(condition: () => boolean, patienceMs: number): void {
    const { toMachine } = this.#mailbox;
    for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += waitStepMs) {
      const seen = toMachine.count();
      if (this.#takeCompletions()) {
        toMachine.signal(); // The poll after this has something to show.
        this.kick();
      }
      if (condition()) {
        return;
      }
      toMachine.wait(seen, waitStepMs);
    }
  }

  /** Puts what waits into free slots, in order. */
  #fillSlots(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#free.length > 0;
      next = this.#waiting[0]) {
      const slot = this.#free.pop() ?? 0;
      if (next === "barrier") {
        this.#waiting.shift();
        this.#send(slot, mailboxOperation.barrier, 0, 0);
      } else {
        this.#sendPiece(slot, next);
      }
    }
  }

  #sendPiece(slot: number, request: BlockRequest): void {
    const { operation, offset, parts } = request;
    const moves = operation === blockOperation.read || operation === blockOperation.write;
    const total = moves ? parts.totalBytes : request.length;
    const at = this.#firstAt;
    const length = moves ? Math.min(slotBytes, total - at) : total;
    const piece = this.#pieces[slot];
    assert(piece !== undefined, "a slot has its piece");
    piece.request = request;
    piece.at = at;
    if (length < total) {
      const left = this.#left.get(request) ?? { pieces: 0, error: undefined };
      left.pieces += 1;
      this.#left.set(request, left);
    }
    this.#firstAt = at + length < total && moves ? at + length : 0;
    if (this.#firstAt === 0) {
      this.#waiting.shift();
    }
    if (operation === blockOperation.write && !request.abandoned) {
      copyParts(parts, at, this.#mailbox.data, slot * slotBytes, length, true);
    }
    this.#send(slot, operation, offset + at, length);
  }

  #send(slot: number, operation: number, offset: number, length: number): void {
    const { mailbox } = { mailbox: this.#mailbox };
    mailbox.operation[slot] = operation;
    mailbox.offset[slot] = offset;
    mailbox.length[slot] = length;
    mailbox.failed[slot] = 0;
    mailbox.submit(slot);
  }

  /** True if there were any. */
  #takeCompletions(): boolean {
    let some = false;
    for (let slot = this.#mailbox.takeCompleted(); slot >= 0;
      slot = this.#mailbox.takeCompleted()) {
      some = true;
      this.#takePiece(slot);
    }
    if (this.#mailbox.state === threadState.dead && !this.#idle) {
      some = this.#failAll() || some;
    }
    if (some) {
      this.#fillSlots();
    }
    return some;
  }

  #takePiece(slot: number): void {
    const piece = this.#pieces[slot];
    const request = piece?.request;
    let error: HostError | undefined;
    if (this.#mailbox.failed[slot] !== 0) {
      this.#readMessages();
      error = this.#failures.get(slot) ?? new HostError(this.#path, "the request failed");
      this.#failures.delete(slot);
    }
    if (piece !== undefined && request !== undefined) {
      if (request.operation === blockOperation.read && error === undefined
        && !request.abandoned) {
        copyParts(request.parts, piece.at, this.#mailbox.data, slot * slotBytes,
          this.#mailbox.length[slot] ?? 0, false);
      }
      piece.request = undefined;
      this.#free.push(slot);
      this.#finishPiece(request, error);
    } else {
      this.#free.push(slot);
    }
  }

  #finishPiece(request: BlockRequest, error: HostError | undefined): void {
    const left = this.#left.get(request);
    if (left === undefined) {
      request.complete(error);
      return;
    }
    left.pieces -= 1;
    left.error ??= error;
    if (left.pieces === 0 && this.#waiting[0] !== request) {
      this.#left.delete(request);
      request.complete(left.error);
    }
  }

  readonly #failures = new Map<number, HostError>();

  /** Nobody will answer any more. */
  #failAll(): boolean {
    const error = new HostError(this.#path, "the thread of the disk has ended");
    const requests = new Set(this.#pieces.flatMap(({ request }) => request ?? []));
    for (const each of this.#waiting.splice(0)) {
      if (each !== "barrier") {
        requests.add(each);
      }
    }
    this.#firstAt = 0;
    this.#left.clear();
    this.#free.splice(0);
    for (const [slot, piece] of this.#pieces.entries()) {
      piece.request = undefined;
      this.#free.push(slot);
    }
    for (const request of requests) {
      request.complete(error);
    }
    return requests.size > 0;
  }

  /** Logs what the thread has to say; returns the facts of the disk if they were among it. */
  #readMessages() {
    let facts: Extract<FromThread, { kind: "ready" }> | undefined;
    for (let got = receiveMessageOnPort(this.#port); got !== undefined;
      got = receiveMessageOnPort(this.#port)) {
      const message: FromThread = got.message;
      switch (message.kind) {
        case "ready": facts = message; break;
        case "refused": throw new ConfigError(message.problems);
        case "log": this.#log[message.level](message.message); break;
        case "failure":
          this.#failures.set(message.slot, new HostError(message.what, message.cause));
          break;
        case "died": this.#log.error(message.report); break;
      }
    }
    return facts;
  }
}

/** Between a slot and the parts, from byte `at` of the whole on. */
function copyParts(
  parts: BufferParts, at: number, data: Uint8Array, dataStart: number, length: number,
  toSlot: boolean,
): void {
  eachPart(parts, (part, partAt) => {
    const from = Math.max(at, partAt);
    const to = Math.min(at + length, partAt + part.length);
    if (from < to) {
      const inPart = part.subarray(from - partAt, to - partAt);
      const inSlot = data.subarray(dataStart + from - at, dataStart + to - at);
      (toSlot ? inSlot : inPart).set(toSlot ? inPart : inSlot);
    }
  });
}
