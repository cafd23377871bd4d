/**
 * The two cascaded 8259A interrupt controllers of a PC (Intel 8259A datasheet 231468), with the
 * edge/level control registers of the PIIX (82371 datasheet §4.2.3).
 */
import { ClaimList, type Board, type BoardDevice } from "../fabric/board.ts";
import type { IrqLine } from "../fabric/interrupt.ts";
import { assignState } from "../fabric/state.ts";
import { cascadeIrq, Chip, commandMap, edgeLevelMap, newChip } from "./i8259/chip.ts";

/** The pair as it sits on a PC's board; `output` is the INTR pin of the processor. */
export class I8259 implements BoardDevice {
  readonly #output: IrqLine;
  readonly #claims = new ClaimList();
  readonly #master = new Chip(true, 0xf8, () => this.sync()); // IRQ 0-2 are always edges,
  readonly #slave = new Chip(false, 0xde, () => this.sync()); // and so are 8 and 13.
  readonly state = { master: this.#master.state, slave: this.#slave.state };
  #intr = false;

  constructor(output: IrqLine) {
    this.#output = output;
  }

  attach(board: Board): void {
    const { ports } = board;
    this.#claims.add(ports, { name: "8259 master", base: 0x20 }, commandMap, this.#master);
    this.#claims.add(ports, { name: "8259 slave", base: 0xa0 }, commandMap, this.#slave);
    this.#claims.add(ports, { name: "ELCR master", base: 0x4d0 }, edgeLevelMap, this.#master);
    this.#claims.add(ports, { name: "ELCR slave", base: 0x4d1 }, edgeLevelMap, this.#slave);
  }

  /** Level of the INTR pin. */
  get intr(): boolean {
    return this.#intr;
  }

  setIrq(irq: number, level: boolean): void {
    if (irq >= 8) {
      this.#slave.setInput(irq - 8, level);
    } else {
      this.#master.setInput(irq, level);
    }
    this.sync();
  }

  /** The vector that `acknowledge` would give, or -1 without a request. */
  pendingVector(): number {
    const irq = this.#master.request();
    return irq === cascadeIrq
      ? this.#slave.state.vectorBase | this.#slave.request()
      : irq < 0 ? -1 : this.#master.state.vectorBase | irq;
  }

  /** The processor's INTA cycle: the vector of the request of highest priority. */
  acknowledge(): number {
    const irq = this.#master.take();
    const chip = irq === cascadeIrq ? this.#slave : this.#master;
    const vector = chip.state.vectorBase | (irq === cascadeIrq ? chip.take() : irq);
    this.sync();
    return vector;
  }

  reset(): void {
    // The inputs belong to the devices, which set them when they are reset themselves.
    for (const { state } of [this.#master, this.#slave]) {
      assignState(state, { ...newChip(), lines: state.lines });
    }
    this.sync();
  }

  sync(): void {
    this.#master.setCascade(this.#slave.request() >= 0);
    this.#intr = this.#master.request() >= 0;
    this.#output.set(this.#intr);
  }

  detach(): void {
    this.#claims.release();
    this.#output.set(false);
  }
}
