/** Memory as an instruction of the guest reaches it: by linear address, RAM or device. */
import type { GuestMemory } from "../../fabric/memory.ts";
import { gpa } from "../../base/units.ts";
import type { VcpuBus } from "../hypervisor.ts";
import type { VmDevice } from "./device.ts";
import type { Struct } from "./tables.ts";

/** Protections of a translation (sys/mman.h). */
export const reach = { read: 1, write: 2, execute: 4 } as const;

/** Devices of the kernel that an emulated instruction may touch: local APIC, I/O APIC, HPET. */
const kernelDevices = [
  [0xfee0_0000, 0x1000], [0xfec0_0000, 0x1000], [0xfed0_0000, 0x400],
] as const;

export interface GuestAccessEnv {
  readonly device: VmDevice;
  readonly cpu: number;
  readonly bus: VcpuBus;
  readonly memory: GuestMemory;
}

export class GuestAccess {
  readonly #env: GuestAccessEnv;
  readonly #translation: Struct;
  readonly #kernelDevice: Struct;

  constructor(env: GuestAccessEnv) {
    this.#env = env;
    this.#translation = env.device.struct("vm_gla2gpa").set("vcpuid", env.cpu);
    this.#kernelDevice = env.device.struct("vm_readwrite_kernemu_device").set("vcpuid", env.cpu);
  }

  /** Physical address of a linear one; undefined when the guest got a fault for it. `kind` is the
   * part of the exit that says how the guest pages: `inst_emul` or `inout_str`. */
  translate(linear: bigint, prot: number, exit: Struct, kind: string): number | undefined {
    const argument = this.#translation.set("prot", prot).set("gla", linear)
      .set("paging.cr3", exit.big(`u.${kind}.paging.cr3`));
    for (const field of ["cpl", "cpu_mode", "paging_mode"]) {
      argument.set(`paging.${field}`, exit.get(`u.${kind}.paging.${field}`));
    }
    this.#env.device.call("VM_GLA2GPA", argument);
    return argument.get("fault") !== 0 ? undefined : argument.get("gpa");
  }

  read(address: number, size: number): bigint {
    const { bus, memory } = this.#env;
    if (memory.contains(gpa(address), size)) {
      return this.#fromRam(address, size);
    }
    if (isKernels(address)) {
      return this.#env.device.call("VM_GET_KERNEMU_DEV", this.#kernelDevice
        .set("gpa", address).set("access_width", Math.log2(size))).big("value");
    }
    return size === 8
      ? BigInt(bus.mmioRead(address, 4)) | BigInt(bus.mmioRead(address + 4, 4)) << 32n
      : BigInt(bus.mmioRead(address, size));
  }

  write(address: number, size: number, value: bigint): void {
    const { bus, memory } = this.#env;
    if (memory.contains(gpa(address), size)) {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setBigUint64(0, value, true);
      memory.write(gpa(address), bytes.subarray(0, size));
    } else if (isKernels(address)) {
      this.#env.device.call("VM_SET_KERNEMU_DEV", this.#kernelDevice
        .set("gpa", address).set("access_width", Math.log2(size)).set("value", value));
    } else if (size === 8) {
      bus.mmioWrite(address, 4, Number(value & 0xffff_ffffn));
      bus.mmioWrite(address + 4, 4, Number(value >> 32n & 0xffff_ffffn));
    } else {
      bus.mmioWrite(address, size, Number(value));
    }
  }

  #fromRam(address: number, size: number): bigint {
    const bytes = new Uint8Array(8);
    bytes.set(this.#env.memory.read(gpa(address), size));
    return new DataView(bytes.buffer).getBigUint64(0, true);
  }
}

function isKernels(address: number): boolean {
  return kernelDevices.some(([base, size]) => address >= base && address < base + size);
}
