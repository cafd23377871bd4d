/**
 * The text of a `-k` file: one `key=value` a line, nothing trimmed, `#` in the first column
 * starts a comment. Follows bhyve 15.1 (bhyve_config(5), bhyverun.c).
 */
import { ConfigError } from "../base/errors.ts";
import type { Tree } from "./tree.ts";

/** Sets `key=value`; false if there is no `=` or nothing after it. */
export function setOption(tree: Tree, option: string): boolean {
  const equals = option.indexOf("=");
  if (equals < 0 || equals + 1 === option.length) {
    return false;
  }
  tree.set(option.slice(0, equals), option.slice(equals + 1));
  return true;
}

/** Sets every line of a file. The first bad one ends it, as everything after may depend on it. */
export function setFile(tree: Tree, name: string, text: string): void {
  const outer = tree.origin;
  for (const [index, line] of splitLines(text).entries()) {
    if (line === "" || line.startsWith("#")) {
      continue;
    }
    tree.origin = `${name}:${index + 1}:1`;
    // To C a NUL byte ends the line.
    const option = line.split("\0", 1)[0] ?? "";
    if (!atOrigin(tree, () => setOption(tree, option))) {
      throw new ConfigError({
        key: tree.origin, message: `invalid line '${option}'; allowed: key=value, a # comment, `
          + "an empty line",
      });
    }
  }
  tree.origin = outer;
}

/** Runs `body`; an error of its keys says where they were set. */
export function atOrigin<T>(tree: Tree, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw error instanceof ConfigError ? new ConfigError(error.problems.map((problem) =>
      ({ ...problem, message: `${problem.message} (${tree.origin})` })), error.status) : error;
  }
}

function splitLines(text: string): string[] {
  const lines = text.split("\n");
  if (lines.at(-1) === "") {
    lines.pop();
  }
  return lines;
}
