import { writeCpio } from "../../src/runner/cpio.ts";
import { buildInitrd } from "../../src/runner/initrd.ts";
import { assert, test } from "../support/harness.ts";

interface Found {
  readonly path: string;
  readonly mode: number;
  readonly device: string;
  readonly content: string;
}

/** Reads an archive by the kernel's description of the format, not by our writer's. */
function readCpio(archive: Uint8Array): readonly Found[] {
  const bytes = Buffer.from(archive);
  const found: Found[] = [];
  for (let at = 0; at < bytes.length;) {
    assert.equal(bytes.toString("latin1", at, at + 6), "070701");
    const field = (index: number) =>
      Number.parseInt(bytes.toString("latin1", at + 6 + index * 8, at + 14 + index * 8), 16);
    const name = bytes.toString("utf8", at + 110, at + 110 + field(11) - 1);
    const start = Math.ceil((at + 110 + field(11)) / 4) * 4;
    const end = start + field(6);
    found.push({
      path: name, mode: field(1), device: `${field(9)}:${field(10)}`,
      content: bytes.toString("utf8", start, end),
    });
    at = Math.ceil(end / 4) * 4;
  }
  return found;
}

test("a cpio archive has every kind of entry, and a trailer", () => {
  const found = readCpio(writeCpio([
    { kind: "folder", path: "bin" },
    { kind: "file", path: "bin/tool", mode: 0o755, content: "ünïcode" },
    { kind: "link", path: "bin/other", target: "tool" },
    { kind: "charDevice", path: "dev/console", major: 5, minor: 1 },
  ]));
  assert.deepEqual(found, [
    { path: "bin", mode: 0o040755, device: "0:0", content: "" },
    { path: "bin/tool", mode: 0o100755, device: "0:0", content: "ünïcode" },
    { path: "bin/other", mode: 0o120777, device: "0:0", content: "tool" },
    { path: "dev/console", mode: 0o020600, device: "5:1", content: "" },
    { path: "TRAILER!!!", mode: 0, device: "0:0", content: "" },
  ]);
});

test("the initrd has the scripts executable and the modules in their order", () => {
  const bytes = (text: string) => Buffer.from(text);
  const module = (name: string) =>
    ({ name, fileName: `${name}.ko`, content: bytes(`ELF ${name}`) });
  const found = readCpio(buildInitrd({
    busybox: bytes("busybox"),
    modules: [module("virtio"), module("virtio_blk")],
    scripts: new Map([["init", bytes("#!/bin/busybox sh\n")]]),
  }));
  const at = (path: string) => found.find((entry) => entry.path === path);
  assert.equal(at("init")?.mode, 0o100755);
  assert.equal(at("bin/busybox")?.content, "busybox");
  assert.equal(at("modules/virtio_blk.ko")?.content, "ELF virtio_blk");
  assert.equal(at("modules/order")?.content, "virtio.ko\nvirtio_blk.ko\n");
  assert.equal(at("dev/console")?.device, "5:1");
});
