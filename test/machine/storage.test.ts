/**
 * Debian's kernel with its own drivers on our storage devices, all in one boot: disks on raw files,
 * qcow2 and NBD, a console port, a shared folder.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { nativeAddon } from "../../src/host/native.ts";
import { runWatched } from "../../src/runner/machine-process.ts";
import { testFolder } from "../support/folder.ts";
import { assert, skipTest, test } from "../support/harness.ts";
import { testKernel } from "../support/linux.ts";
import { repositoryRoot } from "../support/paths.ts";
import { hasProgram, runWell } from "../support/programs.ts";

const name = "Linux keeps files on each kind of disk, writes to a port, and shares a folder";
const limitMs = 400_000;
const folder = testFolder();
/** Holes in files are made by the native addon. */
const canTrim = nativeAddon() !== undefined;
const MiB = 1024 * 1024;

/** Prints one line for each thing that works; the test wants them all. */
const script = `
exec >/dev/console 2>&1
say() { echo "storage-test: $*"; }
for disk in vda vdb vdc; do
  for try in 1 2 3 4 5 6 7 8 9 10; do [ -b /dev/$disk ] && break; usleep 200000; done
  mount -t ext4 /dev/$disk /mnt || say "cannot mount $disk"
  dd if=/dev/urandom of=/mnt/noise bs=64k count=24 2>/dev/null
  sum=$(sha256sum </mnt/noise)
  umount /mnt; blockdev --flushbufs /dev/$disk; echo 3 >/proc/sys/vm/drop_caches
  mount -t ext4 /dev/$disk /mnt
  [ "$sum" = "$(sha256sum </mnt/noise)" ] && say "$disk keeps"
  rm /mnt/noise; [ $disk = vda ] && fstrim /mnt && say "$disk trims"
  umount /mnt
done
say "queues $(ls /sys/block/vda/mq | wc -l)"
say "serial $(cat /sys/block/vda/serial)"
say "virtio $(cat /sys/bus/virtio/devices/virtio0/features | cut -c 33-35)"
port=/dev/virtio-ports/test.port
for try in 1 2 3 4 5 6 7 8 9 10; do [ -e $port ] && break; usleep 200000; done
for link in /sys/class/virtio-ports/vport*; do
  [ "$(cat $link/name)" = test.port ] && port=/dev/\${link##*/}
done
echo "from the guest" >$port && say "port written"
mkdir -p /share
mount -t 9p -o trans=virtio,version=9p2000.L host /share || say "cannot mount the share"
[ "$(cat /share/greeting)" = "from the host" ] && say "share read"
cp -r /modules /share/copy && cmp /modules/order /share/copy/order && say "share written"
ln -s /outside /share/link; mv /share/copy/order /share/moved; rm -r /share/copy
[ -L /share/link ] && [ ! -e /share/copy ] && say "share changed"
cat /share/out/secret 2>/dev/null && say "ESCAPED"
umount /share
sync
poweroff -f
`;

const modules = [
  "virtio_pci", "virtio_blk", "virtio_console", "9pnet_virtio", "9p", "crc32c_generic", "ext4",
];

async function boot(kernelPath: string, initrd: Uint8Array): Promise<void> {
  const raw = folder.file("raw.img");
  const qcow2 = folder.file("disk.qcow2");
  const served = folder.file("served.img");
  const socket = folder.file("nbd.socket");
  const port = folder.file("port.txt");
  const share = folder.file("share");
  mkdirSync(share);
  writeFileSync(join(share, "greeting"), "from the host\n");
  writeFileSync(folder.file("secret"), "not shared");
  runWell("ln", "-s", folder.path, join(share, "out"));
  for (const path of [raw, served]) {
    runWell("truncate", "-s", "24M", path);
    runWell("mke2fs", "-q", "-F", "-t", "ext4", path);
  }
  runWell("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, qcow2);
  const server = spawn("qemu-nbd", ["-f", "raw", "-k", socket, "-t", served]);
  try {
    while (!existsSync(socket)) {
      await new Promise((resolve) => { setTimeout(resolve, 20); });
    }
    const output = await runMachine({
      "boot.kernel": kernelPath, "boot.initrd": folder.put("initrd", initrd),
      "boot.cmdline": "console=ttyS0 quiet panic=-1",
      "pci.0.3.0.device": "virtio-blk", "pci.0.3.0.path": raw, "pci.0.3.0.queues": "2",
      "pci.0.3.0.ser": "SERIAL-7",
      "pci.0.4.0.device": "virtio-blk", "pci.0.4.0.path": qcow2, "pci.0.4.0.virtio": "legacy",
      "pci.0.5.0.device": "virtio-blk", "pci.0.5.0.path": `nbd+unix:///?socket=${socket}`,
      "pci.0.5.0.virtio": "modern",
      "pci.0.6.0.device": "virtio-console", "pci.0.6.0.port.0.name": "test.port",
      "pci.0.6.0.port.0.path": `file:${port}`,
      "pci.0.7.0.device": "virtio-9p", "pci.0.7.0.path": share, "pci.0.7.0.sharename": "host",
    });
    for (const line of [
      "vda keeps", "vdb keeps", "vdc keeps", "queues 1", "serial SERIAL-7",
      ...(canTrim ? ["vda trims"] : []),
      "port written", "share read", "share written", "share changed", "virtio 101",
    ]) {
      assert.ok(output.includes(`storage-test: ${line}`), `${line}: ${output}`);
    }
    assert.ok(!output.includes("ESCAPED") && !output.includes("not shared"), output);
  } finally {
    server.kill();
  }
  checkFiles(raw, qcow2, served);
  assert.equal(readFileSync(port, "utf8"), "from the guest\n");
  assert.ok(readFileSync(join(share, "moved"), "utf8").includes("virtio_blk.ko"));
}

function checkFiles(raw: string, qcow2: string, served: string): void {
  runWell("qemu-img", "check", "-q", qcow2);
  const back = folder.file("back.img");
  runWell("qemu-img", "convert", "-f", "qcow2", "-O", "raw", qcow2, back);
  for (const path of [raw, back, served]) {
    runWell("e2fsck", "-fn", path);
  }
  assert.ok(!canTrim || statSync(raw).blocks * 512 < 12 * MiB,
    "what the guest trimmed is a hole in the file");
}

async function runMachine(keys: Readonly<Record<string, string>>): Promise<string> {
  const all = {
    "memory.size": "256M", "pci.0.0.0.device": "hostbridge", "pci.0.31.0.device": "lpc",
    "lpc.com1.path": "stdio", ...keys,
  };
  let output = "";
  const end = await runWatched([process.execPath, join(repositoryRoot, "bin", "tsbhyve.mjs"),
    ...Object.entries(all).flatMap(([key, value]) => ["-o", `${key}=${value}`]), "storage"], {
    limitMs, onOutput: (text) => { output += text; }, onErrors: (text) => { output += text; },
  });
  assert.equal(end.status, 1, `${end.why}: ${output}`);
  return output;
}

const needed = ["qemu-img", "qemu-nbd", "mke2fs", "e2fsck"].filter((each) => !hasProgram(each));
const kernel = needed.length === 0 ? testKernel() : undefined;
if (kernel !== undefined) {
  test(name, () => boot(kernel.kernelPath, kernel.initrd(script, modules)));
} else {
  const apt = spawnSync("sh", ["-c", "command -v apt-get"]).status === 0;
  skipTest(name, needed.length > 0 ? `${needed.join(", ")} is not installed`
    : apt ? "apt has no kernel to fetch" : "this host has no apt");
}
