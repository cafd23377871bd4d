/**
 * Reads tar archives as Debian packages hold them: ustar with the long names of GNU tar, and pax
 * headers (POSIX.1-2017, pax, "ustar Interchange Format" and "pax Header Block").
 */
import { alignUp } from "../../base/bits.ts";
import { MiB } from "../../base/units.ts";
import type { ByteSource } from "./byte-source.ts";

const blockBytes = 512;
// A name that is longer than this is an attack on memory, not a name (PATH_MAX is 4096).
const longNameBytesMax = 64 * 1024;
const fileBytesMax = 512 * MiB; // Far above any file of a package that we unpack.

export type TarKind = "file" | "folder" | "symbolicLink" | "hardLink" | "other";

export interface TarEntry {
  /** Without leading `./` or `/`. */
  readonly path: string;
  readonly kind: TarKind;
  readonly sizeBytes: number;
  /** What a link points at. */
  readonly target: string;
}

export interface TarFile extends TarEntry {
  readonly content: Uint8Array;
}

const kinds: Readonly<Record<string, TarKind>> = {
  "\0": "file", "0": "file", "7": "file", "1": "hardLink", "2": "symbolicLink", "5": "folder",
};

/** What long-name and pax records say of the entry that follows them. */
interface Override {
  path?: string;
  target?: string;
  size?: number;
}

/** The entries for which `wanted` holds, with their content; the others are passed over. */
export async function* readTar(
  source: ByteSource, wanted: (entry: TarEntry) => boolean,
): AsyncGenerator<TarFile> {
  let override: Override = {};
  for (;;) {
    const header = await source.take(blockBytes);
    if (header.length < blockBytes || header.every((byte) => byte === 0)) {
      return;
    }
    checkSum(header);
    const type = field(header, 156, 1) || "\0";
    const size = override.size ?? octal(header, 124, 12);
    if (type === "L" || type === "K" || type === "x" || type === "g") {
      const content = await body(source, size, longNameBytesMax);
      if (type !== "g") { // A global header speaks of all entries: of none of their names.
        override = { ...override, ...overrideOf(type, content) };
      }
      continue;
    }
    const entry: TarEntry = {
      path: (override.path ?? headerPath(header)).replace(/^(\.?\/)+/, ""),
      kind: kinds[type] ?? "other",
      sizeBytes: size,
      target: override.target ?? field(header, 157, 100),
    };
    override = {};
    if (wanted(entry)) {
      yield { ...entry, content: await body(source, size, fileBytesMax) };
    } else if (await source.skip(alignUp(size, blockBytes)) < size) {
      throw new Error(`the tar archive ends inside ${entry.path}`);
    }
  }
}

async function body(source: ByteSource, size: number, sizeMax: number): Promise<Uint8Array> {
  if (size > sizeMax) {
    throw new Error(`a tar entry claims ${size} bytes; at most ${sizeMax} are read`);
  }
  const content = await source.take(size);
  if (content.length < size) {
    throw new Error("the tar archive ends inside an entry");
  }
  await source.skip(alignUp(size, blockBytes) - size);
  return content;
}

function headerPath(header: Uint8Array): string {
  const name = field(header, 0, 100);
  // Only POSIX headers have the prefix; GNU tar keeps times there.
  const isPosix = field(header, 257, 6) === "ustar" && header[262] === 0;
  const prefix = isPosix ? field(header, 345, 155) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

function overrideOf(type: string, content: Uint8Array): Override {
  if (type === "L") {
    return { path: field(content, 0, content.length) };
  }
  if (type === "K") {
    return { target: field(content, 0, content.length) };
  }
  const override: Override = {};
  for (const [key, value] of paxRecords(content)) {
    if (key === "path") {
      override.path = value;
    } else if (key === "linkpath") {
      override.target = value;
    } else if (key === "size") {
      override.size = Number(value);
    }
  }
  return override;
}

/** Records `LENGTH KEY=VALUE\n`, the length counting the whole record in bytes. */
function* paxRecords(content: Uint8Array): Generator<readonly [string, string]> {
  let at = 0;
  while (at < content.length) {
    const space = content.indexOf(0x20, at);
    const length = Number(Buffer.from(content.subarray(at, space)).toString("latin1"));
    const end = at + length;
    if (space < 0 || !Number.isInteger(length) || end <= space || end > content.length) {
      throw new Error("a pax header of the tar archive is malformed");
    }
    const record = Buffer.from(content.subarray(space + 1, end - 1)).toString("utf8");
    const equals = record.indexOf("=");
    yield [record.slice(0, equals), record.slice(equals + 1)];
    at = end;
  }
}

function checkSum(header: Uint8Array): void {
  // The sum is taken with its own field full of blanks.
  const sum = header.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0);
  if (sum !== octal(header, 148, 8)) {
    throw new Error("a header of the tar archive has a wrong checksum");
  }
}

/** Text up to the first NUL. */
function field(bytes: Uint8Array, at: number, length: number): string {
  const all = bytes.subarray(at, at + length);
  const end = all.indexOf(0);
  return Buffer.from(end < 0 ? all : all.subarray(0, end)).toString("utf8");
}

function octal(header: Uint8Array, at: number, length: number): number {
  const digits = field(header, at, length).trim();
  if (!/^[0-7]*$/.test(digits)) {
    throw new Error("a number in a header of the tar archive is not octal");
  }
  return Number.parseInt(digits || "0", 8);
}
