/**
 * Requests that take their time: a delay for each, limits on how many and how much a second, and
 * failures of the host that are waited out. For images in a thread of their own.
 */
import { setTimeout as delay } from "node:timers/promises";
import { HostError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { BlockImage, Eventually } from "./image.ts";

export interface Pace {
  readonly delayMs: number;
  /** 0 for no limit. */
  readonly iops: number;
  /** Bytes a second; 0 for no limit. */
  readonly bandwidth: number;
  /** Try again until the host can. */
  readonly patient: boolean;
}

/** Timers are no finer than this: what is due sooner is due now. */
const timerStepMs = 1;
/** A disk that was idle may catch up with this much at once. */
const burstMs = 100;
const retryMs = 1000;

export class PacedImage implements BlockImage {
  readonly #inner: BlockImage;
  readonly #pace: Pace;
  readonly #log: Log;
  readonly writeZeroes?: (offset: number, length: number) => Eventually;
  readonly discard?: (offset: number, length: number) => Eventually;
  /** When the requests so far will have used up what they may. */
  #nextMs = 0;
  /** The failure that is being waited out, so that it is told once. */
  #waitingFor = "";

  constructor(inner: BlockImage, pace: Pace, log: Log) {
    this.#inner = inner;
    this.#pace = pace;
    this.#log = log;
    if (inner.writeZeroes !== undefined) {
      this.writeZeroes = (offset, length) =>
        this.#run(0, () => inner.writeZeroes?.(offset, length));
    }
    if (inner.discard !== undefined) {
      this.discard = (offset, length) => this.#run(0, () => inner.discard?.(offset, length));
    }
  }

  get sizeBytes(): number {
    return this.#inner.sizeBytes;
  }

  get readOnly(): boolean {
    return this.#inner.readOnly;
  }

  get sectorBytes(): number {
    return this.#inner.sectorBytes ?? 512;
  }

  get physicalSectorBytes(): number {
    return this.#inner.physicalSectorBytes ?? this.sectorBytes;
  }

  read(offset: number, into: Uint8Array): Eventually {
    return this.#run(into.length, () => this.#inner.read(offset, into));
  }

  write(offset: number, from: Uint8Array): Eventually {
    return this.#run(from.length, () => this.#inner.write?.(offset, from));
  }

  flush(): Eventually {
    return this.#run(0, () => this.#inner.flush?.());
  }

  refreshSize(): boolean {
    return this.#inner.refreshSize?.() ?? false;
  }

  close(): Eventually {
    return this.#inner.close?.();
  }

  async #run(bytes: number, call: () => Eventually): Promise<void> {
    const waitMs = this.#due(bytes) + this.#pace.delayMs;
    if (waitMs >= timerStepMs) {
      await delay(waitMs);
    }
    for (;;) {
      try {
        await call();
        this.#report("");
        return;
      } catch (error) {
        if (!this.#pace.patient || !(error instanceof HostError)) {
          throw error;
        }
        this.#report(error.message);
        await delay(retryMs);
      }
    }
  }

  /** How long this request must wait for its turn, in milliseconds. */
  #due(bytes: number): number {
    const { iops, bandwidth } = this.#pace;
    const nowMs = performance.now();
    const costMs = Math.max(iops > 0 ? 1000 / iops : 0, bandwidth > 0 ? bytes * 1000 / bandwidth
      : 0);
    if (costMs === 0) {
      return 0;
    }
    const startMs = Math.max(this.#nextMs, nowMs - burstMs);
    this.#nextMs = startMs + costMs;
    return Math.max(0, startMs - nowMs);
  }

  #report(failure: string): void {
    if (failure !== this.#waitingFor) {
      this.#waitingFor = failure;
      if (failure === "") {
        this.#log.info("the disk goes on");
      } else {
        this.#log.warn(`${failure}; the guest's requests wait until this is over`);
      }
    }
  }
}
