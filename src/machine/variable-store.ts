/** The host's file of firmware variables (`bootvars`): read once, written byte by byte. */
import { ConfigError, HostError } from "../base/errors.ts";
import { KiB, MiB } from "../base/units.ts";
import type { Log } from "../base/log.ts";
import { limitedLog } from "../base/log.ts";
import type { FlashStore } from "../devices/variable-flash.ts";
import { openFile } from "../host/files.ts";

const key = "bootvars";
const pageBytes = 4 * KiB;
/** What bhyve keeps below 4 GiB for the ROM and its variables together. */
const romAreaBytes = 16 * MiB;

/** Throws ConfigError for a file that cannot be the chip's content. */
export function openVariableStore(path: string, romBytes: number, log: Log): FlashStore {
  const file = open(path);
  const { sizeBytes } = file;
  const most = romAreaBytes - romBytes;
  const fits = file.kind === "file" && sizeBytes > 0 && sizeBytes % pageBytes === 0
    && sizeBytes <= most;
  if (!fits) {
    file.close();
    throw new ConfigError({ key, value: path, message: `a file of ${sizeBytes} bytes cannot hold `
      + `firmware's variables; allowed: a regular file, a multiple of 4096 bytes up to ${most}` });
  }
  const bytes = new Uint8Array(sizeBytes);
  file.read(0, bytes);
  const limited = limitedLog(log);
  return {
    sizeBytes,
    read: (offset) => bytes[offset] ?? 0xff,
    program: (offset, byte) => {
      bytes[offset] = byte;
      try {
        file.write(offset, bytes, offset, 1);
      } catch (error) {
        // The chip has no way to say so, and the guest's copy is right for this run.
        limited.error(`${key}: ${error instanceof HostError ? error.message : String(error)}`);
      }
    },
    close: () => file.close(),
  };
}

function open(path: string) {
  try {
    return openFile(path, { write: true });
  } catch (error) {
    if (error instanceof HostError) {
      throw new ConfigError({ key, value: path,
        message: `${error.message}; allowed: a file that can be read and written` });
    }
    throw error;
  }
}
