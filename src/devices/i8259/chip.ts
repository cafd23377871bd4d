/** One 8259A interrupt controller (Intel 8259A datasheet 231468): input levels and commands in,
 * a request out. Pure. */
import { registerMap } from "../../fabric/register-map.ts";
import { assignState } from "../../fabric/state.ts";

/** Master input that the slave's output drives. */
export const cascadeIrq = 2;
/** What an acknowledge without a request answers (datasheet, "spurious interrupt"). */
const spuriousIrq = 7;

export function newChip() {
  return {
    /** Levels of the inputs, latched requests, interrupts in service, masks. */
    lines: 0, irr: 0, isr: 0, imr: 0,
    vectorBase: 0,
    /** The input of highest priority; rotation moves it. */
    highest: 0,
    /** Inputs that are level-triggered. */
    elcr: 0,
    /** The initialisation word expected next at A0 = 1: 2, 3 or 4; 0 once initialised. */
    nextIcw: 0, needIcw4: false, single: false,
    autoEoi: false, rotateOnAutoEoi: false, fullyNested: false,
    specialMask: false, readIsr: false, poll: false,
  };
}

type ChipState = ReturnType<typeof newChip>;

export class Chip {
  readonly #isMaster: boolean;
  readonly #elcrMask: number;
  readonly #changed: () => void;
  readonly state: ChipState = newChip();

  constructor(isMaster: boolean, elcrMask: number, changed: () => void) {
    this.#isMaster = isMaster;
    this.#elcrMask = elcrMask;
    this.#changed = changed;
  }

  setInput(irq: number, level: boolean): void {
    const s = this.state;
    const bit = 1 << irq;
    const wasHigh = (s.lines & bit) !== 0;
    s.lines = level ? s.lines | bit : s.lines & ~bit;
    if ((s.elcr & bit) !== 0) {
      s.irr = level ? s.irr | bit : s.irr & ~bit;
    } else if (level && !wasHigh) {
      // The real chip forgets an edge whose line falls before the acknowledge. Models pulse
      // their lines in no time at all, so the latch has to keep it.
      s.irr |= bit;
    }
  }

  /** The slave's output. It follows the level, so that a request which the slave gives up is
   * given up here too; on the real pair the master forgets it the same way. */
  setCascade(level: boolean): void {
    const s = this.state;
    const bit = 1 << cascadeIrq;
    s.irr = level ? s.irr | bit : s.irr & ~bit;
    s.lines = level ? s.lines | bit : s.lines & ~bit;
  }

  /** The input to be served, or -1. */
  request(): number {
    const s = this.state;
    const wanted = this.#first(s.irr & ~s.imr);
    if (wanted === 8) {
      return -1;
    }
    let inService = s.isr;
    if (s.specialMask) {
      inService &= ~s.imr;
    }
    if (s.fullyNested && this.#isMaster) {
      // A second, higher request of the slave must get through.
      inService &= ~(1 << cascadeIrq);
    }
    return wanted < this.#first(inService) ? (wanted + s.highest) & 7 : -1;
  }

  /** INTA for `irq`, which `request` gave. */
  acknowledge(irq: number): void {
    const s = this.state;
    const bit = 1 << irq;
    if ((s.elcr & bit) === 0) {
      s.irr &= ~bit;
    }
    if (!s.autoEoi) {
      s.isr |= bit;
    } else if (s.rotateOnAutoEoi) {
      s.highest = (irq + 1) & 7;
    }
  }

  /** Acknowledges what `request` gives; without a request the answer is spurious. */
  take(): number {
    const irq = this.request();
    if (irq < 0) {
      return spuriousIrq;
    }
    this.acknowledge(irq);
    return irq;
  }

  writeCommand(value: number): void {
    if ((value & 0x10) !== 0) {
      this.#initialise(value);
    } else if ((value & 0x08) !== 0) {
      this.#writeOcw3(value);
    } else {
      this.#writeOcw2(value >>> 5, value & 7);
    }
    this.#changed();
  }

  writeData(value: number): void {
    const s = this.state;
    if (s.nextIcw === 0) {
      s.imr = value;
    } else if (s.nextIcw === 2) {
      s.vectorBase = value & 0xf8;
      s.nextIcw = s.single ? this.#icw4OrDone() : 3;
    } else if (s.nextIcw === 3) {
      s.nextIcw = this.#icw4OrDone(); // The cascade is soldered; ICW3 has nothing to change.
    } else {
      s.fullyNested = (value & 0x10) !== 0;
      s.autoEoi = (value & 0x02) !== 0;
      s.nextIcw = 0;
    }
    this.#changed();
  }

  readCommand(): number {
    const s = this.state;
    return s.poll ? this.#pollRead() : s.readIsr ? s.isr : s.irr;
  }

  readData(): number {
    return this.state.poll ? this.#pollRead() : this.state.imr;
  }

  writeElcr(value: number): void {
    const s = this.state;
    s.elcr = value & this.#elcrMask;
    s.irr = (s.irr & ~s.elcr) | (s.lines & s.elcr);
    this.#changed();
  }

  /** Priority of the first of these inputs, 0 the highest; 8 for none. */
  #first(inputs: number): number {
    if (inputs === 0) {
      return 8;
    }
    const { highest } = this.state;
    const rotated = (inputs >>> highest) | (inputs << (8 - highest));
    return 31 - Math.clz32(rotated & -rotated & 0xff);
  }

  #icw4OrDone(): number {
    return this.state.needIcw4 ? 4 : 0;
  }

  #initialise(icw1: number): void {
    const s = this.state;
    const kept = { lines: s.lines, elcr: s.elcr };
    assignState(s, { ...newChip(), ...kept });
    s.irr = s.lines & s.elcr;
    s.nextIcw = 2;
    s.single = (icw1 & 0x02) !== 0;
    s.needIcw4 = (icw1 & 0x01) !== 0;
  }

  #writeOcw3(value: number): void {
    const s = this.state;
    if ((value & 0x02) !== 0) {
      s.readIsr = (value & 0x01) !== 0;
    }
    s.poll = (value & 0x04) !== 0;
    if ((value & 0x40) !== 0) {
      s.specialMask = (value & 0x20) !== 0;
    }
  }

  #writeOcw2(command: number, level: number): void {
    const s = this.state;
    const rotate = (command & 4) !== 0;
    if ((command & 3) === 0) {
      s.rotateOnAutoEoi = rotate;
    } else if (command === 6) {
      s.highest = (level + 1) & 7;
    } else if ((command & 1) !== 0) {
      const ended = (command & 2) !== 0 ? level : this.#highestInService();
      if (ended >= 0) {
        s.isr &= ~(1 << ended);
        s.highest = rotate ? (ended + 1) & 7 : s.highest;
      }
    }
  }

  /** A non-specific EOI does not end masked interrupts in special mask mode. */
  #highestInService(): number {
    const s = this.state;
    const first = this.#first(s.specialMask ? s.isr & ~s.imr : s.isr);
    return first === 8 ? -1 : (first + s.highest) & 7;
  }

  #pollRead(): number {
    this.state.poll = false;
    const irq = this.request();
    if (irq < 0) {
      return 0;
    }
    this.acknowledge(irq);
    this.#changed();
    return 0x80 | irq;
  }
}

export const commandMap = registerMap<Chip>({
  size: 2,
  rows: [
    [0, "ICW1/OCW2/OCW3", "w", { write: (chip, value) => chip.writeCommand(value) }],
    [0, "IRR/ISR/POLL", "r", { read: (chip) => chip.readCommand() }],
    [1, "ICW2-4/OCW1", "w", { write: (chip, value) => chip.writeData(value) }],
    [1, "IMR", "r", { read: (chip) => chip.readData() }],
  ],
});

export const edgeLevelMap = registerMap<Chip>({
  size: 1,
  rows: [[0, "ELCR", "rw", { field: "elcr", write: (chip, value) => chip.writeElcr(value) }]],
});
