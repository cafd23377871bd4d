/** Starting and stopping machines in the background. */
import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ConfigError, HostError } from "../../base/errors.ts";
import type { MachineFolder } from "./folders.ts";
import { settingsOf } from "./folders.ts";
import { isAlive, stateOf } from "./state.ts";

const pollMs = 50;
/** A program under load needs a while to begin. */
const startLimitMs = 60_000;
/** A machine without a serial socket counts as started once its lock has lasted so long. */
const settleMs = 1500;
const killLimitMs = 10_000;

const ownProgram: readonly string[] = [
  process.execPath, join(import.meta.dirname, "..", "..", "..", "..", "bin", "tsvm.mjs"),
];

/** What a name stands for when it is passed on; nobody types it. */
export const watchWord = "_watch";

/** Starts the machine; throws HostError with what it said if it ends at once. */
export async function startMachine(root: string, folder: MachineFolder): Promise<number> {
  const before = stateOf(folder);
  if (before.state === "running") {
    throw new ConfigError({ key: "NAME", value: folder.name, message: "runs already" });
  }
  removeRemains(folder);
  const socket = socketOf(folder);
  if (socket !== undefined) {
    rmSync(socket, { force: true }); // Its file outlives a process that was killed.
  }
  const log = openSync(folder.log, "a");
  const heard = statSync(folder.log).size;
  const [command = "", ...words] = [...ownProgram, watchWord, folder.name];
  const child = spawn(command, words, {
    detached: true, stdio: ["ignore", log, log], cwd: folder.path,
    env: { ...process.env, TSVM_ROOT: root },
  });
  closeSync(log);
  let ended = false;
  child.once("exit", () => { ended = true; });
  child.once("error", () => { ended = true; });
  child.unref();
  const limit = performance.now() + startLimitMs;
  let since: number | undefined;
  while (!ended && performance.now() < limit) {
    const state = stateOf(folder);
    since ??= state.state === "running" ? performance.now() : undefined;
    const ready = socket === undefined
      ? since !== undefined && performance.now() - since > settleMs : existsSync(socket);
    if (state.state === "running" && ready) {
      return state.pid;
    }
    await delay(pollMs);
  }
  const said = readFileSync(folder.log, "utf8").slice(heard).trim();
  throw new HostError(`${folder.name} did not start`,
    said === "" ? "it said nothing" : said.replace(/^tsbhyve: /gm, ""));
}

/** The socket of the serial line, if it lies in the machine's folder. */
function socketOf(folder: MachineFolder): string | undefined {
  const serial = settingsOf(folder).value("lpc.com1.path") ?? "";
  return /^unix:[^/]+$/.test(serial) ? join(folder.path, serial.slice("unix:".length)) : undefined;
}

/** What processes leave behind that were killed. */
function removeRemains({ pid, machinePid }: MachineFolder): void {
  rmSync(pid, { force: true });
  rmSync(machinePid, { force: true });
}

export type StopOutcome = "was stopped" | "powered off" | "was ended";

/** The power button; after the deadline the end, and in the worst case the kill. */
export async function stopMachine(
  folder: MachineFolder, { deadlineMs, force = false }: { deadlineMs: number; force?: boolean },
): Promise<StopOutcome> {
  const state = stateOf(folder);
  if (state.state !== "running") {
    removeRemains(folder);
    return "was stopped";
  }
  process.kill(state.pid, "SIGTERM");
  if (!force && await hasEnded(folder, deadlineMs)) {
    return "powered off";
  }
  if (stateOf(folder).state === "running") {
    process.kill(state.pid, "SIGTERM"); // The second time means it.
  }
  if (!await hasEnded(folder, killLimitMs) && isAlive(state.pid)) {
    process.kill(state.pid, "SIGKILL");
    await hasEnded(folder, killLimitMs);
  }
  removeRemains(folder);
  return "was ended";
}

async function hasEnded(folder: MachineFolder, limitMs: number): Promise<boolean> {
  const limit = performance.now() + limitMs;
  for (;;) {
    if (stateOf(folder).state !== "running") {
      return true;
    }
    if (performance.now() >= limit) {
      return false;
    }
    await delay(pollMs);
  }
}
