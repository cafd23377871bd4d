/** The interrupt controllers of vmm.ko: 8259 pair, I/O APIC of 32 pins, local APICs. */
import type { InterruptRouter, IrqLine } from "../../fabric/interrupt.ts";
import type { VmDevice } from "./device.ts";
import type { Struct } from "./tables.ts";

export const vmmIoapicPins = 32;
const isaIrqs = 16;
const none = -1;

export class VmmInterrupts implements InterruptRouter {
  readonly #device: VmDevice;
  readonly #message: Struct;

  constructor(device: VmDevice) {
    this.#device = device;
    this.#message = device.struct("vm_lapic_msi");
  }

  /** Assertions of a pin are counted in the kernel, so that lines may share it. */
  line(isaIrq: number, ioapicPin: number): IrqLine {
    const pin = ioapicPin >= 0 && ioapicPin < vmmIoapicPins ? ioapicPin : none;
    const isIsa = isaIrq >= 0 && isaIrq < isaIrqs;
    if (!isIsa && pin === none) {
      return { set: () => {} };
    }
    const argument = isIsa
      ? this.#device.struct("vm_isa_irq").set("atpic_irq", isaIrq).set("ioapic_irq", pin)
      : this.#device.struct("vm_ioapic_irq").set("irq", pin);
    const prefix = isIsa ? "VM_ISA" : "VM_IOAPIC";
    let level = false;
    return {
      set: (high) => {
        if (high !== level) {
          level = high;
          this.#device.call(`${prefix}_${high ? "ASSERT" : "DEASSERT"}_IRQ`, argument);
        }
      },
    };
  }

  /** The kernel never comes back from an address that is not the local APICs'. */
  send(address: number, data: number): void {
    if (Math.floor(address / 0x10_0000) === 0xfee) {
      this.#device.try("VM_LAPIC_MSI", this.#message.set("msg", data).set("addr", address));
    }
  }

  /** ISA interrupts that PCI and ACPI share; the kernel refuses those that are always edges. */
  setLevelTriggered(mask: number): void {
    for (let irq = 0; irq < isaIrqs; irq += 1) {
      this.#device.try("VM_ISA_SET_IRQ_TRIGGER", this.#device.struct("vm_isa_irq_trigger")
        .set("atpic_irq", irq).set("trigger", (mask >>> irq) & 1));
    }
  }
}
