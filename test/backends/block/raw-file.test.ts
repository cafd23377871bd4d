import { chmodSync, readFileSync, truncateSync } from "node:fs";
import { ConfigError, HostError } from "../../../src/base/errors.ts";
import { openRawFile } from "../../../src/backends/block/raw-file.ts";
import type { RawFileOptions } from "../../../src/backends/block/raw-file.ts";
import { readSectorSize } from "../../../src/backends/block/sector-size.ts";
import { testFolder } from "../../support/folder.ts";
import { assert, randomSource, seed, test } from "../../support/harness.ts";

const folder = testFolder();
const key = "pci.0.3.0";
const nobody = 65534;

function refusal(options: Omit<RawFileOptions, "key">): string {
  try {
    openRawFile({ key, ...options }).close();
  } catch (error) {
    assert.ok(error instanceof ConfigError, `a ConfigError, not ${String(error)}`);
    assert.equal(error.problems.length, 1);
    return error.message;
  }
  return assert.fail("the disk was accepted");
}

test("what is written is read back and lies in the file at its offset", () => {
  const path = folder.put("plain.img", new Uint8Array(64 * 1024));
  const disk = openRawFile({ key, path });
  assert.equal(disk.sizeBytes, 65536);
  assert.equal(disk.sectorBytes, 512);
  assert.equal(disk.readOnly, false);
  const random = randomSource();
  const mirror = new Uint8Array(65536);
  for (let round = 0; round < 300; round += 1) {
    const offset = (random() % 128) * 512;
    const length = Math.min((1 + random() % 16) * 512, 65536 - offset);
    const data = Uint8Array.from({ length }, () => random() & 0xff);
    disk.write(offset, data);
    mirror.set(data, offset);
    const at = (random() % 128) * 512;
    const back = new Uint8Array(Math.min(8192, 65536 - at));
    disk.read(at, back);
    assert.deepEqual(back, mirror.slice(at, at + back.length), `seed ${seed}, round ${round}`);
  }
  disk.flush();
  disk.close();
  assert.deepEqual(new Uint8Array(readFileSync(path)), mirror);
});

test("requests work on shared memory, which is what guest RAM is", () => {
  const path = folder.put("shared.img", new Uint8Array(4096).fill(0x5a));
  const disk = openRawFile({ key, path });
  const ram = new Uint8Array(new SharedArrayBuffer(8192));
  disk.read(512, ram.subarray(100, 612));
  assert.equal(ram[99], 0);
  assert.ok(ram.subarray(100, 612).every((byte) => byte === 0x5a));
  disk.close();
});

function partsOf(bytes: Uint8Array, ranges: readonly (readonly [number, number])[]) {
  return {
    bytes, starts: Float64Array.from(ranges, ([start]) => start),
    lengths: Float64Array.from(ranges, ([, length]) => length),
    count: ranges.length, totalBytes: ranges.reduce((sum, [, length]) => sum + length, 0),
  };
}

test("many parts move in one request, also on shared memory", () => {
  const path = folder.put("parts.img", new Uint8Array(4096));
  const disk = openRawFile({ key, path });
  const ram = new Uint8Array(new SharedArrayBuffer(8192)).fill(7);
  for (const ranges of [[[5, 1024]], [[100, 24], [4000, 1000]], []] as const) {
    const parts = partsOf(ram, ranges);
    ranges.forEach(([start, length], index) => ram.fill(index + 1, start, start + length));
    disk.writeParts?.(512, parts);
    const kept = ram.slice();
    ram.fill(9);
    disk.readParts?.(512, parts);
    for (const [start, length] of ranges) {
      assert.deepEqual(ram.slice(start, start + length), kept.slice(start, start + length));
      ram.fill(9, start, start + length);
    }
    assert.ok(ram.every((byte) => byte === 9));
  }
  truncateSync(path, 600);
  disk.readParts?.(512, partsOf(ram, [[0, 60], [1000, 100]]));
  assert.deepEqual([ram[0], ram[59], ram[1000], ram[1027], ram[1028], ram[1099], ram[1100]],
    [1, 2, 2, 2, 0, 0, 9]);
  disk.close();
});

test("bytes that a cut file no longer has read as zeros", () => {
  const path = folder.put("cut.img", new Uint8Array(4096).fill(1));
  const disk = openRawFile({ key, path });
  truncateSync(path, 1000);
  const back = new Uint8Array(1024).fill(9);
  disk.read(512, back);
  assert.deepEqual(back.subarray(0, 488), new Uint8Array(488).fill(1));
  assert.deepEqual(back.subarray(488), new Uint8Array(536));
  disk.close();
});

test("a request beyond the end is our own defect and does not grow the file", () => {
  const path = folder.put("end.img", new Uint8Array(1024));
  const disk = openRawFile({ key, path });
  assert.throws(() => disk.write(512, new Uint8Array(1024)), /inside the disk/);
  disk.close();
  assert.equal(readFileSync(path).length, 1024);
});

test("a host without space is a HostError", () => {
  const disk = openRawFile({ key, path: "/dev/full" });
  assert.throws(() => disk.write(0, new Uint8Array(512)), (error) => error instanceof HostError
    && /no space/.test(error.message));
  disk.close();
});

test("an empty file is a disk of no sectors", () => {
  const disk = openRawFile({ key, path: folder.put("empty.img", "") });
  assert.equal(disk.sizeBytes, 0);
  disk.close();
});

test("a missing file, a directory and an empty name are refused with key and value", () => {
  assert.equal(refusal({ path: folder.file("none") }),
    `pci.0.3.0.path="${folder.file("none")}": no such file`);
  assert.match(refusal({ path: folder.path }), /^pci\.0\.3\.0\.path=".*": is a directory; /);
  assert.equal(refusal({ path: "" }), "pci.0.3.0.path=\"\": names no file");
});

test("a file that may only be read is opened read-only", () => {
  const path = folder.put("sealed.img", new Uint8Array(512));
  chmodSync(path, 0o444);
  chmodSync(folder.path, 0o755);
  // Root may write everything, so it is nobody for a moment.
  const isRoot = process.getuid?.() === 0;
  if (isRoot) {
    process.seteuid?.(nobody);
  }
  try {
    const disk = openRawFile({ key, path });
    assert.equal(disk.readOnly, true);
    disk.close();
  } finally {
    if (isRoot) {
      process.seteuid?.(0);
    }
  }
});

test("a running program, which nobody may write, is opened read-only", () => {
  const disk = openRawFile({ key, path: process.execPath }); // ETXTBSY, for root too.
  assert.equal(disk.readOnly, true);
  const magic = new Uint8Array(512);
  disk.read(0, magic);
  assert.deepEqual([...magic.subarray(0, 4)], [0x7f, 0x45, 0x4c, 0x46]);
  disk.close();
});

test("ro=true refuses writes", () => {
  const disk = openRawFile({
    key, path: folder.put("ro.img", new Uint8Array(512)), readOnly: true,
  });
  assert.throws(() => disk.write(0, new Uint8Array(512)), /opened for reading/);
  disk.close();
});

test("nocache and sync give the same bytes, from unaligned buffers too", () => {
  const path = folder.put("direct.img", new Uint8Array(3 * 1024 * 1024));
  const disk = openRawFile({ key, path, nocache: true, sync: true });
  const buffer = new Uint8Array(2 * 1024 * 1024 + 513);
  const data = buffer.subarray(1, 1 + 2 * 1024 * 1024);
  const random = randomSource();
  data.forEach((_, index) => { data[index] = random() & 0xff; });
  disk.write(512 * 1024, data);
  const back = new Uint8Array(data.length + 3).subarray(3);
  disk.read(512 * 1024, back);
  assert.ok(Buffer.from(back).equals(Buffer.from(data)), `seed ${seed}`);
  disk.close();
});

test("sector sizes follow bhyve's rule", () => {
  assert.deepEqual(readSectorSize("512"), { sectorBytes: 512, physicalSectorBytes: 512 });
  assert.deepEqual(readSectorSize("512/4096"), { sectorBytes: 512, physicalSectorBytes: 4096 });
  assert.deepEqual(readSectorSize("4096/4096"), { sectorBytes: 4096, physicalSectorBytes: 4096 });
  for (const text of ["", "500", "256", "0", "0x200", " 512", "512 ", "512/", "/512", "4096/512",
    "512/1000", "1024/2048/4096", "512x", "-512", "99999999999999999999"]) {
    assert.equal(readSectorSize(text), undefined, text);
  }
  const path = folder.put("sectors.img", new Uint8Array(8192));
  const disk = openRawFile({ key, path, sectorSize: "1024/4096" });
  assert.deepEqual([disk.sectorBytes, disk.physicalSectorBytes], [1024, 4096]);
  disk.close();
  assert.match(refusal({ path, sectorSize: "500" }),
    /^pci\.0\.3\.0\.sectorsize="500": expected a power of two/);
});
