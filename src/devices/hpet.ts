/**
 * High-precision event timers (IA-PC HPET Specification 1.0a): a 64-bit counter of 10 MHz and
 * three timers with 32-bit comparators, periodic, with legacy replacement and FSB messages.
 */
import { microsecondNs } from "../base/units.ts";
import { ClaimList, type Board, type BoardDevice } from "../fabric/board.ts";
import type { Clock, Timer } from "../fabric/clock.ts";
import type { IrqLine, MsiSink } from "../fabric/interrupt.ts";
import { registerMap, type Row } from "../fabric/register-map.ts";
import { assignState } from "../fabric/state.ts";
import { Comparator, newComparator, timerBits } from "./hpet/comparator.ts";

export const hpetBase = 0xfed0_0000;
const blockBytes = 0x400;

const timerCount = 3;
const tickNs = 100;
const femtosecondsPerTick = tickNs * 1_000_000;
const wrap = 2 ** 32;
/** A guest may ask for an interrupt every 100 ns; the host would do nothing else. */
const periodMinNs = 20 * microsecondNs;

/** Revision 1, three timers, 64-bit counter, legacy replacement, vendor Intel. The ACPI table
 * repeats it. */
export const hpetCapabilities =
  (0x8086 << 16 | 1 << 15 | 1 << 13 | (timerCount - 1) << 8 | 1) >>> 0;
/** I/O APIC pins that a timer may be routed to (bhyve's choice: 24-31). */
const firstPin = 24;
const routes = 0xff00_0000;
const general = { enabled: 1, legacy: 2 } as const;

export interface HpetEnv {
  readonly clock: Clock;
  readonly msi: MsiSink;
  /** The I/O APIC pin of this number. */
  pin(number: number): IrqLine;
  /** IRQ 0 and IRQ 8, which the 8254 and the RTC drive through `legacyInput`. */
  readonly legacy: readonly [timer: IrqLine, rtc: IrqLine];
  /** Told when the HPET takes over from the 8254 and the RTC, and when it gives back: for those
   * that do not plug in here. */
  replaceLegacy?(replaced: boolean): void;
}

function newState() {
  return {
    config: 0, status: 0,
    /** The counter was (high, low) when it started or stopped, at `startNs`. */
    counterLow: 0, counterHigh: 0, startNs: 0,
    timers: Array.from({ length: timerCount }, () => newComparator()),
    /** Levels of the 8254 and the RTC. */
    legacyInputs: [false, false],
  };
}

export class Hpet implements BoardDevice {
  readonly #env: HpetEnv;
  readonly #pins: readonly IrqLine[];
  readonly #timers: readonly Timer[];
  readonly #claims = new ClaimList();
  readonly state = newState();
  readonly #comparators: readonly Comparator[];

  constructor(env: HpetEnv) {
    this.#env = env;
    this.#pins = Array.from({ length: 32 - firstPin }, (_, index) => env.pin(firstPin + index));
    this.#comparators = this.state.timers.map((state) => new Comparator(state));
    this.#timers = this.#comparators.map((each, index) => env.clock.timer(() => {
      this.#match(each, index);
    }));
  }

  attach(board: Board): void {
    const at = { name: "HPET", base: hpetBase, size: blockBytes };
    this.#claims.add(board.mmio, at, registers, this);
  }

  /** Where the 8254 (0) and the RTC (1) plug in: cut off while the HPET replaces them. */
  legacyInput(index: 0 | 1): IrqLine {
    return {
      set: (level) => {
        this.state.legacyInputs[index] = level;
        if (!this.#isLegacy()) {
          this.#env.legacy[index].set(level);
        }
      },
    };
  }

  counterLow(): number {
    return (this.state.counterLow + this.#elapsed()) % wrap;
  }

  counterHigh(): number {
    const { counterLow, counterHigh } = this.state;
    return (counterHigh + Math.floor((counterLow + this.#elapsed()) / wrap)) % wrap;
  }

  writeConfig(value: number): void {
    this.#freeze();
    const was = this.#isLegacy();
    this.state.config = value & (general.enabled | general.legacy);
    if (was !== this.#isLegacy()) {
      this.#env.replaceLegacy?.(!was);
    }
    this.#aim();
  }

  /** Only a halted counter may be written (§2.3.7); a running one jumps. */
  writeCounter(part: { readonly low?: number; readonly high?: number }): void {
    this.#freeze();
    Object.assign(this.state, {
      counterLow: part.low ?? this.state.counterLow,
      counterHigh: part.high ?? this.state.counterHigh,
    });
    this.#aim();
  }

  clearStatus(written: number): void {
    this.state.status &= ~written;
    this.sync();
  }

  readCompare(index: number): number {
    const comparator = this.#comparators[index];
    if (this.#isRunning()) {
      comparator?.advance(this.#elapsed());
    }
    return comparator?.state.compare ?? 0;
  }

  writeTimer(index: number, write: (comparator: Comparator) => void): void {
    const comparator = this.#comparators[index];
    if (comparator !== undefined) {
      this.readCompare(index);
      write(comparator);
      comparator.aim(this.#elapsed(), this.counterLow());
      if (!comparator.has(timerBits.level)) {
        this.state.status &= ~(1 << index);
      }
      this.sync();
    }
  }

  reset(): void {
    const { legacyInputs } = this.state;
    if (this.#isLegacy()) {
      this.#env.replaceLegacy?.(false);
    }
    assignState(this.state, { ...newState(), legacyInputs: [...legacyInputs] });
    this.sync();
  }

  sync(): void {
    const now = this.#env.clock.nowNs();
    for (const [index, comparator] of this.#comparators.entries()) {
      const timer = this.#timers[index];
      const deadline = this.state.startNs + comparator.state.matchTick * tickNs;
      if (this.#isRunning() && comparator.has(timerBits.enabled)) {
        const isShort = comparator.has(timerBits.periodic)
          && comparator.state.period * tickNs < periodMinNs;
        timer?.arm(Math.max(deadline, isShort ? now + periodMinNs : 0));
      } else {
        timer?.disarm();
      }
    }
    for (const [index, pin] of this.#pins.entries()) {
      pin.set(this.#levelAt(firstPin + index));
    }
    for (const index of [0, 1] as const) {
      this.#env.legacy[index].set(this.#legacyLevel(index));
    }
  }

  detach(): void {
    this.#claims.release();
    for (const timer of this.#timers) {
      timer.disarm();
    }
    for (const line of [...this.#pins, ...this.#env.legacy]) {
      line.set(false);
    }
  }

  #isRunning(): boolean {
    return (this.state.config & general.enabled) !== 0;
  }

  #isLegacy(): boolean {
    return (this.state.config & general.legacy) !== 0;
  }

  /** Ticks counted since `startNs`. */
  #elapsed(): number {
    return this.#isRunning()
      ? Math.floor((this.#env.clock.nowNs() - this.state.startNs) / tickNs)
      : 0;
  }

  /** Takes the counter's present value as its new start. */
  #freeze(): void {
    const s = this.state;
    const low = this.counterLow();
    s.counterHigh = this.counterHigh();
    s.counterLow = low;
    s.startNs = this.#env.clock.nowNs();
  }

  #aim(): void {
    for (const comparator of this.#comparators) {
      comparator.aim(0, this.state.counterLow);
    }
    this.sync();
  }

  #match(comparator: Comparator, index: number): void {
    if (comparator.advance(this.#elapsed())) {
      if (comparator.has(timerBits.level)) {
        this.state.status |= 1 << index;
      } else if (comparator.has(timerBits.fsb)) {
        this.#env.msi.send(comparator.state.fsbAddress, comparator.state.fsbData);
      } else {
        this.#lineOf(comparator, index)?.set(true); // An edge: `sync` takes it back.
      }
    }
    this.sync();
  }

  #lineOf(comparator: Comparator, index: number): IrqLine | undefined {
    return this.#isLegacy() && index < 2
      ? this.#env.legacy[index === 0 ? 0 : 1]
      : this.#pins[comparator.route - firstPin];
  }

  #levelAt(pin: number): boolean {
    return this.#comparators.some((comparator, index) => comparator.route === pin
      && !(this.#isLegacy() && index < 2) && this.#asserts(index));
  }

  #legacyLevel(index: 0 | 1): boolean {
    return this.#isLegacy() ? this.#asserts(index) : this.state.legacyInputs[index] === true;
  }

  #asserts(index: number): boolean {
    return (this.state.status >>> index & 1) !== 0
      && this.#comparators[index]?.has(timerBits.enabled) === true;
  }
}

function timerRows(index: number): Row<Hpet>[] {
  const at = 0x100 + index * 0x20;
  const stateOf = (hpet: Hpet) => hpet.state.timers[index] ?? newComparator();
  return [
    [at, `T${index}_CONF`, "rw", {
      read: (hpet) => stateOf(hpet).config,
      write: (hpet, value) => hpet.writeTimer(index, (each) => each.writeConfig(value, routes)),
    }],
    [at + 4, `T${index}_ROUTE_CAP`, "r", { read: () => routes }],
    [at + 8, `T${index}_COMP`, "rw", {
      read: (hpet) => hpet.readCompare(index),
      write: (hpet, value) => hpet.writeTimer(index, (each) => each.writeCompare(value)),
    }],
    [at + 0x10, `T${index}_FSB_VAL`, "rw", {
      read: (hpet) => stateOf(hpet).fsbData,
      write: (hpet, value) => { stateOf(hpet).fsbData = value; },
    }],
    [at + 0x14, `T${index}_FSB_ADDR`, "rw", {
      read: (hpet) => stateOf(hpet).fsbAddress,
      write: (hpet, value) => { stateOf(hpet).fsbAddress = value; },
    }],
  ];
}

const registers = registerMap<Hpet>({
  size: 0x160, width: 4, empty: 0,
  rows: [
    [0x000, "GCAP_ID", "r", { read: () => hpetCapabilities }],
    [0x004, "COUNTER_CLK_PERIOD", "r", { read: () => femtosecondsPerTick }],
    [0x010, "GEN_CONF", "rw", { field: "config", write: (hpet, value) => hpet.writeConfig(value) }],
    [0x020, "GINTR_STA", "rw", {
      field: "status", write: (hpet, value) => hpet.clearStatus(value),
    }],
    [0x0f0, "MAIN_CNT low", "rw", {
      read: (hpet) => hpet.counterLow(), write: (hpet, low) => hpet.writeCounter({ low }),
    }],
    [0x0f4, "MAIN_CNT high", "rw", {
      read: (hpet) => hpet.counterHigh(), write: (hpet, high) => hpet.writeCounter({ high }),
    }],
    ...timerRows(0), ...timerRows(1), ...timerRows(2),
  ],
});
