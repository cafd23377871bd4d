/**
 * The one process beside a machine that runs in the background: it holds the machine's lock,
 * starts it again after a reboot, passes the wish to stop on, and removes what was made for it.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { exitStatus } from "../../base/errors.ts";
import { lockFile, writeWholeFile } from "../../host/folders.ts";
import type { MachineFolder } from "./folders.ts";
import { settingsOf } from "./folders.ts";
import { tapsFor } from "./switches.ts";

/** A machine that was told twice to end and still runs is killed. */
const patienceMs = 3000;
/** A guest that reboots at once, again and again, must not fill the log. */
const rebootPauseMs = 200;

/** How the program for machines is started. */
export const machineProgram: readonly string[] = [
  process.execPath, join(import.meta.dirname, "..", "..", "..", "..", "bin", "tsbhyve.mjs"),
];

/** Looks after the machine until it ends; returns its last status. */
export async function supervise(folder: MachineFolder): Promise<number> {
  if (!lockFile(folder.pid)) {
    return exitStatus.error; // Another start was faster.
  }
  const log = openSync(folder.log, "a");
  const taps = tapsFor(settingsOf(folder));
  const life = new Life(folder, log);
  const stop = () => life.stop();
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  process.on("SIGHUP", () => {}); // The terminal that started us may go.
  try {
    taps.make();
    return await life.run();
  } finally {
    taps.remove();
    rmSync(folder.machinePid, { force: true });
    closeSync(log);
  }
}

class Life {
  readonly #folder: MachineFolder;
  readonly #log: number;
  #child: ChildProcess | undefined;
  #wishes = 0;

  constructor(folder: MachineFolder, log: number) {
    this.#folder = folder;
    this.#log = log;
  }

  /** Once is the power button, twice ends the machine, and then it has a moment. */
  stop(): void {
    this.#wishes += 1;
    this.#child?.kill("SIGTERM");
    if (this.#wishes > 1) {
      setTimeout(() => this.#child?.kill("SIGKILL"), patienceMs).unref();
    }
  }

  async run(): Promise<number> {
    for (;;) {
      const status = await this.#once();
      if (status !== exitStatus.reset || this.#wishes > 0) {
        return status;
      }
      await new Promise((resolve) => setTimeout(resolve, rebootPauseMs));
    }
  }

  #once(): Promise<number> {
    const { path, name } = this.#folder;
    const [command = "", ...words] = [...machineProgram, "-k", "machine.flat", "--", name];
    const child = spawn(command, words, {
      cwd: path, stdio: ["ignore", this.#log, this.#log],
    });
    this.#child = child;
    writeWholeFile(this.#folder.machinePid, `${child.pid ?? 0}\n`);
    return new Promise((resolve) => {
      child.once("error", () => resolve(exitStatus.error));
      child.once("exit", (status) => resolve(status ?? exitStatus.error));
    });
  }
}
