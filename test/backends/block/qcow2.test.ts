/** qcow2 beside QEMU's own programs: what either writes the other reads, and finds in order. */
import { copyFileSync, openSync, readFileSync, statSync, truncateSync, writeSync, closeSync,
} from "node:fs";
import { ConfigError, HostError } from "../../../src/base/errors.ts";
import { silentLog } from "../../../src/base/log.ts";
import type { BlockImage } from "../../../src/backends/block/image.ts";
import { openSyncImage } from "../../../src/backends/block/open.ts";
import { nodeOf } from "../../../src/config/options.ts";
import { readBlockSpec } from "../../../src/machine/block.ts";
import { testFolder } from "../../support/folder.ts";
import { assert, randomSource, seed, test } from "../../support/harness.ts";
import { run, runWell, testWith } from "../../support/programs.ts";

const folder = testFolder();
const MiB = 1024 * 1024;
const diskBytes = 8 * MiB;

function openImage(path: string, values: Readonly<Record<string, string>> = {}): BlockImage {
  return openSyncImage(readBlockSpec(nodeOf({ path, ...values }, "pci.0.3.0")), silentLog);
}

function create(name: string, ...options: readonly string[]): string {
  const path = folder.file(name);
  runWell("qemu-img", "create", "-q", "-f", "qcow2", ...options, path, String(diskBytes));
  return path;
}

/** Random requests on the image and on its mirror, which stay the same. */
function exercise(
  image: BlockImage, mirror: Uint8Array, rounds: number, random = randomSource(),
): void {
  for (let round = 0; round < rounds; round += 1) {
    const offset = (random() % (mirror.length / 512)) * 512;
    const wanted = (1 + random() % (random() % 4 === 0 ? 512 : 16)) * 512;
    const length = Math.min(wanted, mirror.length - offset);
    switch (random() % 8) {
      case 0:
        image.writeZeroes?.(offset, length);
        mirror.fill(0, offset, offset + length);
        break;
      case 1: case 2: case 3: {
        const back = new Uint8Array(length);
        image.read(offset, back);
        same(back, mirror.subarray(offset, offset + length), `seed ${seed}, ${round}`);
        break;
      }
      default: {
        const data = new Uint8Array(length).fill(random()).map((byte, at) => byte + (at >>> 9));
        image.write?.(offset, data);
        mirror.set(data, offset);
      }
    }
  }
}

/** Faster than a comparison that can print megabytes. */
function same(actual: Uint8Array, expected: Uint8Array, what = "the same bytes"): void {
  assert.equal(Buffer.compare(actual, expected), 0, what);
}

function contentOf(image: BlockImage): Uint8Array {
  const bytes = new Uint8Array(image.sizeBytes);
  image.read(0, bytes);
  return bytes;
}

/** QEMU finds no fault with the image, and the same content. */
function agreed(path: string, mirror: Uint8Array, name: string): void {
  runWell("qemu-img", "check", "-q", "-f", "qcow2", path);
  const raw = folder.put(`${name}.mirror`, mirror);
  runWell("qemu-img", "compare", "-q", "-f", "qcow2", "-F", "raw", path, raw);
}

const kinds: Readonly<Record<string, readonly string[]>> = {
  "standard": [],
  "smallest-clusters": ["-o", "cluster_size=512"],
  "small-clusters": ["-o", "cluster_size=4096"],
  "largest-clusters": ["-o", "cluster_size=2M"],
  "version-2": ["-o", "compat=0.10"],
  "narrow-counts": ["-o", "refcount_bits=1"],
  "odd-counts": ["-o", "refcount_bits=4,cluster_size=1024"],
  "wide-counts": ["-o", "refcount_bits=64,cluster_size=512"],
  "lazy-counts": ["-o", "lazy_refcounts=on"],
  "preallocated": ["-o", "preallocation=metadata"],
};

for (const [kind, options] of Object.entries(kinds)) {
  testWith(["qemu-img"], `${kind}: qemu-img agrees with what random requests leave`, () => {
    const path = create(`${kind}.qcow2`, ...options);
    const mirror = new Uint8Array(diskBytes);
    for (let opening = 0; opening < 3; opening += 1) {
      const image = openImage(path);
      exercise(image, mirror, 150, randomSource(seed + opening));
      same(contentOf(image), mirror);
      image.flush?.();
      image.close?.();
      agreed(path, mirror, kind);
    }
  });
}

testWith(["qemu-img"], "the table of counts grows when the file does", () => {
  const path = folder.file("grows.qcow2");
  // A block counts 64 clusters of 512 bytes, and a table has room for 64 of them: 2 MiB in all.
  runWell("qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=512,refcount_bits=64",
    path, "16M");
  const mirror = new Uint8Array(16 * MiB).map((_zero, at) => (at >>> 9) * 7 + 1);
  const image = openImage(path);
  for (let at = 0; at < mirror.length; at += 64 * 1024) {
    image.write?.(at, mirror.subarray(at, at + 64 * 1024));
  }
  image.close?.();
  agreed(path, mirror, "grows");
});

for (const compression of ["zlib", "zstd"]) {
  testWith(["qemu-img"], `${compression}: compressed clusters are read, and written over`, () => {
    const mirror = new Uint8Array(diskBytes);
    const random = randomSource();
    for (let at = 0; at < diskBytes; at += 512) {
      mirror.fill(random() & (at % 4096 === 0 ? 0xff : 3), at, at + 512 - (random() % 300));
    }
    const raw = folder.put("plain.raw", mirror);
    const path = folder.file(`${compression}.qcow2`);
    runWell("qemu-img", "convert", "-q", "-c", "-f", "raw", "-O", "qcow2",
      "-o", `compression_type=${compression}`, raw, path);
    const image = openImage(path);
    same(contentOf(image), mirror);
    exercise(image, mirror, 200);
    image.close?.();
    agreed(path, mirror, compression);
  });
}

testWith(["qemu-img", "qemu-io"], "backing files show through until something is written", () => {
  const base = create("base.qcow2");
  runWell("qemu-io", "-f", "qcow2", "-c", "write -P 0x11 0 3M", base);
  const middle = folder.file("middle.qcow2");
  runWell("qemu-img", "create", "-q", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", middle);
  runWell("qemu-io", "-f", "qcow2", "-c", "write -P 0x22 1M 100k", middle);
  const path = folder.file("top.qcow2");
  runWell("qemu-img", "create", "-q", "-f", "qcow2", "-b", middle, "-F", "qcow2", path, "10M");
  const before = readFileSync(base);
  const mirror = new Uint8Array(10 * MiB);
  mirror.fill(0x11, 0, 3 * MiB).fill(0x22, MiB, MiB + 100 * 1024);
  const image = openImage(path);
  same(contentOf(image), mirror);
  exercise(image, mirror, 300);
  image.close?.();
  agreed(path, mirror, "top");
  same(readFileSync(base), before, "the lower layer is untouched");
});

testWith(["qemu-img", "qemu-io"], "a snapshot keeps its content while the disk goes on", () => {
  const path = create("snap.qcow2");
  runWell("qemu-io", "-f", "qcow2", "-c", "write -P 0x33 0 2M", path);
  runWell("qemu-img", "snapshot", "-c", "then", path);
  const mirror = new Uint8Array(diskBytes).fill(0x33, 0, 2 * MiB);
  const image = openImage(path);
  exercise(image, mirror, 200);
  image.close?.();
  agreed(path, mirror, "snap");
  runWell("qemu-img", "snapshot", "-a", "then", path);
  agreed(path, new Uint8Array(diskBytes).fill(0x33, 0, 2 * MiB), "then");
});

testWith(["qemu-img"], "what is discarded leaves the file, and is used again", () => {
  const path = create("discard.qcow2");
  const image = openImage(path);
  image.write?.(0, new Uint8Array(4 * MiB).fill(1));
  image.flush?.();
  const { size } = statSync(path);
  image.discard?.(0, 4 * MiB);
  assert.ok(contentOf(image).every((byte) => byte === 0));
  image.write?.(4 * MiB, new Uint8Array(4 * MiB).fill(2));
  image.close?.();
  assert.ok(statSync(path).size <= size + 128 * 1024, "freed clusters are taken first");
  agreed(path, new Uint8Array(diskBytes).fill(2, 4 * MiB), "discard");
});

testWith(["qemu-img"], "an overlay takes the writes of any disk, and is found again", () => {
  const content = new Uint8Array(3 * MiB).map((_zero, at) => at >>> 8);
  const base = folder.put("under.raw", content);
  const mirror = content.slice();
  const overlay = folder.file("over.qcow2");
  for (let opening = 0; opening < 2; opening += 1) {
    const image = openImage(base, { overlay });
    exercise(image, mirror, 200, randomSource(seed + opening));
    same(contentOf(image), mirror);
    image.close?.();
  }
  runWell("qemu-img", "check", "-q", "-f", "qcow2", overlay);
  same(readFileSync(base), content);
  const bigger = folder.put("bigger.raw", new Uint8Array(4 * MiB));
  assert.throws(() => openImage(bigger, { overlay }), /pci\.0\.3\.0\.overlay/);
});

test("an overlay in memory is gone when the disk is closed", () => {
  const base = folder.put("under2.raw", new Uint8Array(MiB).fill(4));
  const mirror = new Uint8Array(MiB).fill(4);
  const image = openImage(base, { overlay: "ram" });
  exercise(image, mirror, 200);
  same(contentOf(image), mirror);
  image.close?.();
  assert.ok(readFileSync(base).every((byte) => byte === 4));
});

testWith(["qemu-img"], "backing files that lead back are refused", () => {
  const one = create("one.qcow2");
  const two = folder.file("two.qcow2");
  runWell("qemu-img", "create", "-q", "-f", "qcow2", "-b", one, "-F", "qcow2", two);
  runWell("qemu-img", "rebase", "-q", "-u", "-f", "qcow2", "-b", two, "-F", "qcow2", one);
  assert.throws(() => openImage(two),
    (error) => error instanceof ConfigError && /lead back to it/.test(error.message));
});

testWith(["qemu-img"], "damaged images are refused or give I/O errors, whatever the damage", () => {
  const whole = create("whole.qcow2", "-o", "cluster_size=4096");
  const image = openImage(whole);
  exercise(image, new Uint8Array(diskBytes), 100);
  image.close?.();
  const path = folder.file("damaged.qcow2");
  const random = randomSource();
  const counts = { refused: 0, failed: 0, passed: 0 };
  const { size } = statSync(whole);
  for (let round = 0; round < 200; round += 1) {
    copyFileSync(whole, path);
    const fd = openSync(path, "r+");
    for (let hits = 1 + random() % 3; hits > 0; hits -= 1) {
      // Mostly in the header and the tables behind it.
      const at = random() % (random() % 2 === 0 ? 112 : 5 * 4096);
      writeSync(fd, Uint8Array.of(random()), 0, 1, at);
    }
    closeSync(fd);
    if (random() % 8 === 0) {
      truncateSync(path, random() % size);
    }
    counts[survive(path, round)] += 1;
  }
  assert.ok(counts.refused > 20, JSON.stringify(counts));
  assert.ok(counts.passed > 20, JSON.stringify(counts));
});

function survive(path: string, round: number): "refused" | "failed" | "passed" {
  let opened: BlockImage;
  try {
    opened = openImage(path);
  } catch (error) {
    assert.ok(error instanceof ConfigError, `seed ${seed}, ${round}: ${String(error)}`);
    return "refused";
  }
  try {
    for (let at = 0; at + 65536 <= opened.sizeBytes && at < 16 * MiB; at += 65536) {
      opened.read(at, new Uint8Array(65536));
      if (!opened.readOnly) {
        opened.write?.(at, new Uint8Array(512));
      }
    }
    return "passed";
  } catch (error) {
    assert.ok(error instanceof HostError, `seed ${seed}, ${round}: ${String(error)}`);
    return "failed";
  } finally {
    opened.close?.();
  }
}

testWith(["qemu-img"], "an image of another kind is refused by name", () => {
  const path = folder.put("no.qcow2", new Uint8Array(4096));
  assert.throws(() => openImage(path), /pci\.0\.3\.0\.path.*no header of qcow2/);
  assert.equal(run("qemu-img", "check", "-f", "qcow2", path).status, 1);
});
