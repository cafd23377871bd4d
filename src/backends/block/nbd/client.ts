/**
 * A disk on an NBD server. Requests that the server has not answered when a connection ends are
 * sent again over the next one; so are writes since the last flush, because a server that died
 * may have lost them. No request is lost, and none is answered before the server has.
 */
import { setTimeout as delay } from "node:timers/promises";
import { ConfigError, HostError } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { addressText, connectStream, type StreamSocket } from "../../../host/stream-socket.ts";
import type { BlockImage } from "../image.ts";
import { parseNbdAddress, type NbdAddress } from "./address.ts";
import { enterExport, type NbdExport } from "./handshake.ts";
import { command, errorText, requestBytes, requestMagic, simpleReplyBytes, simpleReplyMagic,
} from "./protocol.ts";
import { UnflushedWrites } from "./unflushed.ts";

const connectPatienceMs = 10_000;
const retryFirstMs = 50;
const retryMaxMs = 2000;
/** NBD's length field is wider, but servers need not take more than this. */
const requestBytesMax = 32 * 1024 * 1024;
/** Trims and zeros carry no data; 1 GiB is what servers take at least in practice. */
const rangeBytesMax = 1024 * 1024 * 1024;

export interface NbdRequest {
  readonly type: number;
  readonly offset: number;
  readonly length: number;
  /** Data of a write, or room for what is read. */
  readonly data: Uint8Array | undefined;
  resolve(): void;
  reject(error: HostError): void;
}

export interface NbdOptions {
  readonly key: string;
  readonly path: string;
  readonly readOnly: boolean;
}

/** Connects; throws ConfigError when the server is not there, or has no such export. */
export async function openNbd(options: NbdOptions, log: Log): Promise<NbdImage> {
  const address = parseNbdAddress(options.key, options.path);
  try {
    const socket = await connectStream(address.at, connectPatienceMs);
    const found = await enterExport(socket, address.name, addressText(address.at));
    return new NbdImage(address, found, socket, options.readOnly, log);
  } catch (error) {
    if (error instanceof HostError) {
      throw new ConfigError({
        key: `${options.key}.path`, value: options.path, message: error.message,
      });
    }
    throw error;
  }
}

export class NbdImage implements BlockImage {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly sectorBytes: number;
  readonly discard?: (offset: number, length: number) => Promise<void>;
  readonly writeZeroes?: (offset: number, length: number) => Promise<void>;
  readonly #address: NbdAddress;
  readonly #name: string;
  readonly #export: NbdExport;
  readonly #log: Log;
  readonly #unflushed = new UnflushedWrites();
  /** Sent and not answered, or to be sent, by handle, in order. */
  readonly #pending = new Map<number, NbdRequest>();
  readonly #header = new DataView(new ArrayBuffer(requestBytes));
  #socket: StreamSocket | undefined;
  #nextHandle = 1;
  #closed = false;

  constructor(
    address: NbdAddress, found: NbdExport, socket: StreamSocket, readOnly: boolean, log: Log,
  ) {
    this.#address = address;
    this.#name = addressText(address.at);
    this.#export = found;
    this.#log = log;
    this.sectorBytes = Math.max(512, found.blockBytes);
    this.sizeBytes = found.sizeBytes - found.sizeBytes % this.sectorBytes;
    this.readOnly = readOnly || found.readOnly;
    if (found.canTrim) {
      this.discard = (offset, length) => this.#askRange(command.trim, offset, length);
    }
    if (found.canWriteZeroes) {
      this.writeZeroes = (offset, length) => this.#askRange(command.writeZeroes, offset, length);
    }
    this.#use(socket);
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    for (let at = 0; at < into.length; at += requestBytesMax) {
      const part = into.subarray(at, at + requestBytesMax);
      await this.#ask(command.read, offset + at, part.length, part);
    }
  }

  async write(offset: number, from: Uint8Array): Promise<void> {
    for (let at = 0; at < from.length; at += requestBytesMax) {
      const part = from.subarray(at, at + requestBytesMax);
      await this.#ask(command.write, offset + at, part.length, part);
    }
  }

  /** What was answered before the flush was sent is stable once it is answered. */
  async flush(): Promise<void> {
    if (this.#export.canFlush) {
      const mark = this.#unflushed.mark();
      await this.#ask(command.flush, 0, 0, undefined);
      this.#unflushed.forget(mark);
    }
  }

  close(): void {
    this.#closed = true;
    if (this.#socket !== undefined) {
      void this.#socket.write(this.#headerOf(command.disconnect, 0, 0, 0));
      this.#socket.finish();
    }
    for (const request of this.#pending.values()) {
      request.reject(new HostError(this.#name, "the disk was closed"));
    }
  }

  async #askRange(type: number, offset: number, length: number): Promise<void> {
    for (let at = 0; at < length; at += rangeBytesMax) {
      await this.#ask(type, offset + at, Math.min(rangeBytesMax, length - at), undefined);
    }
  }

  async #ask(
    type: number, offset: number, length: number, data: Uint8Array | undefined,
  ): Promise<void> {
    const handle = this.#nextHandle;
    this.#nextHandle += 1;
    try {
      await new Promise<void>((resolve, reject) => {
        const request = { type, offset, length, data, resolve, reject };
        this.#pending.set(handle, request);
        this.#send(handle, request);
      });
    } finally {
      this.#pending.delete(handle);
    }
    if (this.#export.canFlush && (type === command.write || type === command.writeZeroes)) {
      this.#unflushed.add(offset, length, data);
      if (this.#unflushed.full) {
        await this.flush();
      }
    }
  }

  #send(handle: number, { type, offset, length, data }: NbdRequest): void {
    if (this.#socket !== undefined) {
      void this.#socket.write(this.#headerOf(type, handle, offset, length));
      if (type === command.write && data !== undefined) {
        // A copy: the caller may reuse the memory as soon as the server has answered, and after a
        // reconnection the same bytes may still be on their way out here.
        void this.#socket.write(Uint8Array.from(data));
      }
    }
  }

  #headerOf(type: number, handle: number, offset: number, length: number): Uint8Array {
    const header = this.#header;
    header.setUint32(0, requestMagic);
    header.setUint16(4, 0);
    header.setUint16(6, type);
    header.setUint32(8, Math.floor(handle / 2 ** 32));
    header.setUint32(12, handle % 2 ** 32);
    header.setUint32(16, Math.floor(offset / 2 ** 32));
    header.setUint32(20, offset % 2 ** 32);
    header.setUint32(24, length);
    return new Uint8Array(header.buffer.slice(0));
  }

  /** Everything that the last connection left open goes out over this one. */
  #use(socket: StreamSocket): void {
    this.#socket = socket;
    void this.#listen(socket);
    for (const [handle, request] of this.#pending) {
      this.#send(handle, request);
    }
  }

  /** Takes answers until the connection ends, then sees to the next one. */
  async #listen(socket: StreamSocket): Promise<void> {
    const head = new Uint8Array(simpleReplyBytes);
    const view = new DataView(head.buffer);
    try {
      for (;;) {
        await socket.read(head);
        if (view.getUint32(0) !== simpleReplyMagic) {
          throw new HostError(this.#name, "its answer makes no sense");
        }
        const handle = view.getUint32(8) * 2 ** 32 + view.getUint32(12);
        const request = this.#pending.get(handle);
        if (request === undefined) {
          throw new HostError(this.#name, "it answers what was not asked");
        }
        const error = view.getUint32(4);
        if (error === 0 && request.type === command.read && request.data !== undefined) {
          await socket.read(request.data);
        }
        this.#settle(handle, request, error);
      }
    } catch (error) {
      if (!(error instanceof HostError)) {
        throw error;
      }
      socket.close();
      if (!this.#closed) {
        this.#socket = undefined;
        this.#log.warn(`${error.message}; connecting again`);
        await this.#reconnect();
      }
    }
  }

  #settle(handle: number, request: NbdRequest, error: number): void {
    this.#pending.delete(handle);
    if (error === 0) {
      request.resolve();
    } else {
      const what = Object.entries(command).find(([, type]) => type === request.type)?.[0] ?? "use";
      request.reject(new HostError(`cannot ${what} ${this.#name}`, errorText(error)));
    }
  }

  async #reconnect(): Promise<void> {
    for (let waitMs = retryFirstMs; !this.#closed; waitMs = Math.min(retryMaxMs, waitMs * 2)) {
      try {
        const socket = await connectStream(this.#address.at, connectPatienceMs);
        const found = await enterExport(socket, this.#address.name, this.#name);
        if (found.sizeBytes < this.sizeBytes) {
          throw new HostError(this.#name, "its export has become smaller");
        }
        await this.#replay(socket);
        this.#log.info(`${this.#name}: connected again`);
        this.#use(socket);
        return;
      } catch (error) {
        if (!(error instanceof HostError)) {
          throw error;
        }
        this.#log.debug(error.message);
        await delay(waitMs);
      }
    }
  }

  /** Writes since the last flush once more: the server may be another one by now. */
  async #replay(socket: StreamSocket): Promise<void> {
    const head = new Uint8Array(simpleReplyBytes);
    for (const { offset, length, data } of this.#unflushed.writes()) {
      const type = data === undefined ? command.writeZeroes : command.write;
      await socket.write(this.#headerOf(type, 0, offset, length));
      if (data !== undefined) {
        await socket.write(data);
      }
      await socket.read(head);
      if (new DataView(head.buffer).getUint32(4) !== 0) {
        throw new HostError(this.#name, "it refuses a write that it took before");
      }
    }
  }
}
