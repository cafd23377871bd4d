/** The two firmware interfaces at ports 0x510 and 0x511. */
import { ConfigError } from "../../src/base/errors.ts";
import { FwCfg, type FwCfgFile } from "../../src/devices/fw-cfg.ts";
import { Fwctl } from "../../src/devices/fwctl.ts";
import { fakeGuest, type FakeGuest } from "../../src/devices/testing/fake-guest.ts";
import type { BoardDevice } from "../../src/fabric/board.ts";
import { deviceContract } from "../support/device-contract.ts";
import { assert, test } from "../support/harness.ts";

function plug<T extends BoardDevice>(guest: FakeGuest, device: T): T {
  device.attach(guest);
  return device;
}

const file = (name: string, text: string): FwCfgFile =>
  ({ name, bytes: new Uint8Array(Buffer.from(text)) });

function fwCfgGuest(files: readonly FwCfgFile[] = []): FakeGuest {
  const guest = fakeGuest();
  plug(guest, new FwCfg({ cpus: 3, files }));
  return guest;
}

function readItem(guest: FakeGuest, item: number, length: number): Buffer {
  guest.outw(0x510, item);
  return Buffer.from(Array.from({ length }, () => guest.inb(0x511)));
}

test("fw_cfg shows its signature, revision and processors", () => {
  const guest = fwCfgGuest();
  assert.equal(readItem(guest, 0, 4).toString(), "QEMU");
  assert.equal(readItem(guest, 1, 4).readUInt32LE(), 1, "no DMA");
  assert.equal(readItem(guest, 5, 2).readUInt16LE(), 3);
  assert.equal(readItem(guest, 0x0f, 2).readUInt16LE(), 3);
});

test("fw_cfg lists its files by name, and each can be read", () => {
  const guest = fwCfgGuest([file("opt/b", "second"), file("opt/a", "first"), file("", "")]);
  assert.equal(readItem(guest, 0x19, 4).readUInt32BE(), 3);
  const directory = readItem(guest, 0x19, 4 + 3 * 64);
  const entries = [0, 1, 2].map((index) => directory.subarray(4 + index * 64, 68 + index * 64));
  const read = entries.map((entry) => {
    const name = entry.subarray(8, entry.indexOf(0, 8)).toString();
    const bytes = readItem(guest, entry.readUInt16BE(4), entry.readUInt32BE(0));
    return [name, bytes.toString()];
  });
  assert.deepEqual(read, [["", ""], ["opt/a", "first"], ["opt/b", "second"]]);
});

test("fw_cfg gives zeros behind an item's end and where there is none", () => {
  const guest = fwCfgGuest([file("a", "xy")]);
  assert.deepEqual([...readItem(guest, 0x20, 4)], [0x78, 0x79, 0, 0]);
  assert.deepEqual([...readItem(guest, 0x3fff, 2)], [0, 0]);
  assert.deepEqual([...readItem(guest, 0x8020, 1)], [0], "no item of the architecture");
  assert.deepEqual([...readItem(guest, 0x4020, 1)], [0x78], "the write bit selects too");
});

test("two files of one name are refused", () => {
  assert.throws(() => new FwCfg({ cpus: 1, files: [file("a", "1"), file("a", "2")] }),
    (error: unknown) => error instanceof ConfigError && error.problems[0]?.key === "-f");
});

/** Sends a request of fwctl and returns the dwords of the answer. */
function ask(guest: FakeGuest, operation: number, key: string, id = 7): number[] {
  const data = Buffer.alloc(Math.ceil((key.length + 1) / 4) * 4);
  data.write(key);
  guest.outl(0x510, 12 + key.length + 1);
  guest.outl(0x510, operation);
  guest.outl(0x510, id);
  for (let at = 0; at < data.length; at += 4) {
    guest.outl(0x510, data.readUInt32LE(at));
  }
  const length = guest.inl(0x511);
  return [length, ...Array.from({ length: length / 4 - 1 }, () => guest.inl(0x511))];
}

test("fwctl tells its signature after a reset, and the number of processors", () => {
  const guest = fakeGuest();
  plug(guest, new Fwctl({ cpus: 3 }));
  guest.outw(0x510, 0);
  assert.equal(Buffer.from([0, 0, 0, 0].map(() => guest.inb(0x511))).toString(), "BHYV");
  assert.deepEqual(ask(guest, 3, "hw.ncpu"), [28, 3, 7, 0, 4, 0, 3]);
  assert.deepEqual(ask(guest, 4, "hw.ncpu", 8), [24, 4, 8, 0, 4, 0]);
});

test("fwctl knows no other key and operation, and reads long requests to their end", () => {
  const guest = fakeGuest();
  plug(guest, new Fwctl({ cpus: 1 }));
  assert.deepEqual(ask(guest, 3, "hw.other"), [16, 3, 7, 2]);
  assert.deepEqual(ask(guest, 5, "hw.ncpu"), [16, 5, 7, 2]);
  assert.deepEqual(ask(guest, 3, "x".repeat(1000)), [16, 3, 7, 7]);
  assert.deepEqual(ask(guest, 3, "hw.ncpu"), [28, 3, 7, 0, 4, 0, 1]);
});

test("a reset in the middle of a request of fwctl starts anew", () => {
  const guest = fakeGuest();
  plug(guest, new Fwctl({ cpus: 1 }));
  guest.outl(0x510, 0xffff_fffc);
  guest.outw(0x510, 0);
  assert.deepEqual(ask(guest, 3, "hw.ncpu"), [28, 3, 7, 0, 4, 0, 1]);
});

deviceContract({
  name: "fw_cfg",
  plug: (guest) => plug(guest, new FwCfg({ cpus: 1, files: [file("a", "content")] })),
});
deviceContract({ name: "fwctl", plug: (guest) => plug(guest, new Fwctl({ cpus: 1 })) });
