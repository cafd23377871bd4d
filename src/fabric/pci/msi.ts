/** MSI with a 64-bit address and no mask bits (PCI Local Bus 3.0 §6.8.1), as bhyve offers it. */
import type { MsiSink } from "../interrupt.ts";
import { capabilityId, type ConfigSpace } from "./config-space.ts";

/** Offsets within the capability. */
const controlAt = 2;
const addressAt = 4;
const dataAt = 12;
const enable = 1;
const wideAddress = 1 << 7;

export class Msi {
  readonly #config: ConfigSpace;
  readonly #offset: number;
  readonly #capableShift: number;
  #sink: MsiSink = { send: () => {} };

  /** `vectors` is a power of two up to 32. */
  constructor(config: ConfigSpace, vectors: number) {
    this.#config = config;
    this.#capableShift = Math.log2(vectors);
    const body = new Uint8Array(12);
    body[0] = (this.#capableShift << 1) | wideAddress;
    this.#offset = config.addCapability(capabilityId.msi, body);
    config.allow(this.#offset + controlAt, 1, enable | (7 << 4));
    config.allow(this.#offset + addressAt, 4, 0xffff_fffc);
    config.allow(this.#offset + addressAt + 4, 4, 0xffff_ffff);
    config.allow(this.#offset + dataAt, 2, 0xffff);
  }

  connect(sink: MsiSink): void {
    this.#sink = sink;
  }

  get enabled(): boolean {
    return (this.#config.get(this.#offset + controlAt, 1) & enable) !== 0;
  }

  signal(vector: number): void {
    if (this.enabled) {
      const config = this.#config;
      const granted = (config.get(this.#offset + controlAt, 1) >>> 4) & 7;
      // The function may change as many low bits as vectors were granted to it.
      const count = 1 << Math.min(granted, this.#capableShift);
      const data = config.get(this.#offset + dataAt, 2);
      this.#sink.send(config.get(this.#offset + addressAt, 4),
        (data & ~(count - 1)) | Math.min(vector, count - 1));
    }
  }
}
