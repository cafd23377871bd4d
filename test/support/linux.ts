/**
 * Debian's generic kernel for tests of devices with the real drivers of Linux: fetched by apt and
 * unpacked once into the user's cache, with the modules that a test wants in an initrd of its own.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "../../src/host/folders.ts";
import { loadOrder, moduleNameOf } from "../../src/runner/debian/kernel-module.ts";
import type { KernelModule } from "../../src/runner/debian/kernel-module.ts";
import { buildInitrd } from "../../src/runner/initrd.ts";

const packageName = "linux-image-amd64";
/** Only what these tests load; the package has four thousand others. */
const wantedPaths = ["./boot/vmlinuz-*", ...[
  "drivers/virtio", "drivers/block", "drivers/char", "fs/9p", "net/9p", "fs/netfs", "fs/fscache",
  "fs/ext4", "fs/jbd2", "fs", "lib", "crypto", "arch/x86/crypto",
].map((folder) => `./lib/modules/*/kernel/${folder}/*.ko`)];

export interface TestKernel {
  readonly kernelPath: string;
  /** An initrd whose first process is `script`, run by busybox once the modules are loaded. */
  initrd(script: string, modules: readonly string[]): Uint8Array;
}

function run(command: string, cwd: string): string {
  const { status, stdout } = spawnSync("sh", ["-c", command], {
    cwd, encoding: "utf8", timeout: 240_000,
  });
  return status === 0 ? stdout : "";
}

/** Undefined where apt cannot provide it: other systems, no network. */
export function testKernel(): TestKernel | undefined {
  const folder = join(cacheFolder(), "test-kernel");
  if (!existsSync(join(folder, "complete")) && !fetch(folder)) {
    return undefined;
  }
  const boot = join(folder, "boot");
  const kernel = readdirSync(boot).find((name) => name.startsWith("vmlinuz-"));
  const busybox = join(folder, "bin", "busybox");
  const modules = new Map<string, KernelModule>();
  for (const entry of readdirSync(join(folder, "lib"), { recursive: true, withFileTypes: true })) {
    if (entry.name.endsWith(".ko")) {
      const name = moduleNameOf(entry.name);
      const path = join(entry.parentPath, entry.name);
      modules.set(name, { name, fileName: entry.name, content: readFileSync(path) });
    }
  }
  return {
    kernelPath: join(boot, kernel ?? ""),
    initrd: (script, wanted) => buildInitrd({
      busybox: readFileSync(busybox), modules: loadOrder(wanted, modules),
      scripts: new Map([["init", new TextEncoder().encode(prologue + script)]]),
    }),
  };
}

function fetch(folder: string): boolean {
  const draft = `${folder}.${process.pid}`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  const depends = run(`apt-cache depends ${packageName}`, draft);
  const kernel = /Depends: (linux-image-[0-9]\S*)/.exec(depends)?.[1];
  const patterns = wantedPaths.map((path) => `'${path}'`).join(" ");
  // A pattern that matches nothing is an error of tar's, and no matter here.
  const unpack = `for each in *.deb; do dpkg-deb --fsys-tarfile "$each"`
    + ` | tar x --wildcards ${patterns} './bin/busybox' 2>/dev/null; done; rm -f *.deb; true`;
  if (kernel === undefined || run(`apt-get download ${kernel} busybox-static && (${unpack})`
    + " && ls boot/vmlinuz-* bin/busybox", draft) === "") {
    rmSync(draft, { recursive: true, force: true });
    return false;
  }
  writeFileSync(join(draft, "complete"), "");
  rmSync(folder, { recursive: true, force: true });
  renameSync(draft, folder);
  return true;
}

/** What every script finds done. */
const prologue = `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /mnt /tmp
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s /bin
export PATH=/bin
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in $(cat /modules/order); do insmod /modules/$module || echo "refused: $module"; done
`;
