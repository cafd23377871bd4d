/**
 * I/O APIC (Intel 82093AA datasheet 290566), with the pins and version that bhyve shows. Version
 * 0x20 adds the EOI register (Intel ICH datasheets, "EOIR").
 */
import { ClaimList, type Board, type BoardDevice } from "../fabric/board.ts";
import { wideDestination, type EoiListener, type LocalApics } from "../fabric/apic-bus.ts";
import { registerMap } from "../fabric/register-map.ts";
import { assignState } from "../fabric/state.ts";

export const ioapicBase = 0xfec0_0000;
export const ioapicPins = 32;
const claimBytes = 0x1000;

const entryBits = {
  logical: 1 << 11, remoteIrr: 1 << 14, level: 1 << 15, masked: 1 << 16,
} as const;
/** Delivery status and remote IRR belong to the chip. */
const lowWritable = 0x1_afff;
const highWritable = 0xff00_0000;
/** Register number of the first redirection entry; each has two. */
const firstEntry = 0x10;

export interface IoapicOptions {
  /** 0x11, or 0x20 and more for a chip with an EOI register. */
  readonly version?: number;
}

function newState() {
  return {
    select: 0, id: 0,
    /** Bit n: the level of pin n. */
    lines: 0,
    low: new Uint32Array(ioapicPins).fill(entryBits.masked),
    high: new Uint32Array(ioapicPins),
  };
}

export class Ioapic implements BoardDevice, EoiListener {
  readonly #version: number;
  readonly #apics: LocalApics;
  readonly #claims = new ClaimList();
  readonly state = newState();

  constructor(apics: LocalApics, options: IoapicOptions = {}) {
    this.#apics = apics;
    this.#version = options.version ?? 0x11;
  }

  attach(board: Board): void {
    const at = { name: "I/O APIC", base: ioapicBase, size: claimBytes };
    this.#claims.add(board.mmio, at, registers, this);
  }

  setPin(pin: number, level: boolean): void {
    const s = this.state;
    const bit = (1 << pin) >>> 0;
    const wasHigh = (s.lines & bit) !== 0;
    s.lines = (level ? s.lines | bit : s.lines & ~bit) >>> 0;
    const entry = s.low[pin] ?? entryBits.masked;
    if ((entry & entryBits.level) !== 0) {
      this.#serveLevel(pin);
    } else if (level && !wasHigh && (entry & entryBits.masked) === 0) {
      // An edge at a masked pin is lost (datasheet §3.2.4, interrupt mask).
      this.#deliver(pin, entry);
    }
  }

  /** EOI broadcast of a local APIC: level-triggered pins that are still high ask again. */
  endOfInterrupt(vector: number): void {
    const { low } = this.state;
    for (let pin = 0; pin < ioapicPins; pin += 1) {
      const entry = low[pin] ?? 0;
      if ((entry & entryBits.remoteIrr) !== 0 && (entry & 0xff) === vector) {
        low[pin] = entry & ~entryBits.remoteIrr;
        this.#serveLevel(pin);
      }
    }
  }

  readWindow(): number {
    const { select, id, low, high } = this.state;
    if (select === 0 || select === 2) {
      return id; // The arbitration id follows the id.
    }
    if (select === 1) {
      return ((ioapicPins - 1) << 16) | this.#version;
    }
    const pin = (select - firstEntry) >> 1;
    return ((select & 1) !== 0 ? high[pin] : low[pin]) ?? 0;
  }

  writeWindow(value: number): void {
    const s = this.state;
    const pin = (s.select - firstEntry) >> 1;
    if (s.select === 0) {
      s.id = value & 0x0f00_0000;
    } else if (pin >= 0 && pin < ioapicPins && (s.select & 1) !== 0) {
      s.high[pin] = value & highWritable;
    } else if (pin >= 0 && pin < ioapicPins) {
      this.#writeEntry(pin, value);
    }
  }

  writeEoi(value: number): void {
    if (this.#version >= 0x20) {
      this.endOfInterrupt(value & 0xff);
    }
  }

  reset(): void {
    // The pins belong to the devices, which set them when they are reset themselves.
    assignState(this.state, { ...newState(), lines: this.state.lines });
  }

  sync(): void {
    // Nothing to drive: what was delivered is in the local APICs' state.
  }

  detach(): void {
    this.#claims.release();
  }

  #writeEntry(pin: number, value: number): void {
    const { low } = this.state;
    let entry = (((low[pin] ?? 0) & ~lowWritable) | (value & lowWritable)) >>> 0;
    if ((entry & entryBits.level) === 0) {
      // Linux clears a stuck remote IRR of chips without EOI register by a turn through edge.
      entry &= ~entryBits.remoteIrr;
    }
    low[pin] = entry;
    this.#serveLevel(pin);
  }

  #serveLevel(pin: number): void {
    const { lines, low } = this.state;
    const entry = low[pin] ?? 0;
    const held = entryBits.masked | entryBits.remoteIrr;
    if ((lines >>> pin & 1) !== 0 && (entry & entryBits.level) !== 0 && (entry & held) === 0) {
      low[pin] = entry | entryBits.remoteIrr;
      this.#deliver(pin, entry);
    }
  }

  #deliver(pin: number, entry: number): void {
    const destination = wideDestination((this.state.high[pin] ?? 0) >>> 24);
    const logical = (entry & entryBits.logical) !== 0;
    const level = (entry & entryBits.level) !== 0;
    this.#apics.deliver(destination, logical, (entry >>> 8) & 7, entry & 0xff, level);
  }
}

const registers = registerMap<Ioapic>({
  size: 0x44, width: 4, empty: 0,
  rows: [
    [0x00, "IOREGSEL", "rw", {
      field: "select", write: (ioapic, value) => { ioapic.state.select = value & 0xff; },
    }],
    [0x10, "IOWIN", "rw", {
      read: (ioapic) => ioapic.readWindow(), write: (ioapic, value) => ioapic.writeWindow(value),
    }],
    [0x40, "EOI", "w", { write: (ioapic, value) => ioapic.writeEoi(value) }],
  ],
});
