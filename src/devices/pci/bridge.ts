/** A PCI function without registers of its own outside configuration space. */
import type { DeviceState } from "../../fabric/device.ts";
import { PciFunction, type PciDevice, type PciFunctionOptions }
  from "../../fabric/pci/function.ts";

export class PlainFunction implements PciDevice {
  readonly pci: PciFunction;
  readonly state: DeviceState;

  constructor(options: PciFunctionOptions) {
    this.pci = new PciFunction(options);
    this.state = { pci: this.pci.state };
  }

  reset(): void {
    this.pci.reset();
  }

  sync(): void {
    this.pci.sync();
  }

  detach(): void {
    this.pci.disconnect();
  }
}
