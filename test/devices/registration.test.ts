/** The registry of device models: unlike devices, each reading options of its own. */
import { ConfigError } from "../../src/base/errors.ts";
import { nodeOf } from "../../src/config/options.ts";
import { fakeGuest } from "../../src/devices/testing/fake-guest.ts";
import { fakePciEnv, fakePciHost } from "../../src/devices/testing/pci-slot.ts";
import { RamDisk } from "../../src/devices/testing/ram-disk.ts";
import { devices } from "../../src/machine/registry.ts";
import { assert, test } from "../support/harness.ts";

/** The ids of a device with these keys, or the keys that are wrong. */
function make(name: string, values: Readonly<Record<string, string>>) {
  const guest = fakeGuest();
  const env = fakePciEnv(guest, fakePciHost(guest), { block: new RamDisk(4096) });
  try {
    return devices.get(name)?.create(nodeOf(values, "pci.0.3.0"), env).pci.readConfig(0, 4);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems.map(({ key }) => key);
  }
}

test("unlike devices fit into one registry, each with its own options", () => {
  assert.equal(make("hostbridge", {}), 0x1275_1275);
  assert.equal(make("lpc", {}), 0x7000_8086);
  assert.equal(make("virtio-blk", { path: "/disk", ro: "on", ser: "1" }), 0x1001_1af4);
  assert.equal(make("virtio-rnd", {}), 0x1005_1af4);
});

test("the interfaces of a virtio device are chosen by a key", () => {
  assert.equal(make("virtio-rnd", { virtio: "modern" }), 0x1044_1af4);
  assert.equal(make("virtio-blk", { path: "/disk", virtio: "modern" }), 0x1042_1af4);
  assert.deepEqual(make("virtio-rnd", { virtio: "ancient" }), ["pci.0.3.0.virtio"]);
});

test("a disk needs a path, and its serial number has twenty bytes at most", () => {
  assert.deepEqual(make("virtio-blk", { ser: "x".repeat(21) }),
    ["pci.0.3.0.path", "pci.0.3.0.ser"]);
});
