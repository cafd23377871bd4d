/** Serves an image to NBD clients (NBD protocol, fixed newstyle, simple replies). */
import { HostError } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { systemErrorCode } from "../../../host/files.ts";
import type { StreamSocket } from "../../../host/stream-socket.ts";
import type { BlockImage } from "../image.ts";
import {
  command, errorNumbers, exportFlag, handshakeFlag, information, nbdMagic, option, optionError,
  optionMagic, optionReply, Packer, replyMagic, requestBytes, requestMagic, simpleReplyMagic,
} from "./protocol.ts";

const optionBytesMax = 64 * 1024;
const requestBytesMax = 32 * 1024 * 1024;
const nothing = new Uint8Array(0);
const noZeroesPad = 124;
const preferredBytes = 4096;

/** Serves one client to its end; never throws. */
export async function serveNbdClient(
  image: BlockImage, client: StreamSocket, log: Log,
): Promise<void> {
  try {
    if (await negotiate(image, client)) {
      await new Session(image, client).run();
    }
  } catch (error) {
    if (!(error instanceof HostError)) {
      log.error(error instanceof Error ? error.stack ?? error.message : String(error));
    }
  } finally {
    client.finish();
  }
}

function flagsOf(image: BlockImage): number {
  return exportFlag.hasFlags | exportFlag.sendFlush | exportFlag.canMultiConnect
    | (image.readOnly ? exportFlag.readOnly : 0)
    | (image.discard !== undefined && !image.readOnly ? exportFlag.sendTrim : 0)
    | (image.writeZeroes !== undefined && !image.readOnly ? exportFlag.sendWriteZeroes : 0);
}

async function read(client: StreamSocket, length: number): Promise<DataView> {
  const bytes = new Uint8Array(length);
  if (length > 0) {
    await client.read(bytes);
  }
  return new DataView(bytes.buffer);
}

/** True when the client has entered the export. */
async function negotiate(image: BlockImage, client: StreamSocket): Promise<boolean> {
  const ours = handshakeFlag.fixedNewstyle | handshakeFlag.noZeroes;
  await client.write(new Packer().u32(nbdMagic.high).u32(nbdMagic.low)
    .u32(optionMagic.high).u32(optionMagic.low).u16(ours).done());
  const theirs = (await read(client, 4)).getUint32(0);
  for (;;) {
    const head = await read(client, 16);
    const type = head.getUint32(8);
    const length = head.getUint32(12);
    if (head.getUint32(0) !== optionMagic.high || length > optionBytesMax) {
      return false;
    }
    const body = await read(client, length);
    const answer = (reply: number, content: Uint8Array = nothing) => client.write(new Packer()
      .u32(replyMagic.high).u32(replyMagic.low).u32(type).u32(reply).u32(content.length)
      .bytes(content).done());
    switch (type) {
      case option.exportName: {
        const zeroes = (theirs & handshakeFlag.noZeroes) !== 0 ? 0 : noZeroesPad;
        await client.write(new Packer().u64(image.sizeBytes).u16(flagsOf(image))
          .bytes(new Uint8Array(zeroes)).done());
        return true;
      }
      case option.abort:
        await answer(optionReply.ack);
        return false;
      case option.list:
        await answer(optionReply.server, new Packer().u32(0).done());
        await answer(optionReply.ack);
        break;
      case option.info: case option.go:
        await describe(image, body, answer);
        await answer(optionReply.ack);
        if (type === option.go) {
          return true;
        }
        break;
      default: await answer(optionError.unsupported);
    }
  }
}

/** The one export there is has any name. */
async function describe(
  image: BlockImage, _asked: DataView,
  answer: (reply: number, content: Uint8Array) => Promise<void>,
): Promise<void> {
  await answer(optionReply.info,
    new Packer().u16(information.export).u64(image.sizeBytes).u16(flagsOf(image)).done());
  await answer(optionReply.info, new Packer().u16(information.blockSize)
    .u32(image.sectorBytes ?? 512).u32(preferredBytes).u32(requestBytesMax).done());
}

class Session {
  readonly #image: BlockImage;
  readonly #client: StreamSocket;
  readonly #running = new Set<Promise<void>>();

  constructor(image: BlockImage, client: StreamSocket) {
    this.#image = image;
    this.#client = client;
  }

  /** Until the client leaves. Requests run side by side, and are answered as they are done. */
  async run(): Promise<void> {
    for (;;) {
      const head = await read(this.#client, requestBytes);
      const type = head.getUint16(6);
      if (head.getUint32(0) !== requestMagic || type === command.disconnect) {
        break;
      }
      const length = head.getUint32(24);
      const carries = type === command.write || type === command.read;
      if (carries && length > requestBytesMax) {
        break; // Nothing sensible follows a write that we do not read.
      }
      const data = new Uint8Array(carries ? length : 0);
      if (type === command.write) {
        await this.#client.read(data);
      }
      const running: Promise<void> = this.#serve(head, type, data)
        .finally(() => this.#running.delete(running));
      this.#running.add(running);
      if (this.#running.size >= 64) {
        await Promise.race(this.#running);
      }
    }
    await Promise.all(this.#running);
    await this.#image.flush?.();
  }

  async #serve(head: DataView, type: number, data: Uint8Array): Promise<void> {
    const offset = head.getUint32(16) * 2 ** 32 + head.getUint32(20);
    const length = head.getUint32(24);
    let error = 0;
    try {
      error = await this.#run(type, offset, length, data);
    } catch (failure) {
      if (!(failure instanceof HostError)) {
        throw failure;
      }
      error = errorNumbers[systemErrorCode(failure)] ?? errorNumbers["EIO"] ?? 0;
    }
    const reply = new Packer().u32(simpleReplyMagic).u32(error)
      .u32(head.getUint32(8)).u32(head.getUint32(12));
    if (type === command.read && error === 0) {
      reply.bytes(data);
    }
    await this.#client.write(reply.done());
  }

  async #run(type: number, offset: number, length: number, data: Uint8Array): Promise<number> {
    const image = this.#image;
    const unit = image.sectorBytes ?? 512;
    if (type === command.flush) {
      await image.flush?.();
      return 0;
    }
    if (offset + length > image.sizeBytes || offset % unit !== 0 || length % unit !== 0) {
      return errorNumbers["EINVAL"] ?? 0;
    }
    if (type === command.read) {
      await image.read(offset, data);
      return 0;
    }
    if (image.readOnly) {
      return errorNumbers["EPERM"] ?? 0;
    }
    switch (type) {
      case command.write: await image.write?.(offset, data); return 0;
      case command.trim: await image.discard?.(offset, length); return 0;
      case command.writeZeroes:
        await image.writeZeroes?.(offset, length);
        return 0;
      default: return errorNumbers["EINVAL"] ?? 0;
    }
  }
}
