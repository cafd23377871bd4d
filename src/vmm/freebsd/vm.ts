/**
 * A VM of /dev/vmm. Its system memory is mapped over the RAM part of our own shared memory, so
 * that both are one; a boot ROM is device memory of its own. Local APICs, I/O APIC, 8259 pair,
 * 8254, RTC, HPET and PM timer are the kernel's.
 */
import { constants } from "node:fs";
import { assert, defined } from "../../base/assert.ts";
import { HostError } from "../../base/errors.ts";
import { GiB, KiB } from "../../base/units.ts";
import type { Board } from "../../fabric/board.ts";
import { GuestMemory, highMemoryBase } from "../../fabric/memory.ts";
import { checked, type NativeAddon } from "../../host/native.ts";
import type { Vm, VmFeatures, VmOptions } from "../hypervisor.ts";
import { shadowRom } from "../rom-shadow.ts";
import { unknownMsr } from "../unknown-msr.ts";
import { createDevice, type VmDevice } from "./device.ts";
import { VmmInterrupts, vmmIoapicPins } from "./interrupts.ts";
import { Kicker } from "./kicker.ts";
import { VmmVcpu } from "./vcpu.ts";

const wasmPageBytes = 64 * KiB;
const areaBytes = 4 * KiB; // struct vm_exit and a set of vCPUs.
const prot = { readWriteExecute: 7, readExecute: 5 } as const;
const romName = "bootrom";

const whole = (bytes: number, unit: number) => Math.ceil(bytes / unit) * unit;

export class VmmVm implements Vm {
  readonly features: VmFeatures;
  readonly memory: GuestMemory;
  readonly vcpus: readonly VmmVcpu[];
  readonly interrupts: VmmInterrupts;
  readonly device: VmDevice;
  readonly #addon: NativeAddon;
  readonly #buffer: ArrayBufferLike;
  readonly #rom: Uint8Array | undefined;
  readonly #kicker: Kicker;
  readonly #mapped: Uint8Array[] = [];
  readonly #x2apic: boolean;
  #nmi = false;

  /** Throws HostError; what was made until then is gone again. */
  constructor(addon: NativeAddon, name: string, options: VmOptions) {
    this.#addon = addon;
    this.#rom = options.rom;
    this.#x2apic = options.x86?.x2apic === true;
    const ramAt = whole(areaBytes * options.cpus, wasmPageBytes);
    const pages = whole(ramAt + options.memoryBytes, wasmPageBytes) / wasmPageBytes;
    this.#buffer = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer;
    this.memory = new GuestMemory(this.#buffer, ramAt, options.memoryBytes);
    this.device = createDevice(addon, name);
    const kick = {
      kind: "ioctl", fd: this.device.fd, request: this.device.abi.ioctl("VM_SUSPEND_CPU"),
      words: [0],
    } as const;
    this.#kicker = new Kicker(kick);
    this.features = {
      ioapicPins: vmmIoapicPins, chips: new Set(["i8254", "mc146818", "hpet"]), kick,
    };
    this.interrupts = new VmmInterrupts(this.device);
    try {
      this.#setTopology(options.cpus);
      this.#mapMemory();
      this.vcpus = Array.from({ length: options.cpus }, (_, cpu) => this.#createVcpu(cpu, options));
      this.#startBootCpu();
    } catch (error) {
      this.destroy();
      throw error;
    }
    this.#shadow();
  }

  attach(_board: Board): void {
    // The kernel answers for its devices before an access leaves the vCPU.
  }

  setNmi(level: boolean): void {
    if (level && !this.#nmi) {
      for (const { cpu } of this.vcpus) {
        this.device.plain("VM_INJECT_NMI", cpu);
      }
    }
    this.#nmi = level;
  }

  setLevelTriggered(mask: number): void {
    this.interrupts.setLevelTriggered(mask);
  }

  /** Time of the kernel's RTC in seconds since 1970, and bytes of its memory. */
  setRtc(seconds: number, memory: Readonly<Record<number, number>>): void {
    this.device.call("VM_RTC_SETTIME", this.device.struct("vm_rtc_time").set("secs", seconds));
    for (const [offset, value] of Object.entries(memory)) {
      this.device.call("VM_RTC_WRITE", this.device.struct("vm_rtc_data")
        .set("offset", Number(offset)).set("value", value));
    }
  }

  /** The kernel's own numbers by their names (VM_STATS), of one vCPU. */
  statistics(cpu: number): ReadonlyMap<string, bigint> {
    const found = new Map<string, bigint>();
    const stats = this.device.struct("vm_stats").set("cpuid", cpu);
    const paged = stats.has("index");
    const perPage = stats.part("statbuf").length / 8;
    for (let first = 0; ; first += perPage) {
      const page = paged ? stats.set("index", first) : stats;
      if (this.device.try("VM_STATS", page) < 0 || page.get("num_entries") === 0) {
        return found;
      }
      this.#readPage(found, page.part("statbuf"), first, page.get("num_entries"));
      if (!paged || page.get("num_entries") < perPage) {
        return found;
      }
    }
  }

  /** Suspends the VM, as the kernel wants it, and begins anew; RAM keeps its bytes. */
  reset(): void {
    const how = this.device.abi.constant("VM_SUSPEND_RESET");
    this.device.try("VM_SUSPEND", this.device.struct("vm_suspend").set("how", how));
    for (const vcpu of this.vcpus) {
      vcpu.run(0, 0); // Takes the exit that says so.
    }
    checked("VM_REINIT", this.device.plain("VM_REINIT"));
    for (const { cpu } of this.vcpus) {
      this.#setUpVcpu(cpu);
    }
    this.#startBootCpu();
    this.#shadow();
  }

  destroy(): void {
    this.#kicker.stop();
    for (const pages of this.#mapped.splice(0)) {
      this.#addon.mapZeroes(pages);
    }
    this.device.destroy();
  }

  #setTopology(cpus: number): void {
    const topology = this.device.struct("vm_cpu_topology");
    topology.set("sockets", 1).set("cores", cpus).set("threads", 1).set("maxcpus", 0);
    this.device.call("VM_SET_TOPOLOGY", topology);
  }

  /** One segment for all RAM, whose offsets are guest-physical addresses. */
  #mapMemory(): void {
    const { base, lowBytes, highBytes } = this.memory;
    const segment = this.device.abi.constant("VM_SYSMEM");
    this.#allocate(segment, highBytes > 0 ? highMemoryBase + highBytes : lowBytes, "");
    this.#place(segment, { address: 0, offset: 0, length: lowBytes }, prot.readWriteExecute);
    this.#overlay(new Uint8Array(this.#buffer, base, lowBytes), this.device.fd, 0);
    if (highBytes > 0) {
      this.#place(segment, { address: highMemoryBase, offset: highMemoryBase, length: highBytes },
        prot.readWriteExecute);
      this.#overlay(new Uint8Array(this.#buffer, base + lowBytes, highBytes), this.device.fd,
        highMemoryBase);
    }
    if (this.#rom !== undefined) {
      this.#mapRom(this.#rom);
    }
  }

  #mapRom(rom: Uint8Array): void {
    const segment = this.device.abi.constant("VM_BOOTROM");
    this.#allocate(segment, rom.length, romName);
    const path = `/dev/vmm.io/${this.device.name}.${romName}`;
    const fd = checked(path, this.#addon.open(path, constants.O_RDWR));
    const pages = whole(rom.length, wasmPageBytes) / wasmPageBytes;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const bytes = new Uint8Array(memory.buffer, 0, rom.length);
    this.#overlay(bytes, fd, 0);
    bytes.set(rom);
    this.#addon.close(fd);
    this.#place(segment, { address: 4 * GiB - rom.length, offset: 0, length: rom.length },
      prot.readExecute);
  }

  #allocate(segid: number, length: number, name: string): void {
    const argument = this.device.struct("vm_memseg").set("segid", segid).set("len", length);
    this.device.call("VM_ALLOC_MEMSEG", name === "" ? argument : argument.setText("name", name));
  }

  #place(
    segid: number,
    at: { readonly address: number; readonly offset: number; readonly length: number },
    protection: number,
  ): void {
    this.device.call("VM_MMAP_MEMSEG", this.device.struct("vm_memmap")
      .set("gpa", at.address).set("segid", segid).set("segoff", at.offset).set("len", at.length)
      .set("prot", protection));
  }

  #overlay(bytes: Uint8Array, fd: number, offset: number): void {
    checked("mapping of guest memory", this.#addon.mapOver(bytes, fd, offset));
    this.#mapped.push(bytes);
  }

  #createVcpu(cpu: number, options: VmOptions): VmmVcpu {
    this.#setUpVcpu(cpu);
    return new VmmVcpu({
      device: this.device, cpu, bus: options.bus,
      unknownMsr: unknownMsr(options), memory: this.memory,
      area: new Uint8Array(this.#buffer, cpu * areaBytes, areaBytes),
      host: {
        stopForInit: (cpus) => this.#stop(cpus),
        startUp: (cpus, vector) => this.#startUp(cpus, vector),
        wakeAfter: (lengthNs) => this.#kicker.wakeAfter(lengthNs),
      },
    });
  }

  /** Capabilities as bhyve sets them; only those that a processor may lack may be refused. */
  #setUpVcpu(cpu: number): void {
    const set = (capability: string, needed: boolean) => {
      const result = this.device.abi.hasConstant(capability)
        ? this.device.try("VM_SET_CAPABILITY", this.device.struct("vm_capability")
          .set("cpuid", cpu).set("captype", this.device.abi.constant(capability)).set("capval", 1))
        : 0;
      if (needed) {
        checked(capability, result);
      }
    };
    this.device.call("VM_SET_X2APIC_STATE", this.device.struct("vm_x2apic")
      .set("cpuid", cpu).set("state", this.device.abi.constant(
        this.#x2apic ? "X2APIC_ENABLED" : "X2APIC_DISABLED")));
    set("VM_CAP_ENABLE_INVPCID", false);
    set("VM_CAP_HALT_EXIT", true);
    set("VM_CAP_UNRESTRICTED_GUEST", false);
    set("VM_CAP_IPI_EXIT", this.device.abi.name !== "freebsd13");
    checked("VM_ACTIVATE_CPU", this.device.plain("VM_ACTIVATE_CPU", cpu));
    if (cpu !== 0) {
      checked("VM_SUSPEND_CPU", this.device.plain("VM_SUSPEND_CPU", cpu));
    }
  }

  #startBootCpu(): void {
    defined(this.vcpus[0], "the boot processor").registers.reset();
  }

  #stop(cpus: readonly number[]): void {
    for (const cpu of cpus) {
      this.device.plain("VM_SUSPEND_CPU", cpu);
    }
  }

  #startUp(cpus: readonly number[], vector: number): void {
    for (const cpu of cpus) {
      const target = this.vcpus[cpu];
      assert(target !== undefined, "the kernel starts vCPUs that the VM has");
      target.registers.startUp(vector);
      this.device.plain("VM_RESUME_CPU", cpu);
    }
  }

  #readPage(found: Map<string, bigint>, values: Uint8Array, first: number, count: number): void {
    const view = new DataView(values.buffer, values.byteOffset, values.length);
    for (let index = 0; index < count; index += 1) {
      const description = this.device.struct("vm_stat_desc").set("index", first + index);
      if (this.device.try("VM_STAT_DESC", description) < 0) {
        throw new HostError("VM_STAT_DESC", `no name for number ${first + index}`);
      }
      const text = Buffer.from(description.part("desc")).toString();
      found.set(text.slice(0, text.indexOf("\0")), view.getBigUint64(index * 8, true));
    }
  }

  #shadow(): void {
    if (this.#rom !== undefined) {
      shadowRom(this.memory, this.#rom);
    }
  }
}
