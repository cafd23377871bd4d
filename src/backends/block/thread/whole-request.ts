/** A request whose data is one array, for callers that wait for it. */
import type { HostError } from "../../../base/errors.ts";
import type { BlockOperation, BlockRequest } from "../../../fabric/block-queue.ts";
import type { BufferParts } from "../../../fabric/device.ts";

export class WholeRequest implements BlockRequest {
  readonly operation: BlockOperation;
  readonly offset: number;
  readonly length: number;
  readonly parts: BufferParts;
  readonly abandoned = false;
  done = false;
  error: HostError | undefined;

  constructor(
    operation: BlockOperation, offset: number, length: number,
    bytes: Uint8Array = new Uint8Array(0),
  ) {
    this.operation = operation;
    this.offset = offset;
    this.length = length;
    this.parts = {
      bytes, starts: Float64Array.of(0), lengths: Float64Array.of(bytes.length),
      count: bytes.length > 0 ? 1 : 0, totalBytes: bytes.length,
    };
  }

  complete(error: HostError | undefined): void {
    this.done = true;
    this.error = error;
  }
}
