/**
 * Ends the sleep of a halted /dev/vmm vCPU at a deadline. A signal would be seen up to a second
 * late, VM_SUSPEND_CPU at once, but it takes a thread that is not in VM_RUN: this one.
 */
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { requireNative } from "../../host/native.ts";
import { kickVcpu, type Kick } from "../kick.ts";

const deadlineIndex = 0; // Of the doubles: milliseconds on the clock that all threads share.
const changesIndex = 2; // Of the words behind it.
const sharedBytes = 16;

interface Start {
  readonly kicker: true;
  readonly shared: SharedArrayBuffer;
  readonly kick: Kick;
}

const nowMs = () => performance.timeOrigin + performance.now();

export class Kicker {
  readonly #shared = new SharedArrayBuffer(sharedBytes);
  readonly #deadline = new Float64Array(this.#shared, 0, 1);
  readonly #words = new Int32Array(this.#shared);
  readonly #kick: Kick;
  #worker: Worker | undefined;

  constructor(kick: Kick) {
    this.#kick = kick;
    this.#deadline[deadlineIndex] = Infinity;
  }

  /** Kicks after so long; a kick that an earlier call asked for may come, too. */
  wakeAfter(lengthNs: number): void {
    const deadline = nowMs() + lengthNs / 1e6;
    const pending = this.#deadline[deadlineIndex] ?? Infinity;
    if (deadline < pending || pending < nowMs()) {
      this.#deadline[deadlineIndex] = deadline;
      Atomics.add(this.#words, changesIndex, 1);
      Atomics.notify(this.#words, changesIndex);
    }
    this.#worker ??= this.#start();
  }

  stop(): void {
    this.#deadline[deadlineIndex] = Infinity;
    Atomics.add(this.#words, changesIndex, 1);
    void this.#worker?.terminate();
  }

  #start(): Worker {
    const start: Start = { kicker: true, shared: this.#shared, kick: this.#kick };
    const worker = new Worker(new URL(import.meta.url), { workerData: start });
    worker.unref();
    return worker;
  }
}

/** The thread: sleeps until the deadline, kicks, and sleeps until the next is set. */
function serve({ shared, kick }: Start): never {
  const addon = requireNative("a kick");
  const deadlines = new Float64Array(shared, 0, 1);
  const words = new Int32Array(shared);
  for (;;) {
    const seen = Atomics.load(words, changesIndex);
    const leftMs = (deadlines[deadlineIndex] ?? Infinity) - nowMs();
    if (leftMs > 0) {
      Atomics.wait(words, changesIndex, seen, leftMs);
    } else {
      deadlines[deadlineIndex] = Infinity;
      kickVcpu(addon, kick);
    }
  }
}

const start: Partial<Start> | null = isMainThread ? null : workerData;
if (start?.kicker === true) {
  serve(start as Start);
}
