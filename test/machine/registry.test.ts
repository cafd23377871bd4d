/** Every registered device model, by what all of them promise. */
import { nodeOf } from "../../src/config/options.ts";
import { pciSubject } from "../../src/devices/testing/pci-slot.ts";
import { RamDisk } from "../../src/devices/testing/ram-disk.ts";
import { devices } from "../../src/machine/registry.ts";
import { deviceContract } from "../support/device-contract.ts";
import { assert, test } from "../support/harness.ts";

const diskBytes = 64 * 1024;

for (const model of devices.values()) {
  const node = nodeOf(model.backend === "block" ? { path: "/disk" } : {}, "pci.0.3.0");
  deviceContract({
    name: `${model.name} of the registry`,
    plug: (guest) => pciSubject(guest, model, node, { block: new RamDisk(diskBytes) }),
  });
}

test("models are registered by their own names, and describe themselves", () => {
  for (const [name, model] of devices) {
    assert.equal(name, model.name);
    assert.match(model.help, /^[A-Z].*\.$/s);
  }
});
