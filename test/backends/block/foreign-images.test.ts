/** VMDK, VHD and VHDX as QEMU writes them, and as chance damages them. */
import { closeSync, copyFileSync, openSync, readFileSync, statSync, truncateSync, writeSync,
} from "node:fs";
import { ConfigError, HostError } from "../../../src/base/errors.ts";
import { silentLog } from "../../../src/base/log.ts";
import type { BlockImage } from "../../../src/backends/block/image.ts";
import { openSyncImage } from "../../../src/backends/block/open.ts";
import { nodeOf } from "../../../src/config/options.ts";
import { readBlockSpec } from "../../../src/machine/block.ts";
import { testFolder } from "../../support/folder.ts";
import { assert, randomSource, seed, test } from "../../support/harness.ts";
import { runWell, testWith } from "../../support/programs.ts";

const folder = testFolder();
const MiB = 1024 * 1024;
// Whole cylinders of a VHD: its format rounds sizes to them.
const diskBytes = 16 * 63 * 512 * 20;

function open(path: string, backend: string): BlockImage {
  return openSyncImage(readBlockSpec(nodeOf({ path, backend }, "pci.0.3.0")), silentLog);
}

/** Zeros, noise and patterns; some blocks of each format stay empty. */
const content = new Uint8Array(diskBytes);
const random = randomSource();
for (let at = 0; at < diskBytes; at += 64 * 1024) {
  const kind = at > 4 * MiB && at < 7 * MiB ? 0 : random() % 3;
  content.fill(kind === 0 ? 0 : random(), at, at + 64 * 1024);
  for (let index = 0; kind === 2 && index < 1000; index += 1) {
    content[at + random() % (64 * 1024)] = random();
  }
}
const raw = folder.put("content.raw", content);

const formats: readonly (readonly [name: string, backend: string, ...options: string[]])[] = [
  ["sparse.vmdk", "vmdk", "vmdk", "-o", "subformat=monolithicSparse"],
  ["stream.vmdk", "vmdk", "vmdk", "-o", "subformat=streamOptimized"],
  ["flat.vmdk", "vmdk", "vmdk", "-o", "subformat=monolithicFlat"],
  ["split.vmdk", "vmdk", "vmdk", "-o", "subformat=twoGbMaxExtentSparse"],
  ["dynamic.vhd", "vhd", "vpc", "-o", "subformat=dynamic"],
  ["fixed.vhd", "vhd", "vpc", "-o", "subformat=fixed"],
  ["dynamic.vhdx", "vhdx", "vhdx", "-o", "block_size=1M"],
  ["fixed.vhdx", "vhdx", "vhdx", "-o", "subformat=fixed"],
];

for (const [name, backend, format, ...options] of formats) {
  testWith(["qemu-img"], `${name}: what qemu-img has converted is read`, () => {
    const path = folder.file(name);
    runWell("qemu-img", "convert", "-f", "raw", "-O", format ?? "", ...options, raw, path);
    const image = open(path, "auto");
    assert.equal(image.readOnly, true);
    const whole = new Uint8Array(image.sizeBytes);
    image.read(0, whole);
    assert.equal(Buffer.compare(whole.subarray(0, diskBytes), content), 0);
    assert.ok(image.sizeBytes - diskBytes < MiB && whole.subarray(diskBytes).every((b) => b === 0));
    for (let round = 0; round < 50; round += 1) {
      const offset = (random() % (diskBytes / 512 - 64)) * 512;
      const part = new Uint8Array((1 + random() % 64) * 512);
      image.read(offset, part);
      assert.equal(Buffer.compare(part, content.subarray(offset, offset + part.length)), 0);
    }
    image.close?.();
    damage(path, backend);
  });
}

function damage(path: string, backend: string): void {
  const copy = folder.file(`damaged.${backend}`);
  const { size } = statSync(path);
  let refused = 0;
  for (let round = 0; round < 40; round += 1) {
    copyFileSync(path, copy);
    const fd = openSync(copy, "r+");
    // The places with headers and tables: the start, the end, and VHDX's at steps of 64 KiB.
    for (let hits = 0; hits < 8; hits += 1) {
      const start = [0, size - 1024, 64 * 1024 * (random() % 6), 1024][random() % 4] ?? 0;
      writeSync(fd, Uint8Array.of(random()), 0, 1, Math.max(0, start + random() % 600));
    }
    closeSync(fd);
    if (random() % 4 === 0) {
      truncateSync(copy, random() % size);
    }
    try {
      const image = open(copy, backend);
      for (let at = 0; at + 65536 < Math.min(image.sizeBytes, 64 * MiB); at += 65536) {
        image.read(at, new Uint8Array(512));
      }
      image.close?.();
    } catch (error) {
      refused += 1;
      assert.ok(error instanceof ConfigError || error instanceof HostError,
        `seed ${seed}, round ${round}: ${String(error)}`);
    }
  }
  assert.ok(refused > 0, "some damage is noticed");
}

test("a descriptor cannot name files elsewhere on the host", () => {
  for (const name of ["/etc/hostname", "../x", "a/b", ""]) {
    const path = folder.put("evil.vmdk", [
      "# Disk DescriptorFile", "parentCID=ffffffff", `RW 2 FLAT "${name}" 0`, "",
    ].join("\n"));
    assert.throws(() => open(path, "vmdk"), /not a file beside it/);
  }
});

test("what is none of them is refused by name", () => {
  const path = folder.put("noise", readFileSync(raw).subarray(0, 512 * 1024));
  for (const backend of ["vmdk", "vhd", "vhdx"]) {
    assert.throws(() => open(path, backend), /pci\.0\.3\.0\.path/);
  }
});
