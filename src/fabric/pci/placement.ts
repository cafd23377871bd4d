/** Gives the BARs of a bus their addresses before the guest starts (bhyve, pci_emul.c). */
import { alignUp } from "../../base/bits.ts";
import { ConfigError } from "../../base/errors.ts";
import { GiB, KiB, MiB } from "../../base/units.ts";
import type { BarKind } from "./bar.ts";

/** A range of addresses: [base, end). */
export interface AddressRange {
  readonly base: number;
  readonly end: number;
}

/** What one root bus decodes: firmware describes these ranges to the guest. */
export interface BusWindows {
  readonly io: AddressRange;
  readonly mem32: AddressRange;
  readonly mem64: AddressRange;
}

type WindowName = keyof BusWindows;

export const ecamBase = 0xe000_0000;
const ranges = {
  io: { base: 0x2000, end: 64 * KiB },
  mem32: { base: 3 * GiB, end: ecamBase },
} as const;
const mem64Bytes = 32 * GiB;
/** Smaller 64-bit BARs stay where 32-bit guests and firmware reach them. */
const lowBarMax = 128 * MiB;
/** Room left behind each bus, and the granularity of the next one's start. */
const slop = {
  io: { extra: 32, align: 32 },
  mem32: { extra: 1 * MiB, align: 1 * MiB },
  mem64: { extra: 512 * MiB, align: 512 * MiB },
} as const;

/** A BAR that wants an address. */
export interface Placeable {
  readonly kind: BarKind;
  readonly size: number;
  place(address: number): void;
}

/** Hands out addresses bus by bus. */
export class BarPlacement {
  readonly #next: { [name in WindowName]: number };
  readonly #end: { readonly [name in WindowName]: number };

  /** `memoryEnd` is where RAM above 4 GiB ends; I/O ports are taken from `ioBase` on. */
  constructor(memoryEnd: number, ioBase: number = ranges.io.base) {
    const high = alignUp(Math.max(memoryEnd, 4 * GiB), mem64Bytes);
    this.#next = { io: ioBase, mem32: ranges.mem32.base, mem64: high };
    this.#end = { io: ranges.io.end, mem32: ranges.mem32.end, mem64: high + mem64Bytes };
  }

  /** Places the BARs of one bus, the largest first, each at a multiple of its size. */
  placeBus(bars: readonly Placeable[]): BusWindows {
    const start = { ...this.#next };
    for (const bar of [...bars].sort((a, b) => b.size - a.size)) {
      bar.place(this.#take(windowOf(bar), bar.size));
    }
    const window = (name: WindowName): AddressRange => {
      const { extra, align } = slop[name];
      this.#next[name] = Math.min(alignUp(this.#next[name] + extra, align), this.#end[name]);
      return { base: start[name], end: this.#next[name] };
    };
    return { io: window("io"), mem32: window("mem32"), mem64: window("mem64") };
  }

  #take(name: WindowName, size: number): number {
    const address = alignUp(this.#next[name], size);
    if (address + size > this.#end[name]) {
      throw new ConfigError({
        key: "pci", message: `no room for a BAR of ${size} bytes among the ${name} addresses; `
          + "allowed: fewer or smaller devices",
      });
    }
    this.#next[name] = address + size;
    return address;
  }
}

function windowOf({ kind, size }: Placeable): WindowName {
  return kind === "mem64" && size <= lowBarMax ? "mem32" : kind;
}
