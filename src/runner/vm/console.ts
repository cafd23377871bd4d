/** `tsvm console`: this terminal and the machine's serial line, until a person leaves. */
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { EscapeFilter, escapeKeysHelp } from "../../backends/char/escape.ts";
import { ConfigError, HostError } from "../../base/errors.ts";
import { openStandardStream } from "../../host/terminal.ts";
import type { MachineFolder } from "./folders.ts";
import { settingsOf } from "./folders.ts";

const unixLine = "unix:";

/** The socket of the first serial line; throws ConfigError if it goes elsewhere. */
function socketOf(folder: MachineFolder): string {
  const value = settingsOf(folder).value("lpc.com1.path") ?? "";
  if (!value.startsWith(unixLine)) {
    throw new ConfigError({ key: "lpc.com1.path", value, message: "is no socket; allowed for a "
      + "console: unix:com1.sock" });
  }
  return value.slice(unixLine.length);
}

/** Resolves when the person leaves or the machine ends. The terminal is as before afterwards. */
export async function attachConsole(
  folder: MachineFolder, say: (line: string) => void,
): Promise<void> {
  const path = socketOf(folder);
  // The path of a socket may be 107 bytes long; from the folder it always fits.
  process.chdir(folder.path);
  if (!existsSync(path)) {
    throw new ConfigError({ key: "NAME", value: folder.name, message: "has no console now; "
      + "allowed: while it runs (tsvm start)" });
  }
  const socket = connect(path);
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", (error) => reject(new HostError(`cannot reach ${path}`, error)));
  });
  say(`console of ${folder.name}; to leave: ${escapeKeysHelp}`);
  const stream = openStandardStream();
  const filter = stream.interactive ? new EscapeFilter() : undefined;
  await new Promise<void>((resolve) => {
    stream.onData((typed) => {
      const { bytes, quit } = filter?.feed(typed) ?? { bytes: typed, quit: false };
      socket.write(bytes);
      if (quit) {
        resolve();
      }
    });
    stream.onEnd(() => {}); // Piped input is over; the guest may still answer.
    socket.on("data", (bytes: Buffer) => { void stream.write(bytes); });
    socket.once("error", () => resolve());
    socket.once("close", () => resolve());
  });
  stream.close();
  socket.destroy();
}
