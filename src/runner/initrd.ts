/** The first root file system of the Linux guest: busybox, our scripts, the virtio modules. */
import { writeCpio, type CpioEntry } from "./cpio.ts";
import type { KernelModule } from "./debian/kernel-module.ts";

export interface InitrdParts {
  readonly busybox: Uint8Array;
  /** In the order in which they are loaded. */
  readonly modules: readonly KernelModule[];
  /** The guest's own scripts by path: `init`, `session.sh`, `check.sh`. */
  readonly scripts: ReadonlyMap<string, Uint8Array>;
}

/** Uncompressed: the guest's processor would pay for what the host's disk saves. */
export function buildInitrd(parts: InitrdParts): Uint8Array {
  const folders = ["bin", "dev", "modules"].map((path): CpioEntry => ({ kind: "folder", path }));
  const scripts = [...parts.scripts].map(([path, content]): CpioEntry =>
    ({ kind: "file", path, mode: 0o755, content }));
  const modules = parts.modules.map((module): CpioEntry =>
    ({ kind: "file", path: `modules/${module.fileName}`, content: module.content }));
  return writeCpio([
    ...folders,
    // The kernel opens it for the first process before that can mount a /dev.
    { kind: "charDevice", path: "dev/console", major: 5, minor: 1 },
    { kind: "file", path: "bin/busybox", mode: 0o755, content: parts.busybox },
    ...scripts,
    ...modules,
    {
      kind: "file",
      path: "modules/order",
      content: parts.modules.map((module) => `${module.fileName}\n`).join(""),
    },
  ]);
}
