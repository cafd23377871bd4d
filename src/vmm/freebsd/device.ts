/**
 * The /dev/vmm device: which version of its interface the kernel speaks, found by what it
 * answers; creating, opening and destroying VMs; and ioctls by their names.
 */
import { constants } from "node:fs";
import { constants as os } from "node:os";
import { assert } from "../../base/assert.ts";
import { HostError } from "../../base/errors.ts";
import { OwnerFile } from "../../host/owner-file.ts";
import { checked, errorName, type NativeAddon } from "../../host/native.ts";
import { freebsd13 } from "./abi/freebsd13.ts";
import { freebsd14 } from "./abi/freebsd14.ts";
import { freebsd15 } from "./abi/freebsd15.ts";
import { illumos } from "./abi/illumos.ts";
import { VmmAbi, type Struct } from "./tables.ts";

const { EACCES, EEXIST, EINVAL, ENOENT, ENOMEM, ENOTTY, ENOSYS, ENXIO, EPERM } = os.errno;
const control = "/dev/vmmctl";
const folder = "/dev/vmm";
const nothing = new Uint8Array(0);

const hints: ReadonlyMap<number, string> = new Map([
  [ENOENT, "there is none: load the module (kldload vmm), if the processor has virtualisation"],
  [ENOSYS, "there is none: this kernel has no hw.vmm"],
  [ENXIO, "the module is not initialised: the processor's virtualisation is off"],
  [EACCES, "no permission: VMs are root's, or a jail's with allow.vmm"],
  [EPERM, "no permission: VMs are root's, or a jail's with allow.vmm"],
  [ENOMEM, "too many VMs (hw.vmm.maxvmms), or too little memory"],
]);

function refused(what: string, result: number, name?: string): HostError {
  const inUse = result === -EEXIST && name !== undefined
    ? `a VM ${name} exists; if nothing runs it: bhyvectl --destroy --vm=${name}` : undefined;
  return new HostError(what, inUse ?? hints.get(-result) ?? errorName(result));
}

/** An open VM. */
export class VmDevice {
  readonly addon: NativeAddon;
  readonly abi: VmmAbi;
  readonly name: string;
  readonly fd: number;

  constructor(addon: NativeAddon, abi: VmmAbi, name: string, fd: number) {
    this.addon = addon;
    this.abi = abi;
    this.name = name;
    this.fd = fd;
  }

  struct(name: string): Struct {
    return this.abi.struct(name);
  }

  /** The result, or -errno. */
  try(ioctl: string, argument: Struct): number {
    return this.addon.ioctl(this.fd, this.abi.ioctl(ioctl), argument.bytes);
  }

  /** Throws HostError unless it succeeds. */
  call(ioctl: string, argument: Struct): Struct {
    checked(ioctl, this.try(ioctl, argument));
    return argument;
  }

  /** Ioctls whose argument is one int, or that have none. */
  plain(ioctl: string, value = 0): number {
    return this.addon.ioctl(this.fd, this.abi.ioctl(ioctl), Int32Array.of(value));
  }

  /** Closes, then destroys, as libvmmapi does. */
  destroy(): void {
    this.addon.close(this.fd);
    try {
      destroyVm(this.addon, this.name);
    } catch (error) {
      if (!(error instanceof HostError)) {
        throw error;
      }
      // The kernel's module is gone, and the VM with it.
    }
  }
}

/** Opens the control device; undefined where the kernel is older than it. */
function openControl(addon: NativeAddon): number | undefined {
  const fd = addon.open(control, constants.O_RDWR);
  if (fd === -ENOENT) {
    return undefined;
  }
  if (fd < 0) {
    throw refused(control, fd);
  }
  return fd;
}

function controlCall(addon: NativeAddon, fd: number, ioctl: string, name: string): number {
  const abi = new VmmAbi(freebsd15);
  const kind = ioctl === "VMMCTL_VM_CREATE" ? "vmmctl_vm_create" : "vmmctl_vm_destroy";
  const argument = abi.struct(kind).setText("name", name);
  return addon.ioctl(fd, abi.ioctl(ioctl), argument.bytes);
}

function refuseIllumos(addon: NativeAddon, fd: number): void {
  const version = addon.ioctlValue(fd, new VmmAbi(illumos).ioctl("VMM_INTERFACE_VERSION"), 0);
  if (version > 0) {
    throw new HostError(control, `illumos, version ${version}: known, and not supported yet`);
  }
}

function sysctl(addon: NativeAddon, name: string, value: string): number {
  return addon.sysctl(name, nothing, Buffer.from(value));
}

function createVm(addon: NativeAddon, name: string): void {
  const fd = openControl(addon);
  if (fd === undefined) {
    const result = sysctl(addon, "hw.vmm.create", name);
    if (result < 0) {
      throw refused("hw.vmm.create", result, name);
    }
    return;
  }
  try {
    refuseIllumos(addon, fd);
    const result = controlCall(addon, fd, "VMMCTL_VM_CREATE", name);
    if (result < 0) {
      throw refused("VMMCTL_VM_CREATE", result, name);
    }
  } finally {
    addon.close(fd);
  }
}

/** Returns whether there was such a VM. */
export function destroyVm(addon: NativeAddon, name: string): boolean {
  new OwnerFile("vmm", name).remove();
  const fd = openControl(addon);
  if (fd === undefined) {
    return sysctl(addon, "hw.vmm.destroy", name) >= 0;
  }
  const result = controlCall(addon, fd, "VMMCTL_VM_DESTROY", name);
  addon.close(fd);
  return result >= 0;
}

/** The newest version whose numbers the kernel knows (vmm_dev.c: ENOTTY for others). */
export function detectAbi(addon: NativeAddon, fd: number): VmmAbi {
  const knows = (abi: VmmAbi, ioctl: string, struct: string, prepare: (each: Struct) => void) => {
    const argument = abi.struct(struct);
    prepare(argument);
    const result = addon.ioctl(fd, abi.ioctl(ioctl), argument.bytes);
    return result !== -ENOTTY && result !== -ENOSYS;
  };
  const [newest, middle, oldest] = [freebsd15, freebsd14, freebsd13]
    .map((tables) => new VmmAbi(tables));
  assert(newest !== undefined && middle !== undefined, "three versions");
  if (knows(newest, "VM_GET_MEMSEG", "vm_memseg", (each) => each.set("segid", 0))) {
    return newest;
  }
  // A vCPU that cannot be: nothing runs, and a known number says EINVAL.
  const noVcpu = (each: Struct) => { each.set("cpuid", -1); };
  for (const abi of [middle, oldest]) {
    if (abi !== undefined && knows(abi, "VM_RUN", "vm_run", noVcpu)) {
      return abi;
    }
  }
  throw new HostError("/dev/vmm", "this kernel speaks no known version of the interface; known: "
    + "FreeBSD 13, 14, 15");
}

/** Longest name by version; bytes. */
const nameBytesMax = 229;

/** Creates a VM and opens it. Throws HostError with what is wrong and how to mend it. */
export function createDevice(addon: NativeAddon, name: string): VmDevice {
  if (Buffer.byteLength(name) > nameBytesMax || /[/\0]/.test(name) || name === "") {
    throw new HostError("/dev/vmm", `a VM cannot be named ${JSON.stringify(name)}: 1 to `
      + `${nameBytesMax} bytes without "/"`);
  }
  const owner = new OwnerFile("vmm", name);
  if (owner.isOrphaned()) {
    destroyVm(addon, name); // Its process was killed.
  }
  createVm(addon, name);
  owner.write();
  const path = `${folder}/${name}`;
  const fd = addon.open(path, constants.O_RDWR);
  if (fd < 0) {
    destroyVm(addon, name);
    throw refused(path, fd);
  }
  try {
    return new VmDevice(addon, detectAbi(addon, fd), name, fd);
  } catch (error) {
    addon.close(fd);
    destroyVm(addon, name);
    throw error;
  }
}

export function isInvalid(result: number): boolean {
  return result === -EINVAL;
}
