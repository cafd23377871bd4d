/** What the machine needs to know of a device model to put it into a PCI slot. */
import type { BlockBackend, CharBackend, Env, FolderShare } from "../device.ts";
import type { PciDevice } from "./function.ts";
import type { PciRouting } from "./routing.ts";

/** The world handed to a device on the PCI bus. */
export interface PciEnv extends Env {
  /** Full key of the device's node, for messages: `pci.0.3.0`. */
  readonly key: string;
  /** The back end of the kind the description asks for; whoever made it closes it. */
  readonly block?: BlockBackend;
  readonly char?: CharBackend;
  readonly share?: FolderShare;
  /** One of several byte channels, by the key below the device's node that names it. */
  charPort?(key: string): CharBackend | undefined;
  /** For the LPC bridge, which holds the registers of the interrupt router. */
  readonly routing: PciRouting;
  /** The key `virtio_msix`. */
  readonly virtioMsix: boolean;
}

/** The host side a device needs; opened by the machine from keys of the same node. */
export type BackendKind = "block" | "char" | "net" | "share";

/** `S` is the table of options, `O` the values read with it. */
export interface PciDeviceDescription<S, O> {
  /** Value of the key `device`. */
  readonly name: string;
  readonly help: string;
  readonly options: S;
  readonly backend?: BackendKind;
  /** At most one in a machine, and on bus 0. */
  readonly single?: boolean;
  /** Pure; may throw ConfigError. The device is then plugged into a slot. */
  create(options: O, env: PciEnv): PciDevice;
}
