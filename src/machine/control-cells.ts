/**
 * What the control plane asks of a machine that runs: one shared cell a request, so that asking
 * never waits and the machine's thread needs no event loop.
 */
import { exitStatus } from "../base/errors.ts";
import type { Driver } from "./driver.ts";

const cell = { powerButton: 0, end: 1 } as const;
const cellCount = 2;
/** A cell holds a status plus one, or 0 when nothing is asked. */
const encode = (status: number) => status + 1;

export class ControlCells {
  readonly #cells: Int32Array;
  readonly shared: SharedArrayBuffer;

  constructor(shared = new SharedArrayBuffer(cellCount * Int32Array.BYTES_PER_ELEMENT)) {
    this.shared = shared;
    this.#cells = new Int32Array(shared);
  }

  /** Presses the power button; a guest that does not listen ends with this status. */
  askPowerButton(ifDeaf: number): void {
    Atomics.store(this.#cells, cell.powerButton, encode(ifDeaf));
  }

  askEnd(status: number = exitStatus.powerOff): void {
    Atomics.store(this.#cells, cell.end, encode(status));
  }

  /** The machine's thread: passes on what was asked; two loads when nothing was. */
  serve(driver: Driver): void {
    if (Atomics.load(this.#cells, cell.powerButton) !== 0) {
      const ifDeaf = Atomics.exchange(this.#cells, cell.powerButton, 0) - 1;
      driver.ask({ kind: "powerButton", ifDeaf });
    }
    if (Atomics.load(this.#cells, cell.end) !== 0) {
      driver.ask({ kind: "exit", status: Atomics.exchange(this.#cells, cell.end, 0) - 1 });
    }
  }
}
