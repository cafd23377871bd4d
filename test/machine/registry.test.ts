/** Every registered device model, by what all of them promise. */
import { nodeOf } from "../../src/config/options.ts";
import { pciSubject } from "../../src/devices/testing/pci-slot.ts";
import { RamDisk } from "../../src/devices/testing/ram-disk.ts";
import type { FolderShare } from "../../src/fabric/device.ts";
import { devices } from "../../src/machine/registry.ts";
import { deviceContract } from "../support/device-contract.ts";
import { assert, test } from "../support/harness.ts";

const diskBytes = 64 * 1024;
/** The keys that a model cannot do without, by its back end. */
const required: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  block: { path: "/disk" }, share: { sharename: "share", path: "/folder" },
};
const share: FolderShare = { serve: () => new Uint8Array(0), reset: () => {}, close: () => {} };

for (const model of devices.values()) {
  const node = nodeOf(required[model.backend ?? ""] ?? {}, "pci.0.3.0");
  deviceContract({
    name: `${model.name} of the registry`,
    plug: (guest) => pciSubject(guest, model, node, { block: new RamDisk(diskBytes), share }),
  });
}

test("models are registered by their own names, and describe themselves", () => {
  for (const [name, model] of devices) {
    assert.equal(name, model.name);
    assert.match(model.help, /^[A-Z].*\.$/s);
  }
});
