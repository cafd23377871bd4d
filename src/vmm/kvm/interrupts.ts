/**
 * The interrupt controllers of KVM's kernel side: which GSI leads to which input of the 8259 pair
 * and of the I/O APIC, and messages (Documentation/virt/kvm/api.rst, KVM_SET_GSI_ROUTING).
 */
import { shareLine, type InterruptRouter, type IrqLine } from "../../fabric/interrupt.ts";
import { checked, type NativeAddon } from "../../host/native.ts";
import { kvmFlag, kvmIoctl, kvmLayout } from "./abi.ts";

export const kvmIoapicPins = 24;
const picInputs = 16;
const picChipInputs = 8;
/** The kernel's 8254 drives GSI 0: input 0 of the 8259 and, as the tables say, pin 2. */
const timerGsi = 0, timerPin = 2;
/** GSIs of our lines: one for every input of either chip, so that each has one driver. */
const firstPicGsi = 16, firstIoapicGsi = 32, firstMessageGsi = 64;

const { kvm_irq_level: level, kvm_msi: msi, kvm_irq_routing: routing } = kvmLayout;
const entry = kvmLayout.kvm_irq_routing_entry;

interface Route {
  readonly gsi: number;
  readonly type: number;
  /** The union: chip and pin, or address and data of a message. */
  readonly words: readonly number[];
}

function picRoute(gsi: number, input: number): Route {
  const chip = input < picChipInputs ? kvmFlag.KVM_IRQCHIP_PIC_MASTER
    : kvmFlag.KVM_IRQCHIP_PIC_SLAVE;
  const words = [chip, input % picChipInputs];
  return { gsi, type: kvmFlag.KVM_IRQ_ROUTING_IRQCHIP, words };
}

function ioapicRoute(gsi: number, pin: number): Route {
  const words = [kvmFlag.KVM_IRQCHIP_IOAPIC, pin];
  return { gsi, type: kvmFlag.KVM_IRQ_ROUTING_IRQCHIP, words };
}

const fixedRoutes: readonly Route[] = [
  picRoute(timerGsi, 0), ioapicRoute(timerGsi, timerPin),
  ...Array.from({ length: picInputs }, (_, input) => picRoute(firstPicGsi + input, input)),
  ...Array.from({ length: kvmIoapicPins }, (_, pin) => ioapicRoute(firstIoapicGsi + pin, pin)),
];

export class KvmInterrupts implements InterruptRouter {
  readonly #addon: NativeAddon;
  readonly #vm: number;
  readonly #lines = new Map<number, () => IrqLine>();
  readonly #messages: Route[] = [];
  /** Reused by every call: `bench/kvm.ts`. */
  readonly #level = new Uint32Array(level.size / 4);
  readonly #message = new Uint32Array(msi.size / 4);

  constructor(addon: NativeAddon, vm: number) {
    this.#addon = addon;
    this.#vm = vm;
    this.#writeRoutes();
  }

  line(isaIrq: number, ioapicPin: number): IrqLine {
    const pic = isaIrq >= 0 && isaIrq < picInputs ? this.#share(firstPicGsi + isaIrq) : undefined;
    const pin = ioapicPin >= 0 && ioapicPin < kvmIoapicPins
      ? this.#share(firstIoapicGsi + ioapicPin) : undefined;
    return {
      set: (high) => {
        pic?.set(high);
        pin?.set(high);
      },
    };
  }

  /** A message-signalled interrupt. An address that is none of the local APICs' means nothing. */
  send(address: number, data: number): void {
    if (Math.floor(address / 0x10_0000) !== 0xfee) {
      return;
    }
    this.#message[msi.address_lo / 4] = address;
    this.#message[msi.data / 4] = data;
    this.#addon.ioctl(this.#vm, kvmIoctl.KVM_SIGNAL_MSI, this.#message);
  }

  /** Makes an eventfd send this message (irqfd): no exit and no thread of ours takes part. Returns
   * what undoes it. */
  sendBy(eventfd: number, address: number, data: number): () => void {
    const gsi = firstMessageGsi + this.#messages.length;
    const words = [address >>> 0, 0, data];
    this.#messages.push({ gsi, type: kvmFlag.KVM_IRQ_ROUTING_MSI, words });
    this.#writeRoutes();
    const bind = (flags: number) => checked("KVM_IRQFD", this.#addon.ioctl(this.#vm,
      kvmIoctl.KVM_IRQFD, Uint32Array.of(eventfd, gsi, flags, 0, 0, 0, 0, 0)));
    bind(0);
    return () => bind(kvmFlag.KVM_IRQFD_FLAG_DEASSIGN);
  }

  setLevelTriggered(mask: number): void {
    const { size, chip_id: id, chip } = kvmLayout.kvm_irqchip;
    for (const which of [kvmFlag.KVM_IRQCHIP_PIC_MASTER, kvmFlag.KVM_IRQCHIP_PIC_SLAVE]) {
      const state = new Uint8Array(size);
      state[id] = which;
      checked("KVM_GET_IRQCHIP", this.#addon.ioctl(this.#vm, kvmIoctl.KVM_GET_IRQCHIP, state));
      state[chip + kvmLayout.kvm_pic_state.elcr] = mask >>> (which * picChipInputs) & 0xff;
      checked("KVM_SET_IRQCHIP", this.#addon.ioctl(this.#vm, kvmIoctl.KVM_SET_IRQCHIP, state));
    }
  }

  #share(gsi: number): IrqLine {
    const known = this.#lines.get(gsi);
    const share = known ?? shareLine({ set: (high) => this.#set(gsi, high) });
    this.#lines.set(gsi, share);
    return share();
  }

  #set(gsi: number, high: boolean): void {
    this.#level[level.irq / 4] = gsi;
    this.#level[level.level / 4] = high ? 1 : 0;
    this.#addon.ioctl(this.#vm, kvmIoctl.KVM_IRQ_LINE, this.#level);
  }

  #writeRoutes(): void {
    const routes = [...fixedRoutes, ...this.#messages];
    const table = new Uint32Array((routing.size + routes.length * entry.size) / 4);
    table[routing.nr / 4] = routes.length;
    for (const [index, { gsi, type, words }] of routes.entries()) {
      const at = (routing.entries + index * entry.size) / 4;
      table[at + entry.gsi / 4] = gsi;
      table[at + entry.type / 4] = type;
      table.set(words, at + entry.u / 4);
    }
    checked("KVM_SET_GSI_ROUTING",
      this.#addon.ioctl(this.#vm, kvmIoctl.KVM_SET_GSI_ROUTING, table));
  }
}
