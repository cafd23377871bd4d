/**
 * The process's own standard input and output, and other terminals of the host. A terminal in
 * raw mode is put back whichever way the process ends.
 */
import { closeSync, constants, openSync } from "node:fs";
import { ReadStream, WriteStream, isatty } from "node:tty";
import { HostError } from "../base/errors.ts";
import { atProcessEnd } from "./endings.ts";
import { hostStream } from "./streams.ts";
import type { HostStream } from "./streams.ts";

/** Standard input and output; `interactive` when a person types. */
export interface StandardStream extends HostStream {
  readonly interactive: boolean;
}

/** Sets a terminal to raw mode; the result puts it back, and so does the end of the process. */
function rawMode(terminal: ReadStream): () => void {
  terminal.setRawMode(true);
  // Stopped and continued by hand, the shell has set its own mode meanwhile.
  const again = () => { terminal.setRawMode(true); };
  process.on("SIGCONT", again);
  return atProcessEnd(() => {
    process.removeListener("SIGCONT", again);
    if (!terminal.destroyed) {
      terminal.setRawMode(false);
    }
  });
}

/** Takes standard input and output over; there is one user of them at a time. */
export function openStandardStream(): StandardStream {
  const input = process.stdin;
  const interactive = input instanceof ReadStream && input.isTTY;
  const restore = interactive ? rawMode(input) : () => {};
  const stream = hostStream(input, process.stdout, () => {
    restore();
    input.pause();
    input.removeAllListeners("data");
    input.unref?.();
  });
  return { ...stream, interactive };
}

/** Size of the terminal we write to, when there is one. */
export function terminalSize(): { readonly rows: number; readonly columns: number } | undefined {
  const { isTTY, rows, columns } = process.stdout;
  return isTTY && rows > 0 && columns > 0 ? { rows, columns } : undefined;
}

/** Whether a path is a terminal; throws HostError if it cannot be opened. Changes no settings. */
export function isTerminal(path: string): boolean {
  const fd = openQuietly(path);
  const found = isatty(fd);
  closeSync(fd);
  return found;
}

function openQuietly(path: string): number {
  try {
    // Without O_NONBLOCK, opening a line without carrier would hang.
    return openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  } catch (error) {
    throw new HostError(`cannot open ${path}`, error);
  }
}

/** Another terminal or null-modem device, in raw mode; undefined when `path` is none. */
export function openTerminal(path: string): HostStream | undefined {
  const fd = openQuietly(path);
  if (!isatty(fd)) {
    closeSync(fd);
    return undefined;
  }
  const input = new ReadStream(fd);
  const restore = rawMode(input);
  const output = new WriteStream(fd);
  return hostStream(input, output, () => {
    restore();
    input.destroy();
    output.destroy();
  });
}
