/** A free-running counter of a given frequency, derived from the clock so that it cannot drift. */
import type { Clock } from "./clock.ts";
import { secondNs } from "../base/units.ts";

export class Ticks {
  readonly hz: number;
  readonly #clock: Clock;

  constructor(clock: Clock, hz: number) {
    this.#clock = clock;
    this.hz = hz;
  }

  /** Whole ticks since the machine started. */
  now(): number {
    return this.#at(this.#clock.nowNs());
  }

  /** The first nanosecond at which `now()` is `tick` or more. */
  deadlineNs(tick: number): number {
    const seconds = Math.floor(tick / this.hz);
    let ns = seconds * secondNs + Math.ceil(((tick - seconds * this.hz) * secondNs) / this.hz);
    // Both directions round; a timer that fires one tick early would have to fire twice.
    while (this.#at(ns) < tick) {
      ns += 1;
    }
    return ns;
  }

  #at(ns: number): number {
    // Whole seconds apart, so that the product stays below 2^53 and exact (up to 9 MHz).
    const seconds = Math.floor(ns / secondNs);
    return seconds * this.hz + Math.floor(((ns - seconds * secondNs) * this.hz) / secondNs);
  }
}
