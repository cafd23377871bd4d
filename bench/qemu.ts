/** QEMU's TCG as the peer that benchmarks run beside ours. */
import { spawn, spawnSync } from "node:child_process";

export const qemuBinary = "qemu-system-x86_64";

export function hasQemu(): boolean {
  return spawnSync(qemuBinary, ["--version"], { stdio: "ignore" }).status === 0;
}

export interface SeenLine {
  /** Milliseconds from the start of the process to the line. */
  readonly ms: number;
  readonly seen: boolean;
}

/** Runs a program until its output has `marker`, then ends it. */
export function timeToLine(
  command: string, words: readonly string[], marker: string, limitMs: number,
): Promise<SeenLine> {
  return new Promise((resolve) => {
    const start = performance.now();
    const child = spawn(command, words, { stdio: ["ignore", "pipe", "ignore"] });
    let output = "";
    let result: SeenLine = { ms: limitMs, seen: false };
    const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
    child.stdout.on("data", (bytes: Buffer) => {
      output = (output + bytes.toString("latin1")).slice(-100_000);
      if (!result.seen && output.includes(marker)) {
        result = { ms: performance.now() - start, seen: true };
        child.kill("SIGKILL");
      }
    });
    child.on("close", () => {
      clearTimeout(timer);
      resolve(result);
    });
  });
}
