/**
 * A virtio driver for tests: finds its device through configuration space, negotiates over the
 * legacy or the modern interface, and fills split rings as a guest's driver does.
 */
import { assert, defined } from "../../base/assert.ts";
import { gpa, type Gpa } from "../../base/units.ts";
import type { FakeGuest } from "./fake-guest.ts";

export type Interface = "legacy" | "modern";

/** A modern structure: its address and, for doorbells, their distance. */
interface Structure {
  readonly address: number;
  readonly stride: number;
}

const command = { port: 0xcf8, data: 0xcfc, enable: 0x8000_0000 } as const;
const capability = { msix: 0x11, vendor: 0x09 } as const;
const featureVersion1 = 32;
const eventIndexBit = 29;
const status = { acknowledge: 1, driver: 2, driverOk: 4, featuresOk: 8 } as const;
const descriptorFlag = { next: 1, write: 2, indirect: 4 } as const;

/** One chain to send. */
export interface Message {
  /** Buffers for the device to read, and sizes of buffers for it to write. */
  readonly readable?: readonly Uint8Array[];
  readonly writable?: readonly number[];
  readonly indirect?: boolean;
}

export interface Reply {
  readonly usedBytes: number;
  /** Content of the writable buffers. */
  readonly written: readonly Uint8Array[];
}

export interface DriverOptions {
  readonly interface: Interface;
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
    const accepted = [...(this.options.features ?? []), ...(modern ? [featureVersion1] : [])];
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
      this.queues.push(new DriverQueue(this, index, accepted.includes(eventIndexBit)));
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

/** The driver's side of one split queue. */
export class DriverQueue {
  readonly size: number;
  readonly descriptors: Gpa;
  readonly available: Gpa;
  readonly used: Gpa;
  readonly #driver: VirtioDriver;
  readonly #index: number;
  readonly #eventIndex: boolean;
  #free = 0;
  #nextAvailable = 0;
  #nextUsed = 0;
  /** Writable buffers of the chains under way, by head. */
  readonly #waiting = new Map<number, readonly { address: Gpa; length: number }[]>();

  constructor(driver: VirtioDriver, index: number, eventIndex: boolean) {
    const { guest, options } = driver;
    this.#driver = driver;
    this.#index = index;
    this.#eventIndex = eventIndex;
    const legacy = options.interface === "legacy";
    this.size = legacy ? this.#selectLegacy() : this.#selectModern();
    const availableBytes = 6 + this.size * 2;
    const start = guest.allocate(
      Math.ceil((this.size * 16 + availableBytes) / 4096) * 4096 + 6 + this.size * 8, 4096);
    this.descriptors = start;
    this.available = gpa(start + this.size * 16);
    this.used = gpa(Math.ceil((this.available + availableBytes) / 4096) * 4096);
    if (legacy) {
      guest.outl(driver.ioBase + 8, start / 4096);
    } else {
      this.#enableModern();
    }
  }

  /** Puts a chain into the ring without telling the device; returns its head. */
  add(message: Message): number {
    const { memory } = this.#driver.guest;
    const buffers = [
      ...(message.readable ?? []).map((bytes) => {
        const address = this.#driver.guest.allocate(bytes.length, 1);
        memory.write(address, bytes);
        return { address, length: bytes.length, flags: 0 };
      }),
      ...(message.writable ?? []).map((length) => ({
        address: this.#driver.guest.allocate(length, 1), length, flags: descriptorFlag.write,
      })),
    ];
    const head = message.indirect ? this.#addIndirect(buffers) : this.#chain(buffers);
    this.#waiting.set(head, buffers.filter(({ flags }) => flags !== 0));
    this.offer(head);
    return head;
  }

  /** Writes a descriptor of any content. */
  describe(index: number, address: number, length: number, flags: number, next: number): void {
    this.#describeAt(this.descriptors, index, { address, length, flags, next });
  }

  /** Puts a head, right or wrong, into the available ring. */
  offer(head: number): void {
    const { memory } = this.#driver.guest;
    memory.setU16(gpa(this.available + 4 + (this.#nextAvailable % this.size) * 2), head);
    this.#nextAvailable = (this.#nextAvailable + 1) & 0xffff;
    memory.setU16(gpa(this.available + 2), this.#nextAvailable);
  }

  kick(): void {
    const { guest, options } = this.#driver;
    if (options.interface === "legacy") {
      guest.outw(this.#driver.ioBase + 16, this.#index);
    } else {
      const { address, stride } = this.#driver.structure(2);
      guest.mmio.write(address + this.#index * stride, 2, this.#index);
    }
  }

  /** What the device has returned since the last call, by head. */
  collect(): Map<number, Reply> {
    const { memory } = this.#driver.guest;
    const replies = new Map<number, Reply>();
    while (this.#nextUsed !== memory.u16(gpa(this.used + 2))) {
      const entry = this.used + 4 + (this.#nextUsed % this.size) * 8;
      const head = memory.u32(gpa(entry));
      const buffers = defined(this.#waiting.get(head), `a chain with head ${head}`);
      this.#waiting.delete(head);
      replies.set(head, {
        usedBytes: memory.u32(gpa(entry + 4)),
        written: buffers.map(({ address, length }) => memory.read(address, length)),
      });
      this.#nextUsed = (this.#nextUsed + 1) & 0xffff;
    }
    if (this.#eventIndex) {
      this.interruptAfter(this.#nextUsed);
    }
    return replies;
  }

  /** EVENT_IDX: the device interrupts once its used index passes this one. */
  interruptAfter(index: number): void {
    this.#driver.guest.memory.setU16(gpa(this.available + 4 + this.size * 2), index);
  }

  /** EVENT_IDX: the chain whose arrival the device wants to hear of. */
  get availableEvent(): number {
    return this.#driver.guest.memory.u16(gpa(this.used + 4 + this.size * 8));
  }

  /** Without EVENT_IDX: no interrupts, please. */
  suppressInterrupts(suppress: boolean): void {
    this.#driver.guest.memory.setU16(this.available, suppress ? 1 : 0);
  }

  /** Sends one chain and waits for its answer. */
  send(message: Message): Reply {
    const head = this.add(message);
    this.kick();
    return defined(this.collect().get(head), "the answer to a request");
  }

  #chain(buffers: readonly { address: Gpa; length: number; flags: number }[]): number {
    const head = this.#free;
    for (const [position, buffer] of buffers.entries()) {
      const index = this.#free;
      this.#free = (this.#free + 1) % this.size;
      const more = position < buffers.length - 1 ? descriptorFlag.next : 0;
      this.describe(index, buffer.address, buffer.length, buffer.flags | more, this.#free);
    }
    return head;
  }

  #addIndirect(buffers: readonly { address: Gpa; length: number; flags: number }[]): number {
    const table = this.#driver.guest.allocate(buffers.length * 16);
    for (const [index, { address, length, flags }] of buffers.entries()) {
      const more = index < buffers.length - 1 ? descriptorFlag.next : 0;
      this.#describeAt(table, index, { address, length, flags: flags | more, next: index + 1 });
    }
    const head = this.#free;
    this.#free = (this.#free + 1) % this.size;
    this.describe(head, table, buffers.length * 16, descriptorFlag.indirect, 0);
    return head;
  }

  #describeAt(table: Gpa, index: number, what: {
    readonly address: number; readonly length: number;
    readonly flags: number; readonly next: number;
  }): void {
    const { memory } = this.#driver.guest;
    const at = table + index * 16;
    memory.setU64(gpa(at), what.address);
    memory.setU32(gpa(at + 8), what.length);
    memory.setU16(gpa(at + 12), what.flags);
    memory.setU16(gpa(at + 14), what.next);
  }

  #selectLegacy(): number {
    const { guest, ioBase, options } = this.#driver;
    guest.outw(ioBase + 14, this.#index);
    if (options.msix) {
      guest.outw(ioBase + 22, this.#index + 1);
    }
    return guest.inw(ioBase + 12);
  }

  #selectModern(): number {
    const { guest, options } = this.#driver;
    const { address } = this.#driver.structure(1);
    guest.mmio.write(address + 22, 2, this.#index);
    if (options.msix) {
      guest.mmio.write(address + 26, 2, this.#index + 1);
    }
    return guest.mmio.read(address + 24, 2);
  }

  #enableModern(): void {
    const { guest } = this.#driver;
    const { address } = this.#driver.structure(1);
    for (const [index, part] of [this.descriptors, this.available, this.used].entries()) {
      guest.writel(address + 32 + index * 8, part);
      guest.writel(address + 36 + index * 8, 0);
    }
    guest.mmio.write(address + 28, 2, 1);
  }
}
