/** Files that the user names for a start: read whole, with an error that names the key. */
import { ConfigError, HostError } from "../base/errors.ts";
import { GiB } from "../base/units.ts";
import { openFile } from "../host/files.ts";

/** A file that the user named; `key` and `path` are for error messages. */
export interface BootFile {
  /** `boot.kernel`, `boot.initrd`, `boot.modules`, `bootrom`. */
  readonly key: string;
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** A file for a multiboot or PVH kernel beside the initrd. */
export interface BootModule extends BootFile {
  /** What the kernel is told of it: by custom the file's name and arguments. */
  readonly commandLine: string;
}

/** Node's longest buffer is 4 GiB; guests do not take more than 3 GiB below the PCI hole. */
const fileBytesMax = 3 * GiB;

/** Reads a regular file; throws ConfigError for everything else. */
export function readBootFile(key: string, path: string): BootFile {
  try {
    const file = openFile(path, { write: false });
    try {
      if (file.kind !== "file" || file.sizeBytes > fileBytesMax) {
        throw new ConfigError({
          key, value: path,
          message: file.kind === "file" ? "too large; allowed: up to 3 GiB"
            : "not a regular file; allowed: regular files",
        });
      }
      const bytes = new Uint8Array(file.sizeBytes);
      return { key, path, bytes: bytes.subarray(0, file.read(0, bytes)) };
    } finally {
      file.close();
    }
  } catch (error) {
    if (error instanceof HostError) {
      throw new ConfigError({
        key, value: path, message: `${error.message}; allowed: a file that can be read`,
      });
    }
    throw error;
  }
}

/** Reads the files of `boot.modules`: "file arguments", separated by semicolons. */
export function readBootModules(key: string, value: string): readonly BootModule[] {
  return value.split(";").map((part) => part.trim()).filter((part) => part !== "")
    .map((commandLine) => {
      const [path = ""] = commandLine.split(/\s/);
      return { ...readBootFile(key, path), commandLine };
    });
}
