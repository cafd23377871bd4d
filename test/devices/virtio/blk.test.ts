import { md5 } from "../../../src/base/md5.ts";
import { MiB } from "../../../src/base/units.ts";
import { optionsFrom } from "../../../src/devices/testing/defaults.ts";
import { FakeGuest } from "../../../src/devices/testing/fake-guest.ts";
import { pciSubject, plugPci } from "../../../src/devices/testing/pci-slot.ts";
import { RamDisk, type RamDiskOptions } from "../../../src/devices/testing/ram-disk.ts";
import { VirtioDriver, type Interface } from "../../../src/devices/testing/virtio-driver.ts";
import { disturbVirtio } from "../../../src/devices/testing/virtio-noise.ts";
import { virtioBlk } from "../../../src/devices/virtio/blk.ts";
import { deviceContract } from "../../support/device-contract.ts";
import { assert, randomSource, seed, test } from "../../support/harness.ts";

type Options = Parameters<typeof virtioBlk.create>[0];
const standard: Options = optionsFrom(virtioBlk, { path: "/disk" });
const request = { in: 0, out: 1, flush: 4, getId: 8, discard: 11, writeZeroes: 13 } as const;
const answer = { ok: 0, ioError: 1, unsupported: 2 } as const;
const feature = { readOnly: 5, flush: 9, discard: 13, writeZeroes: 14, indirect: 28 } as const;

interface Setup {
  readonly disk?: RamDiskOptions & { readonly sizeBytes?: number };
  readonly options?: Partial<Options>;
  readonly interface?: Interface;
  readonly features?: readonly number[];
}

function started(setup: Setup = {}) {
  const guest = new FakeGuest({ memoryBytes: 8 * MiB });
  const { sizeBytes = MiB, ...diskOptions } = setup.disk ?? {};
  const disk = new RamDisk(sizeBytes, diskOptions);
  plugPci<unknown, Options>(guest, virtioBlk, { ...standard, ...setup.options }, { block: disk });
  const driver = new VirtioDriver(guest, {
    interface: setup.interface ?? "modern", features: setup.features ?? [feature.flush],
  });
  assert.ok(driver.start());
  const queue = driver.queue(0);
  const send = (type: number, sector: number, data: {
    readonly readable?: readonly Uint8Array[]; readonly writable?: readonly number[];
  } = {}) => {
    const reply = queue.send({
      readable: [header(type, sector), ...(data.readable ?? [])],
      writable: [...(data.writable ?? []), 1],
    });
    return { ...reply, status: reply.written.at(-1)?.[0] };
  };
  return { guest, disk, driver, queue, send };
}

function header(type: number, sector: number): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(8, sector % 2 ** 32, true);
  view.setUint32(12, Math.floor(sector / 2 ** 32), true);
  return bytes;
}

const joined = (parts: readonly Uint8Array[]) =>
  Uint8Array.from(parts.flatMap((each) => [...each]));
const pattern = (length: number) => new Uint8Array(length).map((_zero, index) => index * 13 + 5);

for (const each of ["legacy", "modern"] as const) {
  test(`${each}: sectors are read into scattered buffers`, () => {
    const { disk, send } = started({ interface: each });
    const reply = send(request.in, 3, { writable: [100, 412, 1024] });
    assert.equal(reply.status, answer.ok);
    assert.equal(reply.usedBytes, 1537);
    assert.deepEqual(joined(reply.written.slice(0, 3)), disk.bytes.slice(3 * 512, 6 * 512));
  });

  test(`${each}: sectors are written from scattered buffers`, () => {
    const { disk, send } = started({ interface: each });
    const data = pattern(1024);
    const reply = send(request.out, 5, { readable: [data.slice(0, 7), data.slice(7)] });
    assert.equal(reply.status, answer.ok);
    assert.equal(reply.usedBytes, 1);
    assert.deepEqual(disk.bytes.slice(5 * 512, 7 * 512), data);
  });
}

test("header, data and status may be split and joined as the driver likes", () => {
  const { disk, queue } = started();
  const data = pattern(512);
  const whole = joined([header(request.out, 9), data]);
  const wrote = queue.send({ readable: [whole], writable: [1] });
  assert.equal(wrote.written[0]?.[0], answer.ok);
  assert.deepEqual(disk.bytes.slice(9 * 512, 10 * 512), data);
  const asked = header(request.in, 9);
  const read = queue.send({ readable: [asked.slice(0, 3), asked.slice(3)], writable: [513] });
  assert.equal(read.usedBytes, 513);
  assert.deepEqual(read.written[0], joined([data, Uint8Array.of(answer.ok)]));
});

test("the configuration tells the geometry of the disk", () => {
  const { driver } = started({
    disk: { sizeBytes: 3 * MiB, sectorBytes: 512, physicalSectorBytes: 4096, canDiscard: true },
  });
  assert.equal(driver.deviceConfig(0, 4), 6144);
  assert.equal(driver.deviceConfig(4, 4), 0);
  assert.equal(driver.deviceConfig(12, 4), 126);
  assert.equal(driver.deviceConfig(20, 4), 512);
  assert.equal(driver.deviceConfig(24, 1), 3);
  assert.equal(driver.deviceConfig(40, 4), 1);
  assert.equal(driver.deviceConfig(44, 4), 1);
});

test("the legacy interface shows the same configuration, where MSI-X puts it", () => {
  for (const msix of [false, true]) {
    const guest = new FakeGuest();
    plugPci<unknown, Options>(guest, virtioBlk, standard, { block: new RamDisk(MiB) });
    const driver = new VirtioDriver(guest, { interface: "legacy", msix });
    assert.ok(driver.start());
    assert.equal(driver.deviceConfig(0, 4), 2048);
    assert.equal(driver.deviceConfig(20, 4), 512);
  }
});

test("what the back end cannot do is not offered", () => {
  const has = (setup: Setup, bit: number) => ((started(setup).driver.offered(0) >>> bit) & 1) === 1;
  assert.ok(!has({}, feature.discard));
  assert.ok(has({ disk: { canDiscard: true } }, feature.discard));
  assert.ok(!has({ disk: { canDiscard: true }, options: { noDelete: true } }, feature.discard));
  assert.ok(!has({ disk: { canDiscard: true, readOnly: true } }, feature.discard));
  assert.ok(has({}, feature.writeZeroes));
  assert.ok(has({ disk: { readOnly: true } }, feature.readOnly));
  assert.ok(has({ options: { readOnly: true } }, feature.readOnly));
  assert.ok(!has({}, feature.readOnly));
});

test("requests beyond the disk fail and move nothing", () => {
  const { disk, send } = started();
  const before = disk.bytes.slice();
  for (const sector of [2048, 2047.5 + 0.5, 2 ** 32, 2 ** 53 - 1, 2 ** 63]) {
    assert.equal(send(request.in, sector, { writable: [512] }).status, answer.ioError);
    assert.equal(send(request.out, sector, { readable: [pattern(512)] }).status, answer.ioError);
  }
  assert.equal(send(request.in, 2047, { writable: [1024] }).status, answer.ioError);
  assert.deepEqual(disk.bytes, before);
});

test("odd lengths fail", () => {
  const { send } = started();
  assert.equal(send(request.in, 0, { writable: [511] }).status, answer.ioError);
  assert.equal(send(request.out, 0, { readable: [pattern(513)] }).status, answer.ioError);
});

test("with sectors of 4096 bytes smaller requests fail", () => {
  const { send } = started({ disk: { sectorBytes: 4096 } });
  assert.equal(send(request.in, 0, { writable: [512] }).status, answer.ioError);
  assert.equal(send(request.in, 1, { writable: [4096] }).status, answer.ioError);
  assert.equal(send(request.in, 8, { writable: [4096] }).status, answer.ok);
});

test("a disk of odd size ends at its last whole sector", () => {
  const { driver, send } = started({ disk: { sizeBytes: 1300 } });
  assert.equal(driver.deviceConfig(0, 4), 2);
  assert.equal(send(request.in, 2, { writable: [512] }).status, answer.ioError);
});

test("an empty disk answers every read with an error", () => {
  const { driver, send } = started({ disk: { sizeBytes: 0 } });
  assert.equal(driver.deviceConfig(0, 4), 0);
  assert.equal(send(request.in, 0, { writable: [512] }).status, answer.ioError);
});

test("a read-only disk refuses writes and can be read", () => {
  const { disk, send } = started({ options: { readOnly: true } });
  const before = disk.bytes.slice();
  assert.equal(send(request.out, 0, { readable: [pattern(512)] }).status, answer.ioError);
  assert.equal(send(request.writeZeroes, 0, { readable: [range(0, 1)] }).status,
    answer.unsupported);
  assert.equal(send(request.in, 0, { writable: [512] }).status, answer.ok);
  assert.deepEqual(disk.bytes, before);
});

test("a failing back end makes an I/O error, and the device goes on", () => {
  const { disk, send } = started();
  disk.failing = true;
  assert.equal(send(request.in, 0, { writable: [512] }).status, answer.ioError);
  assert.equal(send(request.out, 0, { readable: [pattern(512)] }).status, answer.ioError);
  assert.equal(send(request.flush, 0).status, answer.ioError);
  disk.failing = false;
  assert.equal(send(request.in, 0, { writable: [512] }).status, answer.ok);
});

test("flush reaches the back end", () => {
  const { disk, send } = started();
  send(request.out, 0, { readable: [pattern(512)] });
  assert.equal(disk.flushes, 0);
  assert.equal(send(request.flush, 0).status, answer.ok);
  assert.equal(disk.flushes, 1);
});

test("a driver that cannot flush finds its writes stable", () => {
  const { disk, send } = started({ features: [] });
  send(request.out, 0, { readable: [pattern(512)] });
  assert.equal(disk.flushes, 1);
});

test("the serial number is the one given, or bhyve's for the path", () => {
  const text = (bytes?: Uint8Array) => Buffer.from(bytes ?? []).toString().replace(/\0+$/, "");
  const given = started({ options: { serial: "ABC-123" } });
  assert.equal(text(given.send(request.getId, 0, { writable: [20] }).written[0]), "ABC-123");
  const made = started();
  const digest = Buffer.from(md5("/disk")).toString("hex").toUpperCase();
  const expected = `BHYVE-${digest.slice(0, 4)}-${digest.slice(4, 8)}-${digest.slice(8, 12)}`;
  assert.equal(text(made.send(request.getId, 0, { writable: [20] }).written[0]),
    expected.slice(0, 19));
  assert.equal(made.send(request.getId, 0, { writable: [19] }).status, answer.ioError);
});

function range(sector: number, count: number, flags = 0): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, sector, true);
  view.setUint32(8, count, true);
  view.setUint32(12, flags, true);
  return bytes;
}

test("discard and write-zeroes act on the range in the data", () => {
  const { disk, send } = started({ disk: { canDiscard: true } });
  assert.equal(send(request.discard, 0, { readable: [range(8, 4)] }).status, answer.ok);
  assert.deepEqual(disk.discarded, [{ offset: 4096, length: 2048 }]);
  assert.equal(send(request.writeZeroes, 0, { readable: [range(2, 1, 1)] }).status, answer.ok);
  assert.ok(disk.bytes.slice(1024, 1536).every((byte) => byte === 0));
  assert.ok(disk.bytes.slice(1536, 2048).some((byte) => byte !== 0));
});

test("ranges that are wrong are refused", () => {
  const { disk, send } = started({ disk: { canDiscard: true } });
  assert.equal(send(request.discard, 0, { readable: [range(2047, 2)] }).status, answer.ioError);
  assert.equal(send(request.discard, 0, { readable: [range(0, 1, 1)] }).status,
    answer.unsupported);
  assert.equal(send(request.discard, 0, { readable: [new Uint8Array(15)] }).status,
    answer.ioError);
  assert.deepEqual(disk.discarded, []);
});

test("unknown requests are unsupported, with or without the old barrier bit", () => {
  const { send } = started();
  assert.equal(send(2, 0).status, answer.unsupported);
  assert.equal(send(0x7fff_ffff, 0).status, answer.unsupported);
  assert.equal(send(0x8000_0000 + request.flush, 0).status, answer.ok);
});

test("a request without header fails, one without status comes back untouched", () => {
  const { queue } = started();
  const short = queue.send({ readable: [new Uint8Array(15)], writable: [512, 1] });
  assert.equal(short.written[1]?.[0], answer.ioError);
  assert.equal(queue.send({ writable: [1] }).written[0]?.[0], answer.ioError);
  assert.equal(queue.send({ readable: [header(request.flush, 0)] }).usedBytes, 0);
});

test("the longest chain that the driver is told of works", () => {
  const { disk, queue } = started({ features: [feature.indirect, feature.flush] });
  const reply = queue.send({
    readable: [header(request.in, 0)],
    writable: [...Array.from({ length: 126 }, () => 512), 1], indirect: true,
  });
  assert.equal(reply.usedBytes, 126 * 512 + 1);
  assert.deepEqual(joined(reply.written.slice(0, 126)), disk.bytes.slice(0, 126 * 512));
});

test("back ends that take many parts at once get them joined", () => {
  const seen: number[][] = [];
  const guest = new FakeGuest();
  const disk = Object.assign(new RamDisk(MiB), {
    readParts: (_offset: number, parts: { count: number; lengths: Float64Array }) => {
      seen.push(Array.from(parts.lengths.slice(0, parts.count)));
    },
  });
  plugPci<unknown, Options>(guest, virtioBlk, standard, { block: disk });
  const driver = new VirtioDriver(guest, { interface: "modern" });
  assert.ok(driver.start());
  // The test's guest hands out memory without gaps, so the buffers are neighbours.
  driver.queue(0).send({ readable: [header(request.in, 0)], writable: [512, 1024, 1] });
  assert.deepEqual(seen, [[1536]]);
});

test("random requests agree with a model of the disk", () => {
  const random = randomSource(seed);
  const { disk, queue } = started({ disk: { sizeBytes: 64 * 512 } });
  const model = disk.bytes.slice();
  for (let round = 0; round < 300; round += 1) {
    const sector = random() % 70;
    const count = 1 + (random() % 4);
    const fits = sector + count <= 64;
    if (random() % 2 === 0) {
      const data = new Uint8Array(count * 512).fill(random());
      const cut = random() % data.length;
      const reply = queue.send({ writable: [1], readable: [header(request.out, sector),
        ...[data.slice(0, cut), data.slice(cut)].filter((part) => part.length > 0)] });
      assert.equal(reply.written[0]?.[0], fits ? answer.ok : answer.ioError, `seed ${seed}`);
      if (fits) {
        model.set(data, sector * 512);
      }
    } else {
      const reply = queue.send({ readable: [header(request.in, sector)],
        writable: [count * 512, 1] });
      assert.equal(reply.written[1]?.[0], fits ? answer.ok : answer.ioError, `seed ${seed}`);
      if (fits) {
        assert.deepEqual(reply.written[0],
          model.slice(sector * 512, (sector + count) * 512), `seed ${seed}`);
      }
    }
  }
  assert.deepEqual(disk.bytes, model);
});

for (const transport of ["transitional", "legacy", "modern"] as const) {
  deviceContract({
    name: `virtio-blk (${transport})`,
    plug: (guest) => pciSubject<unknown, Options>(guest, virtioBlk, { ...standard, transport },
      { block: new RamDisk(MiB) }),
    disturb: (guest, _subject, random) => disturbVirtio(guest, random),
  });
}
