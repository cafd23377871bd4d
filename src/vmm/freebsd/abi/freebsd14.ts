/** The /dev/vmm interface of FreeBSD 14. Written by scripts/generate-vmm-abi.mjs. */
import type { VmmTables } from "../tables.ts";
import { freebsd15 as base } from "./freebsd15.ts";

export const freebsd14: VmmTables = {
  name: "freebsd14",
  ioctls: {
    ...base.ioctls,
    VM_ALLOC_MEMSEG: 0x8020_760e, VM_GET_MEMSEG: 0xc020_760f, VMMCTL_VM_CREATE: undefined,
    VMMCTL_VM_DESTROY: undefined,
  },
  structs: {
    ...base.structs,
    vm_memseg: "32; segid 0 i32; len 8 u64; name 16 bytes16",
    vm_inout_str: "88; inout.bytes 0 u16.0-2; inout.in 0 u16.3-3; inout.string 0 u16.4-4; "
      + "inout.rep 0 u16.5-5; inout.port 2 u16; inout.eax 4 u32; paging.cr3 8 u64; "
      + "paging.cpl 16 i32; paging.cpu_mode 20 i32; paging.paging_mode 24 i32; rflags 32 u64; "
      + "cr0 40 u64; index 48 u64; count 56 u64; addrsize 64 i32; seg_name 68 i32; "
      + "seg_desc.base 72 u64; seg_desc.limit 80 u32; seg_desc.access 84 u32",
    vm_exit: "136; exitcode 0 i32; inst_length 4 i32; rip 8 u64; u.inout.bytes 16 u16.0-2; "
      + "u.inout.in 16 u16.3-3; u.inout.string 16 u16.4-4; u.inout.rep 16 u16.5-5; "
      + "u.inout.port 18 u16; u.inout.eax 20 u32; u.inout_str.inout.bytes 16 u16.0-2; "
      + "u.inout_str.inout.in 16 u16.3-3; u.inout_str.inout.string 16 u16.4-4; "
      + "u.inout_str.inout.rep 16 u16.5-5; u.inout_str.inout.port 18 u16; "
      + "u.inout_str.inout.eax 20 u32; u.inout_str.paging.cr3 24 u64; "
      + "u.inout_str.paging.cpl 32 i32; u.inout_str.paging.cpu_mode 36 i32; "
      + "u.inout_str.paging.paging_mode 40 i32; u.inout_str.rflags 48 u64; "
      + "u.inout_str.cr0 56 u64; u.inout_str.index 64 u64; u.inout_str.count 72 u64; "
      + "u.inout_str.addrsize 80 i32; u.inout_str.seg_name 84 i32; "
      + "u.inout_str.seg_desc.base 88 u64; u.inout_str.seg_desc.limit 96 u32; "
      + "u.inout_str.seg_desc.access 100 u32; u.paging.gpa 16 u64; u.paging.fault_type 24 i32; "
      + "u.inst_emul.gpa 16 u64; u.inst_emul.gla 24 u64; u.inst_emul.cs_base 32 u64; "
      + "u.inst_emul.cs_d 40 i32; u.inst_emul.paging.cr3 48 u64; "
      + "u.inst_emul.paging.cpl 56 i32; u.inst_emul.paging.cpu_mode 60 i32; "
      + "u.inst_emul.paging.paging_mode 64 i32; u.inst_emul.vie.inst 72 bytes15; "
      + "u.inst_emul.vie.num_valid 87 u8; u.inst_emul.vie.num_processed 88 u8; "
      + "u.inst_emul.vie.addrsize 89 u8.0-3; u.inst_emul.vie.opsize 89 u8.4-7; "
      + "u.inst_emul.vie.rex_w 90 u8.0-0; u.inst_emul.vie.rex_r 90 u8.1-1; "
      + "u.inst_emul.vie.rex_x 90 u8.2-2; u.inst_emul.vie.rex_b 90 u8.3-3; "
      + "u.inst_emul.vie.rex_present 90 u8.4-4; u.inst_emul.vie.repz_present 90 u8.5-5; "
      + "u.inst_emul.vie.repnz_present 90 u8.6-6; u.inst_emul.vie.opsize_override 90 u8.7-7; "
      + "u.inst_emul.vie.addrsize_override 91 u8.0-0; "
      + "u.inst_emul.vie.segment_override 91 u8.1-1; u.inst_emul.vie.mod 91 u8.2-3; "
      + "u.inst_emul.vie.reg 91 u8.4-7; u.inst_emul.vie.rm 92 u8.0-3; "
      + "u.inst_emul.vie.ss 92 u8.4-5; u.inst_emul.vie.vex_present 92 u8.6-6; "
      + "u.inst_emul.vie.vex_l 92 u8.7-7; u.inst_emul.vie.index 93 u8.0-3; "
      + "u.inst_emul.vie.base 93 u8.4-7; u.inst_emul.vie.disp_bytes 94 u8; "
      + "u.inst_emul.vie.imm_bytes 95 u8; u.inst_emul.vie.scale 96 u8; "
      + "u.inst_emul.vie.vex_reg 97 u8.0-3; u.inst_emul.vie.vex_pp 97 u8.4-5; "
      + "u.inst_emul.vie._sparebits 97 u8.6-7; u.inst_emul.vie._sparebytes 98 bytes2; "
      + "u.inst_emul.vie.base_register 100 i32; u.inst_emul.vie.index_register 104 i32; "
      + "u.inst_emul.vie.segment_register 108 i32; u.inst_emul.vie.displacement 112 i64; "
      + "u.inst_emul.vie.immediate 120 i64; u.inst_emul.vie.decoded 128 u8; "
      + "u.inst_emul.vie._sparebyte 129 u8; u.inst_emul.vie.op.op_byte 130 u8; "
      + "u.inst_emul.vie.op.op_type 131 u8; u.inst_emul.vie.op.op_flags 132 u16; "
      + "u.vmx.status 16 i32; u.vmx.exit_reason 20 u32; u.vmx.exit_qualification 24 u64; "
      + "u.vmx.inst_type 32 i32; u.vmx.inst_error 36 i32; u.svm.exitcode 16 u64; "
      + "u.svm.exitinfo1 24 u64; u.svm.exitinfo2 32 u64; u.bpt.inst_length 16 i32; "
      + "u.dbg.trace_trap 16 i32; u.dbg.pushf_intercept 20 i32; u.dbg.tf_shadow_val 24 i32; "
      + "u.dbg.paging.cr3 32 u64; u.dbg.paging.cpl 40 i32; u.dbg.paging.cpu_mode 44 i32; "
      + "u.dbg.paging.paging_mode 48 i32; u.msr.code 16 u32; u.msr.wval 24 u64; "
      + "u.spinup_ap.vcpu 16 i32; u.spinup_ap.rip 24 u64; u.hlt.rflags 16 u64; "
      + "u.hlt.intr_status 24 u64; u.ioapic_eoi.vector 16 i32; u.suspended.how 16 i32; "
      + "u.ipi.mode 16 u32; u.ipi.vector 20 u8; u.task_switch.tsssel 16 u16; "
      + "u.task_switch.ext 20 i32; u.task_switch.errcode 24 u32; "
      + "u.task_switch.errcode_valid 28 i32; u.task_switch.reason 32 i32; "
      + "u.task_switch.paging.cr3 40 u64; u.task_switch.paging.cpl 48 i32; "
      + "u.task_switch.paging.cpu_mode 52 i32; u.task_switch.paging.paging_mode 56 i32",
    vmmctl_vm_create: undefined,
    vmmctl_vm_destroy: undefined,
  },
  constants: {
    ...base.constants,
    VM_BOOTROM: 1, VM_FRAMEBUFFER: 2, VM_PCIROM: 3, VM_MEMSEG_END: undefined,
  },
};
