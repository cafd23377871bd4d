/**
 * The two images of the nested test: the outer guest's initrd (busybox, modules for its disk and
 * for KVM on AMD) and its disk (Node, this program, and the inner guest).
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { loadOrder, moduleNameOf, type KernelModule,
} from "../../../src/runner/debian/kernel-module.ts";
import { unpackPackage } from "../../../src/runner/debian/package.ts";
import { buildInitrd } from "../../../src/runner/initrd.ts";
import type { LinuxGuest } from "../../../src/runner/linux-guest.ts";
import { repositoryRoot } from "../../support/paths.ts";

/** What the outer guest loads, after what these need. */
const wantedModules = ["virtio_pci", "virtio_blk", "kvm_amd"];
const moduleFolders =
  /\/kernel\/(drivers\/(virtio|block|crypto\/ccp)|arch\/x86\/kvm|virt\/lib)\/.*\.ko$/;
const diskMiB = 400;

/** Loads KVM, and runs the words that it finds on the disk there. */
const init = `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /mnt
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s /bin
export PATH=/bin
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in $(cat /modules/order); do
  insmod "/modules/$module" || echo "nested: module $module was refused"
done
for _ in 1 2 3 4 5 6 7 8 9 10; do
  [ -b /dev/vda ] && break
  usleep 100000
done
mount -t ext4 /dev/vda /mnt || echo "nested: no disk"
mount --bind /dev /mnt/dev
mount --bind /proc /mnt/proc
ls -l /dev/kvm
chroot /mnt /bin/sh /run.sh </dev/console >/dev/console 2>&1
echo "nested: the end, status $?"
sync
poweroff -f
`;

export interface NestedImages {
  readonly kernelPath: string;
  readonly initrdPath: string;
  readonly diskPath: string;
}

export interface NestedOptions {
  readonly folder: string;
  /** The guest within, and the disk it checks. */
  readonly inner: LinuxGuest;
  readonly innerDisk: string;
  /** The words of the inner machine's command line, with paths of the outer disk. */
  readonly words: readonly string[];
}

export const innerPaths = {
  kernelPath: "/inner/vmlinuz", initrdPath: "/inner/initrd", diskPath: "/inner/disk",
} as const;

function run(program: string, ...words: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, words, { encoding: "utf8" });
  if (status !== 0) {
    throw new Error(`${program} ${words.join(" ")}: ${error?.message ?? stderr}`);
  }
  return stdout;
}

/** The kernel's package, fetched once: `linux-image-…_version_amd64.deb`. */
function fetchPackage(folder: string, kernelPath: string): string {
  const name = basename(dirname(kernelPath)).replace(/_.*/, "");
  const find = () => readdirSync(folder).find((file) => file.startsWith(`${name}_`));
  if (find() === undefined) {
    const { status, stderr } = spawnSync("apt-get", ["download", name],
      { cwd: folder, encoding: "utf8" });
    if (status !== 0) {
      throw new Error(`apt-get download ${name}: ${stderr}`);
    }
  }
  return join(folder, find() ?? name);
}

async function modulesOf(archive: string): Promise<readonly KernelModule[]> {
  const found = new Map<string, KernelModule>();
  const files = unpackPackage(readFileSync(archive), {
    wanted: ({ kind, path }) => kind === "file" && moduleFolders.test(path), onProgress: () => {},
  });
  for await (const { path, content } of files) {
    const name = moduleNameOf(path);
    found.set(name, { name, fileName: basename(path), content });
  }
  return loadOrder(wantedModules, found);
}

/** Node with the libraries it names, this program, and the inner guest. */
function fillDisk(tree: string, options: NestedOptions, busybox: Uint8Array): void {
  const into = (path: string) => {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    return join(tree, path);
  };
  for (const folder of ["dev", "proc", "tmp"]) {
    mkdirSync(join(tree, folder), { recursive: true });
  }
  cpSync(process.execPath, into("bin/node"), { dereference: true });
  for (const [, library = ""] of run("ldd", process.execPath).matchAll(/(\/lib\S+)/g)) {
    cpSync(library, into(library.slice(1)), { dereference: true });
  }
  writeFileSync(into("bin/sh"), busybox, { mode: 0o755 });
  const packages = ["node-gyp-build", "xz-decompress", "fzstd"]
    .map((name) => `node_modules/${name}`);
  for (const path of ["package.json", "bin", "dist/src", "build/Release", ...packages]) {
    cpSync(join(repositoryRoot, path), into(`tsbhyve/${path}`), { recursive: true });
  }
  cpSync(options.inner.kernelPath, into(innerPaths.kernelPath.slice(1)));
  cpSync(options.inner.initrdPath, into(innerPaths.initrdPath.slice(1)));
  cpSync(options.innerDisk, into(innerPaths.diskPath.slice(1)));
  const line = options.words.map((word) => `'${word}'`).join(" ");
  writeFileSync(into("run.sh"), `exec /bin/node /tsbhyve/bin/tsbhyve.mjs ${line}\n`);
}

export async function buildImages(options: NestedOptions): Promise<NestedImages> {
  const { folder, inner } = options;
  const caches = dirname(dirname(inner.kernelPath));
  const busyboxFolder = readdirSync(caches).find((name) => name.startsWith("busybox"));
  const busybox = readFileSync(join(caches, busyboxFolder ?? "", "busybox"));
  const modules = await modulesOf(fetchPackage(folder, inner.kernelPath));
  const initrdPath = join(folder, "outer-initrd.cpio");
  writeFileSync(initrdPath, buildInitrd({
    busybox, modules, scripts: new Map([["init", Buffer.from(init)]]),
  }));
  const tree = join(folder, "tree");
  if (existsSync(tree)) {
    rmSync(tree, { recursive: true });
  }
  fillDisk(tree, options, busybox);
  const diskPath = join(folder, "outer.ext4");
  rmSync(diskPath, { force: true });
  run("/sbin/mke2fs", "-q", "-t", "ext4", "-d", tree, diskPath, `${diskMiB}M`);
  return { kernelPath: inner.kernelPath, initrdPath, diskPath };
}
