import { nodeOf, parse } from "../../../src/config/options.ts";
import { hostbridge } from "../../../src/devices/pci/hostbridge.ts";
import { lpc } from "../../../src/devices/pci/lpc.ts";
import { fakeGuest } from "../../../src/devices/testing/fake-guest.ts";
import { pciSubject, plugPci } from "../../../src/devices/testing/pci-slot.ts";
import { deviceContract } from "../../support/device-contract.ts";
import { assert, test } from "../../support/harness.ts";

function optionsFrom(values: Record<string, string>) {
  const parsed = parse(hostbridge.options, nodeOf(values, "pci.0.0.0"));
  assert.ok(parsed.ok);
  return parsed.value;
}

test("the host bridge has bhyve's ids and the link of a root port", () => {
  const { device: { pci } } = plugPci(fakeGuest(), hostbridge, optionsFrom({}));
  assert.equal(pci.readConfig(0, 4), 0x1275_1275);
  assert.equal(pci.readConfig(8, 4), 0x0600_0000);
  assert.equal(pci.readConfig(0x3d, 1), 0);
  const at = pci.readConfig(0x34, 1);
  assert.equal(pci.readConfig(at, 4), 0x0042_0010);
  assert.equal(pci.readConfig(at + 12, 4), 0x411);
  assert.equal(pci.readConfig(at + 18, 2), 0x11);
});

test("pcireg.* gives other ids, read as hexadecimal; junk is 0", () => {
  const options = optionsFrom({
    "pcireg.vendor": "0x1022", "pcireg.device": "7432", "pcireg.revid": "1g",
    "pcireg.subvendor": "junk", "pcireg.subdevice": "12345",
  });
  const { device: { pci } } = plugPci(fakeGuest(), hostbridge, options);
  assert.equal(pci.readConfig(0, 4), 0x7432_1022);
  assert.equal(pci.readConfig(8, 1), 1);
  assert.equal(pci.readConfig(0x2c, 4), 0x2345_0000);
});

test("the LPC bridge shows and steers the PIRQs", () => {
  const { device: { pci }, host } = plugPci(fakeGuest(), lpc, optionsFrom({}));
  assert.equal(pci.readConfig(0, 4), 0x7000_8086);
  assert.equal(pci.readConfig(8, 4), 0x0601_0000);
  assert.equal(pci.readConfig(0x60, 4), 0x8080_8080);
  host.routing.line(0, 3, 1);
  assert.equal(pci.readConfig(0x60, 4), 0x8080_8005);
  pci.writeConfig(0x6a, 1, 0x7b);
  assert.equal(pci.readConfig(0x68, 4), 0x800b_8080);
  assert.equal(host.routing.readPirq(6), 0x0b);
  pci.writeConfig(0x60, 4, 0x0a0a_0a0a);
  assert.equal(pci.readConfig(0x62, 2), 0x0a0a);
  host.reset();
  assert.equal(pci.readConfig(0x60, 4), 0x8080_8005);
});

deviceContract({
  name: "hostbridge", plug: (guest) => pciSubject(guest, hostbridge, optionsFrom({})),
});
deviceContract({ name: "lpc", plug: (guest) => pciSubject(guest, lpc, optionsFrom({})) });
