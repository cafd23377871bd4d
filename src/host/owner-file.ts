/**
 * Which process a thing of the kernel belongs to that outlives processes, as a VM of /dev/vmm:
 * a file with its number in the folder for temporary files, so that the next start can tell an
 * orphan from what another process uses.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export class OwnerFile {
  readonly path: string;

  /** `kind` and `name` make the file's name; neither has a slash. */
  constructor(kind: string, name: string) {
    this.path = join(tmpdir(), `tsbhyve-${kind}-${name}.owner`);
  }

  /** This process owns it from now on. */
  write(): void {
    writeFileSync(this.path, String(process.pid), { mode: 0o600 });
  }

  remove(): void {
    rmSync(this.path, { force: true });
  }

  /** An owner was written down, and it no longer lives. */
  isOrphaned(): boolean {
    const pid = this.#pid();
    if (pid === undefined) {
      return false;
    }
    try {
      process.kill(pid, 0);
      return false;
    } catch (error) {
      return error instanceof Error && "code" in error && error.code === "ESRCH";
    }
  }

  #pid(): number | undefined {
    try {
      const pid = Number(readFileSync(this.path, "utf8"));
      return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
    } catch {
      return undefined;
    }
  }
}
