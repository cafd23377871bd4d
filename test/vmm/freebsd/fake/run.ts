/** Runs programs under the fake /dev/vmm: `underFake` gives the words of a command line. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { nativeState } from "../../../../src/host/native.ts";
import type { TestFolder } from "../../../support/folder.ts";
import { repositoryRoot } from "../../../support/paths.ts";

export const versions = ["freebsd13", "freebsd14", "freebsd15"] as const;

export interface FakeVmm {
  /** Program and arguments that run `words` of a Node command line under this version. */
  command(version: string, words: readonly string[]): [string, ...string[]];
}

/** Builds the launcher; or why there can be no fake here. */
export function fakeVmm(folder: TestFolder): FakeVmm | { readonly reason: string } {
  const native = nativeState();
  if (native.addon === undefined) {
    return { reason: native.reason };
  }
  const source = join(repositoryRoot, "test", "vmm", "freebsd", "fake", "launcher.c");
  const launcher = folder.file("launcher");
  const built = spawnSync("cc", ["-O2", "-Wall", "-o", launcher, source], { encoding: "utf8" });
  if (built.status !== 0) {
    return { reason: `cc cannot build the launcher: ${built.error?.message ?? built.stderr}` };
  }
  const supervisor = fileURLToPath(new URL("./supervisor.js", import.meta.url));
  return {
    command: (version, words) => [process.execPath, "--enable-source-maps", supervisor, version,
      launcher, process.execPath, ...words],
  };
}
