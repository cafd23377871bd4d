/** Reset control register at port 0xCF9 (Intel PIIX3 datasheet §2.5.9, RC). */
import { bits } from "../base/bits.ts";
import { ClaimList, type Board, type BoardDevice } from "../fabric/board.ts";
import type { MachineControl } from "../fabric/machine-control.ts";
import { registerMap } from "../fabric/register-map.ts";

const rc = bits({ systemReset: 1, resetCpu: 2, fullReset: 3 });
const stored = rc.systemReset | rc.fullReset;

export class ResetControl implements BoardDevice {
  readonly #machine: Pick<MachineControl, "reset">;
  readonly #claims = new ClaimList();
  readonly state = { value: 0 };

  constructor(machine: Pick<MachineControl, "reset">) {
    this.#machine = machine;
  }

  attach(board: Board): void {
    this.#claims.add(board.ports, { name: "reset control", base: 0xcf9 }, registers, this);
  }

  /** Soft, hard and full resets are the same here, as in bhyve: everything starts anew. */
  write(value: number): void {
    this.state.value = value & stored;
    if ((value & rc.resetCpu) !== 0) {
      this.#machine.reset();
    }
  }

  reset(): void {
    this.state.value = 0;
  }

  sync(): void {}

  detach(): void {
    this.#claims.release();
  }
}

const registers = registerMap<ResetControl>({
  size: 1,
  rows: [[0, "RC", "rw", {
    field: "value", write: (control, value) => control.write(value),
  }]],
});
