/** Guest memory as helpers reach it: by linear address through the page walk, or physical. */
import { assert } from "../../base/assert.ts";
import { highMemoryBase, lowMemoryLimit } from "../../fabric/memory.ts";
import type { CodeCache } from "../interpreter/code-cache.ts";
import type { MemoryMap } from "../tier/memory-map.ts";
import { pageFault, regionFlags, state, vector } from "../layout.ts";
import { GuestFault } from "./fault.ts";
import type { GuestState } from "./guest-state.ts";

/** Where accesses go that are not RAM or ROM; sizes are 1, 2 or 4 bytes. */
export interface PhysicalBus {
  mmioRead(address: number, size: number): number;
  mmioWrite(address: number, size: number, value: number): void;
  /** Whether an access of the guest to this address ends the run before its instruction, with
   * `exit`, as a hypervisor's exits do. Reads and writes of the bus may also throw
   * `GuestFault(exitFault)` for that, where helpers of the processor make them. */
  exits?(address: number): boolean;
}

/** A contiguous range of physical addresses that is RAM or ROM. */
export interface MemoryRegion {
  readonly start: number;
  readonly end: number;
  readonly host: number;
  readonly readOnly: boolean;
}

/** Who asks: the present privilege, or the processor itself (descriptor tables, TSS). */
export type Privilege = "present" | "system";

const pageMask = 0xfff;
const ones = 0xff;
const romTop = 0x1_0000_0000;

export class MemoryAccess {
  readonly #state: GuestState;
  readonly #bus: PhysicalBus;
  readonly #regions: readonly MemoryRegion[];
  readonly #map: MemoryMap;
  readonly #code: CodeCache;
  readonly #walk: (linear: bigint, request: number) => bigint;
  readonly #buffer = new Uint8Array(16);
  readonly #bufferView = new DataView(this.#buffer.buffer);

  constructor(parts: {
    readonly state: GuestState; readonly bus: PhysicalBus; readonly map: MemoryMap;
    readonly regions: readonly MemoryRegion[]; readonly code: CodeCache;
    readonly walk: (linear: bigint, request: number) => bigint;
  }) {
    this.#state = parts.state;
    this.#bus = parts.bus;
    this.#regions = parts.regions;
    this.#map = parts.map;
    this.#code = parts.code;
    this.#walk = parts.walk;
    this.#publishRegions();
  }

  /** Tells generated code where RAM and ROM are. */
  #publishRegions(): void {
    const { view } = this.#state;
    view.setUint32(state.regionCount, this.#regions.length, true);
    for (const [index, region] of this.#regions.entries()) {
      const at = state.regions + index * 32;
      view.setBigUint64(at, BigInt(region.start), true);
      view.setBigUint64(at + 8, BigInt(region.end), true);
      view.setInt32(at + 16, (region.host - region.start) | 0, true);
      view.setUint32(at + 20, region.readOnly ? regionFlags.readOnly : 0, true);
    }
  }

  #regionOf(physical: number): MemoryRegion | undefined {
    for (const region of this.#regions) {
      if (physical >= region.start && physical < region.end) {
        return region;
      }
    }
    return undefined;
  }

  /** The host address of a physical address, or 0 where no memory is. */
  hostOf(physical: number): number {
    const region = this.#regionOf(physical);
    return region === undefined ? 0 : region.host + (physical - region.start);
  }

  /** Physical address of a linear one; throws the page fault. */
  translate(linear: bigint, request: number): number {
    const physical = this.#walk(BigInt.asUintN(64, linear), request);
    if (physical === -1n) {
      const faultVector = this.#state.u32(state.faultVector);
      if (faultVector === vector.pf) {
        this.#state.setU64(state.cr2, this.#state.u64(state.faultAddress));
        throw new GuestFault(faultVector, this.#state.u32(state.faultError));
      }
      throw new GuestFault(faultVector, 0);
    }
    return Number(BigInt.asUintN(52, physical));
  }

  /** Where a linear address lies, for a debugger outside; undefined where nothing is mapped. */
  locate(linear: bigint): number | undefined {
    const faultAddress = this.#state.u64(state.cr2);
    try {
      return this.translate(linear, 0);
    } catch (fault) {
      if (fault instanceof GuestFault) {
        return undefined;
      }
      throw fault;
    } finally {
      this.#state.setU64(state.cr2, faultAddress);
    }
  }

  #request(write: boolean, privilege: Privilege): number {
    const user = privilege === "present" && this.#state.cpl === 3 ? pageFault.user : 0;
    return user | (write ? pageFault.write : 0);
  }

  #wrap(linear: bigint): bigint {
    return BigInt.asUintN(this.#state.isLongMode ? 64 : 32, linear);
  }

  /** Fills `target` from memory at `linear`. */
  readInto(linear: bigint, target: Uint8Array, privilege: Privilege = "present"): void {
    const request = this.#request(false, privilege);
    for (let done = 0; done < target.length;) {
      const at = this.#wrap(linear + BigInt(done));
      const physical = this.translate(at, request);
      const length = Math.min(target.length - done, 4096 - (physical & pageMask));
      this.readPhysical(physical, target.subarray(done, done + length));
      done += length;
    }
  }

  /** All or nothing: every page is checked before the first byte is written. */
  writeFrom(linear: bigint, source: Uint8Array, privilege: Privilege = "present"): void {
    const request = this.#request(true, privilege);
    const places: { physical: number; from: number; to: number }[] = [];
    for (let done = 0; done < source.length;) {
      const physical = this.translate(this.#wrap(linear + BigInt(done)), request);
      const length = Math.min(source.length - done, 4096 - (physical & pageMask));
      places.push({ physical, from: done, to: done + length });
      done += length;
    }
    for (const { physical, from, to } of places) {
      this.writePhysical(physical, source.subarray(from, to));
    }
  }

  readBytes(linear: bigint, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.readInto(linear, bytes);
    return bytes;
  }

  read(linear: bigint, bytes: number, privilege: Privilege = "present"): bigint {
    const at = this.#wrap(linear);
    if (Number(at & 0xfffn) + bytes <= 4096) {
      const host = this.hostOf(this.translate(at, this.#request(false, privilege)));
      if (host !== 0) {
        return valueAt(this.#state.view, host, bytes);
      }
    }
    const part = this.#buffer.subarray(0, bytes);
    this.readInto(linear, part, privilege);
    return valueAt(this.#bufferView, 0, bytes);
  }

  read32(linear: bigint, bytes: 1 | 2 | 4, privilege: Privilege = "present"): number {
    return Number(this.read(linear, bytes, privilege));
  }

  write(linear: bigint, bytes: number, value: bigint, privilege: Privilege = "present"): void {
    assert(bytes <= 8, "one register at most");
    this.#bufferView.setBigUint64(0, BigInt.asUintN(64, value), true);
    this.writeFrom(linear, this.#buffer.subarray(0, bytes), privilege);
  }

  /** Throws the fault that a write of `length` bytes would meet. */
  probeWrite(linear: bigint, length: number, privilege: Privilege = "present"): void {
    const request = this.#request(true, privilege);
    this.translate(this.#wrap(linear), request);
    const last = this.#wrap(linear + BigInt(length - 1));
    // A fault names the first byte that cannot be written.
    if (last >> 12n !== this.#wrap(linear) >> 12n) {
      this.translate(last & ~BigInt(pageMask), request);
    }
  }

  // Physical accesses within one page.

  readPhysical(physical: number, target: Uint8Array): void {
    const host = this.hostOf(physical);
    if (host !== 0) {
      target.set(this.#state.bytes.subarray(host, host + target.length));
      return;
    }
    for (let done = 0; done < target.length;) {
      const size = chunk(target.length - done);
      const value = this.#bus.mmioRead(physical + done, size);
      for (let index = 0; index < size; index += 1) {
        target[done + index] = (value >>> (8 * index)) & ones;
      }
      done += size;
    }
  }

  writePhysical(physical: number, source: Uint8Array): void {
    const region = this.#regionOf(physical);
    if (region?.readOnly === true) {
      return;
    }
    if (region !== undefined) {
      const host = region.host + (physical - region.start);
      if (this.#state.bytes[this.#map.codePages + ((host - this.#map.ram) >>> 12)] !== 0) {
        this.#code.invalidate(host, source.length);
      }
      this.#state.bytes.set(source, host);
      return;
    }
    for (let done = 0; done < source.length;) {
      const size = chunk(source.length - done);
      let value = 0;
      for (let index = 0; index < size; index += 1) {
        value |= (source[done + index] ?? 0) << (8 * index);
      }
      this.#bus.mmioWrite(physical + done, size, value >>> 0);
      done += size;
    }
  }
}

function valueAt(view: DataView, at: number, bytes: number): bigint {
  switch (bytes) {
    case 1: return BigInt(view.getUint8(at));
    case 2: return BigInt(view.getUint16(at, true));
    case 4: return BigInt(view.getUint32(at, true));
    default: return view.getBigUint64(at, true);
  }
}

/** Devices take 4, 2 or 1 bytes at a time. */
function chunk(left: number): 1 | 2 | 4 {
  return left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

/** RAM below 3 GiB and from 4 GiB on, and the boot ROM. */
export function regionsOf(map: MemoryMap): MemoryRegion[] {
  const low = Math.min(map.ramBytes, lowMemoryLimit);
  const regions = [{ start: 0, end: low, host: map.ram, readOnly: false }];
  if (map.ramBytes > low) {
    regions.push({
      start: highMemoryBase, end: highMemoryBase + map.ramBytes - low, host: map.ram + low,
      readOnly: false,
    });
  }
  if (map.romBytes > 0) {
    regions.push({
      start: romTop - map.romBytes, end: romTop, host: map.ram + map.ramBytes, readOnly: true,
    });
  }
  return regions;
}
