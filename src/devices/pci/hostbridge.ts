/** The host bridge of bhyve's board (pci_hostbridge.c): ids, and a PCI Express capability. */
import { type OptionsOf } from "../../config/options.ts";
import { capabilityId } from "../../fabric/pci/config-space.ts";
import type { PciDeviceDescription } from "../../fabric/pci/description.ts";
import { PlainFunction } from "./bridge.ts";
import { chosenIdentity, identityOptions } from "./identity.ts";

const identity = { vendor: 0x1275, device: 0x1275, classCode: 0x06_00_00 } as const;

/** Bytes of the capability's structure without id and link (PCI Express 3.0 §7.8). */
const expressBytes = 58;
/** Version 2 of the structure, of a root port. */
const expressFlags = 2 | (4 << 4);
/** 2.5 GT/s, one lane: what guests may ask of a root port's link. */
const linkCapabilities = 0x411;
const linkStatus = 0x11;

function expressCapability(): Uint8Array {
  const body = new Uint8Array(expressBytes);
  const view = new DataView(body.buffer);
  view.setUint16(0, expressFlags, true);
  view.setUint32(10, linkCapabilities, true);
  view.setUint16(16, linkStatus, true);
  return body;
}

export const hostbridge: PciDeviceDescription<
  typeof identityOptions, OptionsOf<typeof identityOptions>
> = {
  name: "hostbridge",
  help: "Host bridge; pcireg.vendor and pcireg.device give it other ids.",
  options: identityOptions,
  create: (options) => new PlainFunction({
    name: "hostbridge", identity: chosenIdentity(identity, options),
    capabilities: [{ id: capabilityId.express, body: expressCapability() }],
  }),
};
