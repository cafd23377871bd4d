/**
 * Errors of the x87 as a PC/AT reports them while CR0.NE is clear (Intel SDM 1 appendix D): FERR#
 * raises interrupt 13; a write to port 0xF0 takes it back and asserts IGNNE#, under which the
 * handler may use the unit, until the error is gone.
 */
import { ClaimList, type Board, type BoardDevice } from "../fabric/board.ts";
import type { IrqLine } from "../fabric/interrupt.ts";
import { registerMap } from "../fabric/register-map.ts";
import { assignState } from "../fabric/state.ts";

function newState() {
  return { latched: false, ignored: false };
}

export class CoprocessorError implements BoardDevice {
  readonly #irq: IrqLine;
  readonly #claims = new ClaimList();
  readonly state = newState();

  constructor(irq: IrqLine) {
    this.#irq = irq;
  }

  attach(board: Board): void {
    this.#claims.add(board.ports, { name: "coprocessor error", base: 0xf0 }, registers, this);
  }

  /** FERR#: an instruction waits behind an error. */
  report(): void {
    this.state.latched = true;
    this.sync();
  }

  /** IGNNE#: instructions do not wait. */
  get ignored(): boolean {
    return this.state.ignored;
  }

  /** There is no error any more. */
  settle(): void {
    this.state.ignored = false;
  }

  acknowledge(): void {
    this.state.ignored = this.state.latched;
    this.state.latched = false;
    this.sync();
  }

  reset(): void {
    assignState(this.state, newState());
    this.sync();
  }

  sync(): void {
    this.#irq.set(this.state.latched);
  }

  detach(): void {
    this.#claims.release();
    this.#irq.set(false);
  }
}

const registers = registerMap<CoprocessorError>({
  size: 2,
  rows: [
    [0, "CLEAR", "w", { write: (device) => device.acknowledge() }],
    [1, "RESET", "w", { write: (device) => device.acknowledge() }],
  ],
});
