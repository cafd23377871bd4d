/**
 * The two rings of one serial line. The machine's thread holds the `CharBackend`; the control
 * plane holds the other ends and moves bytes between them and the host.
 */
import type { CharBackend } from "../../fabric/device.ts";
import { SharedByteRing, WakeWord } from "../../fabric/byte-ring.ts";
import type { SharedRingParts } from "../../fabric/byte-ring.ts";

/** Output waits here while the host is slow, then the UART has to wait. */
const toHostBytes = 64 * 1024;
/** Input beyond this waits in the host's own queues. */
const toGuestBytes = 16 * 1024;

/** What the machine's thread is sent. */
export interface CharChannelParts {
  readonly toHost: SharedRingParts;
  readonly toGuest: SharedRingParts;
}

export interface CharChannel {
  readonly toHost: SharedByteRing;
  readonly toGuest: SharedByteRing;
  readonly parts: CharChannelParts;
}

/** Made by the control plane; `machineWake` is what the machine's thread sleeps on. */
export function createCharChannel(machineWake: WakeWord): CharChannel {
  const toHost = SharedByteRing.create(toHostBytes, new WakeWord(), machineWake);
  const toGuest = SharedByteRing.create(toGuestBytes, machineWake, new WakeWord());
  return { toHost, toGuest, parts: { toHost: toHost.parts, toGuest: toGuest.parts } };
}

/** The machine's end. Whoever runs the machine calls `poll` after each wake-up. */
export class RingCharBackend implements CharBackend {
  readonly #toHost: SharedByteRing;
  readonly #toGuest: SharedByteRing;
  #listener: () => void = () => {};

  constructor(parts: CharChannelParts) {
    this.#toHost = SharedByteRing.from(parts.toHost);
    this.#toGuest = SharedByteRing.from(parts.toGuest);
  }

  put(byte: number): boolean {
    return this.#toHost.put(byte);
  }

  get(): number {
    return this.#toGuest.get();
  }

  onReadable(listener: () => void): void {
    this.#listener = listener;
  }

  /** Tells the listener of waiting input; costs two loads when there is none. */
  poll(): void {
    if (this.#toGuest.available() > 0) {
      this.#listener();
    }
  }

  close(): void {
    this.#toHost.close();
  }
}
