/**
 * From interrupt pins to interrupt controllers, as bhyve wires its board (amd64/pci_irq.c): each
 * pin of a slot has an input of the I/O APIC, and one of eight PIRQs that the LPC bridge's
 * registers steer to an ISA interrupt.
 */
import { shareLine, type InterruptRouter, type IrqLine } from "../interrupt.ts";
import { assignState } from "../state.ts";

/** Where one pin of one slot goes: what firmware writes into its tables. */
export interface PciRoute {
  readonly bus: number;
  readonly slot: number;
  /** 1 to 4 for INTA to INTD. */
  readonly pin: number;
  /** 0 to 7 for PIRQA to PIRQH. */
  readonly pirq: number;
  /** The ISA interrupt the PIRQ is set to at power-on. */
  readonly isaIrq: number;
  readonly ioapicPin: number;
}

export interface RoutingOptions {
  readonly router: InterruptRouter;
  /** Boot ROMs expect fixed places; without one the least used are taken. */
  readonly bootRom: boolean;
  readonly ioapicPins: number;
  /** ISA interrupts that PCI may not share: serial ports and PS/2 mouse. */
  readonly reservedIrqs?: readonly number[];
}

export const pirqCount = 8;
const pirq = { disabled: 0x80, irq: 0x0f } as const;
/** Interrupts that the PIIX can steer a PIRQ to: 3-7, 9-12, 14, 15. */
const permittedIrqs = 0xdef8;
/** The SCI is one user of interrupt 9 already. */
const sciIrq = 9;
const isaIrqCount = 16;
const firstPciPin = 16;

export class PciRouting {
  readonly #options: RoutingOptions;
  readonly #reserved: number;
  readonly #places = new Map<string, PciRoute>();
  readonly #pirqUses = Array.from({ length: pirqCount }, () => 0);
  readonly #irqUses = Array.from({ length: isaIrqCount }, () => 0);
  readonly #levels = Array.from({ length: pirqCount }, () => false);
  readonly #pirqShares: readonly (() => IrqLine)[];
  readonly #ioapicShares = new Map<number, () => IrqLine>();
  readonly #isaShares = new Map<number, () => IrqLine>();
  /** For every PIRQ its share of the ISA line it drives now. */
  readonly #isaLines: { readonly irq: number; readonly line: IrqLine }[] = [];
  #nextIoapicPin = 0;
  readonly #powerOn = new Uint8Array(pirqCount).fill(pirq.disabled);
  readonly state = { pirqs: new Uint8Array(pirqCount).fill(pirq.disabled) };

  constructor(options: RoutingOptions) {
    this.#options = options;
    const reserved = options.reservedIrqs ?? [3, 4, 12];
    this.#reserved = reserved.reduce((mask, irq) => mask | (1 << irq), 0);
    this.#irqUses[sciIrq] = 1;
    this.#pirqShares = this.#levels.map((_level, index) => shareLine({
      set: (level) => {
        this.#levels[index] = level;
        this.#drive(index);
      },
    }));
  }

  /** A share of the line behind this pin. */
  line(bus: number, slot: number, pin: number): IrqLine {
    const route = this.route(bus, slot, pin);
    const toIsa = this.#share(this.#pirqShares[route.pirq]);
    const toIoapic = this.#share(this.#ioapicShares.get(route.ioapicPin));
    return {
      set: (level) => {
        toIsa.set(level);
        toIoapic.set(level);
      },
    };
  }

  /** Every pin that has a place. */
  routes(): readonly PciRoute[] {
    return [...this.#places.values()];
  }

  /** ISA interrupts that PCI uses from power-on; the 8259 must treat them as level-triggered. */
  levelIrqs(): readonly number[] {
    return [...new Set(this.routes().map(({ isaIrq }) => isaIrq))].sort((a, b) => a - b);
  }

  readPirq(index: number): number {
    return this.state.pirqs[index] ?? 0xff;
  }

  writePirq(index: number, value: number): void {
    this.state.pirqs[index] = value & (pirq.disabled | pirq.irq);
    this.#drive(index);
  }

  reset(): void {
    assignState(this.state, { pirqs: this.#powerOn });
    this.sync();
  }

  sync(): void {
    for (let index = 0; index < pirqCount; index += 1) {
      this.#drive(index);
    }
  }

  #share(source: (() => IrqLine) | undefined): IrqLine {
    return source === undefined ? { set: () => {} } : source();
  }

  /** The place of this pin; decided at the first call. */
  route(bus: number, slot: number, pin: number): PciRoute {
    const key = `${bus}.${slot}.${pin}`;
    const known = this.#places.get(key);
    if (known !== undefined) {
      return known;
    }
    const fixed = (4 + slot + pin) % pirqCount;
    const { bootRom, ioapicPins } = this.#options;
    const chosen = bootRom ? fixed : leastUsed(this.#pirqUses, () => true);
    const free = ioapicPins - firstPciPin;
    const ioapicPin = firstPciPin + (bootRom ? fixed : this.#nextIoapicPin++ % free);
    const route = { bus, slot, pin, pirq: chosen, isaIrq: this.#isaIrq(chosen), ioapicPin };
    this.#pirqUses[chosen] = (this.#pirqUses[chosen] ?? 0) + 1;
    if (!this.#ioapicShares.has(ioapicPin)) {
      this.#ioapicShares.set(ioapicPin, shareLine(this.#options.router.line(-1, ioapicPin)));
    }
    this.#places.set(key, route);
    return route;
  }

  /** The ISA interrupt of a PIRQ; set at its first use, also in the router's register. */
  #isaIrq(index: number): number {
    const set = this.#powerOn[index] ?? pirq.disabled;
    if ((set & pirq.disabled) === 0) {
      return set;
    }
    const free = permittedIrqs & ~this.#reserved;
    const irq = leastUsed(this.#irqUses, (each) => ((free >>> each) & 1) !== 0);
    this.#irqUses[irq] = (this.#irqUses[irq] ?? 0) + 1;
    this.#powerOn[index] = irq;
    this.writePirq(index, irq);
    return irq;
  }

  /** Sets the ISA line that a PIRQ steers to; lets go of the one it steered to before. */
  #drive(index: number): void {
    const register = this.readPirq(index);
    const irq = register & pirq.irq;
    const valid = (register & pirq.disabled) === 0 && ((permittedIrqs >>> irq) & 1) !== 0;
    const old = this.#isaLines[index];
    if (old !== undefined && (!valid || old.irq !== irq)) {
      old.line.set(false);
    }
    if (valid) {
      const line = old?.irq === irq ? old.line : this.#isaShare(irq);
      this.#isaLines[index] = { irq, line };
      line.set(this.#levels[index] ?? false);
    }
  }

  #isaShare(irq: number): IrqLine {
    const share = this.#isaShares.get(irq) ?? shareLine(this.#options.router.line(irq, -1));
    this.#isaShares.set(irq, share);
    return share();
  }
}

/** The index with the smallest count among the allowed ones; the first of several. */
function leastUsed(counts: readonly number[], allowed: (index: number) => boolean): number {
  let best = -1;
  for (const [index, count] of counts.entries()) {
    if (allowed(index) && (best < 0 || count < (counts[best] ?? 0))) {
      best = index;
    }
  }
  return best;
}
