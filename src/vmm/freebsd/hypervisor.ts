/** FreeBSD's /dev/vmm as a back end, whatever system Node was built for. */
import { HostError } from "../../base/errors.ts";
import { MiB } from "../../base/units.ts";
import { nativeState, requireNative } from "../../host/native.ts";
import type { Hypervisor, Probe, Vm, VmOptions } from "../hypervisor.ts";
import { runProbeGuest } from "../probe-guest.ts";
import { VmmVm } from "./vm.ts";

const memoryBytesMax = 3900 * MiB;
/** One name for all, so that an orphan of a killed probe is found by the next. */
const probeName = "tsbhyve-probe";

function createVm(options: VmOptions): Vm {
  const addon = requireNative("vmm.backend=vmm");
  return new VmmVm(addon, options.name ?? `tsbhyve-${process.pid}`, options);
}

function probe(): Probe {
  const native = nativeState();
  if (native.addon === undefined) {
    return { usable: false, reason: native.reason };
  }
  try {
    return runProbeGuest((options) =>
      createVm({ ...options, name: probeName }));
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
