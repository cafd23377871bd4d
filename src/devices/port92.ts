/** System control port A at 0x92 (IBM PS/2 hardware reference): A20 gate and fast reset. */
import { bits } from "../base/bits.ts";
import { ClaimList, type Board, type BoardDevice } from "../fabric/board.ts";
import type { MachineControl } from "../fabric/machine-control.ts";
import { registerMap } from "../fabric/register-map.ts";

const port = bits({ fastReset: 0, a20: 1 });

export class Port92 implements BoardDevice {
  readonly #machine: Pick<MachineControl, "reset">;
  readonly #claims = new ClaimList();
  /** Address line 20 is always on; the bit only remembers what was written. */
  readonly state = { value: port.a20 };

  constructor(machine: Pick<MachineControl, "reset">) {
    this.#machine = machine;
  }

  attach(board: Board): void {
    this.#claims.add(board.ports, { name: "port 0x92", base: 0x92 }, registers, this);
  }

  write(value: number): void {
    const rises = (value & ~this.state.value & port.fastReset) !== 0;
    this.state.value = value & (port.fastReset | port.a20);
    if (rises) {
      this.#machine.reset();
    }
  }

  reset(): void {
    this.state.value = port.a20;
  }

  sync(): void {}

  detach(): void {
    this.#claims.release();
  }
}

const registers = registerMap<Port92>({
  size: 1,
  rows: [[0, "SCP-A", "rw", { field: "value", write: (device, value) => device.write(value) }]],
});
