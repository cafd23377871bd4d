/** Runs tsbhyve as a process of its own, with this terminal or with its output watched. */
import { spawn, type ChildProcess } from "node:child_process";

/** How the machine ended: its exit status, or undefined with the reason. */
export interface MachineEnd {
  readonly status: number | undefined;
  readonly why: string;
}

const endingSignals = ["SIGTERM", "SIGHUP", "SIGQUIT"] as const;
const patienceMs = 3000;

/** The terminal is the machine's until it ends. */
export function runOnTerminal(program: readonly string[]): Promise<MachineEnd> {
  const [command = "", ...words] = program;
  const child = spawn(command, words, { stdio: "inherit" });
  // In the terminal's own mode, Ctrl-C reaches us both, and the machine says what it means.
  return untilEnd(child, true);
}

export interface WatchOptions {
  readonly onOutput: (text: string) => void;
  readonly onErrors: (text: string) => void;
  readonly limitMs: number;
}

/** No terminal: the machine reads nothing, and both its outputs are told. */
export async function runWatched(
  program: readonly string[], options: WatchOptions,
): Promise<MachineEnd> {
  const [command = "", ...words] = program;
  const child = spawn(command, words, { stdio: ["ignore", "pipe", "pipe"] });
  // One character may come in two pieces.
  const decoders = [new TextDecoder(), new TextDecoder()] as const;
  child.stdout.on("data", (bytes: Buffer) => {
    options.onOutput(decoders[0].decode(bytes, { stream: true }));
  });
  child.stderr.on("data", (bytes: Buffer) => {
    options.onErrors(decoders[1].decode(bytes, { stream: true }));
  });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    stop(child);
  }, options.limitMs);
  const end = await untilEnd(child, false);
  clearTimeout(timer);
  return late
    ? { status: undefined, why: `it did not end within ${options.limitMs / 1000} seconds` }
    : end;
}

/** SIGTERM presses the guest's power button, which a guest may ignore. */
function stop(child: ChildProcess): void {
  child.kill("SIGTERM");
  setTimeout(() => child.kill("SIGKILL"), patienceMs).unref();
}

/** Signals that would end us end the machine first. */
function untilEnd(child: ChildProcess, ignoreInterrupt: boolean): Promise<MachineEnd> {
  const listeners = new Map<NodeJS.Signals, () => void>([
    ...endingSignals.map((signal) => [signal, () => stop(child)] as const),
    ["SIGINT", ignoreInterrupt ? () => {} : () => stop(child)],
  ]);
  listeners.forEach((listener, signal) => process.on(signal, listener));
  return new Promise((resolve) => {
    const settle = (end: MachineEnd) => {
      listeners.forEach((listener, signal) => process.removeListener(signal, listener));
      resolve(end);
    };
    child.on("error", (error) => {
      settle({ status: undefined, why: `it could not be started: ${error.message}` });
    });
    child.on("close", (status, signal) => {
      settle({ status: status ?? undefined, why: signal === null ? "" : `${signal} ended it` });
    });
  });
}
