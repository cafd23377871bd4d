/**
 * Real-time clock and CMOS memory (Motorola MC146818 datasheet) at ports 0x70 and 0x71, with the
 * century in byte 0x32 as the FADT says. Time follows from the clock; nothing runs each second
 * unless the guest asked for an interrupt.
 */
import { bits } from "../base/bits.ts";
import { microsecondNs, millisecondNs, secondNs } from "../base/units.ts";
import { ClaimList, type Board, type BoardDevice } from "../fabric/board.ts";
import type { Clock, Timer } from "../fabric/clock.ts";
import type { IrqLine } from "../fabric/interrupt.ts";
import { registerMap, type Row } from "../fabric/register-map.ts";
import { assignState } from "../fabric/state.ts";
import { Ticks } from "../fabric/ticks.ts";
import { alarmMatches, loadTime, storeTime, timeRegister } from "./mc146818/calendar.ts";

const memoryBytes = 128;
const register = { a: 10, b: 11, c: 12, d: 13 } as const;

const aBits = { updateInProgress: 0x80, dividerReset: 0x60, rate: 0x0f } as const;
const bBits = bits({
  hours24: 1, binary: 2, updateInterrupt: 4, alarmInterrupt: 5, periodicInterrupt: 6, set: 7,
});
const cBits = bits({ update: 4, alarm: 5, periodic: 6, interrupt: 7 });
const validTime = 0x80;

const oscillatorHz = 32_768;
/** The update-in-progress bit warns this long before the time changes (datasheet, "update
 * cycle"); drivers that see it clear have that long to read. */
const updateWarningNs = 244 * microsecondNs;
/** The first update comes half a second after the divider leaves reset. */
const afterDividerResetNs = 500 * millisecondNs;

export interface Mc146818Env {
  readonly clock: Clock;
  readonly irq: IrqLine;
  /** Milliseconds since 1970 of the time to show: UTC, or the host's civil time. */
  wallClockMs(): number;
}

export interface Mc146818Options {
  /** Bytes that firmware or the machine leaves in the CMOS memory. */
  readonly memory?: Readonly<Record<number, number>>;
}

export class Mc146818 implements BoardDevice {
  readonly #options: Mc146818Options;
  readonly #env: Mc146818Env;
  readonly #oscillator: Ticks;
  readonly #timer: Timer;
  readonly #claims = new ClaimList();
  readonly state: ReturnType<Mc146818["newState"]>;

  constructor(options: Mc146818Options, env: Mc146818Env) {
    this.#options = options;
    this.#env = env;
    this.#oscillator = new Ticks(env.clock, oscillatorHz);
    this.#timer = env.clock.timer(() => this.#expire());
    this.state = this.newState();
  }

  newState() {
    const memory = new Uint8Array(memoryBytes);
    for (const [index, value] of Object.entries(this.#options.memory ?? {})) {
      memory[Number(index)] = value;
    }
    memory[register.a] = 0x26; // 32768 Hz crystal, periodic rate 1024 Hz.
    memory[register.b] = bBits.hours24;
    const nowMs = this.#env.wallClockMs();
    const seconds = Math.floor(nowMs / 1000);
    return {
      index: 0, memory,
      /** The time was `baseSeconds` at `baseNs` of the clock. */
      baseSeconds: seconds, baseNs: this.#env.clock.nowNs() - (nowMs - seconds * 1000) * 1e6,
      /** Last second and last periodic tick that have set their flags. */
      secondsSeen: seconds, ticksSeen: Math.floor(this.#oscillator.now() / 32),
    };
  }

  attach(board: Board): void {
    this.#claims.add(board.ports, { name: "RTC", base: 0x70 }, portMap, this);
  }

  readTime(index: number): number {
    if (!this.#isFrozen()) {
      storeTime(this.state.memory, this.#seconds(), this.#format());
    }
    return this.state.memory[index] ?? 0;
  }

  writeTime(index: number, value: number): void {
    const s = this.state;
    if (this.#isFrozen()) {
      s.memory[index] = value;
      return;
    }
    this.#catchUp();
    storeTime(s.memory, this.#seconds(), this.#format());
    s.memory[index] = value;
    this.#restart(this.#phaseNs());
  }

  readA(): number {
    const warns = !this.#isFrozen() && this.#phaseNs() >= secondNs - updateWarningNs;
    return (this.state.memory[register.a] ?? 0) | (warns ? aBits.updateInProgress : 0);
  }

  writeControl(index: 10 | 11, value: number): void {
    const s = this.state;
    this.#catchUp();
    const wasFrozen = this.#isFrozen();
    const dividerWasReset = this.#isDividerReset();
    const phase = this.#phaseNs();
    if (!wasFrozen) {
      storeTime(s.memory, this.#seconds(), this.#format());
    }
    const ends = index === register.b && (value & bBits.set) !== 0 ? bBits.updateInterrupt : 0;
    s.memory[index] = index === register.a ? value & 0x7f : value & ~ends;
    if (wasFrozen && !this.#isFrozen()) {
      this.#restart(dividerWasReset ? secondNs - afterDividerResetNs : phase);
    }
    s.ticksSeen = index === register.a ? this.#periodicTicks() : s.ticksSeen;
    this.sync();
  }

  /** Register C: what happened since it was read last. */
  readC(): number {
    const s = this.state;
    this.#catchUp();
    const flags = s.memory[register.c] ?? 0;
    const raised = (flags & (s.memory[register.b] ?? 0)) !== 0;
    s.memory[register.c] = 0;
    this.sync();
    return flags | (raised ? cBits.interrupt : 0);
  }

  reset(): void {
    assignState(this.state, this.newState());
    this.sync();
  }

  sync(): void {
    const s = this.state;
    const b = s.memory[register.b] ?? 0;
    const c = s.memory[register.c] ?? 0;
    this.#env.irq.set((b & c & 0x70) !== 0);
    // A flag that is set already needs no timer: nothing new would happen.
    const missing = b & ~c;
    const second = (missing & (bBits.updateInterrupt | bBits.alarmInterrupt)) !== 0
      && !this.#isFrozen()
      ? s.baseNs + (s.secondsSeen + 1 - s.baseSeconds) * secondNs
      : Infinity;
    const divisor = this.#periodicDivisor();
    const tick = (missing & bBits.periodicInterrupt) !== 0 && divisor > 0
      ? this.#oscillator.deadlineNs((s.ticksSeen + 1) * divisor)
      : Infinity;
    const deadline = Math.min(second, tick);
    if (deadline === Infinity) {
      this.#timer.disarm();
    } else {
      this.#timer.arm(deadline);
    }
  }

  detach(): void {
    this.#claims.release();
    this.#timer.disarm();
    this.#env.irq.set(false);
  }

  #expire(): void {
    this.#catchUp();
    this.sync();
  }

  /** Sets the flags for all that happened since the last look. */
  #catchUp(): void {
    const s = this.state;
    let flags = s.memory[register.c] ?? 0;
    const now = this.#seconds();
    if (now > s.secondsSeen) {
      const rings = alarmMatches(s.memory, this.#format(), s.secondsSeen, now);
      flags |= cBits.update | (rings ? cBits.alarm : 0);
      s.secondsSeen = now;
    }
    const ticks = this.#periodicTicks();
    if (ticks > s.ticksSeen) {
      flags |= cBits.periodic;
      s.ticksSeen = ticks;
    }
    s.memory[register.c] = flags;
  }

  #format() {
    const b = this.state.memory[register.b] ?? 0;
    return { binary: (b & bBits.binary) !== 0, hours24: (b & bBits.hours24) !== 0 };
  }

  #isDividerReset(): boolean {
    const a = this.state.memory[register.a] ?? 0;
    return (a & aBits.dividerReset) === aBits.dividerReset;
  }

  /** The time stands still while the guest sets it. */
  #isFrozen(): boolean {
    return ((this.state.memory[register.b] ?? 0) & bBits.set) !== 0 || this.#isDividerReset();
  }

  #seconds(): number {
    const s = this.state;
    return this.#isFrozen()
      ? s.secondsSeen
      : s.baseSeconds + Math.floor((this.#env.clock.nowNs() - s.baseNs) / secondNs);
  }

  /** Nanoseconds since the last change of the second. */
  #phaseNs(): number {
    return (this.#env.clock.nowNs() - this.state.baseNs) % secondNs;
  }

  /** The time goes on from what the registers show, `phaseNs` into that second. */
  #restart(phaseNs: number): void {
    const s = this.state;
    s.baseSeconds = loadTime(s.memory, this.#format());
    s.baseNs = this.#env.clock.nowNs() - phaseNs;
    s.secondsSeen = s.baseSeconds;
    this.sync();
  }

  /** Oscillator periods of one periodic interrupt; 0 when there are none. */
  #periodicDivisor(): number {
    const rate = (this.state.memory[register.a] ?? 0) & aBits.rate;
    // Rates 1 and 2 repeat 8 and 9 with this crystal (datasheet table 5).
    const shift = rate > 2 ? rate - 1 : rate + 6;
    return rate === 0 || this.#isDividerReset() ? 0 : 1 << shift;
  }

  #periodicTicks(): number {
    const divisor = this.#periodicDivisor();
    return divisor === 0 ? 0 : Math.floor(this.#oscillator.now() / divisor);
  }
}

const timeRows = [
  timeRegister.seconds, timeRegister.minutes, timeRegister.hours, timeRegister.weekday,
  timeRegister.day, timeRegister.month, timeRegister.year, timeRegister.century,
];

function memoryRow(index: number): Row<Mc146818> {
  return timeRows.some((each) => each === index)
    ? [index, `TIME${index}`, "rw", {
      read: (rtc) => rtc.readTime(index), write: (rtc, value) => rtc.writeTime(index, value),
    }]
    : [index, `CMOS${index}`, "rw", {
      read: (rtc) => rtc.state.memory[index] ?? 0,
      write: (rtc, value) => { rtc.state.memory[index] = value; },
    }];
}

/** What stands behind the index: time, alarm, control, and memory. */
const memoryMap = registerMap<Mc146818>({
  size: memoryBytes,
  rows: [
    [register.a, "A", "rw", {
      read: (rtc) => rtc.readA(), write: (rtc, value) => rtc.writeControl(register.a, value),
    }],
    [register.b, "B", "rw", {
      read: (rtc) => rtc.state.memory[register.b] ?? 0,
      write: (rtc, value) => rtc.writeControl(register.b, value),
    }],
    [register.c, "C", "r", { read: (rtc) => rtc.readC() }],
    [register.d, "D", "r", { read: () => validTime }],
    ...Array.from({ length: memoryBytes }, (_, index) => index)
      .filter((index) => index < register.a || index > register.d)
      .map((index) => memoryRow(index)),
  ],
});

const portMap = registerMap<Mc146818>({
  size: 2,
  rows: [
    // Bit 7 masks NMI on a PC; bhyve ignores it, and so does this board.
    [0, "INDEX", "w", { write: (rtc, value) => { rtc.state.index = value & 0x7f; } }],
    [1, "DATA", "rw", {
      read: (rtc) => memoryMap.read(rtc, rtc.state.index, 1),
      write: (rtc, value) => memoryMap.write(rtc, rtc.state.index, 1, value),
    }],
  ],
});
