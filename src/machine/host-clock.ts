/** Guest time that follows the host's monotonic clock. */
import { millisecondNs } from "../base/units.ts";
import { TimerQueue, type Clock, type Timer } from "../fabric/clock.ts";

/** A clock with the timers that the run loop fires. */
export interface MachineClock extends Clock {
  readonly timers: TimerQueue;
}

export class HostClock implements MachineClock {
  readonly timers = new TimerQueue();
  readonly #startMs = performance.now();

  /** A double of microsecond steps or finer: `performance.now` costs a tenth of hrtime. */
  nowNs(): number {
    return Math.floor((performance.now() - this.#startMs) * millisecondNs);
  }

  timer(fire: () => void): Timer {
    return this.timers.create(fire);
  }
}
