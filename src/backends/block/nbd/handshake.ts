/** How a client comes to an export (NBD protocol, fixed newstyle negotiation, NBD_OPT_GO). */
import { HostError } from "../../../base/errors.ts";
import type { StreamSocket } from "../../../host/stream-socket.ts";
import {
  exportFlag, handshakeFlag, information, nbdMagic, option, optionError, optionMagic,
  optionReply, Packer, replyMagic,
} from "./protocol.ts";

export interface NbdExport {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly canFlush: boolean;
  readonly canTrim: boolean;
  readonly canWriteZeroes: boolean;
  readonly blockBytes: number;
}

const informationBytesMax = 4096;
const repliesMax = 64;
const nameEndsAt = 2 ** 53;

/** Throws HostError for a server that is none, or has no such export. */
export async function enterExport(
  socket: StreamSocket, name: string, server: string,
): Promise<NbdExport> {
  const wrong = (why: string) => new HostError(`cannot use ${server} as NBD server`, why);
  const greeting = await read(socket, 18);
  if (greeting.getUint32(0) !== nbdMagic.high || greeting.getUint32(4) !== nbdMagic.low
    || greeting.getUint32(8) !== optionMagic.high) {
    throw wrong("it does not speak newstyle NBD");
  }
  const flags = greeting.getUint16(16);
  if ((flags & handshakeFlag.fixedNewstyle) === 0) {
    throw wrong("it does not speak fixed newstyle NBD");
  }
  const nameBytes = new TextEncoder().encode(name);
  await socket.write(new Packer().u32(flags & 3)
    .u32(optionMagic.high).u32(optionMagic.low).u32(option.go)
    .u32(4 + nameBytes.length + 2 + 2).u32(nameBytes.length).bytes(nameBytes)
    .u16(1).u16(information.blockSize).done());
  return await readAnswer(socket, wrong);
}

async function readAnswer(
  socket: StreamSocket, wrong: (why: string) => HostError,
): Promise<NbdExport> {
  let found: NbdExport | undefined;
  let blockBytes = 1;
  for (let count = 0; count < repliesMax; count += 1) {
    const head = await read(socket, 20);
    const type = head.getUint32(12);
    const length = head.getUint32(16);
    if (head.getUint32(0) !== replyMagic.high || length > informationBytesMax) {
      throw wrong("its answers make no sense");
    }
    const body = await read(socket, length);
    if (type === optionReply.ack) {
      if (found === undefined) {
        throw wrong("it did not describe the export");
      }
      return { ...found, blockBytes };
    }
    if (type === optionReply.info && length >= 2) {
      const kind = body.getUint16(0);
      if (kind === information.export && length >= 12) {
        found = describe(body);
      } else if (kind === information.blockSize && length >= 14) {
        blockBytes = body.getUint32(2);
      }
    } else if (type !== optionReply.info) {
      throw wrong(type === optionError.unknown ? "it has no export of this name"
        : `it refuses (0x${type.toString(16)}) ${new TextDecoder().decode(body)}`.trimEnd());
    }
  }
  throw wrong("its answers do not end");
}

function describe(body: DataView): NbdExport {
  const flags = body.getUint16(10);
  const sizeBytes = Math.min(nameEndsAt, body.getUint32(2) * 2 ** 32 + body.getUint32(6));
  return {
    sizeBytes, readOnly: (flags & exportFlag.readOnly) !== 0,
    canFlush: (flags & exportFlag.sendFlush) !== 0, canTrim: (flags & exportFlag.sendTrim) !== 0,
    canWriteZeroes: (flags & exportFlag.sendWriteZeroes) !== 0, blockBytes: 1,
  };
}

async function read(socket: StreamSocket, length: number): Promise<DataView> {
  const bytes = new Uint8Array(length);
  if (length > 0) {
    await socket.read(bytes);
  }
  return new DataView(bytes.buffer);
}
