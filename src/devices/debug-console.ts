/** Debug console at port 0xE9, as Bochs and QEMU (`isa-debugcon`) have it: every byte written is
 * a character, and reading gives 0xE9, by which a guest knows it is there. */
import { ClaimList, type Board, type BoardDevice } from "../fabric/board.ts";
import type { CharBackend } from "../fabric/device.ts";
import { registerMap } from "../fabric/register-map.ts";

const defaultPort = 0xe9;
const readback = 0xe9;

export class DebugConsole implements BoardDevice {
  readonly #backend: Pick<CharBackend, "put">;
  readonly #port: number;
  readonly #claims = new ClaimList();
  readonly state = {};

  constructor(backend: Pick<CharBackend, "put">, port: number = defaultPort) {
    this.#backend = backend;
    this.#port = port;
  }

  attach(board: Board): void {
    this.#claims.add(board.ports, { name: "debug console", base: this.#port }, registers, this);
  }

  /** A character the host cannot take is lost: the port has no way to say "busy". */
  put(byte: number): void {
    this.#backend.put(byte);
  }

  reset(): void {}

  sync(): void {}

  detach(): void {
    this.#claims.release();
  }
}

const registers = registerMap<DebugConsole>({
  size: 1,
  rows: [
    [0, "DATA", "r", { read: () => readback }],
    [0, "DATA", "w", { write: (device, byte) => device.put(byte) }],
  ],
});
