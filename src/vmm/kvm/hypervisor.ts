/** Linux's /dev/kvm as a back end: opened, checked, and probed by running a guest. */
import { constants } from "node:fs";
import { HostError } from "../../base/errors.ts";
import { MiB } from "../../base/units.ts";
import { errorName, nativeState, requireNative, type NativeAddon } from "../../host/native.ts";
import type { Hypervisor, Probe, Vm, VmOptions } from "../hypervisor.ts";
import { runProbeGuest } from "../probe-guest.ts";
import { apiVersion, kvmCap, kvmIoctl } from "./abi.ts";
import { KvmVm } from "./vm.ts";

const device = "/dev/kvm";
/** RAM, ROM and kvm_run share one memory of wasm32. */
const memoryBytesMax = 3900 * MiB;

/** Without these a machine of ours cannot be. */
const neededCaps = [
  "KVM_CAP_IRQCHIP", "KVM_CAP_USER_MEMORY", "KVM_CAP_SET_TSS_ADDR", "KVM_CAP_EXT_CPUID",
  "KVM_CAP_IRQ_ROUTING", "KVM_CAP_PIT2", "KVM_CAP_SIGNAL_MSI", "KVM_CAP_READONLY_MEM",
  "KVM_CAP_IMMEDIATE_EXIT", "KVM_CAP_IRQFD", "KVM_CAP_IOEVENTFD",
] as const;

const openHints: Readonly<Record<string, string>> = {
  ENOENT: "it does not exist: load the module (modprobe kvm_intel or kvm_amd), if the processor "
    + "has virtualisation and the firmware has it on",
  EACCES: "no permission: add yourself to the group that owns it (usermod -aG kvm USER)",
  EPERM: "no permission: add yourself to the group that owns it (usermod -aG kvm USER)",
  ENODEV: "the processor's virtualisation is off or in use",
};

/** Opens and checks the device; throws HostError that says how to mend it. */
export function openKvm(addon: NativeAddon): number {
  const fd = addon.open(device, constants.O_RDWR);
  if (fd < 0) {
    const name = errorName(fd);
    throw new HostError(device, openHints[name] ?? name);
  }
  try {
    const version = addon.ioctlValue(fd, kvmIoctl.KVM_GET_API_VERSION, 0);
    if (version !== apiVersion) {
      throw new HostError(device, version < 0 ? `it is no KVM (${errorName(version)})`
        : `it speaks version ${version}; known: ${apiVersion}`);
    }
    const missing = neededCaps.filter((cap) =>
      addon.ioctlValue(fd, kvmIoctl.KVM_CHECK_EXTENSION, kvmCap[cap]) <= 0);
    if (missing.length > 0) {
      throw new HostError(device, `this kernel's KVM lacks ${missing.join(", ")}`);
    }
    return fd;
  } catch (error) {
    addon.close(fd);
    throw error;
  }
}

function createVm(options: VmOptions): Vm {
  const addon = requireNative("vmm.backend=kvm");
  const kvm = openKvm(addon);
  try {
    return new KvmVm(addon, kvm, options);
  } finally {
    addon.close(kvm);
  }
}

function probe(): Probe {
  const native = nativeState();
  if (native.addon === undefined) {
    return { usable: false, reason: native.reason };
  }
  try {
    return runProbeGuest(createVm);
  } catch (error) {
    if (error instanceof HostError) {
      return { usable: false, reason: error.message };
    }
    throw error;
  }
}

export const kvmHypervisor: Hypervisor = {
  name: "kvm", probe, createVm, memoryBytesMax, cpusMax: 1,
};
