/** The driver's side of one queue, for tests: buffers in guest RAM, one ring of either layout. */
import { assert, defined } from "../../base/assert.ts";
import { gpa, type Gpa } from "../../base/units.ts";
import {
  descriptorBytes, descriptorFlag, PackedDriverRing, SplitDriverRing, writeDescriptor,
  type Buffer, type DriverRing, type RingParts,
} from "./driver-rings.ts";
import type { VirtioDriver } from "./virtio-driver.ts";

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

const eventBytes = 4;
const pageBytes = 4096;

export class DriverQueue {
  readonly size: number;
  readonly descriptors: Gpa;
  /** The driver's and the device's areas; the available and the used ring of a split queue. */
  readonly available: Gpa;
  readonly used: Gpa;
  readonly ring: DriverRing;
  readonly #driver: VirtioDriver;
  readonly #index: number;
  readonly #eventIndex: boolean;
  /** Writable buffers of the chains under way, by id. */
  readonly #waiting = new Map<number, readonly Buffer[]>();

  constructor(driver: VirtioDriver, index: number, eventIndex: boolean) {
    const { guest, options } = driver;
    this.#driver = driver;
    this.#index = index;
    this.#eventIndex = eventIndex;
    const legacy = options.interface === "legacy";
    this.size = legacy ? this.#selectLegacy() : this.#selectModern();
    const parts = options.packed ? this.#allocatePacked() : this.#allocateSplit();
    [this.descriptors, this.available, this.used] = parts;
    this.ring = options.packed ? new PackedDriverRing(guest.memory, parts, this.size)
      : new SplitDriverRing(guest.memory, parts, this.size);
    if (legacy) {
      guest.outl(driver.ioBase + 8, this.descriptors / pageBytes);
    } else {
      this.enable();
    }
  }

  /** Puts a chain into the ring without telling the device; returns its id. */
  add(message: Message): number {
    const { guest } = this.#driver;
    const buffers = [
      ...(message.readable ?? []).map((bytes) => {
        const address = guest.allocate(bytes.length, 1);
        guest.memory.write(address, bytes);
        return { address, length: bytes.length, flags: 0 };
      }),
      ...(message.writable ?? []).map((length) => ({
        address: guest.allocate(length, 1), length, flags: descriptorFlag.write,
      })),
    ];
    const id = this.ring.offer(message.indirect ? [this.#table(buffers)] : buffers);
    this.#waiting.set(id, buffers.filter(({ flags }) => flags !== 0));
    return id;
  }

  /** Writes a descriptor of any content; a packed one takes id and flags in the last places. */
  describe(index: number, address: number, length: number, flags: number, last: number): void {
    writeDescriptor(this.#driver.guest.memory, this.descriptors + index * descriptorBytes,
      { address, length, flags }, last);
  }

  /** Puts a head, right or wrong, into the available ring of a split queue. */
  offer(head: number): void {
    assert(this.ring instanceof SplitDriverRing, "packed rings have no heads");
    this.ring.offerHead(head);
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

  /** What the device has returned since the last call, by id. */
  collect(): Map<number, Reply> {
    const { memory } = this.#driver.guest;
    const replies = new Map<number, Reply>();
    for (let used = this.ring.take(); used !== undefined; used = this.ring.take()) {
      const buffers = defined(this.#waiting.get(used.id), `a chain with id ${used.id}`);
      this.#waiting.delete(used.id);
      replies.set(used.id, {
        usedBytes: used.length,
        written: buffers.map(({ address, length }) => memory.read(gpa(address), length)),
      });
    }
    if (this.#eventIndex) {
      this.ring.interruptAfter(0);
    }
    return replies;
  }

  /** EVENT_IDX: the chain whose arrival the device wants to hear of. */
  get availableEvent(): number {
    const { memory } = this.#driver.guest;
    return memory.u16(this.#driver.options.packed ? this.used
      : gpa(this.used + 4 + this.size * 8));
  }

  /** No interrupts, please; without EVENT_IDX. */
  suppressInterrupts(suppress: boolean): void {
    this.ring.suppressInterrupts(suppress);
  }

  /** Sends one chain and takes its answer, which must be there at once. */
  send(message: Message): Reply {
    const id = this.add(message);
    this.kick();
    return defined(this.collect().get(id), "the answer to a request");
  }

  /** QUEUE_RESET of the modern interface; the queue may be enabled again. */
  reset(): void {
    const { guest } = this.#driver;
    const { address } = this.#driver.structure(1);
    guest.mmio.write(address + 22, 2, this.#index);
    guest.mmio.write(address + 58, 2, 1);
  }

  /** Tells a modern device where the parts are, and starts the queue. */
  enable(): void {
    const { guest } = this.#driver;
    const { address } = this.#driver.structure(1);
    guest.mmio.write(address + 22, 2, this.#index);
    for (const [index, part] of [this.descriptors, this.available, this.used].entries()) {
      guest.writel(address + 32 + index * 8, part);
      guest.writel(address + 36 + index * 8, 0);
    }
    guest.mmio.write(address + 28, 2, 1);
  }

  #table(buffers: readonly Buffer[]): Buffer {
    const { guest } = this.#driver;
    const table = guest.allocate(buffers.length * descriptorBytes);
    for (const [index, { address, length, flags }] of buffers.entries()) {
      const more = index < buffers.length - 1 ? descriptorFlag.next : 0;
      // A packed descriptor has its id, which is not used here, where a split one has its flags.
      const [third, fourth] = this.#driver.options.packed ? [0, flags]
        : [flags | more, index + 1];
      writeDescriptor(guest.memory, table + index * descriptorBytes,
        { address, length, flags: third }, fourth);
    }
    return {
      address: table, length: buffers.length * descriptorBytes, flags: descriptorFlag.indirect,
    };
  }

  #allocateSplit(): RingParts {
    const availableBytes = 6 + this.size * 2;
    const start = this.#driver.guest.allocate(
      Math.ceil((this.size * descriptorBytes + availableBytes) / pageBytes) * pageBytes
        + 6 + this.size * 8, pageBytes);
    const available = gpa(start + this.size * descriptorBytes);
    return [start, available,
      gpa(Math.ceil((available + availableBytes) / pageBytes) * pageBytes)];
  }

  #allocatePacked(): RingParts {
    const { guest } = this.#driver;
    return [guest.allocate(this.size * descriptorBytes), guest.allocate(eventBytes),
      guest.allocate(eventBytes)];
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
}
