/** One timer of an HPET (IA-PC HPET 1.0a §2.3.8), with a 32-bit comparator. Pure: ticks of the
 * main counter are given. */

export const timerBits = {
  level: 1 << 1, enabled: 1 << 2, periodic: 1 << 3, periodicAble: 1 << 4, setValue: 1 << 6,
  fsb: 1 << 14, fsbAble: 1 << 15, routeShift: 9, routeMask: 31 << 9,
} as const;
const writable = timerBits.level | timerBits.enabled | timerBits.periodic | timerBits.setValue
  | timerBits.fsb | timerBits.routeMask;
const wrap = 2 ** 32;

export function newComparator() {
  return {
    config: timerBits.periodicAble | timerBits.fsbAble,
    compare: 0xffff_ffff, period: 0,
    /** Message of an FSB interrupt. */
    fsbData: 0, fsbAddress: 0,
    /** Tick of the next match, on the scale of ticks counted since the counter started. */
    matchTick: 0xffff_ffff,
  };
}

export type ComparatorState = ReturnType<typeof newComparator>;

export class Comparator {
  readonly state: ComparatorState;

  constructor(state: ComparatorState) {
    this.state = state;
  }

  has(bit: number): boolean {
    return (this.state.config & bit) !== 0;
  }

  /** The I/O APIC pin the timer is routed to. */
  get route(): number {
    return (this.state.config & timerBits.routeMask) >>> timerBits.routeShift;
  }

  /** `routes`: the pins a guest may choose, one bit each. */
  writeConfig(value: number, routes: number): void {
    const s = this.state;
    const pin = (value & timerBits.routeMask) >>> timerBits.routeShift;
    // A route that is not offered does not stick (§2.3.8, Tn_INT_ROUTE_CNF).
    const mask = (routes >>> pin & 1) !== 0 ? writable : writable & ~timerBits.routeMask;
    s.config = (s.config & ~mask) | (value & mask);
  }

  /** In periodic mode a write sets the period, and the comparator too when it was announced. */
  writeCompare(value: number): void {
    const s = this.state;
    if (!this.has(timerBits.periodic) || this.has(timerBits.setValue)) {
      s.compare = value;
    }
    if (this.has(timerBits.periodic)) {
      s.period = value;
    }
    s.config &= ~timerBits.setValue;
  }

  /** Finds the next match after `tick`, when the counter's low half is `counter`. */
  aim(tick: number, counter: number): void {
    const ahead = (this.state.compare - counter + wrap) % wrap;
    this.state.matchTick = tick + (ahead === 0 ? wrap : ahead);
  }

  /** Moves past the matches up to `tick`; true if there were any. */
  advance(tick: number): boolean {
    const s = this.state;
    if (tick < s.matchTick) {
      return false;
    }
    const step = this.has(timerBits.periodic) && s.period > 0 ? s.period : wrap;
    const steps = Math.floor((tick - s.matchTick) / step) + 1;
    s.matchTick += steps * step;
    s.compare = (s.compare + ((steps * step) % wrap)) % wrap;
    return true;
  }
}
