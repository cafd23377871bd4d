import { nodeOf, parse, type OptionsOf, type Schema } from "../../src/config/options.ts";
import { hostbridge } from "../../src/devices/pci/hostbridge.ts";
import { lpc } from "../../src/devices/pci/lpc.ts";
import { fakeGuest } from "../../src/devices/testing/fake-guest.ts";
import { fakePciEnv, fakePciHost } from "../../src/devices/testing/pci-slot.ts";
import { RamDisk } from "../../src/devices/testing/ram-disk.ts";
import { virtioBlk } from "../../src/devices/virtio/blk.ts";
import { virtioRnd } from "../../src/devices/virtio/rnd.ts";
import type { PciDeviceDescription } from "../../src/fabric/pci/description.ts";
import type { PciDevice } from "../../src/fabric/pci/function.ts";
import { assert, test } from "../support/harness.ts";

type Values = { readonly [key: string]: string };

/** What a registry of unlike devices keeps of each: it reads the options itself. */
function entry<S extends Schema>(description: PciDeviceDescription<S, OptionsOf<S>>) {
  return {
    name: description.name,
    make(values: Values): PciDevice | readonly string[] {
      const parsed = parse(description.options, nodeOf(values, "pci.0.3.0"));
      const guest = fakeGuest();
      const env = fakePciEnv(guest, fakePciHost(guest), { block: new RamDisk(4096) });
      return parsed.ok ? description.create(parsed.value, env)
        : parsed.problems.map(({ key }) => key);
    },
  };
}

const idOf = (made: PciDevice | readonly string[]) =>
  "pci" in made ? made.pci.readConfig(0, 4) : made;
const registry = [entry(hostbridge), entry(lpc), entry(virtioBlk), entry(virtioRnd)];
const make = (name: string, values: Values) =>
  idOf(registry.find((each) => each.name === name)?.make(values) ?? []);

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
