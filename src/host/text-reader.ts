/** Bounded reading: of a file that may be far too large only the beginning is ever in memory. */
import { closeSync, openSync, readSync, realpathSync } from "node:fs";
import { isAbsolute, join, sep } from "node:path";
import { HostError } from "../base/errors.ts";

/** Up to `bytesMax` bytes of a file, a pipe or, as `-`, of standard input; throws HostError. */
export function readBeginning(path: string, bytesMax: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let total = 0;
  let fd = -1;
  try {
    fd = path === "-" ? 0 : openSync(path, "r");
    while (total < bytesMax) {
      const part = new Uint8Array(Math.min(64 * 1024, bytesMax - total));
      const count = readSync(fd, part);
      if (count === 0) {
        break;
      }
      parts.push(part.subarray(0, count));
      total += count;
    }
  } catch (error) {
    throw new HostError(`cannot read "${path}"`, error);
  } finally {
    if (fd > 0) {
      closeSync(fd);
    }
  }
  return Buffer.concat(parts);
}

/** The real path of a file inside a folder; undefined if it leads out of it. Throws HostError if
 * there is no such file. */
export function pathInside(folder: string, path: string): string | undefined {
  try {
    const root = realpathSync(folder);
    const real = realpathSync(isAbsolute(path) ? path : join(root, path));
    return real === root || !real.startsWith(root.endsWith(sep) ? root : root + sep)
      ? undefined : real;
  } catch (error) {
    throw new HostError(`cannot find "${path}"`, error);
  }
}
