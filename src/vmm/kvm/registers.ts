/**
 * Registers of a KVM vCPU: read when first asked for, written back before it runs. Modes that
 * only make sense together (EFER, CR0, CR4, CS) can so be set one by one.
 */
import type { NativeAddon } from "../../host/native.ts";
import { checked } from "../../host/native.ts";
import type { RegisterName, Segment, SegmentName } from "../hypervisor.ts";
import { kvmIoctl, kvmLayout } from "./abi.ts";

const { kvm_regs: regs, kvm_sregs: sregs, kvm_segment: segment, kvm_debugregs: debug } = kvmLayout;

/** Where each register lies: in which structure, and at which offset. */
const places: Readonly<Record<RegisterName, readonly ["regs" | "sregs" | "debug", number]>> = {
  rax: ["regs", regs.rax], rbx: ["regs", regs.rbx], rcx: ["regs", regs.rcx],
  rdx: ["regs", regs.rdx], rsi: ["regs", regs.rsi], rdi: ["regs", regs.rdi],
  rsp: ["regs", regs.rsp], rbp: ["regs", regs.rbp], r8: ["regs", regs.r8], r9: ["regs", regs.r9],
  r10: ["regs", regs.r10], r11: ["regs", regs.r11], r12: ["regs", regs.r12],
  r13: ["regs", regs.r13], r14: ["regs", regs.r14], r15: ["regs", regs.r15],
  rip: ["regs", regs.rip], rflags: ["regs", regs.rflags],
  cr0: ["sregs", sregs.cr0], cr2: ["sregs", sregs.cr2], cr3: ["sregs", sregs.cr3],
  cr4: ["sregs", sregs.cr4], efer: ["sregs", sregs.efer],
  dr0: ["debug", debug.db], dr1: ["debug", debug.db + 8], dr2: ["debug", debug.db + 16],
  dr3: ["debug", debug.db + 24], dr6: ["debug", debug.dr6], dr7: ["debug", debug.dr7],
};

const segments: Readonly<Record<SegmentName, number>> = {
  es: sregs.es, cs: sregs.cs, ss: sregs.ss, ds: sregs.ds, fs: sregs.fs, gs: sregs.gs,
  ldtr: sregs.ldt, tr: sregs.tr,
};

/** Single bits of VMCS access rights, and the bytes they are here. */
const attributeBits: readonly (readonly [bit: number, offset: number])[] = [
  [4, segment.s], [7, segment.present], [12, segment.avl], [13, segment.l], [14, segment.db],
  [15, segment.g], [16, segment.unusable],
];
const dplShift = 5;

/** One structure of the kernel's, in memory of ours. */
class Structure {
  readonly view: DataView;
  changed = false;
  #known = false;
  readonly #bytes: Uint8Array;
  readonly #get: number;
  readonly #set: number;

  constructor(size: number, get: number, set: number) {
    this.#bytes = new Uint8Array(size);
    this.view = new DataView(this.#bytes.buffer);
    this.#get = get;
    this.#set = set;
  }

  load(addon: NativeAddon, fd: number): DataView {
    if (!this.#known) {
      checked("read registers", addon.ioctl(fd, this.#get, this.#bytes));
      this.#known = true;
    }
    return this.view;
  }

  store(addon: NativeAddon, fd: number): void {
    if (this.changed) {
      checked("write registers", addon.ioctl(fd, this.#set, this.#bytes));
      this.changed = false;
    }
    this.#known = false;
  }
}

export class KvmRegisters {
  readonly #addon: NativeAddon;
  readonly #fd: number;
  readonly #structures = {
    regs: new Structure(regs.size, kvmIoctl.KVM_GET_REGS, kvmIoctl.KVM_SET_REGS),
    sregs: new Structure(sregs.size, kvmIoctl.KVM_GET_SREGS, kvmIoctl.KVM_SET_SREGS),
    debug: new Structure(debug.size, kvmIoctl.KVM_GET_DEBUGREGS, kvmIoctl.KVM_SET_DEBUGREGS),
  };

  constructor(addon: NativeAddon, fd: number) {
    this.#addon = addon;
    this.#fd = fd;
  }

  /** Before the vCPU runs; what was read is no longer true afterwards. */
  flush(): void {
    const { sregs: system, regs: general, debug: breakpoints } = this.#structures;
    system.store(this.#addon, this.#fd);
    general.store(this.#addon, this.#fd);
    breakpoints.store(this.#addon, this.#fd);
  }

  get(name: RegisterName): bigint {
    const [structure, offset] = places[name];
    return this.#load(structure).getBigUint64(offset, true);
  }

  set(name: RegisterName, value: bigint): void {
    const [structure, offset] = places[name];
    this.#change(structure).setBigUint64(offset, value, true);
  }

  segment(name: SegmentName): Segment {
    const view = this.#load("sregs");
    const at = segments[name];
    let attributes = view.getUint8(at + segment.type) & 0xf
      | (view.getUint8(at + segment.dpl) & 3) << dplShift;
    for (const [bit, offset] of attributeBits) {
      attributes |= (view.getUint8(at + offset) & 1) << bit;
    }
    return {
      selector: view.getUint16(at + segment.selector, true),
      base: view.getBigUint64(at + segment.base, true),
      limit: view.getUint32(at + segment.limit, true), attributes,
    };
  }

  setSegment(name: SegmentName, { selector, base, limit, attributes }: Segment): void {
    const view = this.#change("sregs");
    const at = segments[name];
    view.setBigUint64(at + segment.base, base, true);
    view.setUint32(at + segment.limit, limit, true);
    view.setUint16(at + segment.selector, selector, true);
    view.setUint8(at + segment.type, attributes & 0xf);
    view.setUint8(at + segment.dpl, (attributes >>> dplShift) & 3);
    for (const [bit, offset] of attributeBits) {
      view.setUint8(at + offset, (attributes >>> bit) & 1);
    }
  }

  setDescriptorTable(name: "gdtr" | "idtr", base: bigint, limit: number): void {
    const view = this.#change("sregs");
    const at = name === "gdtr" ? sregs.gdt : sregs.idt;
    view.setBigUint64(at + kvmLayout.kvm_dtable.base, base, true);
    view.setUint16(at + kvmLayout.kvm_dtable.limit, limit, true);
  }

  #load(name: "regs" | "sregs" | "debug"): DataView {
    return this.#structures[name].load(this.#addon, this.#fd);
  }

  #change(name: "regs" | "sregs" | "debug"): DataView {
    const view = this.#load(name);
    this.#structures[name].changed = true;
    return view;
  }
}
