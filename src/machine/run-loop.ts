/**
 * Runs a machine to its end in the calling thread: time slices of the vCPU, timers in between,
 * and sleep on the wake word while the guest has nothing to do.
 */
import { unreachable } from "../base/assert.ts";
import { millisecondNs } from "../base/units.ts";
import type { WakeWord } from "../fabric/byte-ring.ts";
import type { RunResult } from "../vmm/hypervisor.ts";
import type { Ending } from "./driver.ts";
import type { Machine } from "./machine.ts";

/** The longest slice: requests of other threads and a compiler's better code wait for its end. */
const sliceMaxNs = 1 * millisecondNs;
/** Instructions of a slice. The first slices measure how many a nanosecond makes. */
const budgetMin = 2_000;
const budgetMax = 2_000_000;
const budgetFirst = 20_000;
/** A sleeping machine looks around this often even when nothing is armed. */
const sleepMaxMs = 1000;

export interface RunLoopOptions {
  readonly machine: Machine;
  /** Other threads signal it when they have something; this thread sleeps on it. */
  readonly wake: WakeWord;
  /** Called before every slice and after every wake-up: passes on what other threads left. */
  readonly poll: () => void;
  readonly debugger?: Debugger;
}

/** Who may stop the guest from outside: the stub of gdb. */
export interface Debugger {
  /** The guest must not run. */
  readonly holds: boolean;
  /** An instruction is to be done alone, by `step`, before the guest runs on. */
  readonly steps: boolean;
  step(): RunResult;
  /** The guest has met a breakpoint. */
  stop(): void;
}

export class RunLoop {
  readonly #machine: Machine;
  readonly #wake: WakeWord;
  readonly #poll: () => void;
  readonly #debugger: Debugger | undefined;
  /** End of the slice that runs, or -1: a timer armed to fire before it ends the slice. */
  #sliceEndNs = -1;
  /** Kicks end a slice of a vCPU that sleeps inside it; others are short. */
  readonly #sliceMaxNs: number;
  /** Instructions a nanosecond, of late. */
  #rate = budgetFirst / sliceMaxNs;
  /** Milliseconds spent asleep: what an idle guest leaves to the host. */
  sleptMs = 0;

  constructor({ machine, wake, poll, debugger: stub }: RunLoopOptions) {
    this.#debugger = stub;
    this.#machine = machine;
    this.#wake = wake;
    this.#poll = poll;
    this.#sliceMaxNs = machine.vm.features.kick === undefined ? sliceMaxNs
      : sleepMaxMs * millisecondNs;
    machine.clock.timers.onEarlier = (deadlineNs) => {
      if (deadlineNs < this.#sliceEndNs) {
        machine.bootVcpu.kick();
      }
    };
  }

  /** Returns when the machine has come to its end. */
  run(): Ending {
    const { driver, clock } = this.#machine;
    for (;;) {
      // Read before looking for work: a wake-up from then on is not slept through.
      const seen = this.#wake.count();
      this.#poll();
      clock.timers.runDue(clock.nowNs());
      driver.serve();
      if (driver.ending !== undefined) {
        return driver.ending;
      }
      if (this.#debugger?.holds === true) {
        this.#sleep(seen);
      } else {
        this.#runSlice(seen);
      }
    }
  }

  #runSlice(seen: number): void {
    const { driver, bootVcpu } = this.#machine;
    const startNs = this.#machine.clock.nowNs();
    const lengthNs = this.#sliceLengthNs(startNs);
    const budget = Math.min(budgetMax, Math.max(budgetMin, Math.floor(this.#rate * lengthNs)));
    this.#sliceEndNs = startNs + lengthNs;
    const result = this.#debugger?.steps === true ? this.#debugger.step()
      : bootVcpu.run(budget, lengthNs);
    this.#sliceEndNs = -1;
    switch (result.reason) {
      case "yield": this.#learnRate(budget, startNs, lengthNs); break;
      case "halt":
        if (!result.interruptible) {
          driver.ask({ kind: "halt" });
        } else if (!driver.hasWork) {
          this.#sleep(seen);
        }
        break;
      case "breakpoint": this.#debugger?.stop(); break;
      case "tripleFault": driver.ask({ kind: "tripleFault" }); break;
      case "failed": driver.ask({ kind: "failure", report: result.report }); break;
      default: unreachable(result);
    }
  }

  #sliceLengthNs(nowNs: number): number {
    const untilTimerNs = this.#machine.clock.timers.nextDeadlineNs() - nowNs;
    return Math.max(0, Math.min(this.#sliceMaxNs, untilTimerNs));
  }

  /** A slice that was cut short says nothing; it shows by having taken less time than planned. */
  #learnRate(budget: number, startNs: number, lengthNs: number): void {
    const tookNs = this.#machine.clock.nowNs() - startNs;
    if (tookNs > lengthNs) {
      this.#rate = Math.max(budgetMin / sliceMaxNs, budget / tookNs);
    } else if (budget >= this.#rate * lengthNs * 0.5) {
      this.#rate = Math.min(budgetMax / sliceMaxNs, this.#rate * 1.25);
    }
  }

  #sleep(seen: number): void {
    const { clock } = this.#machine;
    const nowNs = clock.nowNs();
    const leftMs = (clock.timers.nextDeadlineNs() - nowNs) / millisecondNs;
    if (leftMs > 0) {
      this.#wake.wait(seen, Math.min(leftMs, sleepMaxMs));
      this.sleptMs += (clock.nowNs() - nowNs) / millisecondNs;
    }
  }
}
