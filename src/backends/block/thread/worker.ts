/** A disk's own thread: opens the image and serves its mailbox, many requests at a time. */
import { workerData } from "node:worker_threads";
import { AssertionFailure } from "../../../base/assert.ts";
import { ConfigError, HostError } from "../../../base/errors.ts";
import { createLog } from "../../../base/log.ts";
import { blockOperation } from "../../../fabric/block-queue.ts";
import { isPromise, sectorBytesDefault, type BlockImage, type Eventually } from "../image.ts";
import { openImage } from "../open.ts";
import { Mailbox, mailboxOperation, slotBytes, threadState } from "./mailbox.ts";
import type { FromThread, ThreadStart } from "./messages.ts";

const sizeCheckMs = 1000;

const start: ThreadStart = workerData;
const mailbox = new Mailbox(start.mailbox);
const tell = (message: FromThread) => start.port.postMessage(message);
const log = createLog((level, message) => {
  tell({ kind: "log", level, message });
  mailbox.toMachine.signal();
});

class Server {
  readonly #image: BlockImage;
  readonly #running = new Set<Promise<void>>();

  constructor(image: BlockImage) {
    this.#image = image;
  }

  /** Serves until it is told to close. */
  async run(): Promise<void> {
    for (;;) {
      const seen = mailbox.toThread.count();
      for (let slot = mailbox.takeSubmitted(); slot >= 0; slot = mailbox.takeSubmitted()) {
        const operation = mailbox.operation[slot];
        if (operation === mailboxOperation.close) {
          await this.#settled();
          return;
        }
        if (operation === mailboxOperation.barrier) {
          await this.#settled();
          mailbox.complete(slot);
        } else {
          this.#serve(slot);
        }
      }
      await mailbox.toThread.changed(seen);
    }
  }

  async #settled(): Promise<void> {
    await Promise.all(this.#running);
  }

  /** Only what answers with a promise costs one. */
  #serve(slot: number): void {
    try {
      const result = this.#call(slot);
      if (!isPromise(result)) {
        mailbox.complete(slot);
        return;
      }
      const running: Promise<void> = result.then(
        () => mailbox.complete(slot), (error: unknown) => fail(slot, error),
      ).finally(() => this.#running.delete(running));
      this.#running.add(running);
    } catch (error) {
      fail(slot, error);
    }
  }

  #call(slot: number): Eventually {
    const offset = mailbox.offset[slot] ?? 0;
    const length = mailbox.length[slot] ?? 0;
    const at = slot * slotBytes;
    const image = this.#image;
    switch (mailbox.operation[slot]) {
      case blockOperation.read: return image.read(offset, mailbox.data.subarray(at, at + length));
      case blockOperation.write:
        return image.write?.(offset, mailbox.data.subarray(at, at + length));
      case blockOperation.flush: return image.flush?.();
      case blockOperation.discard: return image.discard?.(offset, length);
      case blockOperation.writeZeroes: return image.writeZeroes?.(offset, length);
      default: throw new Error("the machine asks for what no disk does");
    }
  }
}

/** Images of users may throw anything: it is an I/O error all the same, unlike our own faults. */
function fail(slot: number, error: unknown): void {
  if (error instanceof AssertionFailure) {
    die(error);
    return;
  }
  const cause = error instanceof HostError ? error.cause : error;
  const text = cause instanceof Error ? cause.message : String(cause);
  const what = error instanceof HostError ? error.message.slice(0, -text.length - 2)
    : start.spec.path;
  tell({ kind: "failure", slot, what, cause: text });
  mailbox.failed[slot] = 1;
  mailbox.complete(slot);
}

function die(error: unknown): void {
  tell({ kind: "died", report: error instanceof Error ? error.stack ?? error.message
    : String(error) });
  mailbox.setState(threadState.dead);
}

function describe(image: BlockImage): FromThread {
  const sectorBytes = image.sectorBytes ?? sectorBytesDefault;
  return {
    kind: "ready", sizeBytes: image.sizeBytes, readOnly: image.readOnly, sectorBytes,
    physicalSectorBytes: Math.max(sectorBytes, image.physicalSectorBytes ?? 0),
    canDiscard: image.discard !== undefined && !image.readOnly,
    canZero: image.writeZeroes !== undefined && !image.readOnly,
  };
}

async function main(): Promise<void> {
  let image: BlockImage;
  try {
    image = await openImage(start.spec, log);
  } catch (error) {
    if (!(error instanceof ConfigError)) {
      throw error;
    }
    tell({ kind: "refused", problems: error.problems });
    mailbox.setState(threadState.refused);
    return;
  }
  tell(describe(image));
  mailbox.setState(threadState.ready);
  const timer = setInterval(() => {
    if (image.refreshSize?.() === true) {
      mailbox.resize(image.sizeBytes);
    }
  }, sizeCheckMs);
  await new Server(image).run();
  clearInterval(timer);
  await image.close?.();
  mailbox.setState(threadState.closed);
}

try {
  await main();
} catch (error) {
  die(error);
}
start.port.close();
