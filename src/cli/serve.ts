/**
 * `tsbhyve serve …`: what machines here use, for the programs of others. `serve nbd` offers any
 * back end of a disk as an NBD export until it is told to end.
 */
import { serveNbdClient } from "../backends/block/nbd/server.ts";
import { openImage } from "../backends/block/open.ts";
import { ConfigError, exitStatus } from "../base/errors.ts";
import { createLog, type Log } from "../base/log.ts";
import { integer, nodeOf, options, parse, text, type OptionsOf } from "../config/options.ts";
import { blockOptions } from "../devices/block-options.ts";
import { removeStaleSocket } from "../host/sockets.ts";
import { addressText, serveStreams, type StreamAddress } from "../host/stream-socket.ts";
import { readBlockSpec } from "../machine/block.ts";
import { program } from "./command-line.ts";
import type { Console } from "./main.ts";

const portMax = 65_535;

const nbdOptions = options({
  ...blockOptions,
  socket: text({ help: "UNIX socket to listen on." }),
  address: text({ default: "127.0.0.1", help: "Address to listen on, with port." }),
  port: integer({ min: 0, max: portMax, help: "TCP port to listen on; 0: any free one." }),
});

const usage = "usage: tsbhyve serve nbd -o path=disk (-o socket=path | -o port=number)"
  + " [-o key=value ...]\n";

/** Serves until SIGINT or SIGTERM; throws ConfigError and HostError. */
export async function serve(words: readonly string[], console: Console): Promise<number> {
  const [kind, ...rest] = words;
  const values = readPairs(rest);
  if (kind !== "nbd" || values === undefined) {
    console.error(usage);
    return exitStatus.powerOff;
  }
  const parsed = parse(nbdOptions, nodeOf(values));
  if (!parsed.ok) {
    throw new ConfigError(parsed.problems);
  }
  const log = createLog((level, message) => {
    if (level !== "debug") {
      console.error(`${program}: ${message}\n`);
    }
  });
  return serveNbd(values, addressOf(parsed.value), log, console);
}

/** `-o key=value` and nothing else; undefined for other words. */
function readPairs(words: readonly string[]): Record<string, string> | undefined {
  const values: Record<string, string> = {};
  for (let at = 0; at < words.length; at += 2) {
    const [, key, value] = /^([^=]+)=(.+)$/s.exec(words[at + 1] ?? "") ?? [];
    if (words[at] !== "-o" || key === undefined || value === undefined) {
      return undefined;
    }
    values[key] = value;
  }
  return values;
}

function addressOf({ socket, address, port }: OptionsOf<typeof nbdOptions>): StreamAddress {
  if ((socket === undefined) === (port === undefined)) {
    throw new ConfigError({ key: "socket", message: "give either socket or port" });
  }
  return socket === undefined ? { host: address, port: port ?? 0 } : { path: socket };
}

async function serveNbd(
  values: Readonly<Record<string, string>>, address: StreamAddress, log: Log, console: Console,
): Promise<number> {
  const image = await openImage(readBlockSpec(nodeOf(values)), log);
  if ("path" in address) {
    await removeStaleSocket(address.path);
  }
  const server = await serveStreams(address, (client) => {
    void serveNbdClient(image, client, log);
  });
  const place = "path" in address ? addressText(address)
    : addressText({ ...address, port: server.port });
  console.out(`serving ${values["path"] ?? ""} on ${place}\n`);
  await new Promise<void>((resolve) => {
    process.once("SIGINT", resolve);
    process.once("SIGTERM", resolve);
  });
  server.close();
  await image.flush?.();
  await image.close?.();
  return 0;
}
