/** The control plane's end of a serial line: moves bytes between the rings and the host. */
import { setTimeout as delay } from "node:timers/promises";
import { ConfigError, HostError } from "../../base/errors.ts";
import type { SharedByteRing } from "../../fabric/byte-ring.ts";
import { PtyUnavailable, koffiInstallCommand, openPty } from "../../host/pty.ts";
import { listenTcp, listenUnix } from "../../host/sockets.ts";
import { appendStream } from "../../host/streams.ts";
import type { HostStream } from "../../host/streams.ts";
import { openStandardStream, openTerminal } from "../../host/terminal.ts";
import type { CharChannel } from "./channel.ts";
import { EscapeFilter } from "./escape.ts";
import { charTargetHelp, targetText } from "./target.ts";
import type { CharTarget } from "./target.ts";

export interface CharEndpoint {
  /** What a person must know to reach the line, if anything: the pty's name, a chosen port. */
  readonly announcement: string | undefined;
  /** Resolves when everything the guest wrote is out; the machine's end must be closed first. */
  finish(): Promise<void>;
}

export interface EndpointOptions {
  /** Full key of the line, for messages: `lpc.com1.path`. */
  readonly key: string;
  readonly target: CharTarget;
  readonly channel: CharChannel;
  /** A person at the terminal wants to leave. */
  readonly onQuit: () => void;
}

interface Opened {
  readonly stream: HostStream;
  readonly announcement?: string;
  readonly interactive?: boolean;
}

/** A guest prints byte by byte: gathering for this long spares the host most of the calls. */
const gatherMs = 1;
const chunkBytes = 16 * 1024;
/** A paste may be long; what a guest that never reads would pile up beyond this is dropped. */
const typedBytesMax = 1024 * 1024;

/** Opens the host's side and starts moving bytes; throws ConfigError when it cannot be had. */
export async function openCharEndpoint(options: EndpointOptions): Promise<CharEndpoint> {
  const { key, target, channel } = options;
  const { stream, announcement, interactive } = await openTarget(key, target);
  const filter = interactive ? new EscapeFilter() : undefined;
  moveInput(stream, channel.toGuest, filter, options.onQuit);
  const drained = drainRing(channel.toHost, (bytes) => stream.write(bytes));
  return {
    announcement,
    finish: async () => {
      await drained;
      stream.close();
    },
  };
}

async function openTarget(key: string, target: CharTarget): Promise<Opened> {
  const wrong = (message: string) => new ConfigError({ key, value: targetText(target), message });
  try {
    return await openStream(target) ?? fail(wrong(`is no terminal; allowed: ${charTargetHelp}`));
  } catch (error) {
    if (error instanceof PtyUnavailable) {
      throw wrong(`${error.message}; in tsbhyve's folder: ${koffiInstallCommand}`);
    }
    if (error instanceof HostError) {
      throw wrong(error.message);
    }
    throw error;
  }
}

function fail(error: Error): never {
  throw error;
}

async function openStream(target: CharTarget): Promise<Opened | undefined> {
  switch (target.kind) {
    case "stdio": {
      const stream = openStandardStream();
      return { stream, interactive: stream.interactive };
    }
    case "pty": {
      const stream = await openPty();
      return { stream, announcement: `pty ${stream.name}` };
    }
    case "tty": {
      const stream = openTerminal(target.path);
      return stream === undefined ? undefined : { stream };
    }
    case "file": return { stream: appendStream(target.path) };
    case "unix": return { stream: await listenUnix(target.path) };
    case "tcp": {
      const stream = await listenTcp(target.address, target.port);
      const taken = targetText({ ...target, port: stream.port });
      return { stream, ...(target.port === 0 ? { announcement: taken } : {}) };
    }
  }
}

/**
 * Host to guest. While the ring is full the host's stream is paused, so nothing piles up; but a
 * person's keys are always read, or the escape keys would not reach us when the guest hangs.
 */
function moveInput(
  stream: HostStream, ring: SharedByteRing, filter: EscapeFilter | undefined, onQuit: () => void,
): void {
  let turn = Promise.resolve();
  let waitingBytes = 0;
  const push = async (bytes: Uint8Array): Promise<void> => {
    for (let done = 0; done < bytes.length;) {
      const seen = ring.spaceWake.count();
      const count = ring.write(bytes.subarray(done));
      done += count;
      if (count === 0) {
        await ring.spaceWake.changed(seen);
      }
    }
    waitingBytes -= bytes.length;
    if (waitingBytes === 0 && filter === undefined) {
      stream.resume();
    }
  };
  stream.onData((typed) => {
    const { bytes, quit } = filter?.feed(typed) ?? { bytes: typed, quit: false };
    if (filter === undefined || waitingBytes < typedBytesMax) {
      waitingBytes += bytes.length;
      turn = turn.then(() => push(bytes));
    }
    if (filter === undefined) {
      stream.pause();
    }
    if (quit) {
      onQuit();
    }
  });
}

/** Guest to host, in order, until the ring is closed and empty. */
export async function drainRing(
  ring: SharedByteRing, take: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const chunk = new Uint8Array(chunkBytes);
  for (;;) {
    const seen = ring.dataWake.count();
    const closed = ring.closed; // Looked at first: what came before the closing is still read.
    const count = ring.read(chunk);
    if (count > 0) {
      await take(chunk.subarray(0, count));
      if (count < chunkBytes && !closed) {
        await delay(gatherMs);
      }
    } else if (closed) {
      return;
    } else {
      await ring.dataWake.changed(seen);
    }
  }
}
