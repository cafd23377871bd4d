/**
 * A PCI function as the bus sees it: configuration space, BARs and interrupts. A device model
 * owns one, hands it the handlers of its BARs and raises its interrupts through it.
 */
import { assert } from "../../base/assert.ts";
import type { AccessHandler } from "../address-space.ts";
import type { Board } from "../board.ts";
import type { Device } from "../device.ts";
import { unwiredIrq, type IrqLine, type MsiSink } from "../interrupt.ts";
import { Bar, type BarKind, type BarOptions } from "./bar.ts";
import { command, ConfigSpace, header, status, type PciIdentity } from "./config-space.ts";
import { Msi } from "./msi.ts";
import { Msix, msixBarBytes } from "./msix.ts";

/** A capability of the device's own; `register` tells it where it lies. */
export interface CapabilityOptions {
  readonly id: number;
  /** What follows id and link. */
  readonly body: Uint8Array;
  readonly placed?: (config: ConfigSpace, offset: number) => void;
}

/** Registers of the device's own in configuration space; whole dwords. */
export interface ConfigWindowOptions {
  readonly offset: number;
  readonly size: number;
  readonly handler: AccessHandler;
}

export interface PciFunctionOptions {
  readonly name: string;
  readonly identity: PciIdentity;
  readonly bars?: readonly BarOptions[];
  /** Wants one of the four interrupt pins. */
  readonly intx?: boolean;
  /** MSI-X with this many vectors, in a mem32 BAR of its own. */
  readonly msix?: { readonly bar: number; readonly vectors: number };
  readonly msiVectors?: number;
  /** Appended after MSI-X and MSI. */
  readonly capabilities?: readonly CapabilityOptions[];
  readonly windows?: readonly ConfigWindowOptions[];
}

/** What the bus gives a function in its slot. */
export interface PciWiring {
  readonly board: Board;
  readonly msi: MsiSink;
  readonly intx: IrqLine;
}

/** A device model with a face on the PCI bus. */
export interface PciDevice extends Device {
  readonly pci: PciFunction;
  /** Sets lines and BARs from `state`; after a snapshot was loaded into it. */
  sync(): void;
}

/** What a BAR register says, for printing and for firmware tables. */
export interface PlacedBar {
  readonly index: number;
  readonly kind: BarKind;
  readonly size: number;
  readonly address: number;
}

export class PciFunction {
  readonly name: string;
  readonly config: ConfigSpace;
  readonly wantsIntx: boolean;
  readonly msix: Msix | undefined;
  readonly msi: Msi | undefined;
  readonly #bars: Bar[];
  #wiring: PciWiring | undefined;
  readonly state;

  constructor(options: PciFunctionOptions) {
    this.name = options.name;
    this.config = new ConfigSpace(options.identity);
    this.wantsIntx = options.intx ?? false;
    this.#bars = (options.bars ?? []).map((bar) => new Bar(this.name, this.config, bar));
    if (options.msix !== undefined) {
      this.msix = new Msix(this.config, options.msix);
      const { bar: index, vectors } = options.msix;
      this.#bars.push(new Bar(this.name, this.config, {
        index, kind: "mem32", size: msixBarBytes(vectors), handler: this.msix,
      }));
    }
    if (options.msiVectors !== undefined) {
      this.msi = new Msi(this.config, options.msiVectors);
    }
    for (const { id, body, placed } of options.capabilities ?? []) {
      const offset = this.config.addCapability(id, body);
      placed?.(this.config, offset);
    }
    for (const { offset, size, handler } of options.windows ?? []) {
      this.config.window(offset, size, handler);
    }
    this.state = {
      config: this.config.bytes, intx: false, ...(this.msix && { msix: this.msix.state }),
    };
  }

  /** The bus plugs the function in. */
  connect(wiring: PciWiring): void {
    assert(this.#wiring === undefined, `${this.name} sits in one slot`);
    this.#wiring = wiring;
    this.msix?.connect(wiring.msi);
    this.msi?.connect(wiring.msi);
    this.sync();
  }

  /** Gives the addresses and the interrupt line back; the slot is free again. */
  disconnect(): void {
    for (const bar of this.#bars) {
      bar.release();
    }
    this.#wiring?.intx.set(false);
    this.#wiring = undefined;
    const nowhere = { send: () => {} };
    this.msix?.connect(nowhere);
    this.msi?.connect(nowhere);
  }

  reset(): void {
    this.config.powerOn();
    this.msix?.reset();
    this.state.intx = false;
    this.sync();
  }

  bars(): readonly PlacedBar[] {
    return this.#bars.map(({ index, kind, size, address }) => ({ index, kind, size, address }));
  }

  /** Gives a BAR its address from power-on. */
  placeBar(index: number, address: number): void {
    this.#bars.find((bar) => bar.index === index)?.place(address);
  }

  /** A BAR lost to another function, whose addresses may have become free since. */
  get blocked(): boolean {
    return this.#bars.some((bar) => bar.blocked);
  }

  /** The level of the interrupt pin. */
  setIntx(level: boolean): void {
    this.state.intx = level;
    this.#syncIntx();
  }

  /** Interrupts by message if the guest has chosen them; false if INTx is to be used. */
  signal(vector: number): boolean {
    if (this.msix?.enabled) {
      this.msix.signal(vector);
      return true;
    }
    if (this.msi?.enabled) {
      this.msi.signal(vector);
      return true;
    }
    return false;
  }

  /** An aligned access of the guest to configuration space. */
  readConfig(offset: number, size: number): number {
    return this.config.read(offset, size);
  }

  writeConfig(offset: number, size: number, value: number): void {
    if (offset >= header.bars && offset < header.barsEnd) {
      // Only whole BARs can be written (bhyve); drivers never do otherwise.
      if (size === 4) {
        this.#bars.find((bar) => bar.has(offset))?.write(offset, value);
      }
    } else {
      this.config.write(offset, size, value);
    }
    this.sync();
  }

  sync(): void {
    for (const bar of this.#bars) {
      bar.leave();
    }
    if (this.#wiring !== undefined) {
      for (const bar of this.#bars) {
        bar.take(this.#wiring.board);
      }
    }
    this.#syncIntx();
    this.msix?.sendPending();
  }

  #syncIntx(): void {
    const { config, state } = this;
    const shown = config.get(header.status, 1) & ~status.interrupt;
    config.set(header.status, 1, shown | (state.intx ? status.interrupt : 0));
    const disabled = (config.get(header.command, 2) & command.intxDisable) !== 0
      || (this.msix?.enabled ?? false) || (this.msi?.enabled ?? false);
    (this.#wiring?.intx ?? unwiredIrq).set(state.intx && !disabled);
  }
}
