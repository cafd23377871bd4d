/** Entropy source (VIRTIO 1.2 §5.4): fills guest buffers with host randomness. */
import { options } from "../../config/options.ts";
import { KiB } from "../../base/units.ts";
import type { Entropy } from "../../fabric/device.ts";
import type { VirtioHandler } from "./core.ts";
import { virtioDevice } from "./device.ts";
import type { Virtqueue } from "./virtqueue.ts";

/** A chain may claim gigabytes; never make what it claims. */
const requestBytesMax = 64 * KiB;

export const virtioRnd = virtioDevice({
  name: "virtio-rnd",
  help: "Source of random numbers.",
  virtioId: 4,
  legacyPciId: 0x1005,
  classCode: 0x10_00_00,
  queues: () => [{ name: "requests", size: 64 }],
  options: options({}),
  create: (_options, env) => new VirtioRnd(env.entropy),
});

class VirtioRnd implements VirtioHandler {
  readonly #entropy: Entropy;
  readonly #bytes = new Uint8Array(requestBytesMax);
  readonly state = {}; // Nothing outlives a request.

  constructor(entropy: Entropy) {
    this.#entropy = entropy;
  }

  onNotify(queue: Virtqueue): void {
    for (const chain of queue.take()) { // Bounded by the queue; one interrupt after the loop.
      const bytes = this.#bytes.subarray(0, Math.min(chain.writableBytes, requestBytesMax));
      this.#entropy.fill(bytes);
      chain.complete(chain.write(bytes));
    }
  }
}
