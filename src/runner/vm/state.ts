/**
 * Whether a machine runs: derived from the processes named in its folder, never from a note. A
 * number that another process has got meanwhile is told by that process's working folder.
 */
import { existsSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import type { MachineFolder } from "./folders.ts";

export type MachineState =
  | { readonly state: "stopped" }
  /** The process to be told what to do: the one beside the machine, or else the machine. */
  | { readonly state: "running"; readonly pid: number }
  /** Killed: what was left behind is removed at the next start. */
  | { readonly state: "stale"; readonly pid: number };

export function stateOf(folder: MachineFolder): MachineState {
  const pids = [folder.pid, folder.machinePid].filter((file) => existsSync(file))
    .map((file) => Number.parseInt(readFileSync(file, "utf8"), 10));
  const running = pids.find((pid) => isAlive(pid) && isAtHome(pid, folder.path));
  const [first] = pids;
  return running !== undefined ? { state: "running", pid: running }
    : first !== undefined ? { state: "stale", pid: first } : { state: "stopped" };
}

export function isAlive(pid: number): boolean {
  try {
    return pid > 0 && process.kill(pid, 0) && !isZombie(pid);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/** A process that has ended but that nobody has waited for holds no lock any more. */
function isZombie(pid: number): boolean {
  try {
    return /^\d+ \(.*\) Z /s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false; // No /proc here.
  }
}

/** Both processes work in the machine's folder; where that cannot be told they are believed. */
function isAtHome(pid: number, path: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(path);
  } catch {
    return true;
  }
}
