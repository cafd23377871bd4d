/** Registers of a /dev/vmm vCPU by our names, and the state of a processor after INIT. */
import { defined } from "../../base/assert.ts";
import type { RegisterName, Segment, SegmentName } from "../hypervisor.ts";
import type { VmDevice } from "./device.ts";
import type { Struct } from "./tables.ts";

const upper = (name: RegisterName) => `VM_REG_GUEST_${name.toUpperCase()}`;

/** After INIT (usr.sbin/bhyve, vcpu_reset; Intel SDM 3A §9.1.1). CR0 as bhyve has it. */
const resetRegisters: Partial<Record<RegisterName, bigint>> = {
  rax: 0n, rbx: 0n, rcx: 0n, rdx: 0xf00n, rsi: 0n, rdi: 0n, rbp: 0n, rsp: 0n,
  r8: 0n, r9: 0n, r10: 0n, r11: 0n, r12: 0n, r13: 0n, r14: 0n, r15: 0n,
  rflags: 2n, rip: 0xfff0n, cr0: 0x20n, cr2: 0n, cr3: 0n, cr4: 0n, efer: 0n,
  dr6: 0xffff_0ff0n, dr7: 0x400n,
};
const data: Segment = { selector: 0, base: 0n, limit: 0xffff, attributes: 0x93 };
const resetSegments: Readonly<Record<SegmentName, Segment>> = {
  cs: { selector: 0xf000, base: 0xffff_0000n, limit: 0xffff, attributes: 0x93 },
  ss: data, ds: data, es: data, fs: data, gs: data,
  tr: { selector: 0, base: 0n, limit: 0, attributes: 0x8b },
  ldtr: { selector: 0, base: 0n, limit: 0xffff, attributes: 0x82 },
};

export class VmmRegisters {
  readonly #device: VmDevice;
  readonly #register: Struct;
  readonly #segment: Struct;
  readonly #numbers = new Map<string, number>();

  constructor(device: VmDevice, cpu: number) {
    this.#device = device;
    this.#register = device.struct("vm_register").set("cpuid", cpu);
    this.#segment = device.struct("vm_seg_desc").set("cpuid", cpu);
  }

  get(name: RegisterName): bigint {
    return this.#get(upper(name));
  }

  set(name: RegisterName, value: bigint): void {
    this.#set(upper(name), value);
  }

  segment(name: SegmentName): Segment {
    const number = this.#number(`VM_REG_GUEST_${name.toUpperCase()}`);
    const found = this.#device.call("VM_GET_SEGMENT_DESCRIPTOR",
      this.#segment.set("regnum", number));
    return {
      selector: Number(this.#get(`VM_REG_GUEST_${name.toUpperCase()}`)),
      base: found.big("desc.base"), limit: found.get("desc.limit"),
      attributes: found.get("desc.access"),
    };
  }

  setSegment(name: SegmentName, { selector, base, limit, attributes }: Segment): void {
    this.#setDescriptor(name.toUpperCase(), base, limit, attributes);
    this.#set(`VM_REG_GUEST_${name.toUpperCase()}`, BigInt(selector));
  }

  setDescriptorTable(name: "gdtr" | "idtr", base: bigint, limit: number): void {
    this.#setDescriptor(name.toUpperCase(), base, limit, 0);
  }

  /** The state after INIT. */
  reset(): void {
    for (const [name, value] of Object.entries(resetRegisters)) {
      this.#set(`VM_REG_GUEST_${name.toUpperCase()}`, value);
    }
    for (const name of Object.keys(resetSegments)) {
      const segment = name as SegmentName;
      this.setSegment(segment, defined(resetSegments[segment], segment));
    }
    this.setDescriptorTable("gdtr", 0n, 0xffff);
    this.setDescriptorTable("idtr", 0n, 0xffff);
    this.#set("VM_REG_GUEST_INTR_SHADOW", 0n);
  }

  /** A start-up IPI's vector: real mode at its page (SDM 3A §9.4.4). */
  startUp(vector: number): void {
    this.reset();
    this.setSegment("cs", { ...resetSegments.cs, selector: vector << 8,
      base: BigInt(vector << 12) });
    this.set("rip", 0n);
  }

  #get(constant: string): bigint {
    return this.#device.call("VM_GET_REGISTER",
      this.#register.set("regnum", this.#number(constant))).big("regval");
  }

  #set(constant: string, value: bigint): void {
    this.#device.call("VM_SET_REGISTER",
      this.#register.set("regnum", this.#number(constant)).set("regval", value));
  }

  #setDescriptor(name: string, base: bigint, limit: number, access: number): void {
    this.#device.call("VM_SET_SEGMENT_DESCRIPTOR", this.#segment
      .set("regnum", this.#number(`VM_REG_GUEST_${name}`)).set("desc.base", base)
      .set("desc.limit", limit).set("desc.access", access));
  }

  #number(constant: string): number {
    const known = this.#numbers.get(constant) ?? this.#device.abi.constant(constant);
    this.#numbers.set(constant, known);
    return known;
  }
}
