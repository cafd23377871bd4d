/** A client of 9P2000.L for tests: each call is one message to the server and its answer. */
import { MessageReader, MessageWriter, messageType as type,
} from "../../../src/backends/share/messages.ts";
import type { FolderShare } from "../../../src/fabric/device.ts";

/** A reply that is an error, with its number. */
export class Refused extends Error {
  readonly errno: number;

  constructor(errno: number) {
    super(`refused: ${errno}`);
    this.errno = errno;
  }
}

export class ShareClient {
  readonly #share: FolderShare;
  readonly #buffer = new Uint8Array(128 * 1024);
  #nextFid = 1;

  constructor(share: FolderShare) {
    this.#share = share;
    this.call(type.tversion, (to) => to.u32(64 * 1024).text("9P2000.L"));
    this.call(type.tattach, (to) => to.u32(0).u32(0xffff_ffff).text("user").text("").u32(0));
  }

  call(kind: number, put: (to: MessageWriter) => void): MessageReader {
    const to = new MessageWriter(this.#buffer);
    put(to);
    const reply = this.#share.serve(to.finish(kind, 7).slice(), 64 * 1024);
    const from = new MessageReader(reply.slice());
    if (reply[4] === type.rlerror) {
      throw new Refused(from.u32());
    }
    return from;
  }

  /** A new fid for names below the root. */
  walk(...names: readonly string[]): number {
    return this.walkFrom(0, ...names);
  }

  walkFrom(fid: number, ...names: readonly string[]): number {
    const made = this.#nextFid;
    this.#nextFid += 1;
    const found = this.call(type.twalk, (to) => {
      to.u32(fid).u32(made).u16(names.length);
      names.forEach((name) => to.text(name));
    }).u16();
    if (found < names.length) {
      throw new Refused(2);
    }
    return made;
  }

  clunk(fid: number): void {
    this.call(type.tclunk, (to) => to.u32(fid));
  }

  open(fid: number, flags = 0): void {
    this.call(type.tlopen, (to) => to.u32(fid).u32(flags));
  }

  read(fid: number, offset = 0, count = 4096): Uint8Array {
    const from = this.call(type.tread, (to) => to.u32(fid).u64(offset).u32(count));
    return from.bytes(from.u32());
  }

  write(fid: number, offset: number, bytes: Uint8Array): number {
    return this.call(type.twrite,
      (to) => to.u32(fid).u64(offset).u32(bytes.length).bytes(bytes)).u32();
  }

  /** The whole file at a path. */
  content(...names: readonly string[]): string {
    const fid = this.walk(...names);
    try {
      this.open(fid);
      return new TextDecoder().decode(this.read(fid));
    } finally {
      this.clunk(fid);
    }
  }

  create(folder: number, name: string, flags = 2, mode = 0o644): void {
    this.call(type.tlcreate, (to) => to.u32(folder).text(name).u32(flags).u32(mode).u32(0));
  }

  list(...names: readonly string[]): string[] {
    const fid = this.walk(...names);
    this.open(fid);
    const found: string[] = [];
    for (let offset = 0;;) {
      const from = this.call(type.treaddir, (to) => to.u32(fid).u64(offset).u32(200));
      const end = from.u32();
      if (end === 0) {
        break;
      }
      for (let taken = 0; taken < end;) {
        from.bytes(13);
        offset = from.u64();
        from.u8();
        const name = from.text();
        found.push(name);
        taken += 13 + 8 + 1 + 2 + Buffer.byteLength(name);
      }
    }
    this.clunk(fid);
    return found.sort();
  }
}
