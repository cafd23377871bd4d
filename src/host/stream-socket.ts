/** One connection to a server, read in pieces of known length: for binary protocols. */
import { connect, createServer, type Socket } from "node:net";
import { HostError } from "../base/errors.ts";

export type StreamAddress = { readonly host: string; readonly port: number }
  | { readonly path: string };

export function addressText(address: StreamAddress): string {
  return "path" in address ? address.path : `${address.host} port ${address.port}`;
}

interface Reader {
  readonly into: Uint8Array;
  done: number;
  resolve(): void;
  reject(error: HostError): void;
}

export class StreamSocket {
  readonly #socket: Socket;
  readonly #name: string;
  /** Bytes that came before somebody asked for them. */
  #chunks: Uint8Array[] = [];
  #waiting: Reader | undefined;
  #ended: HostError | undefined;
  #onEnd: (error: HostError) => void = () => {};

  constructor(socket: Socket, name: string) {
    this.#socket = socket;
    this.#name = name;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Uint8Array) => {
      this.#chunks.push(chunk);
      this.#serve();
    });
    socket.on("error", (error) => this.#end(error));
    socket.on("close", () => this.#end("the connection has ended"));
  }

  /** Fills `into`; rejects with HostError when the connection ends first. One caller at a time. */
  read(into: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting = { into, done: 0, resolve, reject };
      this.#serve();
    });
  }

  /** Resolves once the host has taken the bytes, or the connection is gone. */
  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      if (this.#ended !== undefined || this.#socket.write(bytes)) {
        resolve();
      } else {
        this.#socket.once("drain", resolve);
        this.#socket.once("close", () => resolve());
      }
    });
  }

  onEnd(listener: (error: HostError) => void): void {
    this.#onEnd = listener;
  }

  /** What was written goes out first. */
  finish(): void {
    this.#socket.destroySoon();
  }

  close(): void {
    this.#socket.destroy();
  }

  #serve(): void {
    const reader = this.#waiting;
    if (reader === undefined) {
      // Nobody reads: the far end shall not fill our memory.
      this.#socket.pause();
      return;
    }
    for (let chunk = this.#chunks[0]; chunk !== undefined && reader.done < reader.into.length;
      chunk = this.#chunks[0]) {
      const count = Math.min(chunk.length, reader.into.length - reader.done);
      reader.into.set(chunk.subarray(0, count), reader.done);
      reader.done += count;
      if (count === chunk.length) {
        this.#chunks.shift();
      } else {
        this.#chunks[0] = chunk.subarray(count);
      }
    }
    if (reader.done === reader.into.length) {
      this.#waiting = undefined;
      reader.resolve();
    } else if (this.#ended !== undefined) {
      this.#waiting = undefined;
      reader.reject(this.#ended);
    } else {
      this.#socket.resume();
    }
  }

  #end(cause: unknown): void {
    if (this.#ended === undefined) {
      this.#ended = new HostError(this.#name, cause);
      this.#serve();
      this.#onEnd(this.#ended);
    }
  }
}

/** Throws HostError when nobody answers within `patienceMs`. */
export function connectStream(address: StreamAddress, patienceMs: number): Promise<StreamSocket> {
  const name = addressText(address);
  return new Promise((resolve, reject) => {
    const socket = connect(address);
    const timer = setTimeout(() => socket.destroy(new Error("no answer")), patienceMs);
    socket.once("error", (error) => {
      clearTimeout(timer);
      reject(new HostError(`cannot connect to ${name}`, error));
    });
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.removeAllListeners("error");
      resolve(new StreamSocket(socket, name));
    });
  });
}

export interface StreamServer {
  /** The port that was taken; 0 for a UNIX socket. */
  readonly port: number;
  close(): void;
}

/** Serves every client that comes; throws HostError when the address is not to be had. */
export function serveStreams(
  address: StreamAddress, accept: (client: StreamSocket) => void,
): Promise<StreamServer> {
  return new Promise((resolve, reject) => {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      accept(new StreamSocket(socket, `a client of ${addressText(address)}`));
    });
    server.once("error", (error) =>
      reject(new HostError(`cannot listen on ${addressText(address)}`, error)));
    server.listen(address, () => {
      const bound = server.address();
      resolve({
        port: bound !== null && typeof bound === "object" ? bound.port : 0,
        close: () => {
          server.close();
          for (const socket of sockets) {
            socket.destroy();
          }
        },
      });
    });
  });
}
