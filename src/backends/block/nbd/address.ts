/** Addresses of NBD exports (NetworkBlockDevice/nbd, doc/uri.md). */
import { ConfigError } from "../../../base/errors.ts";
import type { StreamAddress } from "../../../host/stream-socket.ts";

export interface NbdAddress {
  readonly at: StreamAddress;
  /** Name of the export; empty for the server's default one. */
  readonly name: string;
}

const portDefault = 10_809;
export const nbdHelp = "nbd://host[:port][/export] or nbd+unix:///[export]?socket=path";

/** Reads the address in a disk's `path`; throws ConfigError. */
export function parseNbdAddress(key: string, text: string): NbdAddress {
  const wrong = () => new ConfigError({
    key: `${key}.path`, value: text, message: `allowed: ${nbdHelp}`,
  });
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw wrong();
  }
  const name = decodeURIComponent(url.pathname.replace(/^\//, ""));
  if (url.protocol === "nbd:") {
    const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
    if (host === "") {
      throw wrong();
    }
    return { at: { host, port: url.port === "" ? portDefault : Number(url.port) }, name };
  }
  const socket = url.searchParams.get("socket");
  if (url.protocol !== "nbd+unix:" || socket === null || socket === "") {
    throw wrong();
  }
  return { at: { path: socket }, name };
}
