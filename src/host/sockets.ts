/** Listening sockets for one client at a time: a serial line has one other end. */
import { lstatSync, unlinkSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { AddressInfo, ListenOptions, Socket } from "node:net";
import { HostError } from "../base/errors.ts";
import { atProcessEnd } from "./endings.ts";
import { hostStream } from "./streams.ts";
import type { HostStream } from "./streams.ts";

export interface Listener extends HostStream {
  /** The port that was taken; 0 for a UNIX socket. */
  readonly port: number;
}

/** Listens on a UNIX stream socket; a socket file that nobody serves any more is replaced. */
export async function listenUnix(path: string): Promise<Listener> {
  await removeStaleSocket(path);
  const listener = await listen({ path });
  const forget = atProcessEnd(() => unlinkIfThere(path));
  return {
    ...listener,
    close: () => {
      listener.close();
      forget();
    },
  };
}

export function listenTcp(address: string, port: number): Promise<Listener> {
  return listen({ host: address, port });
}

function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // The server's own close, or somebody else, was first.
  }
}

/** Removes a socket file that nobody serves any more. */
export async function removeStaleSocket(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) {
    return;
  }
  if (!stat.isSocket()) {
    throw new HostError(`cannot listen on ${path}`, "a file that is no socket has this name");
  }
  const served = await new Promise<boolean>((resolve) => {
    const probe = connect({ path }, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on("error", () => resolve(false));
  });
  if (served) {
    throw new HostError(`cannot listen on ${path}`, "another process serves this socket");
  }
  unlinkSync(path);
}

/** The stream is the client of the moment: without one, output goes nowhere. */
class ClientStream implements HostStream {
  #socket: Socket | undefined;
  #client: HostStream | undefined;
  #take: (bytes: Uint8Array) => void = () => {};
  #paused = false;

  /** A second client is turned away while the first is there. */
  accept(socket: Socket): void {
    if (this.#socket !== undefined) {
      socket.destroy();
      return;
    }
    this.#socket = socket;
    this.#client = hostStream(socket, socket, () => socket.destroy());
    this.#client.onData((bytes) => this.#take(bytes));
    if (this.#paused) {
      this.#client.pause();
    }
    socket.once("close", () => {
      this.#socket = undefined;
      this.#client = undefined;
    });
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#client?.write(bytes);
  }

  onData(take: (bytes: Uint8Array) => void): void {
    this.#take = take;
  }

  pause(): void {
    this.#paused = true;
    this.#client?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#client?.resume();
  }

  onEnd(): void {} // Clients come and go; the line stays.

  /** What was written goes out before the connection ends. */
  close(): void {
    this.#socket?.destroySoon();
  }
}

function listen(options: ListenOptions): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const client = new ClientStream();
    const server = createServer((socket) => client.accept(socket));
    const place = options.path ?? `${options.host ?? ""} port ${options.port ?? 0}`;
    server.once("error", (error) => reject(new HostError(`cannot listen on ${place}`, error)));
    server.listen(options, () => {
      const bound: AddressInfo | string | null = server.address();
      resolve({
        port: bound !== null && typeof bound === "object" ? bound.port : 0,
        write: (bytes) => client.write(bytes),
        onData: (take) => client.onData(take),
        pause: () => client.pause(),
        resume: () => client.resume(),
        onEnd: () => client.onEnd(),
        close: () => {
          server.close();
          client.close();
        },
      });
    });
  });
}
