/**
 * `%(name)` in configuration values, expanded when a value is read and never when it is stored.
 * Follows what bhyve 15.1 does (config.c), which differs from its manual: the escape is `\`.
 */
import { ConfigError } from "../base/errors.ts";

export type Warn = (message: string) => void;
/** The raw value at an absolute path; warns on its own if the path leads through a value. */
export type Lookup = (path: string) => string | undefined;

/** References nest this deep; it is also what ends a loop. */
const depthMax = 16;
/** A value that doubles itself at every level still ends (2^17 references), as for bhyve; one that
 * grows faster would fill the host's memory. */
const referencesMax = 200_000;

interface Expansion {
  readonly lookup: Lookup;
  readonly warn: Warn;
  references: number;
}

/** The value as its reader sees it. Without a `%` nothing is touched, backslashes included. */
export function expand(value: string, lookup: Lookup, warn: Warn): string {
  return value.includes("%") ? expandAt(value, 0, { lookup, warn, references: 0 }) : value;
}

function expandAt(value: string, depth: number, run: Expansion): string {
  let result = "";
  let at = 0;
  while (at < value.length) {
    const letter = value.charAt(at);
    if (letter === "%") {
      const reference = expandReference(value, at, depth, run);
      result += reference.text;
      at = reference.next;
    } else if (letter === "\\") {
      if (at + 1 === value.length) {
        run.warn(`Trailing \\ in configuration value "${value}"`);
      }
      result += value.charAt(at + 1);
      at += 2;
    } else {
      result += letter;
      at += 1;
    }
  }
  return result;
}

/** What the `%` at `at` stands for, and where scanning goes on. */
function expandReference(
  value: string, at: number, depth: number, run: Expansion,
): { text: string; next: number } {
  if (depth >= depthMax) {
    run.warn("Too many recursive references in configuration value");
    return { text: "%", next: at + 1 };
  }
  const end = value.charAt(at + 1) === "(" ? value.indexOf(")", at + 2) : -1;
  if (end < 0) {
    run.warn(`Invalid reference in configuration value "${value}"`);
    return { text: "%", next: at + 1 };
  }
  const path = value.slice(at + 2, end);
  if (path === "") {
    run.warn(`Empty reference in configuration value "${value}"`);
    return { text: "", next: end + 1 };
  }
  run.references += 1;
  if (run.references > referencesMax) {
    throw new ConfigError({
      key: path, message: `is referenced more than ${referencesMax} times by one value; allowed: `
        + "references that do not lead back to themselves",
    });
  }
  const found = run.lookup(path);
  if (found === undefined) {
    run.warn(`Failed to fetch referenced configuration variable ${path}`);
    return { text: "", next: end + 1 };
  }
  return { text: expandAt(found, depth + 1, run), next: end + 1 };
}

/** The paths a raw value refers to, escaped ones left out. */
export function referencesOf(value: string): string[] {
  const paths = [];
  for (const [, path] of value.matchAll(/\\[^]|%\(([^)]*)\)/g)) {
    if (path !== undefined && path !== "") {
      paths.push(path);
    }
  }
  return paths;
}
