/** Folders of the host: the user's cache, temporary ones, and files that appear whole or not. */
import {
  closeSync, existsSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, readFileSync, readdirSync,
  renameSync, rmSync, statSync, writeFileSync, writeSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { HostError } from "../base/errors.ts";
import { atProcessEnd } from "./endings.ts";

function attempt<T>(what: string, path: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw new HostError(`cannot ${what} ${path}`, error);
  }
}

/** Where this user's programs keep what they can make again (XDG Base Directory, 0.8). */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const stated = environment["XDG_CACHE_HOME"];
  // The specification: a relative path is invalid and to be ignored.
  const base = stated !== undefined && isAbsolute(stated) ? stated : join(homedir(), ".cache");
  return join(base, "tsbhyve");
}

/** Makes a folder and those above it. Node's own recursion never ends below /proc. */
export function makeFolder(path: string): void {
  if (!existsSync(path)) {
    const above = dirname(path);
    if (above !== path) {
      makeFolder(above);
    }
    attempt("make the folder", path, () => {
      try {
        mkdirSync(path);
      } catch (error) {
        if (!existsSync(path)) { // Else another process was faster.
          throw error;
        }
      }
    });
  }
}

/** Names in a folder, sorted; none if there is no such folder. */
export function listFolder(path: string): readonly string[] {
  return existsSync(path) ? attempt("list", path, () => readdirSync(path)).toSorted() : [];
}

/** The size of a file, or undefined if there is none. */
export function fileSize(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.size;
}

export function removeTree(path: string): void {
  attempt("remove", path, () => rmSync(path, { recursive: true, force: true }));
}

/** Gives a finished file or folder its name, in place of what had it. */
export function moveInto(from: string, to: string): void {
  makeFolder(dirname(to));
  attempt("write", to, () => {
    if (statSync(to, { throwIfNoEntry: false })?.isDirectory() === true) {
      rmSync(to, { recursive: true, force: true }); // Only files replace each other in one step.
    }
    renameSync(from, to);
  });
}

/** Writes a file that other processes see complete or not at all. */
export function writeWholeFile(path: string, content: Uint8Array | string): void {
  const draft = `${path}.${process.pid}.new`;
  makeFolder(dirname(path));
  attempt("write", path, () => {
    try {
      writeFileSync(draft, content);
      renameSync(draft, path);
    } catch (error) {
      rmSync(draft, { force: true });
      throw error;
    }
  });
}

export interface TemporaryFolder {
  readonly path: string;
  remove(): void;
}

/** A folder of our own that is gone when the process ends, however it ends short of SIGKILL. */
export function temporaryFolder(parent: string, prefix: string): TemporaryFolder {
  makeFolder(parent);
  const path = attempt("make a folder in", parent, () =>
    mkdtempSync(join(parent, `${prefix}${process.pid}-`)));
  return { path, remove: atProcessEnd(() => rmSync(path, { recursive: true, force: true })) };
}

/** Removes the temporary folders of processes that were killed. */
export function removeAbandonedFolders(parent: string): void {
  for (const name of listFolder(parent)) {
    const pid = /^[a-z]+-(\d+)-\w{6}$/.exec(name)?.[1];
    if (pid !== undefined && !isRunning(Number(pid))) {
      removeTree(join(parent, name));
    }
  }
}

/** Writes a file of `sizeBytes` in which all but the pieces is zero and takes no room. */
export function writeSparseFile(
  path: string, sizeBytes: number,
  pieces: readonly { readonly at: number; readonly content: Uint8Array }[],
): void {
  attempt("write", path, () => {
    const file = openSync(path, "wx");
    try {
      ftruncateSync(file, sizeBytes);
      for (const { at, content } of pieces) {
        let done = 0;
        while (done < content.length) {
          done += writeSync(file, content, done, content.length - done, at + done);
        }
      }
    } finally {
      closeSync(file);
    }
  });
}

/** Takes a lock until the process ends; false if a process that still runs has it. */
export function lockFile(path: string): boolean {
  const mine = `${process.pid}\n`;
  makeFolder(dirname(path));
  for (let attempts = 0; attempts < 2; attempts++) {
    try {
      writeFileSync(path, mine, { flag: "wx" });
      atProcessEnd(() => rmSync(path, { force: true }));
      return true;
    } catch (error) {
      if (!existsSync(path)) {
        throw new HostError(`cannot write ${path}`, error);
      }
    }
    if (isRunning(Number(readFileSync(path, "utf8")))) {
      return false;
    }
    rmSync(path, { force: true }); // Left behind by a process that was killed.
  }
  return false;
}

function isRunning(pid: number): boolean {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch (error) {
    // Another user's process may not be signalled, but it runs.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
