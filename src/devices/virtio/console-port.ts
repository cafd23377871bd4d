/** One port of a virtio console: bytes between a pair of queues and a channel of the host. */
import { millisecondNs } from "../../base/units.ts";
import type { Clock, Timer } from "../../fabric/clock.ts";
import type { CharBackend } from "../../fabric/device.ts";
import type { Virtqueue } from "./virtqueue.ts";

/** A chain may claim gigabytes; beyond this its bytes are dropped. Drivers send a page or two. */
const chainBytesMax = 256 * 1024;
/** Input goes to the guest in pieces of this size. */
const inputBytesMax = 4096;
/** How long output waits before a host that was full is asked again. */
const retryNs = millisecondNs;

export interface PortState {
  [key: string]: unknown;
  /** The guest listens; consoles do so always. */
  open: boolean;
  /** Output that the host has not taken yet. */
  backlog: Uint8Array;
  /** A byte of input that found no buffer, or -1. */
  held: number;
}

export function newPortState(): PortState {
  return { open: false, backlog: new Uint8Array(0), held: -1 };
}

export interface PortParts {
  readonly name: string;
  readonly isConsole: boolean;
  readonly backend: CharBackend;
  readonly clock: Clock;
  receive(): Virtqueue;
  transmit(): Virtqueue;
}

export class ConsolePort {
  readonly name: string;
  readonly isConsole: boolean;
  readonly #parts: PortParts;
  readonly #retry: Timer;
  readonly #input = new Uint8Array(inputBytesMax);
  readonly #state: PortState;

  constructor(parts: PortParts, state: PortState) {
    this.name = parts.name;
    this.isConsole = parts.isConsole;
    this.#parts = parts;
    this.#state = state;
    this.#retry = parts.clock.timer(() => this.empty());
    parts.backend.onReadable(() => this.fill());
  }

  sync(): void {
    if (this.#state.backlog.length > 0) {
      this.#retry.arm(this.#parts.clock.nowNs() + retryNs);
    } else {
      this.#retry.disarm();
    }
  }

  detach(): void {
    this.#retry.disarm();
    this.#parts.backend.onReadable(() => {});
  }

  emergency(byte: number): void {
    this.#parts.backend.put(byte);
  }

  /** Host to guest, while there are bytes and buffers. What nobody reads waits in the host. */
  fill(): void {
    const queue = this.#parts.receive();
    const state = this.#state;
    if (!queue.ready || !(state.open || this.isConsole)) {
      return;
    }
    for (let first = this.#next(); first >= 0; first = this.#next()) {
      let row = queue.pop();
      if (row < 0 && queue.rearm()) {
        row = queue.pop();
      }
      if (row < 0) {
        state.held = first;
        break;
      }
      const chain = queue.chain(row);
      const room = Math.min(inputBytesMax, chain.writableBytes);
      if (room === 0) {
        state.held = first;
        chain.complete(0);
        continue;
      }
      this.#input[0] = first;
      let count = 1;
      for (let byte = 0; count < room && byte >= 0;) {
        byte = this.#parts.backend.get();
        if (byte >= 0) {
          this.#input[count] = byte;
          count += 1;
        }
      }
      chain.complete(chain.write(this.#input.subarray(0, count)));
    }
    queue.publish();
  }

  /** Guest to host. While the host is full, chains stay in their ring. */
  empty(): void {
    const queue = this.#parts.transmit();
    if (this.#sendBacklog() && queue.ready) {
      for (const chain of queue.take()) {
        const bytes = new Uint8Array(Math.min(chain.readableBytes, chainBytesMax));
        chain.read(bytes);
        chain.complete(0);
        this.#state.backlog = bytes;
        if (!this.#sendBacklog()) {
          break;
        }
      }
    }
    this.sync();
  }

  /** True once nothing is left. */
  #sendBacklog(): boolean {
    const { backlog } = this.#state;
    let sent = 0;
    while (sent < backlog.length && this.#parts.backend.put(backlog[sent] ?? 0)) {
      sent += 1;
    }
    this.#state.backlog = backlog.slice(sent);
    return sent === backlog.length;
  }

  #next(): number {
    const { held } = this.#state;
    this.#state.held = -1;
    return held >= 0 ? held : this.#parts.backend.get();
  }
}
