/**
 * The server of 9P2000.L for one shared folder: a request comes in whole and its reply goes out
 * whole. Errors are Linux's numbers. Device files, pipes and sockets are shown but never opened.
 */
import type { BigIntStats } from "node:fs";
import { FileRefusal, isPlainName, SharedFile, type OpenedFile } from "../../host/shared-folder.ts";
import type { FolderShare } from "../../fabric/device.ts";
import { errorNumber, Fids, type Fid } from "./fids.ts";
import { headBytes, MalformedMessage, MessageReader, MessageWriter, messageType as type,
} from "./messages.ts";

const version = "9P2000.L";
/** What Linux asks for is 128 KiB and a head. */
const messageBytesMax = 256 * 1024;
const messageBytesMin = 4096;
/** Before the data of a read, and of a write. */
const dataHeadBytes = 24;
const walkNamesMax = 16;
const qidType = { folder: 0x80, link: 2, file: 0 } as const;
/** Linux's open flags, in which O_ACCMODE, O_TRUNC and O_APPEND mean what they do here. */
const openFlags = { access: 3, exclusive: 0o200, truncate: 0o1000, append: 0o2000 } as const;
const removeFolder = 0x200;
const attribute = {
  mode: 1, user: 2, group: 4, size: 8, accessed: 0x10, modified: 0x20, accessedSet: 0x80,
  modifiedSet: 0x100,
} as const;
/** P9_GETATTR_BASIC: all up to the block count. */
const basicAttributes = 0x7ff;
const keepOwner = 0xffff_ffff;
const direntType = { folder: 4, file: 8, link: 10, other: 0 } as const;
const regularMode = 0o100_000;
const modeKind = 0o170_000;
const unlocked = 2;

export interface ShareOptions {
  readonly path: string;
  readonly readOnly: boolean;
}

/** Throws HostError when the folder cannot be shared. */
export function openShare(options: ShareOptions): FolderShare {
  return new ShareServer(options);
}

type Handler = (server: ShareServer, from: MessageReader, to: MessageWriter) => void;

export class ShareServer implements FolderShare {
  readonly #root: SharedFile;
  readonly #readOnly: boolean;
  readonly fids = new Fids();
  readonly #reply = new Uint8Array(messageBytesMax);
  #messageBytes = messageBytesMax;

  constructor({ path, readOnly }: ShareOptions) {
    this.#root = SharedFile.root(path);
    this.#readOnly = readOnly;
  }

  serve(request: Uint8Array, replyBytesMax: number): Uint8Array {
    const head = new DataView(request.buffer, request.byteOffset, request.byteLength);
    if (request.length < headBytes) {
      return new Uint8Array(0); // Not even a tag to answer to.
    }
    const kind = head.getUint8(4);
    const tag = head.getUint16(5, true);
    const room = Math.min(this.#messageBytes, replyBytesMax);
    const to = new MessageWriter(this.#reply.subarray(0, room));
    try {
      const handler = handlers.get(kind);
      if (handler === undefined) {
        throw new FileRefusal(errorNumber.EOPNOTSUPP);
      }
      handler(this, new MessageReader(request), to);
      return to.finish(kind + 1, tag);
    } catch (error) {
      return this.#refuse(error, to, tag);
    }
  }

  reset(): void {
    this.fids.clear();
    this.#messageBytes = messageBytesMax;
  }

  close(): void {
    this.fids.clear();
    this.#root.release();
  }

  start(from: MessageReader, to: MessageWriter): void {
    const wanted = from.u32();
    const spoken = from.text();
    this.fids.clear();
    this.#messageBytes = Math.min(messageBytesMax, Math.max(messageBytesMin, wanted));
    to.u32(this.#messageBytes).text(spoken === version ? version : "unknown");
  }

  attach(from: MessageReader, to: MessageWriter): void {
    const number = from.u32();
    this.fids.set(number, this.#root.retain());
    putQid(to, this.#root.stat());
  }

  /** Refuses on a share for reading. */
  changing(): void {
    if (this.#readOnly) {
      throw new FileRefusal(errorNumber.EROFS);
    }
  }

  /** How much data fits into one message. */
  get unit(): number {
    return this.#messageBytes - dataHeadBytes;
  }

  #refuse(error: unknown, to: MessageWriter, tag: number): Uint8Array {
    const number = error instanceof FileRefusal ? error.errno
      : error instanceof MalformedMessage || error instanceof RangeError ? errorNumber.EINVAL
      : undefined;
    if (number === undefined) {
      throw error;
    }
    if (to.rewind().room < 4) {
      return new Uint8Array(0);
    }
    return to.u32(number).finish(type.rlerror, tag);
  }
}

function putQid(to: MessageWriter, stat: BigIntStats): void {
  const kind = stat.isDirectory() ? qidType.folder : stat.isSymbolicLink() ? qidType.link
    : qidType.file;
  // Files of other file systems below the folder may have the same number.
  to.u8(kind).u32(Number(stat.mtimeMs & 0xffff_ffffn)).u64(stat.ino ^ (stat.dev << 48n));
}

function walk(server: ShareServer, from: MessageReader, to: MessageWriter): void {
  const { file } = server.fids.get(from.u32());
  const target = from.u32();
  const count = from.u16();
  if (count > walkNamesMax) {
    throw new FileRefusal(errorNumber.EINVAL);
  }
  const found: BigIntStats[] = [];
  let at = file.retain();
  try {
    for (let index = 0; index < count; index += 1) {
      const name = from.text();
      const next = name === ".." ? at.parent.retain() : at.child(name);
      at.release();
      at = next;
      found.push(at.stat());
    }
  } catch (error) {
    at.release();
    if (found.length === 0 || !(error instanceof FileRefusal)) {
      throw error;
    }
    putQids(to, found); // The part that is there; no fid is made.
    return;
  }
  server.fids.set(target, at);
  putQids(to, found);
}

function putQids(to: MessageWriter, found: readonly BigIntStats[]): void {
  to.u16(found.length);
  for (const stat of found) {
    putQid(to, stat);
  }
}

function hostFlags(server: ShareServer, flags: number): number {
  if ((flags & (openFlags.access | openFlags.truncate)) !== 0) {
    server.changing();
  }
  return flags & (openFlags.access | openFlags.truncate | openFlags.append);
}

function openFid(server: ShareServer, from: MessageReader, to: MessageWriter): void {
  const fid = server.fids.get(from.u32());
  const flags = hostFlags(server, from.u32());
  if (fid.opened !== undefined) {
    throw new FileRefusal(errorNumber.EINVAL);
  }
  fid.opened = fid.file.open(flags);
  putQid(to, fid.file.stat());
  to.u32(server.unit);
}

function create(server: ShareServer, from: MessageReader, to: MessageWriter): void {
  const number = from.u32();
  const { file: folder } = server.fids.get(number);
  const name = from.text();
  const flags = from.u32();
  const mode = from.u32();
  server.changing();
  const { file, opened } = folder.create(name,
    hostFlags(server, flags) | (flags & openFlags.exclusive), mode);
  server.fids.set(number, file);
  server.fids.get(number).opened = opened;
  putQid(to, file.stat());
  to.u32(server.unit);
}

/** Makes something in a folder and answers with what it is. */
function make(
  server: ShareServer, from: MessageReader, to: MessageWriter,
  how: (folder: SharedFile, name: string) => void,
): void {
  const { file: folder } = server.fids.get(from.u32());
  const name = from.text();
  server.changing();
  how(folder, name);
  const made = folder.child(name);
  try {
    putQid(to, made.stat());
  } finally {
    made.release();
  }
}

function makeNode(server: ShareServer, from: MessageReader, to: MessageWriter): void {
  make(server, from, to, (folder, name) => {
    const mode = from.u32();
    if ((mode & modeKind) !== regularMode) {
      throw new FileRefusal(errorNumber.EPERM);
    }
    const { file, opened } = folder.create(name, openFlags.exclusive | 1, mode);
    opened.close();
    file.release();
  });
}

function getAttributes(server: ShareServer, from: MessageReader, to: MessageWriter): void {
  const stat = server.fids.get(from.u32()).file.stat();
  to.u64(basicAttributes);
  putQid(to, stat);
  to.u32(Number(stat.mode)).u32(Number(stat.uid)).u32(Number(stat.gid))
    .u64(stat.nlink).u64(stat.rdev).u64(stat.size).u64(stat.blksize).u64(stat.blocks);
  for (const time of [stat.atimeNs, stat.mtimeNs, stat.ctimeNs, 0n]) {
    to.u64(time / 1_000_000_000n).u64(time % 1_000_000_000n);
  }
  to.u64(0).u64(0);
}

function setAttributes(server: ShareServer, from: MessageReader): void {
  const { file } = server.fids.get(from.u32());
  const valid = from.u32();
  const [mode, user, group, size] = [from.u32(), from.u32(), from.u32(), from.u64()];
  const time = () => from.u64() + from.u64() / 1e9;
  const [accessed, modified] = [time(), time()];
  server.changing();
  if ((valid & attribute.size) !== 0) {
    file.setSize(size);
  }
  if ((valid & attribute.mode) !== 0) {
    file.setMode(mode);
  }
  if ((valid & (attribute.user | attribute.group)) !== 0) {
    file.setOwner((valid & attribute.user) === 0 ? keepOwner : user,
      (valid & attribute.group) === 0 ? keepOwner : group);
  }
  if ((valid & (attribute.accessed | attribute.modified)) !== 0) {
    const stat = file.stat();
    const now = Date.now() / 1000;
    const chosen = (change: number, set: number, given: number, old: bigint) =>
      (valid & change) === 0 ? Number(old) / 1e9 : (valid & set) === 0 ? now : given;
    file.setTimes(chosen(attribute.accessed, attribute.accessedSet, accessed, stat.atimeNs),
      chosen(attribute.modified, attribute.modifiedSet, modified, stat.mtimeNs));
  }
}

function direntOf(entry: { isDirectory(): boolean; isFile(): boolean; isSymbolicLink(): boolean }) {
  return entry.isDirectory() ? direntType.folder : entry.isFile() ? direntType.file
    : entry.isSymbolicLink() ? direntType.link : direntType.other;
}

function readFolder(server: ShareServer, from: MessageReader, to: MessageWriter): void {
  const fid = server.fids.get(from.u32());
  const offset = from.u64();
  const count = Math.min(from.u32(), server.unit, to.room - 4);
  if (offset === 0 || fid.entries === undefined) {
    fid.entries = entriesOf(fid);
  }
  const length = to.space(4);
  const start = to.length;
  for (let index = offset; index < fid.entries.length; index += 1) {
    const { name, type: kind } = fid.entries[index] ?? { name: "", type: 0 };
    const bytes = 13 + 8 + 1 + 2 + Buffer.byteLength(name);
    if (to.length - start + bytes > count) {
      break;
    }
    const qid = kind === direntType.folder ? qidType.folder : kind === direntType.link
      ? qidType.link : qidType.file;
    to.u8(qid).u32(0).u64(inodeOf(fid, name)).u64(index + 1).u8(kind).text(name);
  }
  new DataView(length.buffer, length.byteOffset).setUint32(0, to.length - start, true);
}

/** Names that are no UTF-8 cannot be told to the guest as they are, and are left out. */
function entriesOf({ file }: Fid) {
  const listed = file.list().filter(({ name }) => isPlainName(name))
    .map((entry) => ({ name: entry.name, type: direntOf(entry) }));
  return [{ name: ".", type: direntType.folder }, { name: "..", type: direntType.folder },
    ...listed];
}

function inodeOf({ file }: Fid, name: string): bigint {
  try {
    return name === "." ? file.stat().ino : name === ".." ? file.parent.stat().ino
      : file.inodeOf(name);
  } catch (error) {
    if (error instanceof FileRefusal) {
      return 0n; // Gone meanwhile.
    }
    throw error;
  }
}

function openedOf(server: ShareServer, from: MessageReader): OpenedFile {
  const { opened } = server.fids.get(from.u32());
  if (opened === undefined) {
    throw new FileRefusal(errorNumber.EBADF);
  }
  return opened;
}

function read(server: ShareServer, from: MessageReader, to: MessageWriter): void {
  const opened = openedOf(server, from);
  const offset = from.u64();
  const wanted = Math.min(from.u32(), server.unit, to.room - 4);
  const length = to.space(4);
  const count = opened.read(offset, to.space(Math.max(0, wanted)));
  to.shorten(Math.max(0, wanted) - count);
  new DataView(length.buffer, length.byteOffset).setUint32(0, count, true);
}

function write(server: ShareServer, from: MessageReader, to: MessageWriter): void {
  const opened = openedOf(server, from);
  const offset = from.u64();
  server.changing();
  to.u32(opened.write(offset, from.bytes(from.u32())));
}

function remove(server: ShareServer, from: MessageReader): void {
  const number = from.u32();
  try {
    const { file } = server.fids.get(number);
    server.changing();
    file.removeSelf();
  } finally {
    server.fids.drop(number); // Whether it worked or not.
  }
}

function statFs(server: ShareServer, from: MessageReader, to: MessageWriter): void {
  const fs = server.fids.get(from.u32()).file.statFs();
  to.u32(fs.type).u32(fs.bsize).u64(fs.blocks).u64(fs.bfree).u64(fs.bavail).u64(fs.files)
    .u64(fs.ffree).u64(0).u32(255);
}

function folders(
  server: ShareServer, from: MessageReader,
): readonly [SharedFile, string, SharedFile, string] {
  const old = server.fids.get(from.u32()).file;
  const oldName = from.text();
  const target = server.fids.get(from.u32()).file;
  return [old, oldName, target, from.text()];
}

const handlers = new Map<number, Handler>([
  [type.tversion, (server, from, to) => server.start(from, to)],
  [type.tattach, (server, from, to) => server.attach(from, to)],
  [type.tflush, () => {}], // Nothing is ever under way.
  [type.twalk, walk],
  [type.tclunk, (server, from) => {
    const number = from.u32();
    server.fids.get(number);
    server.fids.drop(number);
  }],
  [type.tlopen, openFid],
  [type.tlcreate, create],
  [type.tread, read],
  [type.twrite, write],
  [type.treaddir, readFolder],
  [type.tgetattr, getAttributes],
  [type.tsetattr, (server, from) => setAttributes(server, from)],
  [type.tstatfs, statFs],
  [type.tmkdir, (server, from, to) => make(server, from, to,
    (folder, name) => folder.makeFolder(name, from.u32()))],
  [type.tsymlink, (server, from, to) => make(server, from, to,
    (folder, name) => folder.makeLink(name, from.text()))],
  [type.tmknod, makeNode],
  [type.treadlink, (server, from, to) => to.text(server.fids.get(from.u32()).file.readLink())],
  [type.tlink, (server, from) => {
    const folder = server.fids.get(from.u32()).file;
    const { file } = server.fids.get(from.u32());
    server.changing();
    file.linkAs(folder, from.text());
  }],
  [type.trename, (server, from) => {
    const { file } = server.fids.get(from.u32());
    const folder = server.fids.get(from.u32()).file;
    server.changing();
    file.moveSelf(folder, from.text());
  }],
  [type.trenameat, (server, from) => {
    const [old, oldName, target, newName] = folders(server, from);
    server.changing();
    old.rename(oldName, target, newName);
  }],
  [type.tunlinkat, (server, from) => {
    const { file } = server.fids.get(from.u32());
    const name = from.text();
    server.changing();
    file.remove(name, (from.u32() & removeFolder) !== 0);
  }],
  [type.tremove, (server, from) => remove(server, from)],
  [type.tfsync, (server, from) => openedOf(server, from).sync()],
  // One guest has the folder: its own kernel keeps its locks apart.
  [type.tlock, (_server, _from, to) => { to.u8(0); }],
  [type.tgetlock, (_server, from, to) => {
    from.u32();
    from.u8();
    to.u8(unlocked).u64(from.u64()).u64(from.u64()).u32(from.u32()).text(from.text());
  }],
]);
