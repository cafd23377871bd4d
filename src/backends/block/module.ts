/**
 * A back end that the user has written: a JavaScript module whose default export opens the disk.
 * `path` is the module, and what follows a `?` is handed to it.
 */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { isPowerOfTwo } from "../../base/bits.ts";
import { ConfigError } from "../../base/errors.ts";
import { sectorBytesDefault, type BlockImage } from "./image.ts";

/** The default export of such a module. */
export type OpenDisk = (
  argument: string, options: { readonly readOnly: boolean },
) => BlockImage | Promise<BlockImage>;

export interface ModuleOptions {
  readonly key: string;
  readonly path: string;
  readonly readOnly: boolean;
}

/** Loads the module and opens its disk; throws ConfigError that says what the module lacks. */
export async function openModule({ key, path, readOnly }: ModuleOptions): Promise<BlockImage> {
  const wrong = (message: string) => new ConfigError({
    key: `${key}.path`, value: path, message,
  });
  const [, file = "", argument = ""] = /^([^?]*)\??(.*)$/s.exec(path) ?? [];
  let image: BlockImage;
  try {
    const loaded: { readonly default?: unknown } = await import(
      pathToFileURL(resolve(file)).href);
    if (!isOpenDisk(loaded.default)) {
      throw wrong("the module's default export is no function");
    }
    image = await loaded.default(argument, { readOnly });
  } catch (error) {
    throw error instanceof ConfigError ? error
      : wrong(error instanceof Error ? error.message : String(error));
  }
  const problem = problemOf(image);
  if (problem !== undefined) {
    throw wrong(problem);
  }
  return image;
}

function isOpenDisk(value: unknown): value is OpenDisk {
  return typeof value === "function";
}

/** Users may write JavaScript: what the compiler would have said is said here. */
function problemOf(image: BlockImage): string | undefined {
  const { sizeBytes, sectorBytes = sectorBytesDefault } = image;
  if (typeof image.read !== "function") {
    return "the disk has no method `read`";
  }
  if (!image.readOnly && typeof image.write !== "function") {
    return "the disk has no method `write`, and is not `readOnly`";
  }
  if (!isPowerOfTwo(sectorBytes) || sectorBytes < sectorBytesDefault) {
    return "`sectorBytes` of the disk is no power of two from 512 on";
  }
  return Number.isSafeInteger(sizeBytes) && sizeBytes > 0 ? undefined
    : "`sizeBytes` of the disk is no positive integer";
}
