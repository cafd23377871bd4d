/** The interrupt controllers of a software VM, wired as on a PC's board: 8259 pair to LINT0 of the
 * boot processor, I/O APIC and MSI to all local APICs (Intel SDM 3A §11). */
import { deliveryMode, wideDestination, type EoiListener, type LocalApics,
} from "../../fabric/apic-bus.ts";
import type { Claim } from "../../fabric/address-space.ts";
import type { Board } from "../../fabric/board.ts";
import type { Clock } from "../../fabric/clock.ts";
import { shareLine, type InterruptRouter, type IrqLine } from "../../fabric/interrupt.ts";
import { I8259 } from "../../devices/i8259.ts";
import { Ioapic, ioapicPins } from "../../devices/ioapic.ts";
import { Lapic, lapicBase } from "../../devices/lapic/lapic.ts";
import { lapicPage } from "../../devices/lapic/registers.ts";

const isaIrqs = 16;
const lapicPageBytes = 0x1000;

export interface InterruptControllersEnv {
  readonly clock: Clock;
  readonly cpus: number;
  /** Local APICs start in x2APIC mode. */
  readonly x2apic?: boolean;
  /** TSC of a vCPU now, and the clock's nanosecond at which it has a value. */
  tscNow(cpu: number): number;
  tscToNs(cpu: number, tsc: number): number;
  /** The vCPU's `attention` gained a bit. */
  wake(cpu: number): void;
}

type LineSource = () => IrqLine;

export class InterruptControllers implements InterruptRouter, LocalApics, EoiListener {
  readonly pic: I8259;
  readonly ioapic: Ioapic;
  /** By vCPU index, which is also the APIC id. */
  readonly lapics: readonly Lapic[];
  /** Whose local APIC the page at 0xFEE00000 shows: set before a vCPU runs. */
  currentCpu = 0;
  readonly #picInputs: readonly LineSource[];
  readonly #ioapicPins: readonly LineSource[];
  #page: Claim | undefined;

  constructor(env: InterruptControllersEnv) {
    this.pic = new I8259({ set: (level) => this.lapics[0]?.setPin(0, level) });
    this.ioapic = new Ioapic(this);
    this.lapics = Array.from({ length: env.cpus }, (_, cpu) => new Lapic(
      { id: cpu, isBootCpu: cpu === 0, x2apic: env.x2apic ?? false },
      {
        clock: env.clock, apics: this, eoi: this, external: this.pic,
        tscNow: () => env.tscNow(cpu),
        tscToNs: (tsc) => env.tscToNs(cpu, tsc),
        wake: () => env.wake(cpu),
      },
    ));
    this.#picInputs = Array.from({ length: isaIrqs }, (_, irq) =>
      shareLine({ set: (level) => this.pic.setIrq(irq, level) }));
    this.#ioapicPins = Array.from({ length: ioapicPins }, (_, pin) =>
      shareLine({ set: (level) => this.ioapic.setPin(pin, level) }));
  }

  attach(board: Board): void {
    this.pic.attach(board);
    this.ioapic.attach(board);
    const pages = this.lapics.map((lapic) => lapicPage(lapic));
    this.#page = board.mmio.claim("local APIC", lapicBase, lapicPageBytes, {
      read: (offset, size) => pages[this.currentCpu]?.read(offset, size) ?? 0,
      write: (offset, size, value) => pages[this.currentCpu]?.write(offset, size, value),
    });
  }

  line(isaIrq: number, ioapicPin: number): IrqLine {
    const pic = this.#picInputs[isaIrq]?.();
    const pin = this.#ioapicPins[ioapicPin]?.();
    return {
      set: (level) => {
        pic?.set(level);
        pin?.set(level);
      },
    };
  }

  /** The board's NMI, wired to LINT1 of every processor. */
  setNmi(level: boolean): void {
    for (const lapic of this.lapics) {
      lapic.setPin(1, level);
    }
  }

  /** A message-signalled interrupt (SDM 3A §11.11); other addresses mean nothing here. */
  send(address: number, data: number): void {
    if (Math.floor(address / 0x10_0000) !== lapicBase / 0x10_0000) {
      return;
    }
    const destination = wideDestination(address >>> 12 & 0xff);
    const redirected = (address & 8) !== 0;
    const logical = (address & 4) !== 0;
    const mode = data >>> 8 & 7;
    const lowest = redirected && logical && mode === deliveryMode.fixed;
    this.deliver(destination, logical, lowest ? deliveryMode.lowestPriority : mode,
      data & 0xff, (data & 0x8000) !== 0);
  }

  deliver(
    destination: number, logical: boolean, mode: number, vector: number, level: boolean,
  ): void {
    if (mode === deliveryMode.lowestPriority) {
      this.#deliverToLowest(destination, logical, vector, level);
      return;
    }
    for (const lapic of this.lapics) {
      if (lapic.isMeant(destination, logical)) {
        lapic.accept(mode, vector, level);
      }
    }
  }

  deliverToAll(except: number, mode: number, vector: number, level: boolean): void {
    for (const lapic of this.lapics) {
      if (lapic.id !== except) {
        lapic.accept(mode, vector, level);
      }
    }
  }

  endOfInterrupt(vector: number): void {
    this.ioapic.endOfInterrupt(vector);
  }

  reset(): void {
    this.pic.reset();
    this.ioapic.reset();
    for (const lapic of this.lapics) {
      lapic.reset();
    }
    this.pic.sync();
  }

  detach(): void {
    this.pic.detach();
    this.ioapic.detach();
    for (const lapic of this.lapics) {
      lapic.detach();
    }
    this.#page?.release();
  }

  #deliverToLowest(destination: number, logical: boolean, vector: number, level: boolean): void {
    let chosen: Lapic | undefined;
    for (const lapic of this.lapics) {
      if (lapic.isMeant(destination, logical) && (chosen === undefined || lapic.ppr < chosen.ppr)) {
        chosen = lapic;
      }
    }
    chosen?.accept(deliveryMode.lowestPriority, vector, level);
  }
}
