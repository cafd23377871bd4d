/** Exit port as QEMU's `isa-debug-exit`: a write of `v` ends the run with status `v * 2 + 1`. */
import { ClaimList, type Board, type BoardDevice } from "../fabric/board.ts";
import type { MachineControl } from "../fabric/machine-control.ts";
import { registerMap } from "../fabric/register-map.ts";

const defaultPort = 0xf4;

export class ExitPort implements BoardDevice {
  readonly #machine: Pick<MachineControl, "exit">;
  readonly #port: number;
  readonly #claims = new ClaimList();
  readonly state = {};

  constructor(machine: Pick<MachineControl, "exit">, port: number = defaultPort) {
    this.#machine = machine;
    this.#port = port;
  }

  attach(board: Board): void {
    this.#claims.add(board.ports, { name: "exit port", base: this.#port }, registers, this);
  }

  write(value: number): void {
    this.#machine.exit((value * 2 + 1) & 0xff); // A process status has eight bits.
  }

  reset(): void {}

  sync(): void {}

  detach(): void {
    this.#claims.release();
  }
}

// One register of four bytes: a byte, a word and a double word each end the run once.
const registers = registerMap<ExitPort>({
  size: 4, width: 4,
  rows: [[0, "EXIT", "rw", { read: () => 0, write: (device, value) => device.write(value) }]],
});
