/** Where a serial line goes: the `path` values of bhyve_config(5), and `pty`, `unix:`, `file:`. */
import { isIP } from "node:net";
import { ConfigError } from "../../base/errors.ts";
import type { Problem } from "../../base/errors.ts";

export type CharTarget =
  | { readonly kind: "stdio" }
  /** A new pseudo terminal; its name is announced. */
  | { readonly kind: "pty" }
  /** A terminal or null-modem device that exists. */
  | { readonly kind: "tty"; readonly path: string }
  /** Output is appended; there is no input. */
  | { readonly kind: "file"; readonly path: string }
  /** A listening UNIX stream socket, one client at a time. */
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly address: string; readonly port: number };

export const charTargetHelp = "stdio, pty, a terminal device such as /dev/nmdm0A, file:PATH,"
  + " unix:PATH, tcp=ADDRESS:PORT or tcp=[ADDRESS]:PORT with a numeric address";

/** `sun_path` has room for this many bytes and a NUL on Linux; FreeBSD has four fewer. */
const socketPathBytesMax = process.platform === "linux" ? 107 : 103;

/** Reads the value of the key; throws ConfigError with one problem. */
export function parseCharTarget(key: string, value: string): CharTarget {
  const wrong = (message: string) => new ConfigError({ key, value, message });
  if (value === "stdio" || value === "pty") {
    return { kind: value };
  }
  const [, word, rest = ""] = /^(file:|unix:|socket,|tcp=)(.*)$/s.exec(value) ?? [];
  if (word === "tcp=") {
    return parseTcp(rest) ?? fail(wrong("allowed: tcp=ADDRESS:PORT or tcp=[ADDRESS]:PORT, with a"
      + " numeric address and a port from 0 to 65535"));
  }
  if (word !== undefined && (rest === "" || rest.includes("\0"))) {
    throw wrong("names no file");
  }
  if (word === "file:") {
    return { kind: "file", path: rest };
  }
  if (word !== undefined) {
    if (Buffer.byteLength(rest) > socketPathBytesMax) {
      throw wrong(`a socket's path has at most ${socketPathBytesMax} bytes`);
    }
    return { kind: "unix", path: rest };
  }
  if (value === "" || value.includes("\0")) {
    throw wrong(`allowed: ${charTargetHelp}`);
  }
  return { kind: "tty", path: value };
}

/** The same where a plain path is a socket to listen on, as for virtio-console of bhyve. */
export function parseSocketTarget(key: string, value: string): CharTarget {
  const target = parseCharTarget(key, value);
  return target.kind === "tty" && !target.path.startsWith("/dev/")
    ? parseCharTarget(key, `unix:${value}`) : target;
}

function fail(error: Error): never {
  throw error;
}

function parseTcp(text: string): CharTarget | undefined {
  const match = /^(?:\[([^\]]*)\]|([^:]*)):([0-9]{1,5})$/.exec(text);
  const [, bracketed, plain, digits] = match ?? [];
  const address = bracketed ?? plain ?? "";
  const port = Number(digits);
  const version = isIP(address.replace(/%.*$/, ""));
  const right = bracketed === undefined ? version === 4 : version === 6;
  return right && port <= 65535 ? { kind: "tcp", address, port } : undefined;
}

/** One key's serial line. */
export interface CharUse {
  readonly key: string;
  readonly target: CharTarget;
}

/** What two lines cannot both have: the terminal we run in, a device, a socket, a port. */
export function conflictingTargets(uses: readonly CharUse[]): Problem[] {
  const holders = new Map<string, string>();
  const problems: Problem[] = [];
  for (const { key, target } of uses) {
    const name = exclusiveName(target);
    const holder = name === undefined ? undefined : holders.get(name);
    if (holder !== undefined) {
      problems.push({
        key, value: targetText(target), message: `${holder} has it already; one line can`,
      });
    } else if (name !== undefined) {
      holders.set(name, key);
    }
  }
  return problems;
}

function exclusiveName(target: CharTarget): string | undefined {
  const anew = target.kind === "pty" || (target.kind === "tcp" && target.port === 0);
  return anew ? undefined : targetText(target);
}

/** The target as its user would write it. */
export function targetText(target: CharTarget): string {
  switch (target.kind) {
    case "stdio":
    case "pty": return target.kind;
    case "tty": return target.path;
    case "file": return `file:${target.path}`;
    case "unix": return `unix:${target.path}`;
    case "tcp": {
      const address = isIP(target.address) === 4 ? target.address : `[${target.address}]`;
      return `tcp=${address}:${target.port}`;
    }
  }
}
