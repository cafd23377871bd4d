/** A 16550A on fixed ports of a PC (COM1 to COM4). */
import { ClaimList, type Board, type BoardDevice } from "../fabric/board.ts";
import { UartChip, type UartEnv } from "./uart16550/chip.ts";
import { uartRegisters } from "./uart16550/registers.ts";

export interface Uart16550Options {
  readonly name: string;
  readonly base: number;
}

export class Uart16550 extends UartChip implements BoardDevice {
  readonly #options: Uart16550Options;
  readonly #claims = new ClaimList();

  constructor(options: Uart16550Options, env: UartEnv) {
    super(env);
    this.#options = options;
  }

  attach(board: Board): void {
    this.#claims.add(board.ports, this.#options, uartRegisters, this);
    this.connect();
  }

  override detach(): void {
    this.#claims.release();
    super.detach();
  }
}
