/** Where the checkout is, seen from a compiled test (`<outDir>/test/support/paths.js`). */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

function findRoot(start: string): string {
  let folder = start;
  while (!existsSync(join(folder, "package.json"))) {
    folder = dirname(folder);
  }
  return folder;
}

/** The root folder of the checkout. */
export const repositoryRoot: string = findRoot(dirname(fileURLToPath(import.meta.url)));

/** A file below `test/`, in the source tree: data files are not copied by the compiler. */
export function testFile(...parts: string[]): string {
  return join(repositoryRoot, "test", ...parts);
}
