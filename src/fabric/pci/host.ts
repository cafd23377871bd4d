/**
 * The PCI host: slots, the two ways to configuration space (ports 0xCF8/0xCFC and the ECAM
 * window), addresses of BARs and wiring of interrupt pins, as on bhyve's board.
 */
import { assert } from "../../base/assert.ts";
import { bits, onesOf, truncate } from "../../base/bits.ts";
import { limitedLog, type Log } from "../../base/log.ts";
import { MiB } from "../../base/units.ts";
import type { Claim } from "../address-space.ts";
import type { Board, BoardDevice } from "../board.ts";
import type { InterruptRouter } from "../interrupt.ts";
import { unwiredIrq } from "../interrupt.ts";
import { command, configBytes, header, isConfigAccess } from "./config-space.ts";
import type { PciDevice, PlacedBar } from "./function.ts";
import { BarPlacement, ecamBase, type BusWindows } from "./placement.ts";
import { PciRouting, type PciRoute } from "./routing.ts";

export interface PciAddress {
  readonly bus: number;
  readonly slot: number;
  readonly func: number;
}

export interface PciHostOptions {
  readonly router: InterruptRouter;
  readonly log: Log;
  /** A boot ROM assigns addresses and expects fixed interrupt routes. */
  readonly bootRom: boolean;
  /** BARs decode from power-on; by default when there is no boot ROM (`pci.enable_bars`). */
  readonly enableBars?: boolean;
  /** Where RAM above 4 GiB ends; 64-bit BARs lie behind it. */
  readonly memoryEnd: number;
  /** The first port for BARs, where bhyve's is taken. */
  readonly ioBase?: number;
  readonly ioapicPins?: number;
  readonly reservedIrqs?: readonly number[];
}

/** A function in its slot: for printing, and for tables that firmware makes. */
export interface PlacedFunction extends PciAddress {
  readonly name: string;
  readonly vendor: number;
  readonly device: number;
  readonly classCode: number;
  readonly bars: readonly PlacedBar[];
  readonly route?: PciRoute;
}

const addressPort = 0xcf8;
const dataPort = 0xcfc;
const address = bits({ enable: 31 });
const addressWritable = 0x80ff_fffc;
const busCount = 256;
const ecamBytes = busCount * MiB;
const pinCount = 4;

const keyOf = ({ bus, slot, func }: PciAddress) => (bus << 8) | (slot << 3) | func;

interface Seated {
  readonly at: PciAddress;
  readonly device: PciDevice;
  /** Interrupt pin, or 0. */
  readonly pin: number;
}

export class PciHost implements BoardDevice {
  readonly #options: PciHostOptions;
  readonly #log: Log;
  readonly #seats = new Map<number, Seated>();
  readonly #placement: BarPlacement;
  readonly #windows = new Map<number, BusWindows>();
  readonly routing: PciRouting;
  #board: Board | undefined;
  #claims: Claim[] = [];
  #placed = false;
  readonly state;

  constructor(options: PciHostOptions) {
    this.#options = options;
    this.#log = limitedLog(options.log);
    this.#placement = new BarPlacement(options.memoryEnd, options.ioBase);
    const { router, bootRom, ioapicPins = 32, reservedIrqs } = options;
    this.routing = new PciRouting({
      router, bootRom, ioapicPins, ...(reservedIrqs && { reservedIrqs }),
    });
    this.state = { address: 0, routing: this.routing.state };
  }

  attach(board: Board): void {
    this.#board = board;
    this.#claims = [
      board.ports.claim("PCI configuration address", addressPort, 1, {
        whole: true,
        read: (_offset, size) => (size === 4 ? this.state.address : onesOf(size)),
        write: (_offset, size, value) => this.#writeAddress(size, value),
      }),
      board.ports.claim("PCI configuration data", dataPort, 4, {
        read: (offset, size) => this.#readData(offset, size),
        write: (offset, size, value) => this.#writeData(offset, size, value),
      }),
      board.mmio.claim("PCI ECAM", ecamBase, ecamBytes, {
        read: (offset, size) => this.#readEcam(offset, size),
        write: (offset, size, value) => this.#writeEcam(offset, size, value),
      }),
    ];
  }

  isFree(at: PciAddress): boolean {
    return !this.#seats.has(keyOf(at));
  }

  /** Puts a device into a free slot. Its BARs get addresses by `place`, or from the guest. */
  plug(at: PciAddress, device: PciDevice): void {
    assert(this.#board !== undefined, "the PCI host is attached before devices are plugged in");
    assert(this.isFree(at), "one function has one address");
    const { config, wantsIntx } = device.pci;
    const pin = wantsIntx ? this.#freestPin(at) : 0;
    config.fix(header.interruptPin, 1, pin);
    this.#seats.set(keyOf(at), { at, device, pin });
    this.#markMultifunction(at);
    if (this.#placed) {
      this.#connect(keyOf(at));
    }
  }

  /** Gives every BAR its address and every pin its route, once all boot devices are plugged. */
  place(): void {
    assert(!this.#placed, "the devices of the start are placed once");
    this.#placed = true;
    const { bootRom, enableBars = !bootRom } = this.#options;
    const seats = this.#inOrder();
    for (const bus of new Set(seats.map(({ at }) => at.bus))) {
      const bars = seats.filter(({ at }) => at.bus === bus).flatMap(({ device: { pci } }) =>
        pci.bars().map(({ index, kind, size }) => ({
          kind, size, place: (base: number) => pci.placeBar(index, base),
        })));
      this.#windows.set(bus, this.#placement.placeBus(bars));
    }
    for (const { at, device } of seats) {
      const on = command.io | command.memory | command.busMaster;
      device.pci.config.fix(header.command, 2, enableBars ? on : 0);
      this.#connect(keyOf(at));
    }
  }

  /** Takes a device out: it loses its addresses and its interrupt line. */
  unplug(at: PciAddress): PciDevice | undefined {
    const seat = this.#seats.get(keyOf(at));
    if (seat !== undefined) {
      seat.device.pci.disconnect();
      this.#seats.delete(keyOf(at));
      this.#markMultifunction(at);
      this.#retryBlocked();
    }
    return seat?.device;
  }

  /** Every function, in order of bus, slot and function. */
  functions(): readonly PlacedFunction[] {
    return this.#inOrder().map(({ at, device: { pci }, pin }) => ({
      ...at,
      name: pci.name,
      vendor: pci.config.get(header.vendor, 2),
      device: pci.config.get(header.device, 2),
      classCode: pci.config.get(header.classCode, 3),
      bars: [...pci.bars()].sort((a, b) => a.index - b.index),
      ...(pin !== 0 && this.#placed && { route: this.routing.route(at.bus, at.slot, pin) }),
    }));
  }

  routes(): readonly PciRoute[] {
    return this.routing.routes();
  }

  /** Address ranges by bus, once placed. */
  windows(): ReadonlyMap<number, BusWindows> {
    return this.#windows;
  }

  /** The host's own registers; devices are reset by their owner. */
  reset(): void {
    this.state.address = 0;
    this.routing.reset();
  }

  sync(): void {
    this.routing.sync();
    this.#retryBlocked();
  }

  detach(): void {
    for (const { at } of this.#inOrder()) {
      this.unplug(at);
    }
    for (const claim of this.#claims) {
      claim.release();
    }
    this.#claims = [];
    this.#board = undefined;
  }

  readConfig(at: number, offset: number, size: number): number {
    const seat = this.#seats.get(at);
    if (seat === undefined || !isConfigAccess(offset, size)) {
      return onesOf(size);
    }
    if (offset >= configBytes) {
      // A zero dword there says that no extended capabilities follow.
      return offset < configBytes + 4 ? 0 : onesOf(size);
    }
    return seat.device.pci.readConfig(offset, size);
  }

  writeConfig(at: number, offset: number, size: number, value: number): void {
    const seat = this.#seats.get(at);
    if (seat === undefined || offset >= configBytes || !isConfigAccess(offset, size)) {
      return;
    }
    seat.device.pci.writeConfig(offset, size, value);
    if (seat.device.pci.blocked) {
      this.#log.warn(`${seat.device.pci.name}: a BAR lies on addresses of another device`);
    }
    this.#retryBlocked();
  }

  #inOrder(): Seated[] {
    return [...this.#seats.entries()].sort(([a], [b]) => a - b).map(([, seat]) => seat);
  }

  #connect(key: number): void {
    const seat = this.#seats.get(key);
    assert(seat !== undefined && this.#board !== undefined, "a device is plugged into a board");
    const { at: { bus, slot }, device: { pci }, pin } = seat;
    if (pin !== 0) {
      pci.config.fix(header.interruptLine, 1, this.routing.route(bus, slot, pin).isaIrq);
    }
    pci.connect({
      board: this.#board, msi: this.#options.router,
      intx: pin === 0 ? unwiredIrq : this.routing.line(bus, slot, pin),
    });
  }

  /** The pin that fewest functions of the slot use. */
  #freestPin({ bus, slot }: PciAddress): number {
    const uses = Array.from({ length: pinCount }, () => 0);
    for (const seat of this.#seats.values()) {
      if (seat.pin !== 0 && seat.at.bus === bus && seat.at.slot === slot) {
        uses[seat.pin - 1] = (uses[seat.pin - 1] ?? 0) + 1;
      }
    }
    return uses.indexOf(Math.min(...uses)) + 1;
  }

  #markMultifunction({ bus, slot }: PciAddress): void {
    const seats = [...this.#seats.values()]
      .filter(({ at }) => at.bus === bus && at.slot === slot);
    for (const { device } of seats) {
      device.pci.config.setMultifunction(seats.length > 1);
    }
  }

  /** A BAR that was in the way may have moved. */
  #retryBlocked(): void {
    for (const { device } of this.#seats.values()) {
      if (device.pci.blocked) {
        device.pci.sync();
      }
    }
  }

  #writeAddress(size: number, value: number): void {
    if (size === 4) {
      this.state.address = (value & addressWritable) >>> 0;
    }
  }

  #readData(offset: number, size: number): number {
    const at = this.state.address;
    return (at & address.enable) === 0 ? onesOf(size)
      : this.readConfig((at >>> 8) & 0xffff, (at & 0xfc) + offset, size);
  }

  #writeData(offset: number, size: number, value: number): void {
    const at = this.state.address;
    if ((at & address.enable) !== 0) {
      this.writeConfig((at >>> 8) & 0xffff, (at & 0xfc) + offset, size, value);
    }
  }

  #readEcam(offset: number, size: number): number {
    return this.readConfig(offset >>> 12, offset & 0xfff, size);
  }

  #writeEcam(offset: number, size: number, value: number): void {
    this.writeConfig(offset >>> 12, offset & 0xfff, size, truncate(value, size));
  }
}
