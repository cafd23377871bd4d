import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MiB } from "../../src/base/units.ts";
import { writeSparseFile } from "../../src/host/folders.ts";
import { ext4Image, type ImageFile, type ImageOptions } from "../../src/runner/ext4/image.ts";
import { makeGuestDisk } from "../../src/runner/guest-disk.ts";
import { afterAll, assert, skipTest, test } from "../support/harness.ts";

const folder = mkdtempSync(join(tmpdir(), "tsbhyve-ext4-"));
afterAll(() => rmSync(folder, { recursive: true }));

function imageOptions(sizeBytes: number, files: readonly ImageFile[]): ImageOptions {
  const uuid = Uint8Array.from({ length: 16 }, (_unused, index) => index * 17);
  return { sizeBytes, label: "a label", uuid, timeSeconds: 1_700_000_000, files };
}

function tool(name: string, ...words: readonly string[]) {
  // The tools stand in sbin, which not every PATH has.
  const PATH = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;
  return spawnSync(name, words, { encoding: "utf8", env: { ...process.env, PATH, LC_ALL: "C" } });
}

test("an image of more than one block group, or too small for its files, is refused", () => {
  assert.throws(() => ext4Image(imageOptions(8 * MiB, [])), /16 to 128 MiB/);
  assert.throws(() => ext4Image(imageOptions(256 * MiB, [])), /16 to 128 MiB/);
  assert.throws(() => ext4Image(imageOptions(16 * MiB + 512, [])), /multiples of 4 KiB/);
  const big = { name: "big", content: new Uint8Array(16 * MiB) };
  assert.throws(() => ext4Image(imageOptions(16 * MiB, [big])), /need more than the 4096 blocks/);
});

test("a disk that is there already is left as it is", () => {
  const path = join(folder, "disk");
  assert.equal(makeGuestDisk(path), true);
  const made = statSync(path);
  assert.equal(made.size, 64 * MiB);
  assert.equal(made.blocks * 512 < MiB, true, "free space takes no room on the host");
  assert.equal(makeGuestDisk(path), false);
  assert.equal(statSync(path).mtimeMs, made.mtimeMs);
});

const files: readonly ImageFile[] = [
  { name: "README", content: "read me\n" },
  { name: "empty", content: "" },
  { name: "large", content: Buffer.alloc(1_000_001, "0123456789") },
];

if (tool("e2fsck", "-V").error) {
  skipTest("e2fsck and debugfs agree with the images", "e2fsprogs is not installed");
} else {
  for (const size of [16, 64, 128]) {
    test(`e2fsck finds nothing to repair in an image of ${size} MiB`, () => {
      const path = join(folder, `${size}`);
      writeSparseFile(path, size * MiB, ext4Image(imageOptions(size * MiB, files)));
      const check = tool("e2fsck", "-fn", path);
      assert.equal(check.status, 0, check.stdout + check.stderr);
    });
  }

  test("debugfs reads the files back and finds a journal and extents", () => {
    const path = join(folder, "read");
    writeSparseFile(path, 16 * MiB, ext4Image(imageOptions(16 * MiB, files)));
    const debugfs = (command: string) => tool("debugfs", "-R", command, path).stdout;
    assert.equal(debugfs("cat README"), "read me\n");
    assert.equal(debugfs("cat empty"), "");
    assert.equal(debugfs("cat large"), Buffer.alloc(1_000_001, "0123456789").toString());
    assert.match(debugfs("stat large"), /EXTENTS:\n\(0-244\):/);
    const facts = debugfs("stats -h");
    assert.match(facts, /^Filesystem volume name: +a label$/m);
    assert.match(facts, /^Filesystem features:.* has_journal .* extent /m);
    assert.match(facts, /^Filesystem state: +clean$/m);
    assert.match(facts, /^Filesystem UUID: +00112233-4455-6677-8899-aabbccddeeff$/m);
  });
}
