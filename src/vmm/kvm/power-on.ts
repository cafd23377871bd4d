/**
 * The state of a VM of KVM as it was created, kept so that a reset can bring it back: vCPUs with
 * their local APICs and MSRs, interrupt controllers, and the 8254.
 */
import { checked, type NativeAddon } from "../../host/native.ts";
import { kvmFlag, kvmIoctl, kvmLayout } from "./abi.ts";

const { kvm_msrs: msrs, kvm_msr_entry: msr, kvm_irqchip: irqchip, kvm_msr_list: list } = kvmLayout;
const msrsMax = 1024;

interface Saved {
  readonly fd: number;
  readonly set: number;
  readonly bytes: Uint8Array;
  /** Special registers come first, then what depends on their modes. */
  readonly name: string;
}

const ofVcpu = [
  ["KVM_SET_SREGS", kvmIoctl.KVM_GET_SREGS, kvmIoctl.KVM_SET_SREGS, kvmLayout.kvm_sregs],
  ["KVM_SET_LAPIC", kvmIoctl.KVM_GET_LAPIC, kvmIoctl.KVM_SET_LAPIC, kvmLayout.kvm_lapic_state],
  ["KVM_SET_REGS", kvmIoctl.KVM_GET_REGS, kvmIoctl.KVM_SET_REGS, kvmLayout.kvm_regs],
  ["KVM_SET_FPU", kvmIoctl.KVM_GET_FPU, kvmIoctl.KVM_SET_FPU, kvmLayout.kvm_fpu],
  ["KVM_SET_DEBUGREGS", kvmIoctl.KVM_GET_DEBUGREGS, kvmIoctl.KVM_SET_DEBUGREGS,
    kvmLayout.kvm_debugregs],
  ["KVM_SET_VCPU_EVENTS", kvmIoctl.KVM_GET_VCPU_EVENTS, kvmIoctl.KVM_SET_VCPU_EVENTS,
    kvmLayout.kvm_vcpu_events],
  ["KVM_SET_MP_STATE", kvmIoctl.KVM_GET_MP_STATE, kvmIoctl.KVM_SET_MP_STATE,
    kvmLayout.kvm_mp_state],
] as const;
const chips = [
  kvmFlag.KVM_IRQCHIP_PIC_MASTER, kvmFlag.KVM_IRQCHIP_PIC_SLAVE, kvmFlag.KVM_IRQCHIP_IOAPIC,
];

/** MSRs that a guest may have changed (KVM_GET_MSR_INDEX_LIST). */
export function msrIndexes(addon: NativeAddon, kvm: number): readonly number[] {
  const words = new Uint32Array(1 + msrsMax);
  words[0] = msrsMax;
  checked("KVM_GET_MSR_INDEX_LIST", addon.ioctl(kvm, kvmIoctl.KVM_GET_MSR_INDEX_LIST, words));
  return [...words.subarray(list.indices / 4, list.indices / 4 + (words[0] ?? 0))];
}

export class PowerOnState {
  readonly #addon: NativeAddon;
  readonly #saved: Saved[] = [];
  readonly #msrs: { readonly fd: number; readonly tables: readonly Uint8Array[] }[] = [];

  constructor(
    addon: NativeAddon, vm: number, vcpus: readonly number[], msrList: readonly number[],
  ) {
    this.#addon = addon;
    for (const chip of chips) {
      const bytes = new Uint8Array(irqchip.size);
      bytes[irqchip.chip_id] = chip;
      this.#save(vm, "KVM_SET_IRQCHIP", kvmIoctl.KVM_GET_IRQCHIP, kvmIoctl.KVM_SET_IRQCHIP, bytes);
    }
    this.#save(vm, "KVM_SET_PIT2", kvmIoctl.KVM_GET_PIT2, kvmIoctl.KVM_SET_PIT2,
      new Uint8Array(kvmLayout.kvm_pit_state2.size));
    for (const fd of vcpus) {
      for (const [name, get, set, { size }] of ofVcpu) {
        this.#save(fd, name, get, set, new Uint8Array(size));
      }
      const tables = msrList.map((index) => this.#readMsr(fd, index))
        .filter((table) => table !== undefined);
      this.#msrs.push({ fd, tables });
    }
  }

  restore(): void {
    for (const { fd, tables } of this.#msrs) {
      for (const table of tables) {
        this.#addon.ioctl(fd, kvmIoctl.KVM_SET_MSRS, table); // Some can only be read.
      }
    }
    for (const { fd, name, set, bytes } of this.#saved) {
      checked(name, this.#addon.ioctl(fd, set, bytes.slice()));
    }
  }

  #save(fd: number, name: string, get: number, set: number, bytes: Uint8Array): void {
    checked(name, this.#addon.ioctl(fd, get, bytes));
    this.#saved.push({ fd, name, set, bytes });
  }

  /** One by one: the kernel stops at the first that this processor lacks. */
  #readMsr(fd: number, index: number): Uint8Array | undefined {
    const table = new Uint8Array(msrs.size + msr.size);
    const view = new DataView(table.buffer);
    view.setUint32(msrs.nmsrs, 1, true);
    view.setUint32(msrs.entries + msr.index, index, true);
    return this.#addon.ioctl(fd, kvmIoctl.KVM_GET_MSRS, table) === 1 ? table : undefined;
  }
}
