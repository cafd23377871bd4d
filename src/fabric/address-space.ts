/**
 * The two address spaces a device answers in: I/O ports and memory-mapped registers.
 * Dispatch costs one table look-up (`bench/exits.ts`); where nothing answers, reads give ones.
 */
import { assert } from "../base/assert.ts";
import { onesOf } from "../base/bits.ts";

/** What answers an access; `offset` counts from the start of the claim, `size` is 1, 2 or 4. */
export interface AccessHandler {
  /** Returns an unsigned value of `size` bytes. */
  read(offset: number, size: number): number;
  write(offset: number, size: number, value: number): void;
  /** Ports: takes accesses whole that start in the claim and reach beyond it. The dword at 0xCF8
   * is such a register: the bytes in it belong to others. */
  readonly whole?: boolean;
}

export interface Claim {
  readonly name: string;
  readonly base: number;
  readonly size: number;
  /** Gives the range back; a second call does nothing. */
  release(): void;
}

interface Range extends Claim {
  readonly handler: AccessHandler;
}

export interface AddressSpace {
  /** Takes [base, base + size); throws when any of it is taken already. */
  claim(name: string, base: number, size: number, handler: AccessHandler): Claim;
  /** Who has this address, for messages and tests. */
  find(address: number): Claim | undefined;
  claims(): readonly Claim[];
  read(address: number, size: number): number;
  write(address: number, size: number, value: number): void;
}

/** Two claims want the same addresses. */
export class ClaimConflict extends Error {
  override readonly name = "ClaimConflict";

  constructor(wanted: string, base: number, size: number, holder: Claim) {
    const range = (start: number, length: number) =>
      `0x${start.toString(16)}-0x${(start + length - 1).toString(16)}`;
    super(`${wanted} wants ${range(base, size)}, which ${holder.name} has `
      + `(${range(holder.base, holder.size)})`);
  }
}

/** Called for accesses that no claim covers entirely. */
export type Unclaimed = (address: number, size: number, value?: number) => void;

/** The sorted list of claims both spaces keep. */
class ClaimList {
  readonly ranges: Range[] = [];

  add(name: string, base: number, size: number, handler: AccessHandler, gone: () => void): Range {
    assert(size > 0, `the claim of ${name} is not empty`);
    const index = this.ranges.findIndex((range) => range.base + range.size > base);
    const next = index < 0 ? undefined : this.ranges[index];
    if (next !== undefined && next.base < base + size) {
      throw new ClaimConflict(name, base, size, next);
    }
    const range: Range = {
      name, base, size, handler,
      release: () => {
        const at = this.ranges.indexOf(range);
        if (at >= 0) {
          this.ranges.splice(at, 1);
          gone();
        }
      },
    };
    this.ranges.splice(index < 0 ? this.ranges.length : index, 0, range);
    return range;
  }

  find(address: number): Range | undefined {
    let low = 0;
    let high = this.ranges.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const range = this.ranges[middle];
      if (range === undefined || address < range.base) {
        high = middle - 1;
      } else if (address >= range.base + range.size) {
        low = middle + 1;
      } else {
        return range;
      }
    }
    return undefined;
  }
}

/** The 64 Ki I/O ports; a table by port keeps an access at a few nanoseconds. */
export class PortSpace implements AddressSpace {
  readonly #list = new ClaimList();
  readonly #byPort: (Range | undefined)[] = Array.from({ length: 0x1_0000 }, () => undefined);
  unclaimed: Unclaimed = () => {};

  claim(name: string, base: number, size: number, handler: AccessHandler): Claim {
    assert(base >= 0 && base + size <= 0x1_0000, `ports of ${name} are below 0x10000`);
    const range = this.#list.add(name, base, size, handler, () => {
      this.#byPort.fill(undefined, base, base + size);
    });
    this.#byPort.fill(range, base, base + size);
    return range;
  }

  find(address: number): Claim | undefined {
    return this.#byPort[address];
  }

  claims(): readonly Claim[] {
    return this.#list.ranges;
  }

  read(port: number, size: number): number {
    const range = this.#byPort[port];
    if (range === undefined) {
      this.unclaimed(port, size);
      return onesOf(size);
    }
    if (port + size > range.base + range.size && range.handler.whole !== true) {
      return this.#readBytes(port, size);
    }
    return range.handler.read(port - range.base, size);
  }

  write(port: number, size: number, value: number): void {
    const range = this.#byPort[port];
    if (range === undefined) {
      this.unclaimed(port, size, value);
    } else if (port + size > range.base + range.size && range.handler.whole !== true) {
      for (let index = 0; index < size; index += 1) {
        this.write((port + index) & 0xffff, 1, (value >>> (index * 8)) & 0xff);
      }
    } else {
      range.handler.write(port - range.base, size, value);
    }
  }

  /** An access wider than the claim reaches the neighbours byte by byte, as on an ISA bus. */
  #readBytes(port: number, size: number): number {
    let value = 0;
    for (let index = 0; index < size; index += 1) {
      value |= this.read((port + index) & 0xffff, 1) << (index * 8);
    }
    return value >>> 0;
  }
}

/** Memory-mapped registers, by guest-physical address (a double below 2^53). */
export class MmioSpace implements AddressSpace {
  readonly #list = new ClaimList();
  #last: Range | undefined;
  unclaimed: Unclaimed = () => {};

  claim(name: string, base: number, size: number, handler: AccessHandler): Claim {
    return this.#list.add(name, base, size, handler, () => {
      this.#last = undefined;
    });
  }

  find(address: number): Claim | undefined {
    return this.#find(address);
  }

  claims(): readonly Claim[] {
    return this.#list.ranges;
  }

  read(address: number, size: number): number {
    const range = this.#find(address);
    if (range === undefined || address + size > range.base + range.size) {
      this.unclaimed(address, size);
      return onesOf(size);
    }
    return range.handler.read(address - range.base, size);
  }

  write(address: number, size: number, value: number): void {
    const range = this.#find(address);
    if (range === undefined || address + size > range.base + range.size) {
      this.unclaimed(address, size, value);
    } else {
      range.handler.write(address - range.base, size, value);
    }
  }

  #find(address: number): Range | undefined {
    const last = this.#last;
    if (last !== undefined && address >= last.base && address < last.base + last.size) {
      return last;
    }
    const range = this.#list.find(address);
    if (range !== undefined) {
      this.#last = range;
    }
    return range;
  }
}
