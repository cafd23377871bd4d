/** Test device as QEMU's `pc-testdev`, for kvm-unit-tests: ports that remember, and ports by which
 * a guest drives interrupt lines. Off unless configured. */
import { ClaimList, type Board, type BoardDevice } from "../fabric/board.ts";
import type { IrqLine } from "../fabric/interrupt.ts";
import { registerMap } from "../fabric/register-map.ts";
import { assignState } from "../fabric/state.ts";

const echoPort = 0xe0;
const linePort = 0x2000;
const lineCount = 24;
/** Where the ports that PCI functions use too are free again, at a boundary for small BARs. */
export const pcTestdevEnd = 0x2020;

function newState() {
  return { echo: 0, lines: 0 };
}

export class PcTestdev implements BoardDevice {
  readonly #lines: readonly IrqLine[];
  readonly #claims = new ClaimList();
  readonly state = newState();

  /** `line` gives the global interrupt of this number. */
  constructor(line: (number: number) => IrqLine) {
    this.#lines = Array.from({ length: lineCount }, (_, number) => line(number));
  }

  attach(board: Board): void {
    const { ports } = board;
    this.#claims.add(ports, { name: "pc-testdev echo", base: echoPort }, echoMap, this);
    this.#claims.add(ports, { name: "pc-testdev lines", base: linePort }, lineMap, this);
  }

  setLine(number: number, value: number): void {
    const bit = 1 << number;
    this.state.lines = value === 0 ? this.state.lines & ~bit : this.state.lines | bit;
    this.sync();
  }

  reset(): void {
    assignState(this.state, newState());
    this.sync();
  }

  sync(): void {
    for (const [number, line] of this.#lines.entries()) {
      line.set((this.state.lines >>> number & 1) !== 0);
    }
  }

  detach(): void {
    this.#claims.release();
    for (const line of this.#lines) {
      line.set(false);
    }
  }
}

const echoMap = registerMap<PcTestdev>({
  size: 4, width: 4,
  rows: [[0, "ECHO", "rw", { field: "echo" }]],
});

const lineMap = registerMap<PcTestdev>({
  size: lineCount,
  rows: Array.from({ length: lineCount }, (_, number) => [number, `LINE${number}`, "w", {
    write: (device: PcTestdev, value: number) => device.setLine(number, value),
  }] as const),
});
