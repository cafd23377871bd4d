/**
 * A VM of KVM. RAM, boot ROM and every vCPU's kvm_run lie in one shared WebAssembly.Memory, parts
 * of which are the VM's memory slots. Interrupt controllers and the 8254 are the kernel's.
 */
import { assert, defined } from "../../base/assert.ts";
import { GiB, KiB } from "../../base/units.ts";
import type { Board } from "../../fabric/board.ts";
import { GuestMemory, highMemoryBase } from "../../fabric/memory.ts";
import { checked, type NativeAddon } from "../../host/native.ts";
import type { Vm, VmFeatures, VmOptions } from "../hypervisor.ts";
import { shadowRom } from "../rom-shadow.ts";
import { unknownMsr } from "../unknown-msr.ts";
import { kvmCap, kvmFlag, kvmIoctl, kvmLayout } from "./abi.ts";
import { cpuidFor, supportedCpuid } from "./cpuid.ts";
import { kvmIoapicPins, KvmInterrupts } from "./interrupts.ts";
import { msrIndexes, PowerOnState } from "./power-on.ts";
import { KvmVcpu } from "./vcpu.ts";

const wasmPageBytes = 64 * KiB;
const ramPageBytes = 4 * KiB;
/** Where Intel processors without "unrestricted guest" keep what they need for real mode: four
 * pages below the ROM's place that no guest uses (QEMU has them there, too). */
const identityMap = 0xfeff_c000, taskState = 0xfeff_d000;
const { kvm_userspace_memory_region: region, kvm_ioeventfd: doorbell } = kvmLayout;
const slot = { low: 0, high: 1, rom: 2 } as const;

const whole = (bytes: number, unit: number) => Math.ceil(bytes / unit) * unit;

export interface Doorbell {
  /** A port, or an address of memory. */
  readonly space: "port" | "memory";
  readonly address: number;
  readonly size: 1 | 2 | 4;
  /** Only writes of this value; absent: all. */
  readonly value?: number;
}

export class KvmVm implements Vm {
  readonly features: VmFeatures;
  readonly memory: GuestMemory;
  readonly vcpus: readonly KvmVcpu[];
  readonly interrupts: KvmInterrupts;
  readonly fd: number;
  readonly #addon: NativeAddon;
  readonly #buffer: ArrayBufferLike;
  readonly #runAreas: Uint8Array[] = [];
  readonly #rom: Uint8Array | undefined;
  readonly #powerOn: PowerOnState;
  readonly #descriptors: number[] = [];
  #nmi = false;
  #logsWrites = false;

  /** Throws HostError; what was opened until then is closed again. */
  constructor(addon: NativeAddon, kvm: number, options: VmOptions) {
    this.#addon = addon;
    this.#rom = options.rom;
    const runBytes = checked("KVM_GET_VCPU_MMAP_SIZE",
      addon.ioctlValue(kvm, kvmIoctl.KVM_GET_VCPU_MMAP_SIZE, 0));
    const ramAt = whole(runBytes * options.cpus, wasmPageBytes);
    const romAt = ramAt + whole(options.memoryBytes, ramPageBytes);
    const total = whole(romAt + (options.rom?.length ?? 0), wasmPageBytes) / wasmPageBytes;
    this.#buffer = new WebAssembly.Memory({ initial: total, maximum: total, shared: true }).buffer;
    this.memory = new GuestMemory(this.#buffer, ramAt, options.memoryBytes);
    try {
      this.fd = this.#keep(checked("KVM_CREATE_VM",
        addon.ioctlValue(kvm, kvmIoctl.KVM_CREATE_VM, 0)));
      this.#setUpBoard();
      this.interrupts = new KvmInterrupts(addon, this.fd);
      this.#mapMemory(romAt);
      this.vcpus = this.#createVcpus(kvm, runBytes, options);
      this.#powerOn = new PowerOnState(addon, this.fd, this.vcpus.map(({ fd }) => fd),
        msrIndexes(addon, kvm));
      this.features = {
        ioapicPins: kvmIoapicPins, chips: new Set(["i8254"]),
        kick: {
          kind: "signal",
          slot: checked("a kick's slot", addon.kickCell(this.#immediateExit(0))),
        },
      };
    } catch (error) {
      this.destroy();
      throw error;
    }
    this.#shadow();
  }

  attach(_board: Board): void {
    // The kernel answers for its controllers before an access leaves the vCPU.
  }

  setNmi(level: boolean): void {
    if (level && !this.#nmi) {
      for (const { fd } of this.vcpus) {
        this.#addon.ioctlValue(fd, kvmIoctl.KVM_NMI, 0);
      }
    }
    this.#nmi = level;
  }

  setLevelTriggered(mask: number): void {
    this.interrupts.setLevelTriggered(mask);
  }

  replaceLegacyTimers(replaced: boolean): void {
    const { size, flags } = kvmLayout.kvm_pit_state2;
    const state = new Uint32Array(size / 4);
    checked("KVM_GET_PIT2", this.#addon.ioctl(this.fd, kvmIoctl.KVM_GET_PIT2, state));
    state[flags / 4] = replaced ? kvmFlag.KVM_PIT_FLAGS_HPET_LEGACY : 0;
    checked("KVM_SET_PIT2", this.#addon.ioctl(this.fd, kvmIoctl.KVM_SET_PIT2, state));
  }

  reset(): void {
    for (const { registers } of this.vcpus) {
      registers.flush();
    }
    this.#powerOn.restore();
    this.#shadow();
  }

  destroy(): void {
    for (const fd of this.#descriptors.splice(0).toReversed()) {
      this.#addon.close(fd);
    }
    for (const area of this.#runAreas.splice(0)) {
      this.#addon.mapZeroes(area);
    }
  }

  /** Makes guest writes signal an eventfd instead of leaving the vCPU (ioeventfd). Returns what
   * undoes it. */
  ringDoorbell(eventfd: number, { space, address, size, value }: Doorbell): () => void {
    const bytes = new Uint8Array(doorbell.size);
    const view = new DataView(bytes.buffer);
    const flags = (space === "port" ? kvmFlag.KVM_IOEVENTFD_FLAG_PIO : 0)
      | (value === undefined ? 0 : kvmFlag.KVM_IOEVENTFD_FLAG_DATAMATCH);
    view.setBigUint64(doorbell.datamatch, BigInt(value ?? 0), true);
    view.setBigUint64(doorbell.addr, BigInt(address), true);
    view.setUint32(doorbell.len, size, true);
    view.setInt32(doorbell.fd, eventfd, true);
    const bind = (more: number) => {
      view.setUint32(doorbell.flags, flags | more, true);
      checked("KVM_IOEVENTFD", this.#addon.ioctl(this.fd, kvmIoctl.KVM_IOEVENTFD, bytes));
    };
    bind(0);
    return () => bind(kvmFlag.KVM_IOEVENTFD_FLAG_DEASSIGN);
  }

  /** Has the kernel note which pages of RAM the guest writes. */
  logWrites(on: boolean): void {
    this.#logsWrites = on;
    this.#mapRam();
  }

  /** One bit for every 4 KiB page of RAM that was written since the last call. */
  takeDirtyPages(): Uint8Array {
    assert(this.#logsWrites, "writes are logged");
    const { lowBytes, highBytes } = this.memory;
    const bits = new Uint8Array((lowBytes + highBytes) / ramPageBytes / 8 + 8);
    this.#takeDirty(slot.low, bits.subarray(0, whole(lowBytes / ramPageBytes / 8, 8)));
    if (highBytes > 0) { // RAM below 3 GiB is a whole number of 64-bit words of pages then.
      this.#takeDirty(slot.high, bits.subarray(lowBytes / ramPageBytes / 8));
    }
    return bits.subarray(0, Math.ceil((lowBytes + highBytes) / ramPageBytes / 8));
  }

  #takeDirty(number: number, bits: Uint8Array): void {
    const { size, slot: at, dirty_bitmap } = kvmLayout.kvm_dirty_log;
    const view = new DataView(new ArrayBuffer(size));
    view.setUint32(at, number, true);
    view.setBigUint64(dirty_bitmap, BigInt(this.#addon.addressOf(bits)), true);
    checked("KVM_GET_DIRTY_LOG", this.#addon.ioctl(this.fd, kvmIoctl.KVM_GET_DIRTY_LOG,
      new Uint8Array(view.buffer)));
  }

  #keep(fd: number): number {
    this.#descriptors.push(fd);
    return fd;
  }

  #immediateExit(cpu: number): Uint8Array {
    const at = kvmLayout.kvm_run.immediate_exit;
    return defined(this.#runAreas[cpu], "kvm_run").subarray(at, at + 1);
  }

  #setUpBoard(): void {
    const vm = (what: keyof typeof kvmIoctl, value: number) =>
      checked(what, this.#addon.ioctlValue(this.fd, kvmIoctl[what], value));
    checked("KVM_SET_IDENTITY_MAP_ADDR", this.#addon.ioctl(this.fd,
      kvmIoctl.KVM_SET_IDENTITY_MAP_ADDR, BigUint64Array.of(BigInt(identityMap))));
    vm("KVM_SET_TSS_ADDR", taskState);
    vm("KVM_CREATE_IRQCHIP", 0);
    this.#takeUnknownMsrs();
    const pit = new Uint32Array(kvmLayout.kvm_pit_config.size / 4);
    pit[0] = kvmFlag.KVM_PIT_SPEAKER_DUMMY; // The kernel answers for port 0x61, too.
    checked("KVM_CREATE_PIT2", this.#addon.ioctl(this.fd, kvmIoctl.KVM_CREATE_PIT2, pit));
  }

  /** MSRs that KVM has not come here; older kernels make them #GP. */
  #takeUnknownMsrs(): void {
    const { size, cap, args } = kvmLayout.kvm_enable_cap;
    const view = new DataView(new ArrayBuffer(size));
    view.setUint32(cap, kvmCap.KVM_CAP_X86_USER_SPACE_MSR, true);
    view.setBigUint64(args, BigInt(kvmFlag.KVM_MSR_EXIT_REASON_UNKNOWN), true);
    this.#addon.ioctl(this.fd, kvmIoctl.KVM_ENABLE_CAP, new Uint8Array(view.buffer));
  }

  #mapMemory(romAt: number): void {
    this.#mapRam();
    if (this.#rom !== undefined) {
      const bytes = new Uint8Array(this.#buffer, romAt, this.#rom.length);
      bytes.set(this.#rom);
      this.#mapSlot(slot.rom, 4 * GiB - bytes.length, bytes, kvmFlag.KVM_MEM_READONLY);
    }
  }

  #mapRam(): void {
    const { base, lowBytes, highBytes } = this.memory;
    const flags = this.#logsWrites ? kvmFlag.KVM_MEM_LOG_DIRTY_PAGES : 0;
    this.#mapSlot(slot.low, 0, new Uint8Array(this.#buffer, base, lowBytes), flags);
    if (highBytes > 0) {
      this.#mapSlot(slot.high, highMemoryBase,
        new Uint8Array(this.#buffer, base + lowBytes, highBytes), flags);
    }
  }

  #mapSlot(number: number, address: number, bytes: Uint8Array, flags: number): void {
    const view = new DataView(new ArrayBuffer(region.size));
    view.setUint32(region.slot, number, true);
    view.setUint32(region.flags, flags, true);
    view.setBigUint64(region.guest_phys_addr, BigInt(address), true);
    view.setBigUint64(region.memory_size, BigInt(bytes.length), true);
    view.setBigUint64(region.userspace_addr, BigInt(this.#addon.addressOf(bytes)), true);
    checked("KVM_SET_USER_MEMORY_REGION", this.#addon.ioctl(this.fd,
      kvmIoctl.KVM_SET_USER_MEMORY_REGION, new Uint8Array(view.buffer)));
  }

  #createVcpus(kvm: number, runBytes: number, options: VmOptions): KvmVcpu[] {
    const { cpus, bus } = options;
    const addon = this.#addon;
    const table = supportedCpuid(addon, kvm);
    const tscDeadline = addon.ioctlValue(kvm, kvmIoctl.KVM_CHECK_EXTENSION,
      kvmCap.KVM_CAP_TSC_DEADLINE_TIMER) > 0;
    return Array.from({ length: cpus }, (_, cpu) => {
      const fd = this.#keep(checked("KVM_CREATE_VCPU",
        addon.ioctlValue(this.fd, kvmIoctl.KVM_CREATE_VCPU, cpu)));
      const area = new Uint8Array(this.#buffer, cpu * runBytes, runBytes);
      checked("mapping of kvm_run", addon.mapOver(area, fd, 0));
      this.#runAreas.push(area);
      checked("KVM_SET_CPUID2", addon.ioctl(fd, kvmIoctl.KVM_SET_CPUID2,
        cpuidFor(table, { cpu, cpus, tscDeadline })));
      return new KvmVcpu({ addon, fd, area, bus, unknownMsr: unknownMsr(options) });
    });
  }

  #shadow(): void {
    if (this.#rom !== undefined) {
      shadowRom(this.memory, this.#rom);
    }
  }
}
