/**
 * Faults on purpose, to see what a guest makes of them: a disk that fails now and then, or tears
 * a write in two. The same seed and the same requests give the same faults.
 */
import { HostError } from "../../base/errors.ts";
import type { BlockImage, Eventually } from "./image.ts";

export const faultKinds = ["eio", "enospc", "torn"] as const;
export type FaultKind = (typeof faultKinds)[number];

export interface Fault {
  readonly kind: FaultKind;
  /** From 0 to 1. */
  readonly probability: number;
}

export interface FaultPlan {
  readonly read?: Fault;
  readonly write?: Fault;
  readonly flush?: Fault;
  readonly seed: number;
}

const probabilityDefault = 0.01;
/** Reads `eio:0.01`, the text of a key `fault.read` and the like. */
export function readFault(text: string): Fault {
  const [kind, probability] = text.split(":");
  return {
    kind: faultKinds.find((each) => each === kind) ?? "eio",
    probability: probability === undefined ? probabilityDefault : Number(probability),
  };
}

const messages = {
  eio: "EIO: a fault on purpose", enospc: "ENOSPC: a fault on purpose",
  torn: "EIO: a write torn on purpose",
} as const;
const sectorBytes = 512;

export class FaultyImage implements BlockImage {
  readonly #inner: BlockImage;
  readonly #plan: FaultPlan;
  readonly #name: string;
  readonly writeZeroes?: (offset: number, length: number) => Eventually;
  readonly discard?: (offset: number, length: number) => Eventually;
  #random: number;

  constructor(inner: BlockImage, plan: FaultPlan, name: string) {
    this.#inner = inner;
    this.#plan = plan;
    this.#name = name;
    this.#random = plan.seed >>> 0 || 1;
    if (inner.writeZeroes !== undefined) {
      this.writeZeroes = (offset, length) => {
        this.#strike("write", plan.write);
        return inner.writeZeroes?.(offset, length);
      };
    }
    if (inner.discard !== undefined) {
      this.discard = (offset, length) => inner.discard?.(offset, length);
    }
  }

  get sizeBytes(): number {
    return this.#inner.sizeBytes;
  }

  get readOnly(): boolean {
    return this.#inner.readOnly;
  }

  get sectorBytes(): number {
    return this.#inner.sectorBytes ?? sectorBytes;
  }

  get physicalSectorBytes(): number {
    return this.#inner.physicalSectorBytes ?? this.sectorBytes;
  }

  read(offset: number, into: Uint8Array): Eventually {
    this.#strike("read", this.#plan.read);
    return this.#inner.read(offset, into);
  }

  write(offset: number, from: Uint8Array): Eventually {
    const fault = this.#plan.write;
    if (fault !== undefined && this.#happens(fault)) {
      if (fault.kind !== "torn") {
        throw this.#error("write", fault);
      }
      return this.#tear(offset, from, fault);
    }
    return this.#inner.write?.(offset, from);
  }

  flush(): Eventually {
    this.#strike("flush", this.#plan.flush);
    return this.#inner.flush?.();
  }

  refreshSize(): boolean {
    return this.#inner.refreshSize?.() ?? false;
  }

  close(): Eventually {
    return this.#inner.close?.();
  }

  /** Some sectors of the front arrive, the rest does not, and the guest hears of an error. */
  #tear(offset: number, from: Uint8Array, fault: Fault): Eventually {
    const sectors = Math.floor(from.length / sectorBytes);
    const kept = (this.#next() % Math.max(1, sectors)) * sectorBytes;
    const result = kept === 0 ? undefined
      : this.#inner.write?.(offset, from.subarray(0, kept));
    if (result instanceof Promise) {
      return result.then(() => {
        throw this.#error("write", fault);
      });
    }
    throw this.#error("write", fault);
  }

  #strike(what: string, fault: Fault | undefined): void {
    if (fault !== undefined && this.#happens(fault)) {
      throw this.#error(what, fault);
    }
  }

  #error(what: string, { kind }: Fault): HostError {
    return new HostError(`cannot ${what} ${this.#name}`, messages[kind]);
  }

  #happens({ probability }: Fault): boolean {
    return this.#next() / 2 ** 32 < probability;
  }

  /** xorshift32. */
  #next(): number {
    this.#random ^= this.#random << 13;
    this.#random ^= this.#random >>> 17;
    this.#random ^= this.#random << 5;
    return (this.#random >>>= 0);
  }
}
