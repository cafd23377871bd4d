/**
 * One vCPU of KVM: KVM_RUN and its exits, read through views over struct kvm_run, which is mapped
 * into the machine's own memory (Documentation/virt/kvm/api.rst §5). Nothing is allocated per
 * exit: `bench/kvm.ts`.
 */
import { constants } from "node:os";
import { HostError } from "../../base/errors.ts";
import { checked, errorName, type NativeAddon } from "../../host/native.ts";
import type { RunResult, VcpuBus } from "../hypervisor.ts";
import { KernelVcpu } from "../kernel-vcpu.ts";
import { readMsr, writeMsr } from "../msrs.ts";
import type { UnknownMsr } from "../unknown-msr.ts";
import { kvmExit, kvmFlag, kvmIoctl, kvmLayout } from "./abi.ts";
import { KvmRegisters } from "./registers.ts";

const { EINTR, EAGAIN } = constants.errno;
const run = kvmLayout.kvm_run;
const yielded: RunResult = { reason: "yield" };
const stuck: RunResult = { reason: "halt", interruptible: false };
const tripleFault: RunResult = { reason: "tripleFault" };

export interface KvmVcpuEnv {
  readonly addon: NativeAddon;
  /** Descriptor of the vCPU. */
  readonly fd: number;
  /** Its kvm_run, as mapped; whole pages. */
  readonly area: Uint8Array;
  readonly bus: VcpuBus;
  readonly unknownMsr: UnknownMsr;
}

export class KvmVcpu extends KernelVcpu<KvmRegisters> {
  readonly fd: number;
  readonly #addon: NativeAddon;
  readonly #bus: VcpuBus;
  readonly #unknownMsr: UnknownMsr;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor({ addon, fd, area, bus, unknownMsr }: KvmVcpuEnv) {
    super(new KvmRegisters(addon, fd));
    this.#unknownMsr = unknownMsr;
    this.fd = fd;
    this.#addon = addon;
    this.#bus = bus;
    this.#bytes = area;
    this.#view = new DataView(area.buffer, area.byteOffset, area.length);
  }

  run(_budget: number, lengthNs: number): RunResult {
    this.#addon.kickAfter(Math.max(1, Math.floor(lengthNs)));
    for (;;) {
      this.registers.flush();
      const result = this.#addon.ioctlValue(this.fd, kvmIoctl.KVM_RUN, 0);
      if (result < 0) {
        return this.#interrupted(result);
      }
      const end = this.#serve(this.#view.getUint32(run.exit_reason, true));
      if (end !== undefined) {
        return end;
      }
    }
  }

  kick(): void {
    this.#bytes[run.immediate_exit] = 1;
  }

  /** The VM resets its vCPUs together with its interrupt controllers. */
  reset(): void {
    throw new HostError("reset of a single vCPU", "KVM's VM resets them all");
  }

  /** A kick, by signal or by hand; the vCPU may be asleep with interrupts off. */
  #interrupted(result: number): RunResult {
    if (result !== -EINTR && result !== -EAGAIN) {
      return { reason: "failed", report: `KVM_RUN: ${errorName(result)}; ${this.#place()}` };
    }
    this.#bytes[run.immediate_exit] = 0;
    return this.#bytes[run.if_flag] === 0 && this.#isHalted() ? stuck : yielded;
  }

  #isHalted(): boolean {
    const state = new Uint32Array(1);
    checked("KVM_GET_MP_STATE", this.#addon.ioctl(this.fd, kvmIoctl.KVM_GET_MP_STATE, state));
    return state[0] === kvmFlag.KVM_MP_STATE_HALTED;
  }

  #serve(reason: number): RunResult | undefined {
    switch (reason) {
      case kvmExit.KVM_EXIT_IO: this.#serveIo(); return undefined;
      case kvmExit.KVM_EXIT_MMIO: this.#serveMmio(); return undefined;
      case kvmExit.KVM_EXIT_X86_RDMSR: this.#serveReadMsr(); return undefined;
      case kvmExit.KVM_EXIT_X86_WRMSR: this.#serveWriteMsr(); return undefined;
      case kvmExit.KVM_EXIT_INTR: case kvmExit.KVM_EXIT_IRQ_WINDOW_OPEN: return yielded;
      case kvmExit.KVM_EXIT_SHUTDOWN: return tripleFault;
      case kvmExit.KVM_EXIT_HLT:
        return { reason: "halt", interruptible: this.#bytes[run.if_flag] !== 0 };
      default: return { reason: "failed", report: this.#report(reason) };
    }
  }

  /** `count` items for a string instruction; the data lie behind kvm_run. */
  #serveIo(): void {
    const view = this.#view;
    const size = view.getUint8(run["io.size"]);
    const port = view.getUint16(run["io.port"], true);
    const isOut = view.getUint8(run["io.direction"]) === kvmFlag.KVM_EXIT_IO_OUT;
    let at = Number(view.getUint32(run["io.data_offset"], true));
    for (let left = view.getUint32(run["io.count"], true); left > 0; left -= 1) {
      if (isOut) {
        this.#bus.portWrite(port, size, this.#get(at, size));
      } else {
        this.#put(at, size, this.#bus.portRead(port, size));
      }
      at += size;
    }
  }

  /** Accesses of 8 bytes are two of 4, low half first; odd lengths go byte by byte. */
  #serveMmio(): void {
    const view = this.#view;
    const address = view.getUint32(run["mmio.phys_addr"], true)
      + view.getUint32(run["mmio.phys_addr"] + 4, true) * 2 ** 32;
    const length = view.getUint32(run["mmio.len"], true);
    const isWrite = view.getUint8(run["mmio.is_write"]) !== 0;
    const size = length === 8 ? 4 : length === 1 || length === 2 || length === 4 ? length : 1;
    for (let done = 0; done < length; done += size) {
      const at = run["mmio.data"] + done;
      if (isWrite) {
        this.#bus.mmioWrite(address + done, size, this.#get(at, size));
      } else {
        this.#put(at, size, this.#bus.mmioRead(address + done, size));
      }
    }
  }

  /** Of an MSR that KVM has not; an error makes it #GP. */
  #serveReadMsr(): void {
    const index = this.#view.getUint32(run["msr.index"], true);
    const value = readMsr(index);
    const isKnown = value !== undefined || this.#unknownMsr(index);
    this.#view.setBigUint64(run["msr.data"], value ?? 0n, true);
    this.#view.setUint8(run["msr.error"], isKnown ? 0 : 1);
  }

  #serveWriteMsr(): void {
    const index = this.#view.getUint32(run["msr.index"], true);
    const isKnown = writeMsr(index)
      || this.#unknownMsr(index, this.#view.getBigUint64(run["msr.data"], true));
    this.#view.setUint8(run["msr.error"], isKnown ? 0 : 1);
  }

  #get(at: number, size: number): number {
    return size === 1 ? this.#view.getUint8(at) : size === 2 ? this.#view.getUint16(at, true)
      : this.#view.getUint32(at, true);
  }

  #put(at: number, size: number, value: number): void {
    if (size === 1) {
      this.#view.setUint8(at, value);
    } else if (size === 2) {
      this.#view.setUint16(at, value, true);
    } else {
      this.#view.setUint32(at, value, true);
    }
  }

  #report(reason: number): string {
    const name = Object.entries(kvmExit).find(([, value]) => value === reason)?.[0]
      ?? `exit ${reason}`;
    return `KVM cannot run this guest here: ${name}${this.#details(reason)}; ${this.#place()}`;
  }

  #details(reason: number): string {
    const view = this.#view;
    switch (reason) {
      case kvmExit.KVM_EXIT_INTERNAL_ERROR: {
        const suberror = view.getUint32(run["internal.suberror"], true);
        const names = ["", "emulation failed", "simultaneous exceptions", "delivery event",
          "unexpected exit reason"];
        return ` (${names[suberror] ?? suberror})`;
      }
      case kvmExit.KVM_EXIT_FAIL_ENTRY: {
        const hardware = view.getBigUint64(run["fail_entry.hardware_entry_failure_reason"], true);
        return ` (hardware reason 0x${hardware.toString(16)})`;
      }
      case kvmExit.KVM_EXIT_SYSTEM_EVENT:
        return ` (event ${view.getUint32(run["system_event.type"], true)})`;
      default: return "";
    }
  }

  /** Where the guest is, for reports. */
  #place(): string {
    const { selector, base } = this.segment("cs");
    const hex = (value: bigint | number) => value.toString(16);
    return `at ${hex(selector)}:${hex(this.register("rip"))} (base ${hex(base)}), cr0 `
      + `${hex(this.register("cr0"))}, efer ${hex(this.register("efer"))}`;
  }
}
