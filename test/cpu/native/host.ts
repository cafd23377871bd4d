/** The processor of this machine as an oracle: host.c, compiled when a test needs it. */
import { spawn, spawnSync, type ChildProcessByStdio } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { testFile } from "../../support/paths.ts";
import { foreignBase, headerBytes } from "./layout.ts";

/** A batch takes milliseconds; generated code that loops forever is ended. */
const batchLimitMs = 20_000;

export class NativeHost {
  readonly #folder: string;
  readonly #program: string;
  #child: ChildProcessByStdio<Writable, Readable, null> | undefined;

  constructor(folder: string, program: string) {
    this.#folder = folder;
    this.#program = program;
  }

  /** Runs a batch (header and records); resolves to the records afterwards. */
  run(batch: Uint8Array): Promise<Uint8Array> {
    const child = this.#child ??= spawn(this.#program, [], { stdio: ["pipe", "pipe", "inherit"] });
    const answer = new Uint8Array(batch.length - headerBytes);
    return new Promise((resolve, reject) => {
      let filled = 0;
      const timer = setTimeout(() => child.kill("SIGKILL"), batchLimitMs);
      const onData = (bytes: Uint8Array) => {
        answer.set(bytes, filled);
        filled += bytes.length;
        if (filled === answer.length) {
          finish();
          resolve(answer);
        }
      };
      const onClose = (status: number | null, signal: string | null) => {
        finish();
        this.#child = undefined;
        reject(new Error(`the native process ended: ${signal ?? status}`));
      };
      const finish = () => {
        clearTimeout(timer);
        child.stdout.off("data", onData);
        child.off("close", onClose);
      };
      child.stdout.on("data", onData);
      child.on("close", onClose);
      child.stdin.write(batch);
    });
  }

  close(): void {
    this.#child?.stdin.end();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** The oracle, or why there is none here. */
export function nativeHost(): NativeHost | string {
  if (process.arch !== "x64" || process.platform !== "linux") {
    return "the host is no x86-64 Linux";
  }
  const folder = mkdtempSync(join(tmpdir(), "tsbhyve-native-"));
  const program = join(folder, "host");
  const source = testFile("cpu", "native", "host.c");
  const built = spawnSync("gcc", [
    "-O2", "-Wall", "-fno-pie", "-no-pie", "-fno-stack-protector",
    `-Wl,-Ttext-segment=0x${foreignBase.toString(16)}`, "-o", program, source,
  ], { encoding: "utf8" });
  if (built.status !== 0) {
    rmSync(folder, { recursive: true, force: true });
    return `gcc does not work: ${built.error?.message ?? built.stderr}`;
  }
  return new NativeHost(folder, program);
}
