/** The /dev/vmm interface of FreeBSD 13.2 and later. Written by scripts/generate-vmm-abi.mjs. */
import type { VmmTables } from "../tables.ts";
import { freebsd14 as base } from "./freebsd14.ts";

export const freebsd13: VmmTables = {
  name: "freebsd13",
  ioctls: {
    ...base.ioctls,
    VM_RUN: 0xc090_7601, VM_SNAPSHOT_REQ: 0xc048_7671, VM_STATS: 0xc218_7632,
  },
  structs: {
    ...base.structs,
    vm_run: "144; cpuid 0 i32; vm_exit.exitcode 8 i32; vm_exit.inst_length 12 i32; "
      + "vm_exit.rip 16 u64; vm_exit.u.inout.bytes 24 u16.0-2; vm_exit.u.inout.in 24 u16.3-3; "
      + "vm_exit.u.inout.string 24 u16.4-4; vm_exit.u.inout.rep 24 u16.5-5; "
      + "vm_exit.u.inout.port 26 u16; vm_exit.u.inout.eax 28 u32; "
      + "vm_exit.u.inout_str.inout.bytes 24 u16.0-2; vm_exit.u.inout_str.inout.in 24 u16.3-3; "
      + "vm_exit.u.inout_str.inout.string 24 u16.4-4; "
      + "vm_exit.u.inout_str.inout.rep 24 u16.5-5; vm_exit.u.inout_str.inout.port 26 u16; "
      + "vm_exit.u.inout_str.inout.eax 28 u32; vm_exit.u.inout_str.paging.cr3 32 u64; "
      + "vm_exit.u.inout_str.paging.cpl 40 i32; vm_exit.u.inout_str.paging.cpu_mode 44 i32; "
      + "vm_exit.u.inout_str.paging.paging_mode 48 i32; vm_exit.u.inout_str.rflags 56 u64; "
      + "vm_exit.u.inout_str.cr0 64 u64; vm_exit.u.inout_str.index 72 u64; "
      + "vm_exit.u.inout_str.count 80 u64; vm_exit.u.inout_str.addrsize 88 i32; "
      + "vm_exit.u.inout_str.seg_name 92 i32; vm_exit.u.inout_str.seg_desc.base 96 u64; "
      + "vm_exit.u.inout_str.seg_desc.limit 104 u32; "
      + "vm_exit.u.inout_str.seg_desc.access 108 u32; vm_exit.u.paging.gpa 24 u64; "
      + "vm_exit.u.paging.fault_type 32 i32; vm_exit.u.inst_emul.gpa 24 u64; "
      + "vm_exit.u.inst_emul.gla 32 u64; vm_exit.u.inst_emul.cs_base 40 u64; "
      + "vm_exit.u.inst_emul.cs_d 48 i32; vm_exit.u.inst_emul.paging.cr3 56 u64; "
      + "vm_exit.u.inst_emul.paging.cpl 64 i32; vm_exit.u.inst_emul.paging.cpu_mode 68 i32; "
      + "vm_exit.u.inst_emul.paging.paging_mode 72 i32; vm_exit.u.vmx.status 24 i32; "
      + "vm_exit.u.vmx.exit_reason 28 u32; vm_exit.u.vmx.exit_qualification 32 u64; "
      + "vm_exit.u.vmx.inst_type 40 i32; vm_exit.u.vmx.inst_error 44 i32; "
      + "vm_exit.u.svm.exitcode 24 u64; vm_exit.u.svm.exitinfo1 32 u64; "
      + "vm_exit.u.svm.exitinfo2 40 u64; vm_exit.u.bpt.inst_length 24 i32; "
      + "vm_exit.u.msr.code 24 u32; vm_exit.u.msr.wval 32 u64; "
      + "vm_exit.u.spinup_ap.vcpu 24 i32; vm_exit.u.spinup_ap.rip 32 u64; "
      + "vm_exit.u.hlt.rflags 24 u64; vm_exit.u.hlt.intr_status 32 u64; "
      + "vm_exit.u.ioapic_eoi.vector 24 i32; vm_exit.u.suspended.how 24 i32; "
      + "vm_exit.u.ipi.mode 24 u32; vm_exit.u.ipi.vector 28 u8; "
      + "vm_exit.u.ipi.dmask.__bits 32 bytes32; vm_exit.u.task_switch.tsssel 24 u16; "
      + "vm_exit.u.task_switch.ext 28 i32; vm_exit.u.task_switch.errcode 32 u32; "
      + "vm_exit.u.task_switch.errcode_valid 36 i32; vm_exit.u.task_switch.reason 40 i32; "
      + "vm_exit.u.task_switch.paging.cr3 48 u64; vm_exit.u.task_switch.paging.cpl 56 i32; "
      + "vm_exit.u.task_switch.paging.cpu_mode 60 i32; "
      + "vm_exit.u.task_switch.paging.paging_mode 64 i32",
    vm_stats: "536; cpuid 0 i32; num_entries 4 i32; tv.tv_sec 8 i64; tv.tv_usec 16 i64; "
      + "statbuf 24 bytes512",
    vm_snapshot_meta: "72; ctx 0 u64; dev_data 8 u64; dev_name 16 u64; dev_req 24 i32; "
      + "buffer.buf_start 32 u64; buffer.buf_size 40 u64; buffer.buf 48 u64; "
      + "buffer.buf_rem 56 u64; op 64 i32",
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
      + "u.msr.code 16 u32; u.msr.wval 24 u64; u.spinup_ap.vcpu 16 i32; "
      + "u.spinup_ap.rip 24 u64; u.hlt.rflags 16 u64; u.hlt.intr_status 24 u64; "
      + "u.ioapic_eoi.vector 16 i32; u.suspended.how 16 i32; u.ipi.mode 16 u32; "
      + "u.ipi.vector 20 u8; u.ipi.dmask.__bits 24 bytes32; u.task_switch.tsssel 16 u16; "
      + "u.task_switch.ext 20 i32; u.task_switch.errcode 24 u32; "
      + "u.task_switch.errcode_valid 28 i32; u.task_switch.reason 32 i32; "
      + "u.task_switch.paging.cr3 40 u64; u.task_switch.paging.cpl 48 i32; "
      + "u.task_switch.paging.cpu_mode 52 i32; u.task_switch.paging.paging_mode 56 i32",
  },
  constants: {
    ...base.constants,
    VM_CAP_MAX: 9, VM_EXITCODE_MAX: 25, CPU_SETSIZE: 256, "sizeof(cpuset_t)": 32,
    VM_CAP_MASK_HWINTR: undefined, VM_CAP_RFLAGS_TF: undefined, VM_EXITCODE_DB: undefined,
  },
};
