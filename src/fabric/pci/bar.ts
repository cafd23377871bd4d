/** Base address registers (PCI Local Bus 3.0 §6.2.5.1): where a function's registers appear. */
import { assert } from "../../base/assert.ts";
import { isPowerOfTwo } from "../../base/bits.ts";
import { ClaimConflict, type AccessHandler, type Claim } from "../address-space.ts";
import type { Board } from "../board.ts";
import { command, header, type ConfigSpace } from "./config-space.ts";

export type BarKind = "io" | "mem32" | "mem64";

export interface BarOptions {
  /** 0 to 5; a mem64 BAR takes the next register too. */
  readonly index: number;
  readonly kind: BarKind;
  /** A power of two. */
  readonly size: number;
  readonly handler: AccessHandler;
}

const sizeMin = { io: 4, mem32: 16, mem64: 16 } as const;
const typeBits = { io: 1, mem32: 0, mem64: 4 } as const;
const addressMask = { io: 0xffff_fffc, mem32: 0xffff_fff0, mem64: 0xffff_fff0 } as const;
/** An I/O BAR has 32 bits as any other (§6.2.5.1: SeaBIOS takes what reads as 0 for room), but
 * x86 has 64 Ki ports; and its addresses have at most 52 bits. */
const addressEnd = { io: 2 ** 16, mem32: 2 ** 32, mem64: 2 ** 52 } as const;

export class Bar {
  readonly index: number;
  readonly kind: BarKind;
  readonly size: number;
  readonly #name: string;
  readonly #handler: AccessHandler;
  readonly #config: ConfigSpace;
  readonly #register: number;
  #claim: Claim | undefined;
  /** Another device has the addresses the guest chose. */
  blocked = false;

  constructor(name: string, config: ConfigSpace, options: BarOptions) {
    const { index, kind, size } = options;
    assert(isPowerOfTwo(size), `BAR ${index} of ${name} has a power of two as size`);
    assert(size >= sizeMin[kind], `BAR ${index} of ${name} is not too small`);
    this.index = index;
    this.kind = kind;
    this.size = size;
    this.#name = `${name} BAR ${index}`;
    this.#handler = options.handler;
    this.#config = config;
    this.#register = header.bars + index * 4;
    config.fix(this.#register, 4, typeBits[kind]);
  }

  /** The address in the register, decoded or not. */
  get address(): number {
    const low = (this.#config.get(this.#register, 4) & addressMask[this.kind]) >>> 0;
    return this.kind === "mem64" ? this.#config.get(this.#register + 4, 4) * 2 ** 32 + low : low;
  }

  /** Gives the register an address, from power-on. */
  place(address: number): void {
    this.#config.fix(this.#register, 4, (address % 2 ** 32) + typeBits[this.kind]);
    if (this.kind === "mem64") {
      this.#config.fix(this.#register + 4, 4, Math.floor(address / 2 ** 32));
    }
  }

  /** Whether the dword at `offset` of configuration space belongs to this BAR. */
  has(offset: number): boolean {
    return offset === this.#register
      || (this.kind === "mem64" && offset === this.#register + 4);
  }

  /** A guest's write of the whole dword: address bits below the size stay clear. */
  write(offset: number, value: number): void {
    if (offset === this.#register) {
      const sizeMask = this.size >= 2 ** 32 ? 0 : ~(this.size - 1);
      const kept = value & addressMask[this.kind] & sizeMask;
      this.#config.set(offset, 4, kept | typeBits[this.kind]);
    } else {
      const sizeMask = ~(Math.max(1, this.size / 2 ** 32) - 1);
      this.#config.set(offset, 4, value & sizeMask);
    }
  }

  /** Gives the addresses back unless they are still the wanted ones. All BARs of a function do
   * so before any of them takes new ones, since they may have changed places. */
  leave(): void {
    this.blocked = false;
    if (this.#claim?.base !== this.#wanted()) {
      this.release();
    }
  }

  /** Takes the wanted addresses. Two functions at the same ones are the guest's mistake: the
   * second stays mute until the first has moved. */
  take(board: Board): void {
    const wanted = this.#wanted();
    if (wanted === undefined || this.#claim !== undefined) {
      return;
    }
    const space = this.kind === "io" ? board.ports : board.mmio;
    try {
      this.#claim = space.claim(this.#name, wanted, this.size, this.#handler);
      this.blocked = false;
    } catch (error) {
      if (!(error instanceof ClaimConflict)) {
        throw error;
      }
      this.blocked = true;
    }
  }

  release(): void {
    this.#claim?.release();
    this.#claim = undefined;
    this.blocked = false;
  }

  /** Where command and address register want the BAR to answer, if anywhere. */
  #wanted(): number | undefined {
    const enable = this.kind === "io" ? command.io : command.memory;
    const decoding = (this.#config.get(header.command, 2) & enable) !== 0;
    const { address } = this;
    return decoding && address + this.size <= addressEnd[this.kind] ? address : undefined;
  }
}
