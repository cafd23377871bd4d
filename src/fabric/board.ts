/** The board: the two address spaces that devices on fixed addresses plug into. */
import type { AccessHandler, AddressSpace, Claim } from "./address-space.ts";
import type { Device } from "./device.ts";
import type { RegisterMap } from "./register-map.ts";

export interface Board {
  readonly ports: AddressSpace;
  readonly mmio: AddressSpace;
}

/** A device on fixed ports or addresses. */
export interface BoardDevice extends Device {
  /** Claims its addresses; all of them, or none and an error. */
  attach(board: Board): void;
  /** Sets interrupt lines and timers from `state`; after a snapshot was loaded into it. */
  sync(): void;
}

/** The claims of one device, so that they go together. */
export class ClaimList {
  #claims: Claim[] = [];

  /** Lets `map` answer for `device` at `base`; `size` when the block is larger than its map. */
  add<D>(
    space: AddressSpace,
    at: { readonly name: string; readonly base: number; readonly size?: number },
    map: RegisterMap<D>, device: D,
  ): void {
    this.claim(space, { name: at.name, base: at.base, size: at.size ?? map.size }, {
      read: (offset, size) => map.read(device, offset, size),
      write: (offset, size, value) => map.write(device, offset, size, value),
    });
  }

  /** The same for a device whose accesses are no register map. */
  claim(
    space: AddressSpace,
    at: { readonly name: string; readonly base: number; readonly size: number },
    handler: AccessHandler,
  ): void {
    try {
      this.#claims.push(space.claim(at.name, at.base, at.size, handler));
    } catch (error) {
      this.release();
      throw error;
    }
  }

  release(): void {
    for (const claim of this.#claims) {
      claim.release();
    }
    this.#claims = [];
  }
}
