/** The keys `pcireg.*`, by which a user gives a bridge other PCI ids (bhyve_config(5)). */
import { group, options, text, type OptionsOf } from "../../config/options.ts";
import type { PciIdentity } from "../../fabric/pci/config-space.ts";

export const identityOptions = options({
  ids: group({
    vendor: text({ help: "PCI vendor id, hexadecimal." }),
    device: text({ help: "PCI device id, hexadecimal." }),
    revision: text({ key: "revid", help: "PCI revision, hexadecimal." }),
    subsystemVendor: text({ key: "subvendor", help: "PCI subsystem vendor id, hexadecimal." }),
    subsystem: text({ key: "subdevice", help: "PCI subsystem id, hexadecimal." }),
  }, { key: "pcireg", help: "PCI ids shown to the guest." }),
});

/** As strtol(3) in base 16 reads it: text that is no number is 0. */
function readHex(given: string, bits: number): number {
  const digits = /^\s*[+]?(?:0[xX])?([0-9a-fA-F]+)/.exec(given)?.[1] ?? "0";
  return Number(BigInt.asUintN(bits, BigInt(`0x${digits}`)));
}

/** `standard` with what the user has given in its place. */
export function chosenIdentity(
  standard: PciIdentity, { ids }: OptionsOf<typeof identityOptions>,
): PciIdentity {
  return {
    classCode: standard.classCode,
    vendor: ids.vendor === undefined ? standard.vendor : readHex(ids.vendor, 16),
    device: ids.device === undefined ? standard.device : readHex(ids.device, 16),
    revision: ids.revision === undefined ? standard.revision ?? 0 : readHex(ids.revision, 8),
    subsystemVendor: ids.subsystemVendor === undefined ? standard.subsystemVendor ?? 0
      : readHex(ids.subsystemVendor, 16),
    subsystem: ids.subsystem === undefined ? standard.subsystem ?? 0 : readHex(ids.subsystem, 16),
  };
}
