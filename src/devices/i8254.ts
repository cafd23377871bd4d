/**
 * The 8254 interval timer of a PC (Intel 8254 datasheet 231164) and port 0x61 beside it. A counter
 * is never counted: its value follows from the ticks since it was loaded, so nothing drifts.
 */
import { ClaimList, type Board, type BoardDevice } from "../fabric/board.ts";
import type { Clock, Timer } from "../fabric/clock.ts";
import type { IrqLine } from "../fabric/interrupt.ts";
import { registerMap } from "../fabric/register-map.ts";
import { assignState } from "../fabric/state.ts";
import { Ticks } from "../fabric/ticks.ts";
import { Counter, newCounter } from "./i8254/counter.ts";

export const pitHz = 1_193_182;

/** Port 0x61 (PIIX datasheet §4.2.4, NMI status and control). */
const portB = {
  gate: 1 << 0, writable: 0x0f, refresh: 1 << 4, output: 1 << 5,
} as const;
/** The refresh bit toggles with the DRAM refresh requests of a PC/AT. */
const refreshNs = 15_085;

export interface I8254Env {
  readonly clock: Clock;
  /** Output of counter 0: IRQ 0. */
  readonly irq: IrqLine;
}

export class I8254 implements BoardDevice {
  readonly #clock: Clock;
  readonly #ticks: Ticks;
  readonly #irq: IrqLine;
  readonly #timer: Timer;
  readonly #claims = new ClaimList();
  readonly state = {
    portB: 0,
    /** Tick of the next interrupt; -1 when none comes. */
    nextEdge: -1,
    counters: [newCounter(), newCounter(), newCounter()],
  };
  readonly #counters: readonly Counter[];

  constructor(env: I8254Env) {
    this.#clock = env.clock;
    this.#ticks = new Ticks(env.clock, pitHz);
    this.#irq = env.irq;
    this.#timer = env.clock.timer(() => this.#edge());
    this.#counters = this.state.counters.map((state) => new Counter(state));
    this.#counters[2]?.setGate(false, 0);
    this.sync();
  }

  attach(board: Board): void {
    this.#claims.add(board.ports, { name: "8254", base: 0x40 }, counterPorts, this);
    this.#claims.add(board.ports, { name: "port 0x61", base: 0x61 }, portBMap, this);
  }

  readCounter(index: number): number {
    return this.#counters[index]?.read(this.#ticks.now()) ?? 0;
  }

  writeCounter(index: number, value: number): void {
    this.#counters[index]?.writeCount(value, this.#ticks.now());
    this.#rescheduled(index);
  }

  writeControl(value: number): void {
    const index = value >>> 6;
    const now = this.#ticks.now();
    if (index < 3 && (value & 0x30) !== 0) {
      this.#counters[index]?.writeControl(value);
      this.#rescheduled(index);
    } else if (index < 3) {
      this.#counters[index]?.latchCount(now);
    } else {
      this.#readBack(value, now);
    }
  }

  readPortB(): number {
    const refresh = Math.floor(this.#clock.nowNs() / refreshNs) % 2 === 0 ? 0 : portB.refresh;
    const output = this.#counters[2]?.output(this.#ticks.now()) === true ? portB.output : 0;
    return this.state.portB | refresh | output;
  }

  writePortB(value: number): void {
    this.state.portB = value & portB.writable;
    this.#counters[2]?.setGate((value & portB.gate) !== 0, this.#ticks.now());
  }

  reset(): void {
    this.state.portB = 0;
    this.state.nextEdge = -1;
    for (const state of this.state.counters) {
      assignState(state, newCounter());
    }
    this.#counters[2]?.setGate(false, 0);
    this.sync();
  }

  sync(): void {
    const { nextEdge } = this.state;
    // Between two edges of a running counter the line just stays high: only edges count here.
    this.#irq.set(this.#counters[0]?.risesLater() === false);
    if (nextEdge < 0) {
      this.#timer.disarm();
    } else {
      this.#timer.arm(this.#ticks.deadlineNs(nextEdge));
    }
  }

  detach(): void {
    this.#claims.release();
    this.#timer.disarm();
    this.#irq.set(false);
  }

  #readBack(command: number, now: number): void {
    for (const [index, counter] of this.#counters.entries()) {
      if ((command >>> (index + 1) & 1) !== 0) {
        if ((command & 0x20) === 0) {
          counter.latchCount(now);
        }
        if ((command & 0x10) === 0) {
          counter.latchStatus(now);
        }
      }
    }
  }

  #rescheduled(index: number): void {
    if (index === 0) {
      this.state.nextEdge = this.#counters[0]?.nextRise(this.#ticks.now()) ?? -1;
      this.sync();
    }
  }

  /** The output rises. When the host was late, the edges missed meanwhile make one interrupt, and
   * the next one keeps its place on the scale. */
  #edge(): void {
    const now = this.#ticks.now();
    this.#counters[0]?.rose();
    this.#irq.set(false);
    this.#irq.set(true);
    this.state.nextEdge = this.#counters[0]?.nextRise(now) ?? -1;
    this.sync();
  }
}

const counterPorts = registerMap<I8254>({
  size: 4,
  rows: [
    [0, "Counter 0", "rw", {
      read: (pit) => pit.readCounter(0), write: (pit, value) => pit.writeCounter(0, value),
    }],
    [1, "Counter 1", "rw", {
      read: (pit) => pit.readCounter(1), write: (pit, value) => pit.writeCounter(1, value),
    }],
    [2, "Counter 2", "rw", {
      read: (pit) => pit.readCounter(2), write: (pit, value) => pit.writeCounter(2, value),
    }],
    [3, "Control Word", "w", { write: (pit, value) => pit.writeControl(value) }],
  ],
});

const portBMap = registerMap<I8254>({
  size: 1,
  rows: [[0, "NMISC", "rw", {
    read: (pit) => pit.readPortB(), write: (pit, value) => pit.writePortB(value),
  }]],
});
