/**
 * What a back end of a disk is: somewhere that blocks of bytes can be read from and perhaps
 * written to. The smallest one has a size and `read`; docs/block-backends.md writes one.
 * Failures are thrown (or rejected with) as HostError and reach the guest as I/O errors.
 */
import type { BufferParts } from "../../fabric/device.ts";

/** Work that is over on return, or when the promise resolves. An image that never answers with a
 * promise can serve the machine's own thread; others get a thread of their own. */
export type Eventually = void | Promise<void>;

/** Offsets and lengths are in bytes, whole sectors, and inside the disk. */
export interface BlockImage {
  /** May change; whoever uses the image asks `refreshSize` now and then. */
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  /** Logical and physical sector sizes; 512 when absent. */
  readonly sectorBytes?: number;
  readonly physicalSectorBytes?: number;
  /** Fills all of `into` from `offset`. */
  read(offset: number, into: Uint8Array): Eventually;
  /** Needed unless the image is read-only. */
  write?(offset: number, from: Uint8Array): Eventually;
  /** The same with many parts, where one call of the host does it. */
  readParts?(offset: number, parts: BufferParts): void;
  writeParts?(offset: number, parts: BufferParts): void;
  /** Ends once everything written is stable; nothing to do when absent. */
  flush?(): Eventually;
  /** Frees a range, whose content is then undefined. */
  discard?(offset: number, length: number): Eventually;
  /** Fills a range with zeros without their being sent; may free it. */
  writeZeroes?(offset: number, length: number): Eventually;
  /** Looks at the size again; true if it has changed. */
  refreshSize?(): boolean;
  close?(): Eventually;
}

export const sectorBytesDefault = 512;

export function isPromise(result: Eventually): result is Promise<void> {
  return result instanceof Promise;
}
