import { KiB, MiB } from "../../../src/base/units.ts";
import { FakeGuest } from "../../../src/devices/testing/fake-guest.ts";
import { pciSubject, plugPci } from "../../../src/devices/testing/pci-slot.ts";
import { VirtioDriver } from "../../../src/devices/testing/virtio-driver.ts";
import { disturbVirtio } from "../../../src/devices/testing/virtio-noise.ts";
import { virtioRnd } from "../../../src/devices/virtio/rnd.ts";
import { deviceContract } from "../../support/device-contract.ts";
import { assert, test } from "../../support/harness.ts";

type Options = Parameters<typeof virtioRnd.create>[0];
const standard: Options = { transport: "transitional" };

function started() {
  const guest = new FakeGuest({ memoryBytes: 4 * MiB });
  plugPci<unknown, Options>(guest, virtioRnd, standard);
  const driver = new VirtioDriver(guest, { interface: "modern" });
  assert.ok(driver.start());
  return { guest, queue: driver.queue(0) };
}

test("every byte of a buffer is filled with what the host gives", () => {
  const { queue } = started();
  const [bytes] = queue.send({ writable: [1000] }).written;
  assert.ok(new Set(bytes).size > 200);
});

test("a hostile request is capped", () => {
  const { queue } = started();
  const reply = queue.send({ writable: [MiB, MiB] });
  assert.equal(reply.usedBytes, 64 * KiB);
});

test("a chain without room for an answer comes back empty", () => {
  const { queue } = started();
  assert.equal(queue.send({ readable: [new Uint8Array(8)] }).usedBytes, 0);
});

for (const transport of ["transitional", "legacy", "modern"] as const) {
  deviceContract({
    name: `virtio-rnd (${transport})`,
    plug: (guest) => pciSubject<unknown, Options>(guest, virtioRnd, { transport }),
    disturb: (guest, _subject, random) => disturbVirtio(guest, random),
  });
}
