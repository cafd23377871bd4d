/** Fills struct vm_exit from what made the soft vCPU leave its code. */
import { segmentIndex } from "../../../../src/cpu/layout.ts";
import type { Instruction } from "../../../../src/cpu/decoder/instruction.ts";
import type { SegmentName } from "../../../../src/vmm/hypervisor.ts";
import { Fact, type Facts } from "./facts.ts";
import type { FakeGuest, Trap } from "./guest.ts";

const invalidLinear = 1n << 63n; // As a real kernel gives where it does not know.
const segments: readonly SegmentName[] = ["es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"];

function setPaging(exit: Fact, prefix: string, { cpu, vcpu }: FakeGuest, facts: Facts): void {
  const long = (vcpu.register("efer") & 0x400n) !== 0n;
  const cr0 = vcpu.register("cr0"), cr4 = vcpu.register("cr4");
  const cpuMode = !cpu.isProtected ? "CPU_MODE_REAL" : !long ? "CPU_MODE_PROTECTED"
    : cpu.codeBits === 64 ? "CPU_MODE_64BIT" : "CPU_MODE_COMPATIBILITY";
  const paging = (cr0 & 0x8000_0000n) === 0n ? "PAGING_MODE_FLAT" : long ? "PAGING_MODE_64"
    : (cr4 & 0x20n) === 0n ? "PAGING_MODE_32" : "PAGING_MODE_PAE";
  exit.set(`${prefix}.cr3`, vcpu.register("cr3")).set(`${prefix}.cpl`, cpu.cpl)
    .set(`${prefix}.cpu_mode`, facts.value(cpuMode))
    .set(`${prefix}.paging_mode`, facts.value(paging));
}

function setPort(exit: Fact, prefix: string, trap: Trap & { kind: "port" }, guest: FakeGuest,
  { mnemonic, repeated }: { mnemonic: string; repeated: boolean }): void {
  exit.set(`${prefix}.bytes`, trap.size).set(`${prefix}.in`, mnemonic.startsWith("in") ? 1 : 0)
    .set(`${prefix}.string`, mnemonic.endsWith("s") ? 1 : 0)
    .set(`${prefix}.rep`, repeated ? 1 : 0).set(`${prefix}.port`, trap.port)
    .set(`${prefix}.eax`, Number(guest.vcpu.register("rax") & 0xffff_ffffn) | 0);
}

function setString(exit: Fact, guest: FakeGuest, instruction: Instruction, facts: Facts): void {
  const { vcpu } = guest;
  const part = "u.inout_str";
  const isIn = instruction.row.mnemonic === "ins";
  const mask = (1n << BigInt(instruction.addressWidth)) - 1n;
  const number = isIn ? segmentIndex.es : instruction.segment;
  const segment = vcpu.segment(segments[number] ?? "ds");
  setPaging(exit, `${part}.paging`, guest, facts);
  const isFlat = guest.cpu.codeBits === 64 && number < segmentIndex.fs;
  exit.set(`${part}.rflags`, vcpu.register("rflags")).set(`${part}.cr0`, vcpu.register("cr0"))
    .set(`${part}.index`, vcpu.register(isIn ? "rdi" : "rsi") & mask)
    .set(`${part}.count`, instruction.repeat === 0 ? 1n : vcpu.register("rcx") & mask)
    .set(`${part}.addrsize`, instruction.addressWidth / 8)
    .set(`${part}.seg_name`, facts.value(`VM_REG_GUEST_${segments[number]?.toUpperCase()}`))
    .set(`${part}.seg_desc.base`, isFlat ? 0n : segment.base)
    .set(`${part}.seg_desc.limit`, segment.limit)
    .set(`${part}.seg_desc.access`, segment.attributes);
}

/** The instruction is at RIP and has done nothing. Real mode: the kernel does not decode. */
export function exitOf(facts: Facts, guest: FakeGuest, trap: Trap): Fact {
  const exit = new Fact(facts, "vm_exit");
  const { bytes, decoded } = guest.instruction();
  exit.set("rip", guest.vcpu.register("rip")).set("inst_length", decoded.length);
  if (trap.kind === "port") {
    const { mnemonic } = decoded.row;
    const isString = mnemonic === "ins" || mnemonic === "outs";
    exit.set("exitcode", facts.value(isString ? "VM_EXITCODE_INOUT_STR" : "VM_EXITCODE_INOUT"));
    const how = { mnemonic, repeated: decoded.repeat !== 0 };
    setPort(exit, isString ? "u.inout_str.inout" : "u.inout", trap, guest, how);
    if (isString) {
      setString(exit, guest, decoded, facts);
    }
    return exit;
  }
  const known = guest.cpu.isProtected;
  setPaging(exit, "u.inst_emul.paging", guest, facts);
  exit.set("exitcode", facts.value("VM_EXITCODE_INST_EMUL"))
    .set("inst_length", known ? decoded.length : 0)
    .set("u.inst_emul.gpa", trap.address).set("u.inst_emul.gla", invalidLinear)
    .set("u.inst_emul.cs_base", guest.cpu.codeBits === 64 ? 0n : guest.vcpu.segment("cs").base)
    .set("u.inst_emul.cs_d", guest.cpu.codeBits === 32 ? 1 : 0);
  if (known) { // Else the client fetches the instruction itself.
    exit.put("u.inst_emul.vie.inst", bytes).set("u.inst_emul.vie.num_valid", bytes.length)
      .set("u.inst_emul.vie.num_processed", decoded.length).set("u.inst_emul.vie.decoded", 1)
      .set("u.inst_emul.vie.op.op_byte", decoded.opcode);
  }
  return exit;
}
