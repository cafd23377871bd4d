/** The files of a Debian package (deb(5)): an ar archive that holds a compressed tar archive. */
import { gunzipSync } from "node:zlib";
import { Decompress } from "fzstd";
import xzModule from "xz-decompress";
import { readAr, type ArMember } from "./ar.ts";
import { ByteSource } from "./byte-source.ts";
import { readTar, type TarEntry, type TarFile } from "./tar.ts";

const pieceBytes = 256 * 1024;

export interface UnpackOptions {
  readonly wanted: (entry: TarEntry) => boolean;
  /** Told from time to time how far the compressed bytes are read, from 0 to 1. */
  readonly onProgress?: (fraction: number) => void;
}

/** The wanted files, in the order of the package. */
export async function* unpackPackage(
  archive: Uint8Array, options: UnpackOptions,
): AsyncGenerator<TarFile> {
  const members = readAr(archive);
  const version = members[0];
  if (version?.name !== "debian-binary") {
    throw new Error("not a Debian package: its first member is not debian-binary");
  }
  if (!Buffer.from(version.content).toString("latin1").startsWith("2.")) {
    throw new Error("the Debian package has a format other than 2.x");
  }
  const payload = members.find((member) => member.name.startsWith("data.tar"));
  if (payload === undefined) {
    throw new Error("the Debian package has no data.tar");
  }
  const source = new ByteSource(decompressed(payload, options.onProgress ?? (() => {})));
  yield* readTar(source, options.wanted);
}

function decompressed(
  member: ArMember, onProgress: (fraction: number) => void,
): AsyncIterable<Uint8Array> {
  const input = pieces(member.content, onProgress);
  switch (member.name.slice("data.tar".length)) {
    case "": return input;
    case ".gz": return pieces(gunzipSync(member.content), onProgress);
    case ".xz": return unpackXz(input);
    case ".zst": return unpackZstd(input);
    default: throw new Error(`${member.name} is compressed in a way that is not supported`);
  }
}

async function* pieces(
  bytes: Uint8Array, onProgress: (fraction: number) => void,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    onProgress(at / bytes.length);
    yield bytes.subarray(at, at + pieceBytes);
  }
  onProgress(1);
}

async function* unpackXz(input: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  const compressed = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const { value, done } = await input.next();
      if (done === true) {
        controller.close();
      } else {
        controller.enqueue(value);
      }
    },
  });
  const reader = new xzModule.XzReadableStream(compressed).getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    // The decoder's buffer is used again for what follows.
    yield read.value.slice();
  }
}

async function* unpackZstd(input: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  let output: Uint8Array[] = [];
  const decoder = new Decompress((piece) => {
    output.push(piece);
  });
  for await (const piece of input) {
    decoder.push(piece);
    yield* output;
    output = [];
  }
  decoder.push(new Uint8Array(0), true);
  yield* output;
}
