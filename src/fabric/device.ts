/** What every device model has in common, and the world it is handed. */
import type { Log } from "../base/log.ts";
import type { BlockQueue } from "./block-queue.ts";
import type { Clock } from "./clock.ts";
import type { IrqLine } from "./interrupt.ts";
import type { GuestMemory } from "./memory.ts";

/** Plain data: numbers, strings, booleans, byte arrays, and arrays and records of them. */
export type StateValue = number | string | boolean | bigint | Uint8Array | Uint16Array
  | Uint32Array | Float64Array | null | readonly StateValue[]
  | { readonly [key: string]: StateValue };

/** All guest-visible state of a device in one plain record. */
export type DeviceState = { [key: string]: unknown };

/** Random bytes for the guest. */
export interface Entropy {
  fill(target: Uint8Array): void;
}

/** The world handed to a device: nothing else may be reached for. */
export interface Env {
  readonly memory: GuestMemory;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
}

/** A device that sits on fixed ports or addresses of the board: UART, PIT, RTC. */
export interface Device {
  /** Everything that a snapshot must carry; reset makes it equal to that of a new device. */
  readonly state: DeviceState;
  reset(): void;
  /** Releases every claim, line and timer. */
  detach(): void;
}

/** One byte stream between a serial port and its host side. */
export interface CharBackend {
  /** Guest to host. False when the host cannot take it now; the caller drops or retries. */
  put(byte: number): boolean;
  /** Host to guest: the next byte, or -1. */
  get(): number;
  /** Called when `get` may have something again. */
  onReadable(listener: () => void): void;
  close(): void;
}

/** A folder of the host that serves requests of a file protocol. */
export interface FolderShare {
  /** The reply to one request, at most so long; empty when the request is beyond an answer. The
   * array is good until the next call. */
  serve(request: Uint8Array, replyBytesMax: number): Uint8Array;
  /** Forgets everything that the guest has open. */
  reset(): void;
  close(): void;
}

/** Parts of one buffer that a request moves, in order; reused, so that a request allocates none. */
export interface BufferParts {
  readonly bytes: Uint8Array;
  readonly starts: Float64Array;
  readonly lengths: Float64Array;
  count: number;
  /** Sum of the lengths. */
  totalBytes: number;
}

/** Where a disk's bytes are. Offsets and lengths are in bytes. */
export interface BlockBackend {
  /** May change while the machine runs; `onResized` tells. */
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  /** Logical and physical sector sizes in bytes. */
  readonly sectorBytes: number;
  readonly physicalSectorBytes: number;
  /** Fills `into` from `offset`; throws HostError. */
  read(offset: number, into: Uint8Array): void;
  write(offset: number, from: Uint8Array): void;
  /** The same with many parts at once, for back ends that can do so in one call. */
  readParts?(offset: number, parts: BufferParts): void;
  writeParts?(offset: number, parts: BufferParts): void;
  /** Returns once everything written is stable. */
  flush(): void;
  /** Whether `discard` can work at all; it cannot when absent. */
  readonly canDiscard?: boolean;
  /** Frees a range; false if the back end cannot. */
  discard(offset: number, length: number): boolean;
  /** Fills a range with zeros; absent if the back end has no quick way. */
  writeZeroes?(offset: number, length: number): void;
  /** Many requests at a time; without it, each runs where it is asked for. */
  readonly queue?: BlockQueue;
  onResized?(listener: () => void): void;
  close(): void;
}

export type { Clock, GuestMemory, IrqLine, Log };
