/** Opens a qcow2 image with the chain of its backing files, and makes new ones for overlays. */
import { isAbsolute, dirname, resolve } from "node:path";
import { HostError } from "../../../base/errors.ts";
import { createFile, fileExists, openFile, realPath } from "../../../host/files.ts";
import type { BlockImage } from "../image.ts";
import { LayeredImage } from "../layers.ts";
import { readHeader, writeEmptyImage, type Qcow2Header } from "./header.ts";
import { Qcow2Image } from "./image.ts";

/** Chains in use have a handful; a longer one costs a look-up a layer on every read. */
const chainMax = 32;

export interface Qcow2Options {
  readonly path: string;
  readonly readOnly: boolean;
  readonly nocache: boolean;
  readonly sync: boolean;
  /** Opens a backing file of another format, for reading. */
  openOther(path: string, format: string | undefined): BlockImage;
}

/** Throws HostError for what is no such image, or is damaged, or refers to itself. */
export function openQcow2(options: Qcow2Options): BlockImage {
  return openInChain(options, []);
}

function openInChain(options: Qcow2Options, above: readonly string[]): BlockImage {
  const path = realPath(options.path);
  if (above.includes(path)) {
    throw new HostError(`cannot use ${options.path}`,
      `its backing files lead back to it: ${[...above, path].join(" -> ")}`);
  }
  if (above.length >= chainMax) {
    throw new HostError(`cannot use ${options.path}`,
      `the chain of backing files has more than ${chainMax}`);
  }
  const { file, header, readOnly } = openTop(options);
  try {
    const base = header.backing === undefined ? undefined
      : openBacking(options, header.backing, [...above, path]);
    const image = new Qcow2Image(file, header, { readOnly, hasBase: base !== undefined });
    return base === undefined ? image : new LayeredImage(image, base);
  } catch (error) {
    file.close();
    throw error;
  }
}

function openTop(options: Qcow2Options) {
  const { path, nocache, sync } = options;
  let { readOnly } = options;
  const open = (write: boolean) => openFile(path, { write, direct: nocache, sync });
  let file;
  try {
    file = open(!readOnly);
  } catch (error) {
    if (readOnly || !fileExists(path)) {
      throw error;
    }
    readOnly = true; // bhyve's rule for disks that may not be written.
    file = open(false);
  }
  try {
    const header = readHeader(file);
    if (header.damage !== undefined && !readOnly) {
      throw new HostError(`cannot write ${path}`, header.damage);
    }
    return { file, header, readOnly };
  } catch (error) {
    file.close();
    throw error;
  }
}

function openBacking(
  options: Qcow2Options, backing: NonNullable<Qcow2Header["backing"]>, above: readonly string[],
): BlockImage {
  const { path: named, format } = backing;
  if (/^[a-z]+:/.test(named)) {
    throw new HostError(`cannot use ${options.path}`,
      `its backing file ${named} is no plain file name`);
  }
  const path = isAbsolute(named) ? named : resolve(dirname(options.path), named);
  const isQcow2 = format === undefined ? path.endsWith(".qcow2") : format === "qcow2";
  return isQcow2 ? openInChain({ ...options, path, readOnly: true }, above)
    : options.openOther(path, format);
}

/** A layer over a disk of this size: the file that is there, or a new one. */
export function openOverlay(path: string, sizeBytes: number, sync: boolean): Qcow2Image {
  if (!fileExists(path)) {
    const created = createFile(path);
    writeEmptyImage(created, sizeBytes);
    created.close();
  }
  const file = openFile(path, { write: true, sync });
  try {
    const header = readHeader(file);
    const wrong = header.damage ?? (header.backing !== undefined
      ? "it has a backing file of its own: give it as path, without overlay"
      : header.sizeBytes !== sizeBytes
        ? `it is made for a disk of ${header.sizeBytes} bytes, and this one has ${sizeBytes}`
        : undefined);
    if (wrong !== undefined) {
      throw new HostError(`cannot use ${path} as an overlay`, wrong);
    }
    return new Qcow2Image(file, header, { readOnly: false, hasBase: true });
  } catch (error) {
    file.close();
    throw error;
  }
}
