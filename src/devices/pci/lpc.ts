/**
 * The LPC bridge as a PCI function (Intel 82371SB, as in bhyve's pci_lpc.c): its ids, and the
 * registers that steer PIRQs. What sits behind it has fixed ports and is made by the machine.
 */
import type { OptionsOf } from "../../config/options.ts";
import type { AccessHandler } from "../../fabric/address-space.ts";
import type { PciDeviceDescription } from "../../fabric/pci/description.ts";
import type { PciRouting } from "../../fabric/pci/routing.ts";
import { PlainFunction } from "./bridge.ts";
import { chosenIdentity, identityOptions } from "./identity.ts";

const identity = { vendor: 0x8086, device: 0x7000, classCode: 0x06_01_00 } as const;

/** PIRQ[A-D] and PIRQ[E-H] route control (PIIX3 §2.2.7): a byte each. */
const pirqBlocks = [{ offset: 0x60, first: 0 }, { offset: 0x68, first: 4 }] as const;

function pirqRegisters(routing: PciRouting, first: number): AccessHandler {
  return {
    read: (offset, size) => {
      let value = 0;
      for (let index = 0; index < size; index += 1) {
        value |= routing.readPirq(first + offset + index) << (index * 8);
      }
      return value >>> 0;
    },
    write: (offset, size, value) => {
      for (let index = 0; index < size; index += 1) {
        routing.writePirq(first + offset + index, (value >>> (index * 8)) & 0xff);
      }
    },
  };
}

export const lpc: PciDeviceDescription<
  typeof identityOptions, OptionsOf<typeof identityOptions>
> = {
  name: "lpc",
  help: "LPC bridge; serial ports and boot ROM need it (lpc.*).",
  options: identityOptions,
  single: true,
  create: (options, { routing }) => new PlainFunction({
    name: "lpc", identity: chosenIdentity(identity, options),
    windows: pirqBlocks.map(({ offset, first }) => ({
      offset, size: 4, handler: pirqRegisters(routing, first),
    })),
  }),
};
