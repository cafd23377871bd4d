/** Base images: any format in, raw and sparse out, with a checksum of the content. */
import { createHash } from "node:crypto";
import {
  closeSync, existsSync, ftruncateSync, openSync, renameSync, rmSync, statSync, truncateSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { openSyncImage } from "../../backends/block/open.ts";
import { ConfigError, HostError, exitStatus } from "../../base/errors.ts";
import { createLog } from "../../base/log.ts";
import { readSize } from "../../config/values.ts";
import { atProcessEnd } from "../../host/endings.ts";
import { listFolder, makeFolder } from "../../host/folders.ts";
import { nodeOf } from "../../config/options.ts";
import { readBlockSpec } from "../../machine/block.ts";
import { nearest } from "../../config/suggest.ts";
import type { Progress } from "./progress.ts";

const chunkBytes = 1024 * 1024;

export interface Copied {
  readonly sizeBytes: number;
  /** SHA-256 of the whole content, holes included. */
  readonly checksum: string;
}

/** Writes the content of an image of any format as a raw file; zeros take no room. */
export function convertImage(
  from: string, to: string, progress: (totalBytes: number) => Progress,
): Copied {
  if (existsSync(to)) {
    throw new ConfigError({ key: "OUT", value: to, message: "exists already" });
  }
  const spec = readBlockSpec(nodeOf({ path: from, ro: "true" }, "image"));
  const image = openSyncImage(spec, createLog(() => {}));
  const draft = `${to}.${process.pid}.new`;
  const forget = atProcessEnd(() => rmSync(draft, { force: true }));
  const shown = progress(image.sizeBytes);
  const hash = createHash("sha256");
  const buffer = new Uint8Array(chunkBytes);
  const zeros = new Uint8Array(chunkBytes);
  const file = attempt(draft, () => openSync(draft, "wx"));
  try {
    ftruncateSync(file, image.sizeBytes);
    for (let at = 0; at < image.sizeBytes; at += chunkBytes) {
      const part = buffer.subarray(0, Math.min(chunkBytes, image.sizeBytes - at));
      // A synchronous image has filled the part on return.
      void image.read(at, part);
      hash.update(part);
      if (Buffer.compare(part, zeros.subarray(0, part.length)) !== 0) {
        writeAll(file, part, at);
      }
      shown.at(at + part.length);
    }
    renameSync(draft, to);
  } finally {
    closeSync(file);
    forget();
    void image.close?.();
  }
  shown.end();
  return { sizeBytes: image.sizeBytes, checksum: hash.digest("hex") };
}

function writeAll(file: number, bytes: Uint8Array, at: number): void {
  let done = 0;
  while (done < bytes.length) {
    done += attempt("the image", () =>
      writeSync(file, bytes, done, bytes.length - done, at + done));
  }
}

function attempt<T>(path: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw new HostError(`cannot write ${path}`, error);
  }
}

/** Makes a disk, or makes one larger; to make one smaller would cut off what is in it. */
export function resizeImage(path: string, sizeText: string): number {
  const reading = readSize(sizeText);
  const before = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  const wanted = "value" in reading ? Number(reading.value) : 0;
  if ("wrong" in reading || wanted < before || wanted === 0) {
    throw new ConfigError({ key: "SIZE", value: sizeText, message: "wrong" in reading
      ? reading.wrong : `is smaller than the ${before} bytes there are; allowed: no less` });
  }
  attempt(path, () => {
    if (!existsSync(path)) {
      closeSync(openSync(path, "wx"));
    }
    truncateSync(path, wanted);
  });
  return wanted;
}

export function imageFolder(root: string): string {
  return join(root, ".images");
}

export function imageNames(root: string): readonly string[] {
  return listFolder(imageFolder(root)).filter((name) => name.endsWith(".img"))
    .map((name) => name.slice(0, -".img".length));
}

/** Where an image lies or will lie. */
export function imagePath(root: string, name: string): string {
  if (!/^[A-Za-z0-9][\w.-]*$/.test(name)) {
    throw new ConfigError({ key: "IMAGE", value: name, message: "is no name; allowed: letters, "
      + "digits, dots, dashes and underscores" }, exitStatus.powerOff);
  }
  makeFolder(imageFolder(root));
  return join(imageFolder(root), `${name}.img`);
}

export function findImage(root: string, name: string): string {
  const path = imagePath(root, name);
  if (!existsSync(path)) {
    const near = nearest(name, imageNames(root));
    throw new ConfigError({ key: "IMAGE", value: name, message: `is no image${
      near === undefined ? "" : `; did you mean ${near}?`}; allowed: ${
      imageNames(root).join(", ") || "none yet (tsvm image import)"}` }, exitStatus.powerOff);
  }
  return path;
}
