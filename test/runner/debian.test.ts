import { gzipSync } from "node:zlib";
import { readAr } from "../../src/runner/debian/ar.ts";
import { ByteSource } from "../../src/runner/debian/byte-source.ts";
import {
  loadOrder, moduleNameOf, type KernelModule,
} from "../../src/runner/debian/kernel-module.ts";
import { unpackPackage } from "../../src/runner/debian/package.ts";
import { readTar, type TarFile } from "../../src/runner/debian/tar.ts";
import { assert, randomSource, test } from "../support/harness.ts";
import { arOf, moduleOf, packageOf, tarOf } from "./archives.ts";

/** A tar archive with `./bin/busybox`, as xz(1) and zstd(1) pack it. */
const packed = {
  xz: "/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM4Cf/AH5dABcLyMeB/hJXAysOeq5gxQjWtLi/KeV6ZfCSdzMBAxqmFkf/"
    + "0gV5o4JHEH6GvPpwf2owz2Oi7SrHjByefZhMROFj43mMcJBNdix8AFiDM6xmVYNkJpgytbKYlwsAcHW5lP90yelrFO"
    + "8VV6liKrFVK2t3+cBkTLtkF9+CQ6ZiOgAAALNZDgpjvrpGAAGaAYBQAADDUC3DscRn+wIAAAAABFla",
  zst: "KLUv/WQAJ+0CAPKDDRGg7Xjo767jf2u3IS/L/JxZKQdbW0sLrnyO96SbB+lSDn2qxqm+C5OM8zf7HufwjUF84Z"
    + "gSIQ4gUC0sd+njHCPgejCVk3F74NMGHAD9FP8z3a0ABwwKYDqpLXOLmWo=",
};
const packedContent = "not really busybox\n";

async function collect(files: AsyncGenerator<TarFile>): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const file of files) {
    found.set(file.path, Buffer.from(file.content).toString("utf8"));
  }
  return found;
}

async function* inPieces(bytes: Uint8Array, size: () => number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length;) {
    const length = size();
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

function untar(archive: Uint8Array): Promise<Map<string, string>> {
  const random = randomSource();
  const source = new ByteSource(inPieces(archive, () => random() % 700));
  return collect(readTar(source, () => true));
}

test("members of an ar archive come in order, also of odd lengths", () => {
  const archive = arOf([["a", Buffer.from("odd")], ["b.tar.xz/", Buffer.from("even")]]);
  const members = readAr(archive)
    .map(({ name, content }) => [name, Buffer.from(content).toString()]);
  assert.deepEqual(members, [["a", "odd"], ["b.tar.xz", "even"]]);
});

test("what is no ar archive, or ends too early, is refused", () => {
  const archive = arOf([["a", Buffer.from("some content")]]);
  assert.throws(() => readAr(Buffer.from("PK\x03\x04")), /does not begin/);
  assert.throws(() => readAr(archive.subarray(0, 30)), /no member header at byte 8/);
  assert.throws(() => readAr(archive.subarray(0, -4)), /claims 12 bytes, 8 are left/);
});

test("tar entries have names from header, prefix, GNU long names and pax records", async () => {
  const long = `usr/${"d".repeat(120)}/file`;
  const record = `path=${long}2\n`;
  const length = record.length + 4; // Three digits and a blank.
  const found = await untar(tarOf([
    { path: "./short", content: "1" },
    { path: "name", prefix: "some/folder", content: "2" },
    { path: "././@LongLink", type: "L", content: `${long}\0` },
    { path: "cut off", content: "3" },
    { path: "pax", type: "x", content: `${length} ${record}` },
    { path: "cut off too", content: "4".repeat(1000) },
    { path: "after", content: "5" },
  ]));
  assert.deepEqual([...found.keys()], ["short", "some/folder/name", long, `${long}2`, "after"]);
  assert.equal(found.get(`${long}2`), "4".repeat(1000));
  assert.equal(found.get("after"), "5");
});

test("entries that are not wanted are passed over", async () => {
  const archive = tarOf([
    { path: "big", content: "x".repeat(5000) }, { path: "wanted", content: "yes" },
    { path: "link", type: "2", target: "wanted" },
  ]);
  const source = new ByteSource(inPieces(archive, () => 100));
  const found = await collect(readTar(source, (entry) => entry.path === "wanted"));
  assert.deepEqual([...found], [["wanted", "yes"]]);
});

test("a damaged tar archive is refused, not misread", async () => {
  const archive = tarOf([{ path: "a", content: "x".repeat(600) }]);
  const damaged = Uint8Array.from(archive);
  damaged[0] = 0x62;
  await assert.rejects(untar(damaged), /wrong checksum/);
  await assert.rejects(untar(archive.subarray(0, 900)), /ends inside an entry/);
});

test("packages are unpacked whichever way their data is compressed", async () => {
  const plain = tarOf([{ path: "./bin/busybox", content: packedContent }]);
  const payloads: readonly (readonly [string, Uint8Array])[] = [
    ["data.tar", plain],
    ["data.tar.gz", gzipSync(plain)],
    ["data.tar.xz", Buffer.from(packed.xz, "base64")],
    ["data.tar.zst", Buffer.from(packed.zst, "base64")],
  ];
  for (const [name, payload] of payloads) {
    const progress: number[] = [];
    const files = unpackPackage(packageOf(name, payload), {
      wanted: (entry) => entry.kind === "file", onProgress: (fraction) => progress.push(fraction),
    });
    assert.deepEqual([...await collect(files)], [["bin/busybox", packedContent]], name);
    assert.equal(progress[0], 0, name);
  }
});

test("what is no Debian package is refused", async () => {
  const wanted = () => true;
  await assert.rejects(collect(unpackPackage(arOf([["a", Buffer.from("b")]]), { wanted })),
    /first member is not debian-binary/);
  const lzip = packageOf("data.tar.lz", Buffer.from(""));
  await assert.rejects(collect(unpackPackage(lzip, { wanted })),
    /data.tar.lz is compressed in a way/);
});

function modules(depends: Readonly<Record<string, string>>): ReadonlyMap<string, KernelModule> {
  return new Map(Object.entries(depends).map(([fileName, names]) => {
    const name = moduleNameOf(fileName);
    return [name, { name, fileName, content: Buffer.from(moduleOf(names), "latin1") }];
  }));
}

test("modules are loaded after what they need", () => {
  const available = modules({
    "virtio_blk.ko": "virtio,virtio-ring", "virtio.ko": "virtio_ring", "virtio_ring.ko": "",
    "virtio-rng.ko": "virtio", "other.ko": "virtio",
  });
  const order = loadOrder(["virtio_blk", "virtio_rng"], available).map(({ fileName }) => fileName);
  assert.deepEqual(order, ["virtio_ring.ko", "virtio.ko", "virtio_blk.ko", "virtio-rng.ko"]);
});

test("a module that is nowhere is named, and modules in a ring do not hang us", () => {
  assert.throws(() => loadOrder(["a"], modules({ "a.ko": "b" })), /no module b, which a needs/);
  assert.equal(loadOrder(["a"], modules({ "a.ko": "b", "b.ko": "a" })).length, 2);
});
