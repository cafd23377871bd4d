/** The shared folder as a guest may use and misuse it; the host's files are real. */
import { spawn } from "node:child_process";
import {
  existsSync, mkdirSync, readFileSync, readlinkSync, statSync, symlinkSync, writeFileSync,
} from "node:fs";
import { messageType as type, MessageWriter } from "../../../src/backends/share/messages.ts";
import { openShare } from "../../../src/backends/share/server.ts";
import { KiB, MiB } from "../../../src/base/units.ts";
import { optionsFrom } from "../../../src/devices/testing/defaults.ts";
import { FakeGuest } from "../../../src/devices/testing/fake-guest.ts";
import { pciSubject, plugPci } from "../../../src/devices/testing/pci-slot.ts";
import { VirtioDriver } from "../../../src/devices/testing/virtio-driver.ts";
import { disturbVirtio } from "../../../src/devices/testing/virtio-noise.ts";
import { virtio9p } from "../../../src/devices/virtio/p9.ts";
import { deviceContract } from "../../support/device-contract.ts";
import { testFolder } from "../../support/folder.ts";
import { assert, randomSource, seed, skipTest, test } from "../../support/harness.ts";
import { runWell } from "../../support/programs.ts";
import { Refused, ShareClient } from "./client.ts";

const folder = testFolder();
const secret = folder.put("secret", "outside");
let shares = 0;

function shared(readOnly = false) {
  shares += 1;
  const path = folder.file(`share${shares}`);
  mkdirSync(path);
  return { path, client: new ShareClient(openShare({ path, readOnly })) };
}

const refusedWith = (errno: number) => (error: unknown) =>
  error instanceof Refused && error.errno === errno;

test("files are made, written, read, listed, renamed and removed", () => {
  const { path, client } = shared();
  client.call(type.tmkdir, (to) => to.u32(0).text("sub").u32(0o755).u32(0));
  const file = client.walk("sub");
  client.create(file, "a.txt");
  client.write(file, 0, Buffer.from("hello world"));
  client.clunk(file);
  assert.equal(readFileSync(`${path}/sub/a.txt`, "utf8"), "hello world");
  assert.equal(client.content("sub", "a.txt"), "hello world");
  for (let index = 0; index < 50; index += 1) {
    writeFileSync(`${path}/sub/file number ${index}`, "");
  }
  assert.deepEqual(client.list("sub").length, 53);
  const [sub, top] = [client.walk("sub"), client.walk()];
  client.call(type.trenameat, (to) => to.u32(sub).text("a.txt").u32(top).text("b.txt"));
  assert.equal(client.content("b.txt"), "hello world");
  client.call(type.tunlinkat, (to) => to.u32(top).text("b.txt").u32(0));
  assert.throws(() => client.walk("b.txt"), refusedWith(2));
  assert.throws(() => client.call(type.tunlinkat, (to) => to.u32(top).text("sub").u32(0x200)),
    refusedWith(39));
});

test("attributes are those of the host, and change it", () => {
  const { path, client } = shared();
  writeFileSync(`${path}/f`, "12345");
  const fid = client.walk("f");
  client.call(type.tsetattr, (to) => to.u32(fid).u32(1 | 8 | 0x20 | 0x100).u32(0o600).u32(0).u32(0)
    .u64(3).u64(0).u64(0).u64(1_000_000_000).u64(500_000_000));
  const stat = statSync(`${path}/f`);
  assert.deepEqual([stat.size, stat.mode & 0o777, stat.mtimeMs], [3, 0o600, 1_000_000_000_500]);
  const from = client.call(type.tgetattr, (to) => to.u32(fid).u64(0x7ff));
  from.bytes(8 + 13);
  assert.equal(from.u32(), stat.mode);
});

test("links are shown and never followed by the host", () => {
  const { path, client } = shared();
  symlinkSync(secret, `${path}/to-file`);
  symlinkSync(folder.path, `${path}/to-folder`);
  const link = client.walk("to-file");
  assert.equal(client.call(type.treadlink, (to) => to.u32(link)).text(), secret);
  assert.throws(() => client.open(link), refusedWith(1));
  assert.throws(() => client.walk("to-folder", "secret"), Refused);
  assert.throws(() => client.create(client.walk(), "to-file", 1 | 0o1000), Refused);
  assert.equal(readFileSync(secret, "utf8"), "outside");
  client.call(type.tsymlink, (to) => to.u32(0).text("mine").text("../../etc").u32(0));
  assert.equal(readlinkSync(`${path}/mine`), "../../etc");
  assert.throws(() => client.call(type.tsetattr, (to) => to.u32(link).u32(8).u32(0).u32(0).u32(0)
    .u64(0).u64(0).u64(0).u64(0).u64(0)), Refused);
});

test("names cannot lead out", () => {
  const { client } = shared();
  for (const name of ["..", "../secret", "/", "a/../../secret", ".", "", "a\0b", "x".repeat(300)]) {
    if (name !== "..") {
      assert.throws(() => client.walk(name), Refused, JSON.stringify(name));
    }
    assert.throws(() => client.create(client.walk(), name), Refused, JSON.stringify(name));
    assert.throws(() => client.call(type.tmkdir, (to) => to.u32(0).text(name).u32(0o755).u32(0)),
      Refused, JSON.stringify(name));
    assert.throws(() => client.call(type.trenameat, (to) =>
      to.u32(0).text(name).u32(0).text("y")), Refused, JSON.stringify(name));
  }
  assert.ok(client.list("..", "..", "..").every((name) => name !== "secret"));
});

test("a folder that is swapped for a link all the time leads nobody out", async () => {
  const { path, client } = shared();
  mkdirSync(`${path}/swap`);
  writeFileSync(`${path}/swap/secret`, "inside");
  const swapper = spawn("sh", ["-c", `cd "$1"; while [ ! -e stop ]; do
    mv swap kept; ln -s "$2" swap; rm swap; mv kept swap; done`, "sh", path, folder.path]);
  let reached = 0;
  const end = performance.now() + 1500;
  while (performance.now() < end) {
    try {
      assert.equal(client.content("swap", "secret"), "inside");
      reached += 1;
    } catch (error) {
      assert.ok(error instanceof Refused, String(error));
    }
  }
  writeFileSync(`${path}/stop`, "");
  await new Promise((resolve) => { swapper.once("close", resolve); });
  assert.ok(reached > 0, "the folder was found now and then");
});

test("pipes and devices are not opened", () => {
  const { path, client } = shared();
  runWell("mkfifo", `${path}/pipe`);
  const fid = client.walk("pipe");
  assert.throws(() => client.open(fid), refusedWith(1));
  assert.throws(() => client.create(client.walk(), "pipe", 1), Refused);
  assert.throws(() => client.call(type.tmknod, (to) =>
    to.u32(0).text("null").u32(0o020_666).u32(1).u32(3).u32(0)), refusedWith(1));
});

test("a share for reading changes nothing", () => {
  const { path, client } = shared(true);
  writeFileSync(`${path}/f`, "kept");
  assert.equal(client.content("f"), "kept");
  const fid = client.walk("f");
  const changes: readonly (() => void)[] = [
    () => client.open(client.walk("f"), 1), () => client.open(client.walk("f"), 0o1000),
    () => client.create(client.walk(), "new"),
    () => client.call(type.tunlinkat, (to) => to.u32(0).text("f").u32(0)),
    () => client.call(type.tremove, (to) => to.u32(fid)),
    () => client.call(type.trenameat, (to) => to.u32(0).text("f").u32(0).text("g")),
  ];
  for (const change of changes) {
    assert.throws(change, refusedWith(30));
  }
  assert.ok(existsSync(`${path}/f`));
});

test("garbage is answered or passed over", () => {
  const { path } = shared();
  writeFileSync(`${path}/f`, "x");
  const share = openShare({ path, readOnly: false });
  assert.deepEqual(new ShareClient(share).list(), [".", "..", "f"]);
  const random = randomSource();
  const kinds = Object.values(type);
  for (let round = 0; round < 50_000; round += 1) {
    const to = new MessageWriter(new Uint8Array(256));
    for (let field = random() % 12; field > 0; field -= 1) {
      switch (random() % 4) {
        case 0: to.u32(random() % 8); break;
        case 1: to.text(["f", "..", "", "d", "x/y"][random() % 5] ?? ""); break;
        case 2: to.u64(random() % 5); break;
        default: to.u8(random());
      }
    }
    const kind = random() % 8 === 0 ? random() & 0xff : kinds[random() % kinds.length] ?? 0;
    const message = to.finish(kind & 0xff, 1).slice(0, random() % 8 === 0 ? random() % 30 : 256);
    const reply = share.serve(message, random() % 16 === 0 ? random() % 40 : 8192);
    assert.ok(reply.length <= 8192, `seed ${seed}`);
  }
  share.reset();
  assert.equal(new ShareClient(share).list().includes("."), true);
});

type Options = Parameters<typeof virtio9p.create>[0];
const optionsOf = (virtio: string): Options =>
  optionsFrom(virtio9p, { sharename: "host", path: "/share", virtio });

for (const layout of [{ interface: "legacy" }, { interface: "modern" },
  { interface: "modern", packed: true }] as const) {
  test(`a chain carries a request and its answer (${JSON.stringify(layout)})`, () => {
    const { path } = shared();
    const guest = new FakeGuest({ memoryBytes: 4 * MiB });
    plugPci<unknown, Options>(guest, virtio9p, optionsOf("transitional"),
      { share: openShare({ path, readOnly: false }) });
    const driver = new VirtioDriver(guest, layout);
    assert.ok(driver.start());
    assert.equal(driver.deviceConfig(0, 2), 4);
    assert.equal(String.fromCharCode(driver.deviceConfig(2, 1)), "h");
    const request = new MessageWriter(new Uint8Array(64)).u32(64 * KiB).text("9P2000.L");
    const bytes = request.finish(type.tversion, 0xffff);
    const reply = driver.queue(0).send({ readable: [bytes.slice(0, 5), bytes.slice(5)],
      writable: [7, 100] });
    assert.equal(reply.usedBytes, 21);
    assert.equal(reply.written[0]?.[4], type.tversion + 1);
    assert.equal(driver.queue(0).send({ readable: [bytes] }).usedBytes, 0);
  });
}

if (existsSync("/proc/self/fd/0")) {
  for (const virtio of ["transitional", "legacy", "modern"]) {
    const { path } = shared();
    deviceContract({
      name: `virtio-9p (${virtio})`,
      plug: (guest) => pciSubject<unknown, Options>(guest, virtio9p, optionsOf(virtio),
        { share: openShare({ path, readOnly: false }) }),
      disturb: (guest, _subject, random) => disturbVirtio(guest, random),
    });
  }
} else {
  skipTest("virtio-9p: the contract of devices", "this host has no /proc/self/fd");
}
