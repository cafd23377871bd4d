/**
 * One counter of an 8254 (Intel datasheet 231164, "mode definitions"). Pure: the tick is given.
 * The clock pulse that loads a count is left out; a count runs from its writing on.
 */

/** Which bytes of a count go through the port (RW field of the control word). */
const access = { low: 1, high: 2, both: 3 } as const;

export function newCounter() {
  return {
    mode: 0, access: 3, bcd: false, gate: true,
    /** The count in effect, and the one that ran before `start` (modes 2 and 3). */
    count: 0x10000, previousCount: 0x10000,
    /** Tick at which `count` began. */
    start: 0,
    /** The counter runs; false from the control word until a count (and a trigger) came. */
    running: false,
    /** Ticks already counted when the gate stopped the counter; -1 while it is not stopped. */
    stoppedAt: -1,
    /** First byte of a count being written; -1 outside of that. */
    writtenLow: -1,
    /** The next byte read is the high one. */
    readHigh: false,
    /** Latched by command; -1 when not. */
    latchedCount: -1, latchedStatus: -1,
    /** The output stays low until its single rise (modes 0 and 4) came. */
    rises: true,
  };
}

export type CounterState = ReturnType<typeof newCounter>;

function toBcd(value: number): number {
  const digit = (place: number) => Math.floor(value / place) % 10;
  return digit(1) | (digit(10) << 4) | (digit(100) << 8) | (digit(1000) << 12);
}

function fromBcd(value: number): number {
  const digit = (shift: number) => value >>> shift & 15;
  return digit(0) + digit(4) * 10 + digit(8) * 100 + digit(12) * 1000;
}

export class Counter {
  readonly state: CounterState;

  constructor(state: CounterState) {
    this.state = state;
  }

  writeControl(value: number): void {
    const s = this.state;
    const mode = value >>> 1 & 7;
    s.access = value >>> 4 & 3;
    s.mode = mode > 5 ? mode & 3 : mode; // Bit 2 is "do not care" for modes 2 and 3.
    s.bcd = (value & 1) !== 0;
    s.running = false;
    s.stoppedAt = -1;
    s.writtenLow = -1;
    s.readHigh = false;
    s.latchedCount = -1;
    s.latchedStatus = -1;
    s.rises = s.mode === 0;
  }

  writeCount(value: number, now: number): void {
    const s = this.state;
    if (s.access === access.low) {
      this.#load(value, now);
    } else if (s.access === access.high) {
      this.#load(value << 8, now);
    } else if (s.writtenLow < 0) {
      s.writtenLow = value;
    } else {
      const count = s.writtenLow | (value << 8);
      s.writtenLow = -1;
      this.#load(count, now);
    }
  }

  setGate(level: boolean, now: number): void {
    const s = this.state;
    if (level === s.gate) {
      return;
    }
    s.gate = level;
    const triggered = s.mode === 1 || s.mode === 5;
    if (triggered) {
      if (level) {
        s.start = now;
        s.running = true;
      }
    } else if (!level) {
      s.stoppedAt = now - s.start;
    } else if (s.stoppedAt >= 0) {
      // Modes 0 and 4 go on where they stopped; 2 and 3 begin again.
      s.start = s.mode === 2 || s.mode === 3 ? now : now - s.stoppedAt;
      s.stoppedAt = -1;
    }
  }

  latchCount(now: number): void {
    const s = this.state;
    if (s.latchedCount < 0) {
      s.latchedCount = this.#value(now);
    }
  }

  latchStatus(now: number): void {
    const s = this.state;
    if (s.latchedStatus < 0) {
      const output = this.output(now) ? 0x80 : 0;
      const nullCount = s.running ? 0 : 0x40;
      s.latchedStatus = output | nullCount | (s.access << 4) | (s.mode << 1) | (s.bcd ? 1 : 0);
    }
  }

  read(now: number): number {
    const s = this.state;
    if (s.latchedStatus >= 0) {
      const status = s.latchedStatus;
      s.latchedStatus = -1;
      return status;
    }
    const value = s.latchedCount >= 0 ? s.latchedCount : this.#value(now);
    const high = s.access === access.high || (s.access === access.both && s.readHigh);
    s.readHigh = s.access === access.both && !s.readHigh;
    if (!s.readHigh) {
      s.latchedCount = -1;
    }
    return high ? value >>> 8 : value & 0xff;
  }

  /** Level of the OUT pin. */
  output(now: number): boolean {
    const s = this.state;
    const elapsed = this.#elapsed(now);
    if (!s.running) {
      return s.mode !== 0;
    }
    if (s.mode === 0 || s.mode === 1) {
      return elapsed >= s.count;
    }
    if (s.mode === 4 || s.mode === 5) {
      return elapsed !== s.count;
    }
    if (!s.gate) {
      return true;
    }
    const [phase, count] = this.#period(elapsed);
    return s.mode === 2 ? phase !== count - 1 : phase < Math.ceil(count / 2);
  }

  /** The first tick after `now` at which the output rises; -1 when it does not. For counter 0,
   * whose gate is tied high. */
  nextRise(now: number): number {
    const s = this.state;
    if (!s.running) {
      return -1;
    }
    if (s.mode === 2 || s.mode === 3) {
      return now < s.start
        ? s.start
        : s.start + (Math.floor((now - s.start) / s.count) + 1) * s.count;
    }
    return s.rises ? s.start + s.count + (s.mode === 4 ? 1 : 0) : -1;
  }

  /** The output is low now and will rise once (mode 0), as far as interrupts are concerned. */
  risesLater(): boolean {
    return this.state.rises && this.state.mode === 0;
  }

  /** The single rise of modes 0 and 4 has come. */
  rose(): void {
    this.state.rises = false;
  }

  #load(written: number, now: number): void {
    const s = this.state;
    const count = (s.bcd ? fromBcd(written) : written) || (s.bcd ? 10_000 : 0x10000);
    const periodic = s.mode === 2 || s.mode === 3;
    if (periodic && s.running && s.gate) {
      // A new count waits for the end of the period.
      const [phase, current] = this.#period(now - s.start);
      s.previousCount = current;
      s.start = now - phase + current;
    } else if (s.mode !== 1 && s.mode !== 5) {
      s.start = now;
      s.running = true;
      s.stoppedAt = s.gate ? -1 : 0;
      s.rises = s.mode === 0 || s.mode === 4;
    }
    s.count = count;
  }

  #elapsed(now: number): number {
    const { start, stoppedAt } = this.state;
    return stoppedAt >= 0 ? stoppedAt : now - start;
  }

  /** Ticks into the current period and its length; `elapsed` is negative while an earlier count
   * runs out. */
  #period(elapsed: number): readonly [phase: number, count: number] {
    const { count, previousCount } = this.state;
    return elapsed < 0
      ? [Math.max(0, previousCount + elapsed), previousCount]
      : [elapsed % count, count];
  }

  /** The counting element as the port shows it. */
  #value(now: number): number {
    const s = this.state;
    const elapsed = this.#elapsed(now);
    const wrap = s.bcd ? 10_000 : 0x10000;
    let value = s.count;
    if (s.running && (s.mode === 2 || s.mode === 3)) {
      const [phase, count] = this.#period(elapsed);
      value = s.mode === 2 ? count - phase : count - ((2 * phase) % count);
    } else if (s.running) {
      value = ((s.count - elapsed) % wrap + wrap) % wrap;
    }
    return s.bcd ? toBcd(value) : value & 0xffff;
  }
}
