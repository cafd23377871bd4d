/** A PCI host around the fake guest, with one device in slot 0: for tests of PCI devices. */
import { silentLog } from "../../base/log.ts";
import type { BlockBackend, CharBackend, FolderShare } from "../../fabric/device.ts";
import type { InterruptRouter } from "../../fabric/interrupt.ts";
import type { PciDeviceDescription, PciEnv } from "../../fabric/pci/description.ts";
import type { PciDevice } from "../../fabric/pci/function.ts";
import { PciHost, type PciHostOptions } from "../../fabric/pci/host.ts";
import type { ContractSubject } from "./contract.ts";
import type { FakeGuest } from "./fake-guest.ts";

/** Interrupt lines by the names `isa N` and `ioapic N`; messages in `guest.msi`. */
export function fakeRouter(guest: FakeGuest): InterruptRouter {
  return {
    send: (address, data) => guest.msi.send(address, data),
    line: (isaIrq, ioapicPin) => guest.line(isaIrq >= 0 ? `isa ${isaIrq}` : `ioapic ${ioapicPin}`),
  };
}

/** A host without a boot ROM, attached to the guest's spaces. */
export function fakePciHost(guest: FakeGuest, options: Partial<PciHostOptions> = {}): PciHost {
  const host = new PciHost({
    router: fakeRouter(guest), log: guest.log, bootRom: false, memoryEnd: 0, ...options,
  });
  host.attach(guest);
  return host;
}

export interface PciEnvParts {
  readonly block?: BlockBackend;
  readonly virtioMsix?: boolean;
  readonly share?: FolderShare;
  readonly charPort?: (key: string) => CharBackend | undefined;
}

export function fakePciEnv(guest: FakeGuest, host: PciHost, parts: PciEnvParts = {}): PciEnv {
  return {
    memory: guest.memory, clock: guest.clock, entropy: guest.entropy, log: guest.log,
    key: "pci.0.0.0", routing: host.routing, virtioMsix: parts.virtioMsix ?? true,
    ...(parts.block && { block: parts.block }),
    ...(parts.share && { share: parts.share }),
    ...(parts.charPort && { charPort: parts.charPort }),
  };
}

/** Puts a device into function 0 of slot 0 and gives it its addresses. */
export function plugPci<S, O>(
  guest: FakeGuest, description: PciDeviceDescription<S, O>, options: O, parts?: PciEnvParts,
): { readonly host: PciHost; readonly device: PciDevice } {
  const host = fakePciHost(guest, { log: silentLog });
  const device = description.create(options, fakePciEnv(guest, host, parts));
  host.plug({ bus: 0, slot: 0, func: 0 }, device);
  host.place();
  return { host, device };
}

/** Device and host together, as the contract wants to see them. */
export function pciSubject<S, O>(
  guest: FakeGuest, description: PciDeviceDescription<S, O>, options: O, parts?: PciEnvParts,
): ContractSubject {
  const { host, device } = plugPci(guest, description, options, parts);
  return {
    state: { host: host.state, device: device.state },
    reset: () => {
      host.reset();
      device.reset();
    },
    sync: () => {
      host.sync();
      device.sync();
    },
    detach: () => {
      device.detach();
      host.detach();
    },
  };
}
