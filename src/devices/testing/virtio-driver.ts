/**
 * A virtio driver for tests: finds its device through configuration space, negotiates over the
 * legacy or the modern interface, and sets its queues up as a guest's driver does.
 */
import { assert, defined } from "../../base/assert.ts";
import { DriverQueue } from "./driver-queue.ts";
import type { FakeGuest } from "./fake-guest.ts";

export type Interface = "legacy" | "modern";

/** A modern structure: its address and, for doorbells, their distance. */
export interface Structure {
  readonly address: number;
  readonly stride: number;
}

const command = { port: 0xcf8, data: 0xcfc, enable: 0x8000_0000 } as const;
const capability = { msix: 0x11, vendor: 0x09 } as const;
const featureBit = { eventIndex: 29, version1: 32, packed: 34 } as const;
const status = { acknowledge: 1, driver: 2, driverOk: 4, featuresOk: 8 } as const;

export interface DriverOptions {
  readonly interface: Interface;
  /** Packed rings instead of split ones; of the modern interface only. */
  readonly packed?: boolean;
  /** Numbers of the features to accept; the modern interface adds VERSION_1. */
  readonly features?: readonly number[];
  readonly queues?: number;
  /** Use MSI-X: vector 0 for configuration, n + 1 for queue n. */
  readonly msix?: boolean;
  readonly slot?: number;
}

export class VirtioDriver {
  readonly guest: FakeGuest;
  readonly options: DriverOptions;
  readonly queues: DriverQueue[] = [];
  readonly #slot: number;
  readonly #structures = new Map<number, Structure>();

  constructor(guest: FakeGuest, options: DriverOptions) {
    this.guest = guest;
    this.options = options;
    this.#slot = options.slot ?? 0;
    this.#findStructures();
  }

  config(offset: number, size: 1 | 2 | 4): number {
    this.guest.outl(command.port, command.enable + this.#slot * 2048 + (offset & 0xfc));
    return this.guest.ports.read(command.data + (offset & 3), size);
  }

  setConfig(offset: number, size: 1 | 2 | 4, value: number): void {
    this.guest.outl(command.port, command.enable + this.#slot * 2048 + (offset & 0xfc));
    this.guest.ports.write(command.data + (offset & 3), size, value);
  }

  /** Offset of the first capability with this id, or 0. */
  capability(id: number): number {
    return this.capabilities().find((offset) => this.config(offset, 1) === id) ?? 0;
  }

  capabilities(): readonly number[] {
    const found: number[] = [];
    for (let at = this.config(0x34, 1); at !== 0; at = this.config(at + 1, 1)) {
      assert(found.length < 48, "the list of capabilities ends");
      found.push(at);
    }
    return found;
  }

  bar(index: number): number {
    return (this.config(0x10 + index * 4, 4) & ~0xf) >>> 0;
  }

  get ioBase(): number {
    return this.bar(0);
  }

  structure(type: number): Structure {
    return defined(this.#structures.get(type), `structure ${type} of the device`);
  }

  /** Goes through the initialisation of VIRTIO 1.2 §3.1; returns whether FEATURES_OK stood. */
  start(): boolean {
    this.setStatus(0);
    this.setStatus(status.acknowledge);
    this.setStatus(status.acknowledge | status.driver);
    const modern = this.options.interface === "modern";
    const accepted = [
      ...(this.options.features ?? []), ...(modern ? [featureBit.version1] : []),
      ...(this.options.packed ? [featureBit.packed] : []),
    ];
    this.setFeatures(accepted);
    let flags = status.acknowledge | status.driver;
    if (modern) {
      flags |= status.featuresOk;
      this.setStatus(flags);
      if ((this.status() & status.featuresOk) === 0) {
        return false;
      }
    }
    if (this.options.msix ?? false) {
      this.#enableMsix();
    }
    for (let index = 0; index < (this.options.queues ?? 1); index += 1) {
      this.queues.push(new DriverQueue(this, index, accepted.includes(featureBit.eventIndex)));
    }
    this.setStatus(flags | status.driverOk);
    return true;
  }

  /** A feature word the device offers. */
  offered(word: number): number {
    if (this.options.interface === "legacy") {
      return this.guest.inl(this.ioBase);
    }
    const { address } = this.structure(1);
    this.guest.writel(address, word);
    return this.guest.readl(address + 4);
  }

  setFeatures(numbers: readonly number[]): void {
    const word = (index: number) => numbers.filter((each) => each >>> 5 === index)
      .reduce((bits, each) => (bits | (1 << (each & 31))) >>> 0, 0);
    if (this.options.interface === "legacy") {
      this.guest.outl(this.ioBase + 4, word(0));
      return;
    }
    const { address } = this.structure(1);
    for (const index of [0, 1]) {
      this.guest.writel(address + 8, index);
      this.guest.writel(address + 12, word(index));
    }
  }

  status(): number {
    return this.options.interface === "legacy" ? this.guest.inb(this.ioBase + 18)
      : this.guest.mmio.read(this.structure(1).address + 20, 1);
  }

  setStatus(value: number): void {
    if (this.options.interface === "legacy") {
      this.guest.outb(this.ioBase + 18, value);
    } else {
      this.guest.mmio.write(this.structure(1).address + 20, 1, value);
    }
  }

  /** Reads and so acknowledges the interrupt status. */
  interruptStatus(): number {
    return this.options.interface === "legacy" ? this.guest.inb(this.ioBase + 19)
      : this.guest.mmio.read(this.structure(3).address, 1);
  }

  deviceConfig(offset: number, size: 1 | 2 | 4): number {
    return this.options.interface === "legacy"
      ? this.guest.ports.read(this.ioBase + (this.options.msix ? 24 : 20) + offset, size)
      : this.guest.mmio.read(this.structure(4).address + offset, size);
  }

  queue(index: number): DriverQueue {
    return defined(this.queues[index], `queue ${index} of the driver`);
  }

  #findStructures(): void {
    for (const at of this.capabilities()) {
      if (this.config(at, 1) === capability.vendor && this.config(at + 3, 1) < 5) {
        const type = this.config(at + 3, 1);
        this.#structures.set(type, {
          address: this.bar(this.config(at + 4, 1)) + this.config(at + 8, 4),
          stride: type === 2 ? this.config(at + 16, 4) : 0,
        });
      }
    }
  }

  #enableMsix(): void {
    const at = this.capability(capability.msix);
    const table = this.bar(this.config(at + 4, 4) & 7);
    const vectors = (this.config(at + 2, 2) & 0x7ff) + 1;
    for (let vector = 0; vector < vectors; vector += 1) {
      this.guest.writel(table + vector * 16, 0xfee0_0000);
      this.guest.writel(table + vector * 16 + 8, 0x40 + vector);
      this.guest.writel(table + vector * 16 + 12, 0);
    }
    this.setConfig(at + 2, 2, 0x8000);
    if (this.options.interface === "legacy") {
      this.guest.outw(this.ioBase + 20, 0);
    } else {
      this.guest.mmio.write(this.structure(1).address + 16, 2, 0);
    }
  }
}
