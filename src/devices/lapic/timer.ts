/** The timer of a local APIC (Intel SDM 3A §11.5.4): one-shot, periodic and TSC deadline. */
import type { Clock, Timer } from "../../fabric/clock.ts";
import { microsecondNs, secondNs } from "../../base/units.ts";

/** Frequency before the divider; CPUID tells it to guests (leaf 0x15, 0x40000010). */
export const lapicBusHz = secondNs;

export const timerMode = { oneShot: 0, periodic: 1, tscDeadline: 2 } as const;

/** A guest may ask for a period of one nanosecond; the host would do nothing but interrupt. */
const periodMinNs = 20 * microsecondNs;

export interface LapicTimerEnv {
  readonly clock: Clock;
  /** The guest's TSC now, and the clock's nanosecond at which it has a value. */
  tscNow(): number;
  tscToNs(tsc: number): number;
}

export function newTimerState() {
  return {
    mode: 0, initialCount: 0, divide: 0,
    /** When the count began. */
    startNs: 0,
    /** When the timer fires next; Infinity when it does not. */
    deadlineNs: Infinity,
    /** IA32_TSC_DEADLINE in two halves; 0 when disarmed. */
    deadlineLow: 0, deadlineHigh: 0,
  };
}

export class LapicTimer {
  readonly #env: LapicTimerEnv;
  readonly #timer: Timer;
  readonly #expired: () => void;
  readonly state = newTimerState();

  constructor(env: LapicTimerEnv, expired: () => void) {
    this.#env = env;
    this.#expired = expired;
    this.#timer = env.clock.timer(() => this.#fire());
  }

  /** The timer mode of the LVT. Entering or leaving TSC deadline mode disarms. */
  setMode(mode: number): void {
    const s = this.state;
    if (mode === s.mode) {
      return;
    }
    if (mode === timerMode.tscDeadline || s.mode === timerMode.tscDeadline) {
      s.initialCount = 0;
      this.#disarm();
    }
    s.mode = mode;
    this.#schedule();
  }

  setInitialCount(count: number): void {
    const s = this.state;
    if (s.mode !== timerMode.tscDeadline) {
      s.initialCount = count;
      s.startNs = this.#env.clock.nowNs();
      this.#schedule();
    }
  }

  setDivide(divide: number): void {
    const s = this.state;
    const counted = s.initialCount - this.currentCount();
    s.divide = divide;
    s.startNs = this.#env.clock.nowNs() - counted * this.#tickNs();
    this.#schedule();
  }

  currentCount(): number {
    const s = this.state;
    if (s.initialCount === 0 || s.mode === timerMode.tscDeadline) {
      return 0;
    }
    const ticks = Math.floor((this.#env.clock.nowNs() - s.startNs) / this.#tickNs());
    return s.mode === timerMode.periodic
      ? s.initialCount - (ticks % s.initialCount)
      : Math.max(0, s.initialCount - ticks);
  }

  /** IA32_TSC_DEADLINE; writes outside deadline mode are ignored (SDM 3A §11.5.4.1). */
  setDeadline(low: number, high: number): void {
    const s = this.state;
    if (s.mode === timerMode.tscDeadline) {
      s.deadlineLow = low;
      s.deadlineHigh = high;
      this.#schedule();
    }
  }

  /** Arms the host's timer from `state`. */
  sync(): void {
    if (this.state.deadlineNs === Infinity) {
      this.#timer.disarm();
    } else {
      this.#timer.arm(this.state.deadlineNs);
    }
  }

  #tickNs(): number {
    const { divide } = this.state;
    // The encoding 0..7 (bits 0, 1 and 3) means 2, 4, 8, 16, 32, 64, 128, 1.
    const power = ((divide & 3) | (divide >>> 1 & 4)) + 1 & 7;
    return (secondNs / lapicBusHz) * (1 << power);
  }

  #disarm(): void {
    const s = this.state;
    s.deadlineLow = 0;
    s.deadlineHigh = 0;
    s.deadlineNs = Infinity;
  }

  #schedule(): void {
    const s = this.state;
    if (s.mode === timerMode.tscDeadline) {
      const deadline = s.deadlineHigh * 2 ** 32 + s.deadlineLow;
      s.deadlineNs = deadline === 0 ? Infinity : this.#deadlineNs(deadline);
    } else if (s.initialCount === 0) {
      s.deadlineNs = Infinity;
    } else {
      this.#scheduleCount();
    }
    this.sync();
  }

  #deadlineNs(deadline: number): number {
    const now = this.#env.clock.nowNs();
    return deadline <= this.#env.tscNow() ? now : Math.max(now, this.#env.tscToNs(deadline));
  }

  #scheduleCount(): void {
    const s = this.state;
    const now = this.#env.clock.nowNs();
    const period = s.initialCount * this.#tickNs();
    if (s.mode === timerMode.periodic) {
      // Periods keep their places on the scale; those missed by a late host are left out.
      const next = s.startNs + (Math.floor((now - s.startNs) / period) + 1) * period;
      s.deadlineNs = Math.max(next, period < periodMinNs ? now + periodMinNs : 0);
    } else {
      const end = s.startNs + period;
      s.deadlineNs = end > now ? end : Infinity; // A one-shot that has expired stays so.
    }
  }

  #fire(): void {
    const s = this.state;
    const now = this.#env.clock.nowNs();
    if (now < s.deadlineNs) {
      this.sync();
      return;
    }
    this.#disarm();
    if (s.mode === timerMode.periodic) {
      this.#schedule();
    }
    this.#expired();
  }
}
