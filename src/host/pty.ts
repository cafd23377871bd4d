/** A new pseudo terminal (POSIX posix_openpt, ptsname). Node cannot make one; koffi can. */
import { constants, openSync, writeSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { ReadStream } from "node:tty";
import { HostError } from "../base/errors.ts";
import { hostStream } from "./streams.ts";
import type { HostStream } from "./streams.ts";

/** The package is optional, and so is what needs it. */
export class PtyUnavailable extends Error {
  override readonly name = "PtyUnavailable";
}

export const koffiInstallCommand = "npm install --no-save koffi@3.3.4";

export interface Pty extends HostStream {
  /** What another program opens: `/dev/pts/7`. */
  readonly name: string;
}

const libraries = process.platform === "linux" ? "libc.so.6" : "libc.so.7";

/** How long a reader may take nothing before it counts as absent and output is dropped. */
const patienceMs = 1000;
const retryMs = 20;

async function openPair(): Promise<{ master: number; name: string }> {
  let koffi: typeof import("koffi").default;
  try {
    koffi = (await import("koffi")).default;
  } catch {
    throw new PtyUnavailable("a pty needs the optional package koffi");
  }
  const libc = koffi.load(libraries);
  const checked = (what: string, result: number | string | null): number => {
    if (typeof result !== "number" || result < 0) {
      throw new HostError(`cannot make a pty: ${what}`, `errno ${koffi.errno()}`);
    }
    return result;
  };
  const master = checked("posix_openpt",
    libc.func("int posix_openpt(int flags)")(constants.O_RDWR | constants.O_NOCTTY));
  checked("grantpt", libc.func("int grantpt(int fd)")(master));
  checked("unlockpt", libc.func("int unlockpt(int fd)")(master));
  const name = libc.func("const char *ptsname(int fd)")(master);
  if (typeof name !== "string") {
    throw new HostError("cannot make a pty: ptsname", `errno ${koffi.errno()}`);
  }
  return { master, name };
}

/** Makes a pty in raw mode; throws PtyUnavailable without koffi, HostError when refused. */
export async function openPty(): Promise<Pty> {
  const { master, name } = await openPair();
  // Our own opening of the far side keeps the line up between two users of it.
  const farSide = new ReadStream(openSync(name, constants.O_RDWR | constants.O_NOCTTY));
  farSide.setRawMode(true);
  const input = new ReadStream(master); // Sets the descriptor non-blocking, too.
  const stream = hostStream(input, undefined, () => {
    farSide.destroy();
    input.destroy();
  });
  let absent = false;
  const write = async (bytes: Uint8Array): Promise<void> => {
    let done = 0;
    for (let waitedMs = 0; done < bytes.length && !input.destroyed;) {
      const count = writeSome(master, bytes.subarray(done));
      done += count;
      if (count > 0) {
        absent = false;
        waitedMs = 0;
      } else if (absent || waitedMs >= patienceMs) {
        absent = true;
        return;
      } else {
        await delay(retryMs);
        waitedMs += retryMs;
      }
    }
  };
  return { ...stream, name, write };
}

function writeSome(fd: number, bytes: Uint8Array): number {
  try {
    return writeSync(fd, bytes);
  } catch {
    return 0; // Full (EAGAIN), or gone, which comes to the same.
  }
}
