/**
 * What a guest of KVM reads by CPUID: what the host's processor and KVM can, less what a machine
 * of ours does not have (Intel SDM 2A, CPUID; Linux, Documentation/virt/kvm/x86/cpuid.rst).
 */
import { HostError } from "../../base/errors.ts";
import { checked, type NativeAddon } from "../../host/native.ts";
import { kvmIoctl, kvmLayout } from "./abi.ts";

const { kvm_cpuid2: head, kvm_cpuid_entry2: entry } = kvmLayout;
const entriesMax = 256;

const leaf = {
  features: 1, caches: 4, monitor: 5, extended: 7, performance: 0xa, topology: 0xb,
  trace: 0x14, topologyV2: 0x1f, extendedFeatures: 0x8000_0001, nested: 0x8000_000a,
} as const;
/** Bits of leaf 1. */
const ecx1 = { monitor: 1 << 3, vmx: 1 << 5, x2apic: 1 << 21, tscDeadline: 1 << 24,
  hypervisor: 1 << 31 } as const;
const edx1 = { hyperThreading: 1 << 28 } as const;
const svm = 1 << 2; // Leaf 0x8000_0001, ECX.
const smtLevel = 1, coreLevel = 2;

export interface CpuidOptions {
  readonly cpu: number;
  readonly cpus: number;
  readonly tscDeadline: boolean;
}

/** The host's table as struct kvm_cpuid2; throws HostError. */
export function supportedCpuid(addon: NativeAddon, kvm: number): Uint8Array {
  const table = new Uint8Array(head.size + entriesMax * entry.size);
  new DataView(table.buffer).setUint32(head.nent, entriesMax, true);
  checked("KVM_GET_SUPPORTED_CPUID", addon.ioctl(kvm, kvmIoctl.KVM_GET_SUPPORTED_CPUID, table));
  const count = new DataView(table.buffer).getUint32(head.nent, true);
  if (count === 0 || count > entriesMax) {
    throw new HostError("KVM_GET_SUPPORTED_CPUID", `answered ${count} entries`);
  }
  return table.slice(0, head.size + count * entry.size);
}

/** A copy of `table` for one vCPU. */
export function cpuidFor(table: Uint8Array, options: CpuidOptions): Uint8Array {
  const own = table.slice();
  const view = new DataView(own.buffer);
  for (let at = head.size; at < own.length; at += entry.size) {
    filter(view, at, options);
  }
  return own;
}

function filter(view: DataView, at: number, { cpu, cpus, tscDeadline }: CpuidOptions): void {
  const get = (field: "eax" | "ebx" | "ecx" | "edx") => view.getUint32(at + entry[field], true);
  const set = (field: "eax" | "ebx" | "ecx" | "edx", value: number) =>
    view.setUint32(at + entry[field], value, true);
  switch (view.getUint32(at + entry.function, true)) {
    case leaf.features: {
      const more = ecx1.hypervisor | ecx1.x2apic | (tscDeadline ? ecx1.tscDeadline : 0);
      set("ebx", get("ebx") & 0xffff | (cpu << 24) | ((cpus & 0xff) << 16));
      set("ecx", get("ecx") & ~(ecx1.monitor | ecx1.vmx) | more);
      set("edx", cpus > 1 ? get("edx") | edx1.hyperThreading
        : get("edx") & ~edx1.hyperThreading);
      break;
    }
    case leaf.caches: // Cores of a package and threads of a cache, less one: bits 31:26, 25:14.
      if ((get("eax") & 0x1f) !== 0) {
        set("eax", get("eax") & 0x3fff | ((cpus - 1) & 0x3f) << 26);
      }
      break;
    case leaf.extendedFeatures: set("ecx", get("ecx") & ~svm); break;
    case leaf.topology: case leaf.topologyV2: topology(view, at, cpu, cpus); break;
    case leaf.monitor: case leaf.performance: case leaf.trace: case leaf.nested:
      for (const field of ["eax", "ebx", "ecx", "edx"] as const) {
        set(field, 0);
      }
      break;
    default:
  }
}

/** All vCPUs are cores of one package, one thread each. */
function topology(view: DataView, at: number, cpu: number, cpus: number): void {
  const index = view.getUint32(at + entry.index, true);
  const bits = Math.ceil(Math.log2(cpus));
  const type = index === 0 ? smtLevel : index === 1 ? coreLevel : 0;
  view.setUint32(at + entry.eax, index === 1 ? bits : 0, true);
  view.setUint32(at + entry.ebx, type === 0 ? 0 : index === 0 ? 1 : cpus, true);
  view.setUint32(at + entry.ecx, index | (type << 8), true);
  view.setUint32(at + entry.edx, cpu, true);
}
