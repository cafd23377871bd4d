import { KiB, MiB, millisecondNs } from "../../../src/base/units.ts";
import { ConfigError } from "../../../src/base/errors.ts";
import { ByteLine } from "../../../src/devices/testing/byte-line.ts";
import { optionsFrom } from "../../../src/devices/testing/defaults.ts";
import { FakeGuest } from "../../../src/devices/testing/fake-guest.ts";
import { pciSubject, plugPci } from "../../../src/devices/testing/pci-slot.ts";
import { VirtioDriver, type DriverOptions } from "../../../src/devices/testing/virtio-driver.ts";
import { disturbVirtio } from "../../../src/devices/testing/virtio-noise.ts";
import { virtioConsole } from "../../../src/devices/virtio/console.ts";
import { deviceContract } from "../../support/device-contract.ts";
import { assert, test } from "../../support/harness.ts";

const multiPort = 1;
const event = { deviceReady: 0, portAdd: 1, portReady: 3, console: 4, open: 6, name: 7 } as const;
const twoPorts = {
  "port.0.console": "true", "port.0.path": "/a", "port.1.name": "org.agent", "port.1.path": "/b",
};
type Options = Parameters<typeof virtioConsole.create>[0];
const optionsOf = (values: Readonly<Record<string, string>>): Options =>
  optionsFrom(virtioConsole, values);

function control(port: number, what: number, value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, port, true);
  view.setUint16(4, what, true);
  view.setUint16(6, value, true);
  return bytes;
}

function started(options: Partial<DriverOptions> = {}, values = twoPorts) {
  const guest = new FakeGuest({ memoryBytes: 4 * MiB });
  const lines = [new ByteLine(), new ByteLine()];
  plugPci<unknown, Options>(guest, virtioConsole, optionsOf(values), {
    charPort: (key) => lines[Number(key.split(".")[1])],
  });
  const driver = new VirtioDriver(guest, {
    interface: "modern", features: [multiPort], queues: 6, ...options,
  });
  assert.ok(driver.start());
  const [first, second] = lines;
  assert.ok(first !== undefined && second !== undefined);
  const tell = (port: number, what: number, value: number) =>
    driver.queue(3).send({ readable: [control(port, what, value)] });
  /** What has come on the control queue: port, event, value and text. */
  const heard = () => [...driver.queue(2).collect().values()].map(({ usedBytes, written }) => {
    const bytes = written[0] ?? new Uint8Array(8);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    return [view.getUint32(0, true), view.getUint16(4, true), view.getUint16(6, true),
      new TextDecoder().decode(bytes.subarray(8, usedBytes))];
  });
  const offer = (queue: number, count = 1, size = 128) => {
    for (let index = 0; index < count; index += 1) {
      driver.queue(queue).add({ writable: [size] });
    }
    driver.queue(queue).kick();
  };
  const received = (queue: number) => [...driver.queue(queue).collect().values()]
    .map(({ usedBytes, written }) =>
      new TextDecoder().decode((written[0] ?? new Uint8Array(0)).subarray(0, usedBytes)));
  return { guest, driver, first, second, tell, heard, offer, received };
}

for (const layout of [{ interface: "legacy" }, { interface: "modern" },
  { interface: "modern", packed: true }] as const) {
  test(`ports are announced, named and opened (${JSON.stringify(layout)})`, () => {
    const { driver, tell, heard, offer } = started(layout);
    assert.deepEqual([driver.deviceConfig(0, 2), driver.deviceConfig(2, 2),
      driver.deviceConfig(4, 4)], [80, 25, 2]);
    offer(2, 16);
    tell(0, event.deviceReady, 1);
    assert.deepEqual(heard(), [[0, event.portAdd, 1, ""], [1, event.portAdd, 1, ""]]);
    tell(0, event.portReady, 1);
    assert.deepEqual(heard(), [
      [0, event.console, 1, ""], [0, event.name, 1, ""], [0, event.open, 1, ""]]);
    tell(1, event.portReady, 1);
    assert.deepEqual(heard(), [[1, event.name, 1, "org.agent"], [1, event.open, 1, ""]]);
  });
}

test("answers wait for buffers, and their number is bounded", () => {
  const { tell, heard, offer } = started();
  for (let count = 0; count < 1000; count += 1) {
    tell(0, event.deviceReady, 1);
  }
  let answers = 0;
  for (let round = 0; round < 20; round += 1) {
    offer(2, 60);
    answers += heard().length;
  }
  assert.equal(answers, 256);
});

test("output of each port goes to its own line", () => {
  const { driver, first, second } = started();
  driver.queue(1).send({ readable: [Buffer.from("to "), Buffer.from("hvc0")] });
  driver.queue(5).send({ readable: [Buffer.from("to the agent")] });
  assert.deepEqual([first.output, second.output], ["to hvc0", "to the agent"]);
});

test("input waits for buffers, and for a guest that listens", () => {
  const { first, second, tell, offer, received } = started();
  first.type("hello");
  assert.ok(first.waiting >= 4);
  offer(0, 1, 3);
  assert.deepEqual(received(0), ["hel"]);
  offer(0);
  assert.deepEqual(received(0), ["lo"]);
  offer(4, 2);
  second.type("early");
  assert.deepEqual(received(4), []);
  tell(1, event.open, 1);
  assert.deepEqual(received(4), ["early"]);
  second.type("late");
  assert.deepEqual(received(4), ["late"]);
  tell(1, event.open, 0);
  second.type("closed");
  offer(4);
  assert.deepEqual(received(4), []);
});

test("a host that is full keeps the guest's bytes waiting, in order", () => {
  const { guest, driver, first } = started();
  first.room = 5;
  for (const text of ["one ", "two ", "three"]) {
    driver.queue(1).add({ readable: [Buffer.from(text)] });
  }
  driver.queue(1).kick();
  assert.equal(first.output, "one t");
  assert.equal(driver.queue(1).collect().size, 2, "a chain is left in the ring meanwhile");
  guest.clock.advance(10 * millisecondNs);
  assert.equal(first.output, "one t");
  first.room = Infinity;
  guest.clock.advance(2 * millisecondNs);
  assert.equal(first.output, "one two three");
  assert.equal(driver.queue(1).collect().size, 1);
});

test("a chain of any length is bounded", () => {
  const { driver, first } = started();
  driver.queue(1).send({ readable: [new Uint8Array(MiB), new Uint8Array(MiB)] });
  assert.equal(first.output.length, 256 * KiB);
});

test("an emergency write reaches the first port before any queue is there", () => {
  const guest = new FakeGuest();
  const line = new ByteLine();
  plugPci<unknown, Options>(guest, virtioConsole, optionsOf(twoPorts), { charPort: () => line });
  const driver = new VirtioDriver(guest, { interface: "modern" });
  guest.writel(driver.structure(4).address + 8, 0x41);
  assert.equal(line.output, "A");
});

test("a port needs a path, and a name unless it is a console", () => {
  const guest = new FakeGuest();
  assert.throws(() => plugPci<unknown, Options>(guest, virtioConsole,
    optionsOf({ "port.0.name": "a", "port.3.path": "/x" })),
  (error) => error instanceof ConfigError && error.problems.map(({ key }) => key).join(" ")
    === "pci.0.0.0.port.0.path pci.0.0.0.port.3.name");
});

for (const virtio of ["transitional", "legacy", "modern"]) {
  deviceContract({
    name: `virtio-console (${virtio})`,
    plug: (guest) => pciSubject<unknown, Options>(guest, virtioConsole,
      optionsOf({ ...twoPorts, virtio }), { charPort: () => new ByteLine() }),
    disturb: (guest, _subject, random) => disturbVirtio(guest, random),
  });
}
