/** Where library code reports what a person may want to know; only `cli` decides where it goes. */

export type LogLevel = "error" | "warn" | "info" | "debug";

export interface Log {
  error(message: string): void;
  warn(message: string): void;
  info(message: string): void;
  debug(message: string): void;
}

export type LogWriter = (level: LogLevel, message: string) => void;

/** A log that puts `prefix` before every message. */
export function createLog(write: LogWriter, prefix = ""): Log {
  const at = (level: LogLevel) => (message: string) => write(level, prefix + message);
  return { error: at("error"), warn: at("warn"), info: at("info"), debug: at("debug") };
}

export const silentLog: Log = createLog(() => {});

/** What one guest may write into the log: a flood of complaints would fill the user's disk. */
const guestMessagesMax = 20;

/** A log for faults that a guest can provoke: after `max` messages it says so, then nothing. */
export function limitedLog(log: Log, max = guestMessagesMax): Log {
  let count = 0;
  const limited = (level: LogLevel) => (message: string) => {
    count += 1;
    if (count <= max) {
      log[level](message);
    } else if (count === max + 1) {
      log[level]("further messages of this kind are not shown");
    }
  };
  return {
    error: limited("error"), warn: limited("warn"), info: limited("info"), debug: limited("debug"),
  };
}
