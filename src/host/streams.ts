/** A byte stream of the host, whatever it comes from: terminal, socket, pipe, file. */
import { openSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import { WriteStream as FileStream, createWriteStream } from "node:fs";
import { HostError } from "../base/errors.ts";

export interface HostStream {
  /** Resolves once the host has taken the bytes; what nobody can take any more is dropped. */
  write(bytes: Uint8Array): Promise<void>;
  /** Bytes that arrive go to `take`; nothing is read before this is called. */
  onData(take: (bytes: Uint8Array) => void): void;
  /** Stops and restarts the flow of arriving bytes. */
  pause(): void;
  resume(): void;
  onEnd(ended: () => void): void;
  close(): void;
}

/** A stream over Node's; either half may be missing. */
export function hostStream(
  readable: Readable | undefined, writable: Writable | undefined, close: () => void,
): HostStream {
  let broken = false;
  const onBroken = () => { broken = true; };
  writable?.on("error", onBroken); // A reader that went away (EPIPE) is no reason to die.
  writable?.on("close", onBroken);
  readable?.on("error", () => {});
  return {
    write: (bytes) => new Promise((resolve) => {
      if (writable === undefined || broken || writable.destroyed) {
        resolve();
      } else {
        writable.once("close", resolve);
        writable.write(bytes, () => {
          writable.removeListener("close", resolve);
          resolve();
        });
      }
    }),
    onData: (take) => readable?.on("data", take),
    pause: () => readable?.pause(),
    resume: () => readable?.resume(),
    onEnd: (ended) => {
      readable?.once("close", ended);
    },
    close,
  };
}

/** A file that only grows. */
export function appendStream(path: string): HostStream {
  let fd = -1;
  try {
    fd = openSync(path, "a");
  } catch (error) {
    throw new HostError(`cannot open ${path}`, error);
  }
  const stream: FileStream = createWriteStream(path, { fd });
  return hostStream(undefined, stream, () => stream.end());
}
