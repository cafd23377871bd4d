/**
 * The configuration space of one function (PCI Local Bus 3.0 §6): its bytes, which of them a
 * guest may change, the list of capabilities, and windows that answer for themselves.
 */
import { assert } from "../../base/assert.ts";
import { alignUp, bits, truncate } from "../../base/bits.ts";
import type { AccessHandler } from "../address-space.ts";

/** Offsets of a type 0 header. */
export const header = {
  vendor: 0x00, device: 0x02, command: 0x04, status: 0x06, revision: 0x08, classCode: 0x09,
  cacheLine: 0x0c, latency: 0x0d, headerType: 0x0e, bars: 0x10, barsEnd: 0x28,
  subsystemVendor: 0x2c, subsystem: 0x2e, capabilities: 0x34,
  interruptLine: 0x3c, interruptPin: 0x3d,
} as const;

export const command = bits({ io: 0, memory: 1, busMaster: 2, intxDisable: 10 });
export const status = bits({ interrupt: 3, capabilityList: 4 });
/** The command bits that exist; the status half of the dword is read-only (bhyve). */
const commandWritable = 0x077f;
const multifunctionBit = 0x80;
const firstCapability = 0x40;

export const configBytes = 256;

/** Capability ids (PCI Local Bus 3.0 appendix H). */
export const capabilityId = { msi: 0x05, vendor: 0x09, express: 0x10, msix: 0x11 } as const;

export interface PciIdentity {
  readonly vendor: number;
  readonly device: number;
  readonly revision?: number;
  /** Base class, subclass and interface: 0xBBSSII. */
  readonly classCode: number;
  readonly subsystemVendor?: number;
  readonly subsystem?: number;
}

interface Window {
  readonly offset: number;
  readonly size: number;
  readonly handler: AccessHandler;
}

export class ConfigSpace {
  readonly bytes = new Uint8Array(configBytes);
  readonly #writable = new Uint8Array(configBytes);
  readonly #powerOn = new Uint8Array(configBytes);
  readonly #windows: Window[] = [];
  #capabilityEnd = firstCapability;
  /** Where the next capability's offset goes. */
  #link: number = header.capabilities;

  constructor(identity: PciIdentity) {
    this.fix(header.vendor, 2, identity.vendor);
    this.fix(header.device, 2, identity.device);
    this.fix(header.revision, 1, identity.revision ?? 0);
    this.fix(header.classCode, 1, identity.classCode & 0xff);
    this.fix(header.classCode + 1, 2, identity.classCode >>> 8);
    this.fix(header.subsystemVendor, 2, identity.subsystemVendor ?? 0);
    this.fix(header.subsystem, 2, identity.subsystem ?? 0);
    this.fix(header.interruptLine, 1, 0xff);
    this.allow(header.command, 2, commandWritable);
    this.allow(header.cacheLine, 2, 0xffff);
    this.allow(header.interruptLine, 1, 0xff);
  }

  /** Gives a register its value from power-on and from every reset. */
  fix(offset: number, size: number, value: number): void {
    this.set(offset, size, value);
    this.#powerOn.set(this.bytes.subarray(offset, offset + size), offset);
  }

  /** Lets a guest change these bits. */
  allow(offset: number, size: number, mask: number): void {
    for (let index = 0; index < size; index += 1) {
      this.#writable[offset + index] = (mask >>> (index * 8)) & 0xff;
    }
  }

  /** Lets `handler` answer for whole dwords of the space. */
  window(offset: number, size: number, handler: AccessHandler): void {
    assert(offset % 4 === 0, "a window starts at a dword");
    assert(size % 4 === 0, "a window is made of dwords");
    this.#windows.push({ offset, size, handler });
  }

  /** Appends a capability with `body` after its id and link; returns its offset. */
  addCapability(id: number, body: Uint8Array): number {
    const offset = this.#capabilityEnd;
    this.#capabilityEnd = alignUp(offset + 2 + body.length, 4);
    assert(this.#capabilityEnd <= configBytes, "the capabilities fit");
    this.fix(this.#link, 1, offset);
    this.fix(offset, 1, id);
    for (const [index, byte] of body.entries()) {
      this.fix(offset + 2 + index, 1, byte);
    }
    this.#link = offset + 1;
    this.fix(header.status, 2, this.get(header.status, 2) | status.capabilityList);
    return offset;
  }

  setMultifunction(multifunction: boolean): void {
    this.fix(header.headerType, 1, multifunction ? multifunctionBit : 0);
  }

  powerOn(): void {
    this.bytes.set(this.#powerOn);
  }

  /** The bytes as they are; `size` up to 4. */
  get(offset: number, size: number): number {
    let value = 0;
    for (let index = 0; index < size; index += 1) {
      value |= (this.bytes[offset + index] ?? 0) << (index * 8);
    }
    return value >>> 0;
  }

  set(offset: number, size: number, value: number): void {
    for (let index = 0; index < size; index += 1) {
      this.bytes[offset + index] = (value >>> (index * 8)) & 0xff;
    }
  }

  /** An aligned access of the guest. */
  read(offset: number, size: number): number {
    const window = this.#windowAt(offset);
    return window === undefined
      ? this.get(offset, size)
      : truncate(window.handler.read(offset - window.offset, size), size);
  }

  write(offset: number, size: number, value: number): void {
    const window = this.#windowAt(offset);
    if (window !== undefined) {
      window.handler.write(offset - window.offset, size, truncate(value, size));
      return;
    }
    for (let index = 0; index < size; index += 1) {
      const at = offset + index;
      const mask = this.#writable[at] ?? 0;
      const byte = (value >>> (index * 8)) & 0xff;
      this.bytes[at] = ((this.bytes[at] ?? 0) & ~mask) | (byte & mask);
    }
  }

  #windowAt(offset: number): Window | undefined {
    return this.#windows.find((each) => offset >= each.offset && offset < each.offset + each.size);
  }
}

/** Whether configuration space can be accessed so: aligned, within a dword. */
export function isConfigAccess(offset: number, size: number): boolean {
  return offset % size === 0 && offset % 4 + size <= 4;
}
