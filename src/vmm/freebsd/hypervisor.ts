/** FreeBSD's /dev/vmm as a back end, whatever system Node was built for. */
import { existsSync, readdirSync } from "node:fs";
import { HostError } from "../../base/errors.ts";
import { MiB } from "../../base/units.ts";
import { nativeState, requireNative, type NativeAddon } from "../../host/native.ts";
import type { Hypervisor, Probe, Vm, VmOptions } from "../hypervisor.ts";
import { runProbeGuest } from "../probe-guest.ts";
import { destroyVm } from "./device.ts";
import { VmmVm } from "./vm.ts";

const memoryBytesMax = 3900 * MiB;
const folder = "/dev/vmm";
const probePrefix = "tsbhyve-probe-";

function createVm(options: VmOptions): Vm {
  const addon = requireNative("vmm.backend=vmm");
  return new VmmVm(addon, options.name ?? `tsbhyve-${process.pid}`, options);
}

/** Probes of processes that were killed in the middle. */
function destroyOrphans(addon: NativeAddon): void {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  for (const name of names.filter((each) => each.startsWith(probePrefix))) {
    if (!existsSync(`/proc/${name.slice(probePrefix.length)}`)) {
      destroyVm(addon, name);
    }
  }
}

function probe(): Probe {
  const native = nativeState();
  if (native.addon === undefined) {
    return { usable: false, reason: native.reason };
  }
  try {
    destroyOrphans(native.addon);
    return runProbeGuest((options) =>
      createVm({ ...options, name: `${probePrefix}${process.pid}` }));
  } catch (error) {
    if (error instanceof HostError) {
      return { usable: false, reason: error.message };
    }
    throw error;
  }
}

export const vmmHypervisor: Hypervisor = {
  name: "vmm", probe, createVm, memoryBytesMax, cpusMax: 1,
};
