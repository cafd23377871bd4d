/** Taps, in a network namespace of their own: this file starts itself once more inside one. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { HostError } from "../../src/base/errors.ts";
import { requireNative, TransferTable, transferKind, type NativeAddon,
} from "../../src/host/native.ts";
import { openTap } from "../../src/host/tap.ts";
import { assert, skipTest, test } from "../support/harness.ts";
import { nativeTest } from "../support/native.ts";
import { sharedPages } from "../support/shared-pages.ts";

const inside = process.env["TAP_NAMESPACE"] === "1";

function ip(...words: string[]): void {
  const { status, stderr } = spawnSync("ip", words, { encoding: "utf8" });
  assert.equal(status, 0, stderr);
}

/** All frames that wait, as byte arrays. */
function frames(addon: NativeAddon, fd: number): Uint8Array[] {
  const memory = sharedPages(65536);
  const table = new TransferTable(8, 8);
  for (let row = 0; row < 8; row += 1) {
    table.request(transferKind.read, 0);
    table.segment(row * 2048, 2048);
  }
  const done = table.run(addon, fd, memory);
  return Array.from({ length: done }, (_, row) => row)
    .filter((row) => table.result(row) > 0)
    .map((row) => memory.slice(row * 2048, row * 2048 + table.result(row)));
}

function write(addon: NativeAddon, fd: number, frame: Uint8Array): number {
  const memory = sharedPages(65536);
  memory.set(frame);
  const table = new TransferTable(1, 1);
  table.request(transferKind.write, 0);
  table.segment(0, frame.length);
  table.run(addon, fd, memory);
  return table.result(0);
}

/** An ARP question for 10.0.0.1, as a neighbour would send it. */
const question = Uint8Array.from([
  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1,
  2, 0, 0, 0, 0, 9, 10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1,
]);

function answerIn(all: readonly Uint8Array[], header: number): Uint8Array | undefined {
  return all.map((frame) => frame.subarray(header))
    .find((frame) => frame[12] === 8 && frame[13] === 6 && frame[21] === 2);
}

for (const header of [0, 10, 12] as const) {
  const name = `the kernel answers through a tap with a header of ${header} bytes`;
  if (inside) {
    test(name, () => {
      const addon = requireNative("the test");
      const tap = openTap(addon, "tst%d", header === 0 ? {}
        : { vnetHeaderBytes: header, offload: true });
      assert.match(tap.name, /^tst\d$/);
      ip("addr", "add", "10.0.0.1/24", "dev", tap.name);
      ip("link", "set", tap.name, "up");
      const sent = new Uint8Array(header + question.length);
      sent.set(question, header);
      assert.equal(write(addon, tap.fd, sent), sent.length);
      addon.poll(Int32Array.of(tap.fd, 1, 0), 2000);
      let answer: Uint8Array | undefined;
      for (let tries = 100; answer === undefined && tries > 0; tries -= 1) {
        answer = answerIn(frames(addon, tap.fd), header);
        addon.poll(Int32Array.of(tap.fd, 1, 0), 20);
      }
      assert.deepEqual([...answer ?? []].slice(28, 32), [10, 0, 0, 1]);
      const again = () => openTap(addon, tap.name);
      assert.throws(again, (error) => error instanceof HostError
        && new RegExp(`tap ${tap.name}: another program has it open|no such tap`)
          .test(error.message));
      tap.close();
    });
  }
}

if (inside) {
  test("a name that is no tap is told", () => {
    assert.throws(() => openTap(requireNative("the test"), "lo"), /tap lo: .*no such tap/);
  });
} else if (process.getuid?.() !== 0 || !existsSync("/dev/net/tun")) {
  skipTest("taps carry frames", "it needs root and /dev/net/tun");
} else {
  nativeTest("taps carry frames, in a network namespace of their own", () => {
    const { status, stdout, stderr } = spawnSync("unshare", ["-n", process.execPath,
      "--enable-source-maps", fileURLToPath(import.meta.url)],
    { encoding: "utf8", env: { ...process.env, TAP_NAMESPACE: "1" }, timeout: 60_000 });
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /Passed: +5/);
  });
}

nativeTest("names that no interface can have are refused", (addon) => {
  for (const name of ["", "a/b", "a b", "x".repeat(16)]) {
    assert.throws(() => openTap(addon, name), /cannot be the name of an interface; allowed/);
  }
});
