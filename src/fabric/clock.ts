/** Time as a device sees it: nanoseconds since the machine started, and timers on that scale. */

export interface Timer {
  /** Fires once at `deadlineNs`; replaces an earlier deadline. */
  arm(deadlineNs: number): void;
  disarm(): void;
  readonly armed: boolean;
}

export interface Clock {
  /** Nanoseconds since the machine started; never runs backwards. */
  nowNs(): number;
  timer(fire: () => void): Timer;
}

class QueuedTimer implements Timer {
  deadlineNs = Infinity;
  readonly fire: () => void;
  readonly #queue: TimerQueue;

  constructor(queue: TimerQueue, fire: () => void) {
    this.#queue = queue;
    this.fire = fire;
  }

  get armed(): boolean {
    return this.deadlineNs !== Infinity;
  }

  arm(deadlineNs: number): void {
    this.deadlineNs = deadlineNs;
    this.#queue.changed(this);
  }

  disarm(): void {
    if (this.armed) {
      this.deadlineNs = Infinity;
      this.#queue.changed(this);
    }
  }
}

/** All timers of a machine. A machine has about ten, so a scan beats a heap. */
export class TimerQueue {
  readonly #timers = new Set<QueuedTimer>();
  #nextNs = Infinity;
  /** Called when the earliest deadline becomes earlier: a time slice may have to end sooner. */
  onEarlier: (deadlineNs: number) => void = () => {};

  create(fire: () => void): Timer {
    return new QueuedTimer(this, fire);
  }

  /** The earliest deadline, or Infinity. */
  nextDeadlineNs(): number {
    return this.#nextNs;
  }

  /** Fires every timer due at `nowNs`, earliest first. A timer that re-arms itself in the past
   * fires again only at the next call, so that a guest cannot hold the machine here. */
  runDue(nowNs: number): void {
    if (this.#nextNs > nowNs) {
      return;
    }
    const due = [...this.#timers].filter((timer) => timer.deadlineNs <= nowNs)
      .sort((a, b) => a.deadlineNs - b.deadlineNs);
    for (const timer of due) {
      if (timer.deadlineNs <= nowNs) {
        timer.disarm();
        timer.fire();
      }
    }
  }

  changed(timer: QueuedTimer): void {
    if (timer.armed) {
      this.#timers.add(timer);
    } else {
      this.#timers.delete(timer);
    }
    const before = this.#nextNs;
    this.#nextNs = Infinity;
    for (const each of this.#timers) {
      this.#nextNs = Math.min(this.#nextNs, each.deadlineNs);
    }
    if (this.#nextNs < before) {
      this.onEarlier(this.#nextNs);
    }
  }
}

/** A clock that moves only when it is told to: tests, and `clock=virtual`. */
export class ManualClock implements Clock {
  readonly timers = new TimerQueue();
  #nowNs = 0;

  nowNs(): number {
    return this.#nowNs;
  }

  timer(fire: () => void): Timer {
    return this.timers.create(fire);
  }

  /** Moves time on, firing the timers on the way at their own moments. */
  advance(byNs: number): void {
    const endNs = this.#nowNs + byNs;
    for (let next = this.timers.nextDeadlineNs(); next <= endNs;
      next = this.timers.nextDeadlineNs()) {
      this.#nowNs = Math.max(this.#nowNs, next);
      this.timers.runDue(this.#nowNs);
    }
    this.#nowNs = endNs;
  }
}
