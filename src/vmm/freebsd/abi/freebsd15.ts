/** The /dev/vmm interface of FreeBSD 15. Written by scripts/generate-vmm-abi.mjs. */
import type { VmmTables } from "../tables.ts";

export const freebsd15: VmmTables = {
  name: "freebsd15",
  ioctls: {
    VMMCTL_VM_CREATE: 0xc128_5600, VMMCTL_VM_DESTROY: 0xc128_5601, VM_ACTIVATE_CPU: 0x8004_765a,
    VM_ALLOC_MEMSEG: 0x8038_760e, VM_BIND_PPTDEV: 0x800c_7628, VM_GET_CAPABILITY: 0xc010_7603,
    VM_GET_CPUS: 0x8010_765b, VM_GET_GPA_PMAP: 0xc030_760c, VM_GET_HPET_CAPABILITIES: 0x4004_763e,
    VM_GET_INTINFO: 0xc018_761c, VM_GET_KERNEMU_DEV: 0xc018_761a, VM_GET_MEMSEG: 0xc038_760f,
    VM_GET_REGISTER: 0xc010_7615, VM_GET_REGISTER_SET: 0xc018_7619,
    VM_GET_SEGMENT_DESCRIPTOR: 0xc018_7617, VM_GET_TOPOLOGY: 0x4008_7640,
    VM_GET_X2APIC_STATE: 0xc008_763d, VM_GLA2GPA: 0xc038_760d, VM_GLA2GPA_NOFAULT: 0xc038_7612,
    VM_INJECT_EXCEPTION: 0x8014_761e, VM_INJECT_NMI: 0x8004_7620,
    VM_IOAPIC_ASSERT_IRQ: 0x8004_7621, VM_IOAPIC_DEASSERT_IRQ: 0x8004_7622,
    VM_IOAPIC_PINCOUNT: 0x4004_7626, VM_IOAPIC_PULSE_IRQ: 0x8004_7623,
    VM_ISA_ASSERT_IRQ: 0x8008_7650, VM_ISA_DEASSERT_IRQ: 0x8008_7651,
    VM_ISA_PULSE_IRQ: 0x8008_7652, VM_ISA_SET_IRQ_TRIGGER: 0x8008_7653, VM_LAPIC_IRQ: 0x8008_761f,
    VM_LAPIC_LOCAL_IRQ: 0x8008_7625, VM_LAPIC_MSI: 0x8010_7624, VM_MAP_PPTDEV_MMIO: 0x8028_762a,
    VM_MMAP_GETNEXT: 0xc028_7611, VM_MMAP_MEMSEG: 0x8028_7610, VM_MUNMAP_MEMSEG: 0x8010_7613,
    VM_PPTDEV_DISABLE_MSIX: 0x800c_762d, VM_PPTDEV_MSI: 0x8028_762b, VM_PPTDEV_MSIX: 0x8030_762c,
    VM_REINIT: 0x2000_7605, VM_RESTART_INSTRUCTION: 0x8004_7627, VM_RESTORE_TIME: 0xc004_7673,
    VM_RESUME_CPU: 0x8004_765d, VM_RTC_GETTIME: 0x4008_7667, VM_RTC_READ: 0xc008_7664,
    VM_RTC_SETTIME: 0x8008_7666, VM_RTC_WRITE: 0x8008_7665, VM_RUN: 0x8020_7601,
    VM_SET_CAPABILITY: 0x8010_7602, VM_SET_INTINFO: 0x8018_761d, VM_SET_KERNEMU_DEV: 0x8018_761b,
    VM_SET_REGISTER: 0x8010_7614, VM_SET_REGISTER_SET: 0x8018_7618,
    VM_SET_SEGMENT_DESCRIPTOR: 0x8018_7616, VM_SET_TOPOLOGY: 0x8008_763f,
    VM_SET_X2APIC_STATE: 0x8008_763c, VM_SNAPSHOT_REQ: 0xc040_7671, VM_STATS: 0xc220_7632,
    VM_STAT_DESC: 0xc084_7633, VM_SUSPEND: 0x8004_7604, VM_SUSPEND_CPU: 0x8004_765c,
    VM_UNBIND_PPTDEV: 0x800c_7629, VM_UNMAP_PPTDEV_MMIO: 0x8028_762e,
  },
  structs: {
    vm_memmap: "40; gpa 0 u64; segid 8 i32; segoff 16 i64; len 24 u64; prot 32 i32; "
      + "flags 36 i32",
    vm_munmap: "16; gpa 0 u64; len 8 u64",
    vm_memseg: "56; segid 0 i32; len 8 u64; name 16 bytes16; ds_mask 32 u64; "
      + "ds_mask_size 40 u64; ds_policy 48 i32",
    vm_register: "16; cpuid 0 i32; regnum 4 i32; regval 8 u64",
    vm_seg_desc: "24; cpuid 0 i32; regnum 4 i32; desc.base 8 u64; desc.limit 16 u32; "
      + "desc.access 20 u32",
    vm_register_set: "24; cpuid 0 i32; count 4 u32; regnums 8 u64; regvals 16 u64",
    vm_run: "32; cpuid 0 i32; cpuset 8 u64; cpusetsize 16 u64; vm_exit 24 u64",
    vm_exception: "20; cpuid 0 i32; vector 4 i32; error_code 8 u32; error_code_valid 12 i32; "
      + "restart_instruction 16 i32",
    vm_lapic_msi: "16; msg 0 u64; addr 8 u64",
    vm_lapic_irq: "8; cpuid 0 i32; vector 4 i32",
    vm_ioapic_irq: "4; irq 0 i32",
    vm_isa_irq: "8; atpic_irq 0 i32; ioapic_irq 4 i32",
    vm_isa_irq_trigger: "8; atpic_irq 0 i32; trigger 4 i32",
    vm_capability: "16; cpuid 0 i32; captype 4 i32; capval 8 i32; allcpus 12 i32",
    vm_pptdev: "12; bus 0 i32; slot 4 i32; func 8 i32",
    vm_pptdev_mmio: "40; bus 0 i32; slot 4 i32; func 8 i32; gpa 16 u64; hpa 24 u64; len 32 u64",
    vm_pptdev_msi: "40; vcpu 0 i32; bus 4 i32; slot 8 i32; func 12 i32; numvec 16 i32; "
      + "msg 24 u64; addr 32 u64",
    vm_pptdev_msix: "48; vcpu 0 i32; bus 4 i32; slot 8 i32; func 12 i32; idx 16 i32; "
      + "msg 24 u64; vector_control 32 u32; addr 40 u64",
    vm_nmi: "4; cpuid 0 i32",
    vm_stats: "544; cpuid 0 i32; index 4 i32; num_entries 8 i32; tv.tv_sec 16 i64; "
      + "tv.tv_usec 24 i64; statbuf 32 bytes512",
    vm_stat_desc: "132; index 0 i32; desc 4 bytes128",
    vm_x2apic: "8; cpuid 0 i32; state 4 i32",
    vm_gpa_pte: "48; gpa 0 u64; pte 8 bytes32; ptenum 40 i32",
    vm_hpet_cap: "4; capabilities 0 u32",
    vm_suspend: "4; how 0 i32",
    vm_gla2gpa: "56; vcpuid 0 i32; prot 4 i32; gla 8 u64; paging.cr3 16 u64; "
      + "paging.cpl 24 i32; paging.cpu_mode 28 i32; paging.paging_mode 32 i32; fault 40 i32; "
      + "gpa 48 u64",
    vm_activate_cpu: "4; vcpuid 0 i32",
    vm_cpuset: "16; which 0 i32; cpusetsize 4 i32; cpus 8 u64",
    vm_intinfo: "24; vcpuid 0 i32; info1 8 u64; info2 16 u64",
    vm_rtc_time: "8; secs 0 i64",
    vm_rtc_data: "8; offset 0 i32; value 4 u8",
    vm_cpu_topology: "8; sockets 0 u16; cores 2 u16; threads 4 u16; maxcpus 6 u16",
    vm_readwrite_kernemu_device: "24; vcpuid 0 i32; access_width 4 u32.0-2; "
      + "_unused 4 u32.3-31; gpa 8 u64; value 16 u64",
    vm_snapshot_meta: "64; dev_data 0 u64; dev_name 8 u64; dev_req 16 i32; "
      + "buffer.buf_start 24 u64; buffer.buf_size 32 u64; buffer.buf 40 u64; "
      + "buffer.buf_rem 48 u64; op 56 i32",
    vm_snapshot_buffer: "32; buf_start 0 u64; buf_size 8 u64; buf 16 u64; buf_rem 24 u64",
    vmmctl_vm_create: "296; name 0 bytes230; reserved 232 bytes64",
    vmmctl_vm_destroy: "296; name 0 bytes230; reserved 232 bytes64",
    seg_desc: "16; base 0 u64; limit 8 u32; access 12 u32",
    vm_guest_paging: "24; cr3 0 u64; cpl 8 i32; cpu_mode 12 i32; paging_mode 16 i32",
    vie_op: "4; op_byte 0 u8; op_type 1 u8; op_flags 2 u16",
    vie: "64; inst 0 bytes15; num_valid 15 u8; num_processed 16 u8; addrsize 17 u8.0-3; "
      + "opsize 17 u8.4-7; rex_w 18 u8.0-0; rex_r 18 u8.1-1; rex_x 18 u8.2-2; rex_b 18 u8.3-3; "
      + "rex_present 18 u8.4-4; repz_present 18 u8.5-5; repnz_present 18 u8.6-6; "
      + "opsize_override 18 u8.7-7; addrsize_override 19 u8.0-0; segment_override 19 u8.1-1; "
      + "mod 19 u8.2-3; reg 19 u8.4-7; rm 20 u8.0-3; ss 20 u8.4-5; vex_present 20 u8.6-6; "
      + "vex_l 20 u8.7-7; index 21 u8.0-3; base 21 u8.4-7; disp_bytes 22 u8; imm_bytes 23 u8; "
      + "scale 24 u8; vex_reg 25 u8.0-3; vex_pp 25 u8.4-5; _sparebits 25 u8.6-7; "
      + "_sparebytes 26 bytes2; base_register 28 i32; index_register 32 i32; "
      + "segment_register 36 i32; displacement 40 i64; immediate 48 i64; decoded 56 u8; "
      + "_sparebyte 57 u8; op.op_byte 58 u8; op.op_type 59 u8; op.op_flags 60 u16",
    vm_inout: "8; bytes 0 u16.0-2; in 0 u16.3-3; string 0 u16.4-4; rep 0 u16.5-5; port 2 u16; "
      + "eax 4 u32",
    vm_inout_str: "104; inout.bytes 0 u16.0-2; inout.in 0 u16.3-3; inout.string 0 u16.4-4; "
      + "inout.rep 0 u16.5-5; inout.port 2 u16; inout.eax 4 u32; paging.cr3 8 u64; "
      + "paging.cpl 16 i32; paging.cpu_mode 20 i32; paging.paging_mode 24 i32; rflags 32 u64; "
      + "cr0 40 u64; index 48 u64; count 56 u64; addrsize 64 i32; seg_name 68 i32; "
      + "seg_desc.base 72 u64; seg_desc.limit 80 u32; seg_desc.access 84 u32; cs_d 88 i32; "
      + "cs_base 96 u64",
    vm_task_switch: "48; tsssel 0 u16; ext 4 i32; errcode 8 u32; errcode_valid 12 i32; "
      + "reason 16 i32; paging.cr3 24 u64; paging.cpl 32 i32; paging.cpu_mode 36 i32; "
      + "paging.paging_mode 40 i32",
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
      + "u.inout_str.seg_desc.access 100 u32; u.inout_str.cs_d 104 i32; "
      + "u.inout_str.cs_base 112 u64; u.paging.gpa 16 u64; u.paging.fault_type 24 i32; "
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
  },
  constants: {
    VM_SUSPEND_NONE: 0, VM_SUSPEND_RESET: 1, VM_SUSPEND_POWEROFF: 2, VM_SUSPEND_HALT: 3,
    VM_SUSPEND_TRIPLEFAULT: 4, VM_SUSPEND_DESTROY: 5, VM_SUSPEND_LAST: 6, VM_REG_GUEST_RAX: 0,
    VM_REG_GUEST_RBX: 1, VM_REG_GUEST_RCX: 2, VM_REG_GUEST_RDX: 3, VM_REG_GUEST_RSI: 4,
    VM_REG_GUEST_RDI: 5, VM_REG_GUEST_RBP: 6, VM_REG_GUEST_R8: 7, VM_REG_GUEST_R9: 8,
    VM_REG_GUEST_R10: 9, VM_REG_GUEST_R11: 10, VM_REG_GUEST_R12: 11, VM_REG_GUEST_R13: 12,
    VM_REG_GUEST_R14: 13, VM_REG_GUEST_R15: 14, VM_REG_GUEST_CR0: 15, VM_REG_GUEST_CR3: 16,
    VM_REG_GUEST_CR4: 17, VM_REG_GUEST_DR7: 18, VM_REG_GUEST_RSP: 19, VM_REG_GUEST_RIP: 20,
    VM_REG_GUEST_RFLAGS: 21, VM_REG_GUEST_ES: 22, VM_REG_GUEST_CS: 23, VM_REG_GUEST_SS: 24,
    VM_REG_GUEST_DS: 25, VM_REG_GUEST_FS: 26, VM_REG_GUEST_GS: 27, VM_REG_GUEST_LDTR: 28,
    VM_REG_GUEST_TR: 29, VM_REG_GUEST_IDTR: 30, VM_REG_GUEST_GDTR: 31, VM_REG_GUEST_EFER: 32,
    VM_REG_GUEST_CR2: 33, VM_REG_GUEST_PDPTE0: 34, VM_REG_GUEST_PDPTE1: 35,
    VM_REG_GUEST_PDPTE2: 36, VM_REG_GUEST_PDPTE3: 37, VM_REG_GUEST_INTR_SHADOW: 38,
    VM_REG_GUEST_DR0: 39, VM_REG_GUEST_DR1: 40, VM_REG_GUEST_DR2: 41, VM_REG_GUEST_DR3: 42,
    VM_REG_GUEST_DR6: 43, VM_REG_GUEST_ENTRY_INST_LENGTH: 44, VM_REG_GUEST_FS_BASE: 45,
    VM_REG_GUEST_GS_BASE: 46, VM_REG_GUEST_KGS_BASE: 47, VM_REG_GUEST_TPR: 48, VM_REG_LAST: 49,
    X2APIC_DISABLED: 0, X2APIC_ENABLED: 1, X2APIC_STATE_LAST: 2, VM_CAP_HALT_EXIT: 0,
    VM_CAP_MTRAP_EXIT: 1, VM_CAP_PAUSE_EXIT: 2, VM_CAP_UNRESTRICTED_GUEST: 3,
    VM_CAP_ENABLE_INVPCID: 4, VM_CAP_BPT_EXIT: 5, VM_CAP_RDPID: 6, VM_CAP_RDTSCP: 7,
    VM_CAP_IPI_EXIT: 8, VM_CAP_MASK_HWINTR: 9, VM_CAP_RFLAGS_TF: 10, VM_CAP_MAX: 11,
    EDGE_TRIGGER: 0, LEVEL_TRIGGER: 1, CPU_MODE_REAL: 0, CPU_MODE_PROTECTED: 1,
    CPU_MODE_COMPATIBILITY: 2, CPU_MODE_64BIT: 3, PAGING_MODE_FLAT: 0, PAGING_MODE_32: 1,
    PAGING_MODE_PAE: 2, PAGING_MODE_64: 3, PAGING_MODE_64_LA57: 4, VM_EXITCODE_INOUT: 0,
    VM_EXITCODE_VMX: 1, VM_EXITCODE_BOGUS: 2, VM_EXITCODE_RDMSR: 3, VM_EXITCODE_WRMSR: 4,
    VM_EXITCODE_HLT: 5, VM_EXITCODE_MTRAP: 6, VM_EXITCODE_PAUSE: 7, VM_EXITCODE_PAGING: 8,
    VM_EXITCODE_INST_EMUL: 9, VM_EXITCODE_SPINUP_AP: 10, VM_EXITCODE_DEPRECATED1: 11,
    VM_EXITCODE_RENDEZVOUS: 12, VM_EXITCODE_IOAPIC_EOI: 13, VM_EXITCODE_SUSPENDED: 14,
    VM_EXITCODE_INOUT_STR: 15, VM_EXITCODE_TASK_SWITCH: 16, VM_EXITCODE_MONITOR: 17,
    VM_EXITCODE_MWAIT: 18, VM_EXITCODE_SVM: 19, VM_EXITCODE_REQIDLE: 20, VM_EXITCODE_DEBUG: 21,
    VM_EXITCODE_VMINSN: 22, VM_EXITCODE_BPT: 23, VM_EXITCODE_IPI: 24, VM_EXITCODE_DB: 25,
    VM_EXITCODE_MAX: 26, TSR_CALL: 0, TSR_IRET: 1, TSR_JMP: 2, TSR_IDT_GATE: 3, STRUCT_VIOAPIC: 1,
    STRUCT_VM: 2, STRUCT_VLAPIC: 3, VM_MEM: 4, STRUCT_VHPET: 5, STRUCT_VMCX: 6, STRUCT_VATPIC: 7,
    STRUCT_VATPIT: 8, STRUCT_VPMTMR: 9, STRUCT_VRTC: 10, VM_SNAPSHOT_SAVE: 0,
    VM_SNAPSHOT_RESTORE: 1, VM_SYSMEM: 0, VM_BOOTROM: 8, VM_FRAMEBUFFER: 9, VM_PCIROM: 10,
    VM_MEMSEG_END: 11, VM_MAX_NAMELEN: 229, VM_MAX_SUFFIXLEN: 15, SPECNAMELEN: 255,
    MAX_VM_STATS: 64, VM_MEMMAP_F_WIRED: 1, VM_MEMMAP_F_IOMMU: 2, VM_ACTIVE_CPUS: 0,
    VM_SUSPENDED_CPUS: 1, VM_DEBUG_CPUS: 2, VM_INTINFO_VALID: 2147483648,
    VM_INTINFO_DEL_ERRCODE: 2048, VM_INTINFO_HWINTR: 0, VM_INTINFO_NMI: 512,
    VM_INTINFO_HWEXCEPTION: 768, VM_INTINFO_SWINTR: 1024, CPU_SETSIZE: 1024,
    "sizeof(cpuset_t)": 128,
  },
};
