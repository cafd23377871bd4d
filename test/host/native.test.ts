import { spawnSync } from "node:child_process";
import { constants, openSync, closeSync, readFileSync, writeFileSync } from "node:fs";
import { constants as os } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { HostError } from "../../src/base/errors.ts";
import {
  checked, errorName, TransferTable, transferKind, type NativeAddon,
} from "../../src/host/native.ts";
import { testFolder } from "../support/folder.ts";
import { assert, seed, test } from "../support/harness.ts";
import { nativeTest } from "../support/native.ts";
import { sharedPages } from "../support/shared-pages.ts";

const folder = testFolder();
const EINTR = os.errno.EINTR;

test("without the addon the reason names the one command", () => {
  const text = "import { nativeState, requireNative } from './native.js';"
    + "const { reason } = nativeState(); let thrown;"
    + "try { requireNative('a tap'); } catch (error) { thrown = error.message; }"
    + "console.log(JSON.stringify({ reason, thrown }));";
  const folder = join(fileURLToPath(import.meta.url), "..", "..", "..", "src", "host");
  const result = spawnSync(process.execPath, ["--input-type=module", "-e",
    text.replace("./native.js", join(folder, "native.js"))],
  { encoding: "utf8", env: { ...process.env, PREBUILDS_ONLY: "1", TSBHYVE_PREBUILD: "/" } });
  const { reason, thrown } = JSON.parse(result.stdout);
  assert.match(reason, /not built; to build it: npm run build:addon$/);
  assert.equal(thrown, `a tap: ${reason}`);
});

test("a failed result has the name of its error", () => {
  assert.equal(errorName(-os.errno.EBUSY), "EBUSY");
  assert.throws(() => checked("open the thing", -os.errno.ENOENT),
    (error) => error instanceof HostError && error.message === "open the thing: ENOENT");
  assert.equal(checked("", 7), 7);
});

nativeTest("wrong arguments throw typed errors that name function and argument", (addon) => {
  const fd = checked("eventfd", addon.eventfd(0, false));
  const cases: [() => unknown, ErrorConstructor, RegExp][] = [
    [() => addon.open("", 0), RangeError, /^open: path must be 1 to 4096 bytes without NUL$/],
    [() => addon.open("a\0b", 0), RangeError, /^open: path/],
    [() => addon.close(0), RangeError, /^close: fd must be a descriptor that this addon opened$/],
    [() => addon.close(-1), RangeError, /^close: fd must be an integer from 0 to 2147483647$/],
    [() => addon.ioctl(fd, 2 ** 32, new Uint8Array(8)), RangeError, /^ioctl: request/],
    [() => addon.ioctlValue(fd, 0x5401, 0x10000), RangeError, /^ioctlValue: value.*address$/],
    [() => addon.memfd("name", -1), RangeError, /^memfd: length/],
    [() => addon.poll(new Int32Array(2), 0), RangeError, /^poll: rows/],
    [() => addon.poll(Int32Array.of(0, 1, 0), 0), RangeError, /^poll: rows/],
    [() => addon.mapOver(new Uint8Array(4096), fd, 0), TypeError, /WebAssembly\.Memory$/],
    [() => addon.send(fd, new Uint8Array(1), Int32Array.of(0)), RangeError, /^send: fds/],
    [() => addon.send(fd, new Uint8Array(0), new Int32Array(0)), RangeError, /^send: bytes/],
    [() => addon.ringEnter(fd, 0, 0, 8), RangeError, /^ringEnter: flags/],
    [() => addon.ringSetup(8, new Uint8Array(119)), RangeError, /at least 120 bytes long$/],
    [() => addon.kick(0.5), RangeError, /^kick: slot must be an integer/],
    [() => Reflect.apply(addon.close, undefined, ["3"]), TypeError, /^close: fd must be a number$/],
    [() => Reflect.apply(addon.ioctl, undefined, [fd, 1, []]), TypeError, /a typed array$/],
    [() => Reflect.apply(addon.eventfd, undefined, [0, 1]), TypeError, /true or false$/],
  ];
  for (const [call, type, message] of cases) {
    assert.throws(call, (error) => error instanceof type && message.test(error.message),
      String(call));
  }
  // _IOR('x', 1, 16 bytes): the number tells how long the answer is.
  assert.throws(() => addon.ioctl(fd, 0x80107801, new Uint8Array(15)), RangeError);
  addon.close(fd);
  assert.throws(() => addon.close(fd), RangeError, "a descriptor is closed once");
});

nativeTest("an ioctl that answers more than its buffer holds hurts nobody", (addon) => {
  const [near] = pair(addon);
  const TCGETS = 0x5401;
  assert.ok(addon.ioctl(near, TCGETS, new Uint8Array(1)) < 0);
  const bytes = new Uint8Array(new ArrayBuffer(4));
  const FIONREAD = 0x541b;
  assert.equal(addon.ioctl(near, FIONREAD, bytes), 0);
});

function pair(addon: NativeAddon): [number, number] {
  const fds = new Int32Array(2);
  checked("socketpair", addon.socketPair(fds));
  return [fds[0] ?? -1, fds[1] ?? -1];
}

nativeTest("a batch reads and writes a file through tables", (addon) => {
  const path = folder.file("disk");
  writeFileSync(path, Buffer.alloc(64 * 1024));
  const own = openSync(path, constants.O_RDWR);
  const fd = checked("adopt", addon.adopt(own));
  closeSync(own);
  const memory = sharedPages(65536);
  memory.fill(0x11, 0, 4096);
  memory.fill(0x22, 4096, 8192);
  const table = new TransferTable(8, 8);
  table.request(transferKind.pwrite, 8192);
  table.segment(4096, 512);
  table.segment(0, 512);
  table.request(transferKind.sync, 0);
  table.request(transferKind.pread, 8192);
  table.segment(16384, 1024);
  table.request(transferKind.pread, 64 * 1024);
  table.segment(0, 4096);
  assert.equal(table.run(addon, fd, memory), 4);
  assert.deepEqual([0, 1, 2, 3].map((row) => table.result(row)), [1024, 0, 1024, 0]);
  assert.deepEqual(readFileSync(path).subarray(8192, 9216),
    Buffer.concat([Buffer.alloc(512, 0x22), Buffer.alloc(512, 0x11)]));
  assert.deepEqual(Buffer.from(memory.slice(16384, 17408)),
    readFileSync(path).subarray(8192, 9216));
  addon.close(fd);
});

nativeTest("a batch stops after a row that failed; rows beyond memory are refused", (addon) => {
  const fd = checked("open", addon.open("/dev/null", constants.O_WRONLY));
  const memory = sharedPages(65536);
  const table = new TransferTable(4, 4);
  table.request(transferKind.write, 0);
  table.segment(0, 100);
  table.request(transferKind.read, 0);
  table.segment(0, 100);
  table.request(transferKind.write, 0);
  assert.equal(table.run(addon, fd, memory), 2);
  assert.deepEqual([table.result(0), table.result(1)], [100, -os.errno.EBADF]);
  table.clear();
  table.request(transferKind.write, 0);
  table.segment(65530, 7);
  assert.throws(() => table.run(addon, fd, memory), /^RangeError: transfer: request 0 must be/);
  assert.throws(() => addon.transfer(fd, memory, table.requests, 5, table.segments),
    /count must be at most the rows/);
  table.clear();
  assert.ok(!table.segment(0, 1), "a segment belongs to a request");
  assert.deepEqual([1, 2, 3, 4, 5].map(() => table.request(0, 0)), [true, true, true, true, false]);
  addon.close(fd);
});

nativeTest("a memfd over pages of a shared memory is seen in both", (addon) => {
  const fd = checked("memfd", addon.memfd("test", 8192));
  const memory = sharedPages(65536);
  memory.fill(7);
  checked("mapOver", addon.mapOver(memory.subarray(4096, 12288), fd, 0));
  assert.equal(memory[4096], 0);
  memory[12287] = 99;
  const again = sharedPages(65536);
  checked("mapOver", addon.mapOver(again.subarray(0, 4096), fd, 4096));
  assert.equal(again[4095], 99);
  assert.deepEqual([memory[4095], memory[12288]], [7, 7], "neighbours are untouched");
  assert.equal(addon.mapOver(memory.subarray(0, 12288), fd, 0), -os.errno.ENXIO,
    "no page behind the end");
  const file = checked("open", addon.open(folder.put("file", new Uint8Array(8192)), 2));
  assert.equal(addon.mapOver(memory.subarray(0, 4096), file, 0), -os.errno.EPERM,
    "nothing that could be shortened");
  assert.throws(() => addon.mapOver(memory.subarray(1, 4097), fd, 0), /whole pages/);
  assert.throws(() => addon.mapOver(new Uint8Array(new SharedArrayBuffer(65536)), fd, 0), TypeError,
    "memory of an allocator is not mapped over");
  checked("mapZeroes", addon.mapZeroes(memory.subarray(4096, 12288)));
  memory[12287] = 1;
  assert.equal(again[4095], 99, "no longer shared");
  assert.equal(addon.addressOf(memory.subarray(4096)) - addon.addressOf(memory), 4096);
  addon.close(fd);
});

nativeTest("descriptors travel with bytes; those without room are closed", (addon) => {
  const [near, far] = pair(addon);
  const fd = checked("memfd", addon.memfd("sent", 4096));
  const text = Buffer.from("hello");
  assert.equal(addon.send(near, text, Int32Array.of(fd, fd)), 5);
  const bytes = new Uint8Array(16);
  const fds = new Int32Array(4);
  assert.equal(addon.receive(far, bytes, fds), 5);
  assert.deepEqual([...bytes.subarray(0, 5)], [...text]);
  const [first = -1, second = -1, third] = fds;
  assert.ok(first > 0 && second > 0 && first !== fd && third === -1);
  assert.equal(addon.close(first), 0);
  addon.send(near, text, Int32Array.of(fd, fd));
  const one = new Int32Array(1);
  addon.receive(far, bytes, one);
  assert.ok((one[0] ?? -1) > 0);
  addon.close(near);
  assert.equal(addon.receive(far, bytes, fds), 0, "the end of the stream");
});

nativeTest("a path connects two of our sockets", (addon) => {
  const path = folder.file("socket");
  const listening = checked("listen", addon.unixListen(path, 1));
  const near = checked("connect", addon.unixConnect(path));
  const far = checked("accept", addon.accept(listening));
  assert.equal(addon.send(near, Uint8Array.of(42), new Int32Array(0)), 1);
  const bytes = new Uint8Array(4);
  assert.equal(addon.receive(far, bytes, new Int32Array(0)), 1);
  assert.equal(bytes[0], 42);
  assert.equal(addon.unixConnect(`${path}-none`), -os.errno.ENOENT);
});

nativeTest("poll waits for an eventfd, and not longer than asked", (addon) => {
  const fd = checked("eventfd", addon.eventfd(1, false));
  const rows = Int32Array.of(fd, 1, 0);
  assert.equal(addon.poll(rows, 0), 1);
  assert.equal(rows[2], 1);
  const table = new TransferTable(1, 1);
  table.request(transferKind.read, 0);
  table.segment(0, 8);
  const memory = sharedPages(65536);
  table.run(addon, fd, memory);
  assert.deepEqual([table.result(0), memory[0]], [8, 1]);
  assert.equal(addon.poll(rows, 1), 0);
});

nativeTest("a kick ends the system call of another thread, and no dead one", async (addon) => {
  const worker = new Worker(`
    const { workerData, parentPort } = require("node:worker_threads");
    import(workerData).then(({ requireNative }) => {
      const addon = requireNative("the test");
      parentPort.postMessage(addon.kickSlot());
      parentPort.postMessage(addon.poll(new Int32Array(0), -1));
    });`, { eval: true, workerData: new URL("../../src/host/native.js", import.meta.url).href });
  const results: number[] = [];
  let timer: NodeJS.Timeout | undefined;
  worker.on("message", (value: number) => {
    results.push(value);
    timer ??= setInterval(() => addon.kick(value), 1); // It may not sleep yet at the first.
  });
  await new Promise((resolve) => { worker.once("exit", resolve); });
  clearInterval(timer);
  const [slot = -1, ended] = results;
  assert.equal(ended, -EINTR);
  assert.equal(addon.kick(slot), -os.errno.ESRCH);
  assert.notEqual(addon.kickSlot(), -1);
  assert.equal(addon.kickSlot(), addon.kickSlot());
});

nativeTest("garbage of all kinds never ends the process", () => {
  const script = fileURLToPath(new URL("../support/native-noise.js", import.meta.url));
  const result = spawnSync(process.execPath, [script, String(seed), "40000"],
    { encoding: "utf8", timeout: 60_000, cwd: folder.path });
  assert.equal(result.status, 0, `seed ${seed}: ${result.signal ?? ""} ${result.stderr}`);
  const report = JSON.parse(readFileSync(folder.file("report.json"), "utf8"));
  const { calls, refused, failed, worked } = report;
  assert.equal(calls, 40000);
  // A generator that only ever met the checks would show nothing.
  assert.ok(refused > 1000 && failed > 1000 && worked > 1000, `${refused} ${failed} ${worked}`);
});
