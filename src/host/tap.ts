/**
 * Ethernet taps: on Linux an interface of /dev/net/tun (linux/if_tun.h), on FreeBSD and illumos a
 * /dev/tapN (tap(4)). Which one it is, the host's devices tell.
 */
import { constants, existsSync } from "node:fs";
import { HostError } from "../base/errors.ts";
import { checked, errorName, type NativeAddon } from "./native.ts";

const cloneDevice = "/dev/net/tun";
const requests = {
  TUNSETIFF: 0x4004_54ca, TUNSETOFFLOAD: 0x4004_54d0, TUNSETVNETHDRSZ: 0x4004_54d8,
} as const;
const interfaceFlags = { tap: 0x0002, noPacketInfo: 0x1000, vnetHeader: 0x4000 } as const;
/** struct ifreq: the name, then flags. */
const requestBytes = 40, nameBytes = 16;
/** TUNSETOFFLOAD: checksums, and segments of TCP over IPv4 and IPv6 with or without ECN. */
const offloads = { checksum: 1, tso4: 2, tso6: 4, tsoEcn: 8 } as const;
const nameMax = nameBytes - 1;

export interface TapOptions {
  /** Every frame comes and goes behind a virtio_net_hdr of this length: 10 or 12. Linux only. */
  readonly vnetHeaderBytes?: 10 | 12;
  /** The kernel may leave checksums and segments of TCP to us. Linux, with the header only. */
  readonly offload?: boolean;
}

export interface Tap {
  /** A descriptor of the addon, non-blocking: one frame a read or write (`transfer`). */
  readonly fd: number;
  /** The name that the kernel gave. */
  readonly name: string;
  /** The interface goes away with it, unless it was made to persist. */
  close(): void;
}

/** Opens or makes a tap; throws HostError that says what is wrong. */
export function openTap(addon: NativeAddon, name: string, options: TapOptions = {}): Tap {
  if (!/^[^\s/]+$/.test(name) || Buffer.byteLength(name) > nameMax) {
    throw new HostError("tap", `${JSON.stringify(name)} cannot be the name of an interface; `
      + `allowed: up to ${nameMax} bytes without "/" and spaces`);
  }
  const isLinux = existsSync(cloneDevice);
  const path = isLinux ? cloneDevice : `/dev/${name}`;
  const fd = addon.open(path, constants.O_RDWR | constants.O_NONBLOCK);
  if (fd < 0) {
    throw new HostError(path, ["EPERM", "EACCES"].includes(errorName(fd))
      ? "no permission: run as root, or give the device to your group" : errorName(fd));
  }
  try {
    const given = isLinux ? attach(addon, fd, name, options) : name;
    return { fd, name: given, close: () => { addon.close(fd); } };
  } catch (error) {
    addon.close(fd);
    throw error;
  }
}

function attach(addon: NativeAddon, fd: number, name: string, options: TapOptions): string {
  const { vnetHeaderBytes, offload = false } = options;
  const request = new Uint8Array(requestBytes);
  request.set(Buffer.from(name));
  new DataView(request.buffer).setUint16(nameBytes, interfaceFlags.tap
    | interfaceFlags.noPacketInfo | (vnetHeaderBytes === undefined ? 0 : interfaceFlags.vnetHeader),
  true);
  const result = addon.ioctl(fd, requests.TUNSETIFF, request);
  if (result < 0) {
    const hint: Readonly<Record<string, string>> = {
      EPERM: "no permission: it takes CAP_NET_ADMIN, or a tap that was made for this user "
        + "(ip tuntap add mode tap user USER)",
      EBUSY: "another program has it open",
      EINVAL: "there is an interface of this name that is no such tap",
    };
    throw new HostError(`tap ${name}`, hint[errorName(result)] ?? errorName(result));
  }
  if (vnetHeaderBytes !== undefined) {
    checked(`tap ${name}: header`,
      addon.ioctl(fd, requests.TUNSETVNETHDRSZ, Int32Array.of(vnetHeaderBytes)));
    checked(`tap ${name}: offload`, addon.ioctlValue(fd, requests.TUNSETOFFLOAD, offload
      ? offloads.checksum | offloads.tso4 | offloads.tso6 | offloads.tsoEcn : 0));
  }
  return Buffer.from(request.subarray(0, nameBytes)).toString().replace(/\0.*$/s, "");
}
