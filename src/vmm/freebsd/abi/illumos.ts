/** The /dev/vmm interface of illumos, version 18. Written by scripts/generate-vmm-abi.mjs. */
import type { VmmTables } from "../tables.ts";

export const illumos: VmmTables = {
  name: "illumos",
  ioctls: {
    VMM_CREATE_VM: 0x0056_4d01, VMM_DESTROY_VM: 0x0056_4d02, VMM_VM_SUPPORTED: 0x0056_4d03,
    VMM_INTERFACE_VERSION: 0x0056_4d04, VMM_RESV_QUERY: 0x0056_4d10,
    VMM_RESV_SET_TARGET: 0x0056_4d11, VM_RUN: 0x0076_7001, VM_SET_REGISTER: 0x0076_7002,
    VM_GET_REGISTER: 0x0076_7003, VM_SET_SEGMENT_DESCRIPTOR: 0x0076_7004,
    VM_GET_SEGMENT_DESCRIPTOR: 0x0076_7005, VM_SET_REGISTER_SET: 0x0076_7006,
    VM_GET_REGISTER_SET: 0x0076_7007, VM_INJECT_EXCEPTION: 0x0076_7008,
    VM_SET_CAPABILITY: 0x0076_7009, VM_GET_CAPABILITY: 0x0076_700a, VM_PPTDEV_MSI: 0x0076_700b,
    VM_PPTDEV_MSIX: 0x0076_700c, VM_SET_X2APIC_STATE: 0x0076_700d, VM_GLA2GPA: 0x0076_700e,
    VM_GLA2GPA_NOFAULT: 0x0076_700f, VM_ACTIVATE_CPU: 0x0076_7010, VM_SET_INTINFO: 0x0076_7011,
    VM_GET_INTINFO: 0x0076_7012, VM_RESTART_INSTRUCTION: 0x0076_7013,
    VM_SET_KERNEMU_DEV: 0x0076_7014, VM_GET_KERNEMU_DEV: 0x0076_7015, VM_RESET_CPU: 0x0076_7016,
    VM_GET_RUN_STATE: 0x0076_7017, VM_SET_RUN_STATE: 0x0076_7018, VM_GET_FPU: 0x0076_7019,
    VM_SET_FPU: 0x0076_701a, VM_GET_CPUID: 0x0076_701b, VM_SET_CPUID: 0x0076_701c,
    VM_LEGACY_CPUID: 0x0076_701d, VM_REINIT: 0x0076_6c01, VM_BIND_PPTDEV: 0x0076_6c02,
    VM_UNBIND_PPTDEV: 0x0076_6c03, VM_MAP_PPTDEV_MMIO: 0x0076_6c04, VM_ALLOC_MEMSEG: 0x0076_6c05,
    VM_MMAP_MEMSEG: 0x0076_6c06, VM_PMTMR_LOCATE: 0x0076_6c07, VM_MUNMAP_MEMSEG: 0x0076_6c08,
    VM_UNMAP_PPTDEV_MMIO: 0x0076_6c09, VM_PAUSE: 0x0076_6c0a, VM_RESUME: 0x0076_6c0b,
    VM_WRLOCK_CYCLE: 0x0076_6cff, VM_GET_GPA_PMAP: 0x0076_6d01, VM_GET_MEMSEG: 0x0076_6d02,
    VM_MMAP_GETNEXT: 0x0076_6d03, VM_LAPIC_IRQ: 0x0076_6d04, VM_LAPIC_LOCAL_IRQ: 0x0076_6d05,
    VM_LAPIC_MSI: 0x0076_6d06, VM_IOAPIC_ASSERT_IRQ: 0x0076_6d07,
    VM_IOAPIC_DEASSERT_IRQ: 0x0076_6d08, VM_IOAPIC_PULSE_IRQ: 0x0076_6d09,
    VM_ISA_ASSERT_IRQ: 0x0076_6d0a, VM_ISA_DEASSERT_IRQ: 0x0076_6d0b,
    VM_ISA_PULSE_IRQ: 0x0076_6d0c, VM_ISA_SET_IRQ_TRIGGER: 0x0076_6d0d, VM_RTC_WRITE: 0x0076_6d0e,
    VM_RTC_READ: 0x0076_6d0f, VM_RTC_SETTIME: 0x0076_6d10, VM_RTC_GETTIME: 0x0076_6d11,
    VM_SUSPEND: 0x0076_6d12, VM_IOAPIC_PINCOUNT: 0x0076_6d13, VM_GET_PPTDEV_LIMITS: 0x0076_6d14,
    VM_GET_HPET_CAPABILITIES: 0x0076_6d15, VM_STATS_IOC: 0x0076_6d16, VM_STAT_DESC: 0x0076_6d17,
    VM_INJECT_NMI: 0x0076_6d18, VM_GET_X2APIC_STATE: 0x0076_6d19, VM_SET_TOPOLOGY: 0x0076_6d1a,
    VM_GET_TOPOLOGY: 0x0076_6d1b, VM_GET_CPUS: 0x0076_6d1c, VM_SUSPEND_CPU: 0x0076_6d1d,
    VM_RESUME_CPU: 0x0076_6d1e, VM_TRACK_DIRTY_PAGES: 0x0076_6d20, VM_DESC_FPU_AREA: 0x0076_6d21,
    VM_DATA_READ: 0x0076_6d22, VM_DATA_WRITE: 0x0076_6d23, VM_SET_AUTODESTRUCT: 0x0076_6d24,
    VM_DESTROY_SELF: 0x0076_6d25, VM_DESTROY_PENDING: 0x0076_6d26, VM_VCPU_BARRIER: 0x0076_6d27,
    VM_NPT_OPERATION: 0x0076_6d28, VM_DEVMEM_GETOFFSET: 0x0076_6dff, VMM_CHECK_IOMMU: 0x0056_4d05,
    VM_PPTDEV_DISABLE_MSIX: 0x0076_6d1f,
  },
  structs: {
    seg_desc: "16; base 0 u64; limit 8 u32; access 12 u32",
    vm_guest_paging: "24; cr3 0 u64; cpl 8 i32; cpu_mode 12 i32; paging_mode 16 i32",
    vm_inout: "12; eax 0 u32; port 4 u16; bytes 6 u8; flags 7 u8; addrsize 8 u8; segment 9 u8",
    vm_mmio: "24; bytes 0 u8; read 1 u8; _pad 2 bytes6; gpa 8 u64; data 16 u64",
    vm_task_switch: "48; tsssel 0 u16; ext 4 i32; errcode 8 u32; errcode_valid 12 i32; "
      + "reason 16 i32; paging.cr3 24 u64; paging.cpl 32 i32; paging.cpu_mode 36 i32; "
      + "paging.paging_mode 40 i32",
    vm_exit: "64; exitcode 0 i32; inst_length 4 i32; rip 8 u64; u.inout.eax 16 u32; "
      + "u.inout.port 20 u16; u.inout.bytes 22 u8; u.inout.flags 23 u8; "
      + "u.inout.addrsize 24 u8; u.inout.segment 25 u8; u.mmio.bytes 16 u8; u.mmio.read 17 u8; "
      + "u.mmio._pad 18 bytes6; u.mmio.gpa 24 u64; u.mmio.data 32 u64; u.paging.gpa 16 u64; "
      + "u.paging.fault_type 24 i32; u.mmio_emul.gpa 16 u64; u.mmio_emul.gla 24 u64; "
      + "u.mmio_emul.cs_base 32 u64; u.mmio_emul.cs_d 40 i32; u.inst_emul.inst 16 bytes15; "
      + "u.inst_emul.num_valid 31 u8; u.vmx.status 16 i32; u.vmx.exit_reason 20 u32; "
      + "u.vmx.exit_qualification 24 u64; u.vmx.inst_type 32 i32; u.vmx.inst_error 36 i32; "
      + "u.svm.exitcode 16 u64; u.svm.exitinfo1 24 u64; u.svm.exitinfo2 32 u64; "
      + "u.bpt.inst_length 16 i32; u.msr.code 16 u32; u.msr.wval 24 u64; u.hlt.rflags 16 u64; "
      + "u.ioapic_eoi.vector 16 i32; u.suspended.how 16 i32; u.suspended.source 20 i32; "
      + "u.suspended.when 24 u64; u.task_switch.tsssel 16 u16; u.task_switch.ext 20 i32; "
      + "u.task_switch.errcode 24 u32; u.task_switch.errcode_valid 28 i32; "
      + "u.task_switch.reason 32 i32; u.task_switch.paging.cr3 40 u64; "
      + "u.task_switch.paging.cpl 48 i32; u.task_switch.paging.cpu_mode 52 i32; "
      + "u.task_switch.paging.paging_mode 56 i32",
    vm_entry: "40; cpuid 0 i32; cmd 4 u32; exit_data 8 u64; u.inout.eax 16 u32; "
      + "u.inout.port 20 u16; u.inout.bytes 22 u8; u.inout.flags 23 u8; "
      + "u.inout.addrsize 24 u8; u.inout.segment 25 u8; u.mmio.bytes 16 u8; u.mmio.read 17 u8; "
      + "u.mmio._pad 18 bytes6; u.mmio.gpa 24 u64; u.mmio.data 32 u64",
    vcpu_cpuid_entry: "32; vce_function 0 u32; vce_index 4 u32; vce_flags 8 u32; "
      + "vce_eax 12 u32; vce_ebx 16 u32; vce_ecx 20 u32; vce_edx 24 u32; _pad 28 u32",
    vm_create_req: "136; name 0 bytes128; flags 128 u64",
    vm_destroy_req: "128; name 0 bytes128",
    vm_memmap: "40; gpa 0 u64; segid 8 i32; segoff 16 i64; len 24 u64; prot 32 i32; "
      + "flags 36 i32",
    vm_munmap: "16; gpa 0 u64; len 8 u64",
    vm_memseg: "144; segid 0 i32; len 8 u64; name 16 bytes128",
    vm_register: "16; cpuid 0 i32; regnum 4 i32; regval 8 u64",
    vm_seg_desc: "24; cpuid 0 i32; regnum 4 i32; desc.base 8 u64; desc.limit 16 u32; "
      + "desc.access 20 u32",
    vm_register_set: "24; cpuid 0 i32; count 4 u32; regnums 8 u64; regvals 16 u64",
    vm_exception: "20; cpuid 0 i32; vector 4 i32; error_code 8 u32; error_code_valid 12 i32; "
      + "restart_instruction 16 i32",
    vm_lapic_msi: "16; msg 0 u64; addr 8 u64",
    vm_lapic_irq: "8; cpuid 0 i32; vector 4 i32",
    vm_ioapic_irq: "4; irq 0 i32",
    vm_isa_irq: "8; atpic_irq 0 i32; ioapic_irq 4 i32",
    vm_isa_irq_trigger: "8; atpic_irq 0 i32; trigger 4 i32",
    vm_capability: "16; cpuid 0 i32; captype 4 i32; capval 8 i32; allcpus 12 i32",
    vm_nmi: "4; cpuid 0 i32",
    vm_stats: "544; cpuid 0 i32; index 4 i32; num_entries 8 i32; tv.tv_sec 16 i64; "
      + "tv.tv_usec 24 i64; statbuf 32 bytes512",
    vm_stat_desc: "132; index 0 i32; desc 4 bytes128",
    vm_x2apic: "8; cpuid 0 i32; state 4 i32",
    vm_gpa_pte: "48; gpa 0 u64; pte 8 bytes32; ptenum 40 i32",
    vm_hpet_cap: "4; capabilities 0 u32",
    vm_suspend: "8; how 0 i32; source 4 i32",
    vm_reinit: "8; flags 0 u64",
    vm_gla2gpa: "56; vcpuid 0 i32; prot 4 i32; gla 8 u64; paging.cr3 16 u64; "
      + "paging.cpl 24 i32; paging.cpu_mode 28 i32; paging.paging_mode 32 i32; fault 40 i32; "
      + "gpa 48 u64",
    vm_activate_cpu: "4; vcpuid 0 i32",
    vm_cpuset: "16; which 0 i32; cpusetsize 4 i32; cpus 8 u64",
    vm_intinfo: "24; vcpuid 0 i32; info1 8 u64; info2 16 u64",
    vm_rtc_data: "8; offset 0 i32; value 4 u8",
    vm_devmem_offset: "16; segid 0 i32; offset 8 i64",
    vm_cpu_topology: "8; sockets 0 u16; cores 2 u16; threads 4 u16; maxcpus 6 u16",
    vm_readwrite_kernemu_device: "24; vcpuid 0 i32; access_width 4 u32.0-2; "
      + "_unused 4 u32.3-31; gpa 8 u64; value 16 u64",
    vm_vcpu_reset: "8; vcpuid 0 i32; kind 4 u32",
    vm_run_state: "12; vcpuid 0 i32; state 4 u32; sipi_vector 8 u8; _pad 9 bytes3",
    vm_fpu_state: "24; vcpuid 0 i32; buf 8 u64; len 16 u64",
    vm_fpu_desc_entry: "16; vfde_feature 0 u64; vfde_size 8 u32; vfde_off 12 u32",
    vm_fpu_desc: "24; vfd_entry_data 0 u64; vfd_req_size 8 u64; vfd_num_entries 16 u32",
    vmm_resv_query: "32; vrq_free_sz 0 u64; vrq_alloc_sz 8 u64; vrq_alloc_transient_sz 16 u64; "
      + "vrq_limit 24 u64",
    vmm_resv_target: "24; vrt_target_sz 0 u64; vrt_chunk_sz 8 u64; vrt_result_sz 16 u64",
    vmm_dirty_tracker: "24; vdt_start_gpa 0 u64; vdt_len 8 u64; vdt_pfns 16 u64",
    vm_npt_operation: "32; vno_gpa 0 u64; vno_len 8 u64; vno_bitmap 16 u64; "
      + "vno_operation 24 u32",
    vm_data_xfer: "32; vdx_vcpuid 0 i32; vdx_class 4 u16; vdx_version 6 u16; vdx_flags 8 u32; "
      + "vdx_len 12 u32; vdx_result_len 16 u32; vdx_data 24 u64",
    vm_vcpu_cpuid_config: "24; vvcc_vcpuid 0 i32; vvcc_flags 4 u32; vvcc_nent 8 u32; "
      + "_pad 12 u32; vvcc_entries 16 u64",
    vm_legacy_cpuid: "20; vlc_vcpuid 0 i32; vlc_eax 4 u32; vlc_ebx 8 u32; vlc_ecx 12 u32; "
      + "vlc_edx 16 u32",
  },
  constants: {
    VM_SUSPEND_NONE: 0, VM_SUSPEND_RESET: 1, VM_SUSPEND_POWEROFF: 2, VM_SUSPEND_HALT: 3,
    VM_SUSPEND_TRIPLEFAULT: 4, VM_SUSPEND_LAST: 5, VM_REG_GUEST_RAX: 0, VM_REG_GUEST_RBX: 1,
    VM_REG_GUEST_RCX: 2, VM_REG_GUEST_RDX: 3, VM_REG_GUEST_RSI: 4, VM_REG_GUEST_RDI: 5,
    VM_REG_GUEST_RBP: 6, VM_REG_GUEST_R8: 7, VM_REG_GUEST_R9: 8, VM_REG_GUEST_R10: 9,
    VM_REG_GUEST_R11: 10, VM_REG_GUEST_R12: 11, VM_REG_GUEST_R13: 12, VM_REG_GUEST_R14: 13,
    VM_REG_GUEST_R15: 14, VM_REG_GUEST_CR0: 15, VM_REG_GUEST_CR3: 16, VM_REG_GUEST_CR4: 17,
    VM_REG_GUEST_DR7: 18, VM_REG_GUEST_RSP: 19, VM_REG_GUEST_RIP: 20, VM_REG_GUEST_RFLAGS: 21,
    VM_REG_GUEST_ES: 22, VM_REG_GUEST_CS: 23, VM_REG_GUEST_SS: 24, VM_REG_GUEST_DS: 25,
    VM_REG_GUEST_FS: 26, VM_REG_GUEST_GS: 27, VM_REG_GUEST_LDTR: 28, VM_REG_GUEST_TR: 29,
    VM_REG_GUEST_IDTR: 30, VM_REG_GUEST_GDTR: 31, VM_REG_GUEST_EFER: 32, VM_REG_GUEST_CR2: 33,
    VM_REG_GUEST_PDPTE0: 34, VM_REG_GUEST_PDPTE1: 35, VM_REG_GUEST_PDPTE2: 36,
    VM_REG_GUEST_PDPTE3: 37, VM_REG_GUEST_INTR_SHADOW: 38, VM_REG_GUEST_DR0: 39,
    VM_REG_GUEST_DR1: 40, VM_REG_GUEST_DR2: 41, VM_REG_GUEST_DR3: 42, VM_REG_GUEST_DR6: 43,
    VM_REG_GUEST_ENTRY_INST_LENGTH: 44, VM_REG_GUEST_XCR0: 45, VM_REG_LAST: 46,
    X2APIC_DISABLED: 0, X2APIC_ENABLED: 1, X2APIC_STATE_LAST: 2, VM_CAP_HALT_EXIT: 0,
    VM_CAP_MTRAP_EXIT: 1, VM_CAP_PAUSE_EXIT: 2, VM_CAP_ENABLE_INVPCID: 3, VM_CAP_BPT_EXIT: 4,
    VM_CAP_MAX: 5, EDGE_TRIGGER: 0, LEVEL_TRIGGER: 1, CPU_MODE_REAL: 0, CPU_MODE_PROTECTED: 1,
    CPU_MODE_COMPATIBILITY: 2, CPU_MODE_64BIT: 3, PAGING_MODE_FLAT: 0, PAGING_MODE_32: 1,
    PAGING_MODE_PAE: 2, PAGING_MODE_64: 3, VM_EXITCODE_INOUT: 0, VM_EXITCODE_VMX: 1,
    VM_EXITCODE_BOGUS: 2, VM_EXITCODE_RDMSR: 3, VM_EXITCODE_WRMSR: 4, VM_EXITCODE_HLT: 5,
    VM_EXITCODE_MTRAP: 6, VM_EXITCODE_PAUSE: 7, VM_EXITCODE_PAGING: 8, VM_EXITCODE_INST_EMUL: 9,
    VM_EXITCODE_RUN_STATE: 10, VM_EXITCODE_MMIO_EMUL: 11, VM_EXITCODE_DEPRECATED: 12,
    VM_EXITCODE_IOAPIC_EOI: 13, VM_EXITCODE_SUSPENDED: 14, VM_EXITCODE_MMIO: 15,
    VM_EXITCODE_TASK_SWITCH: 16, VM_EXITCODE_MONITOR: 17, VM_EXITCODE_MWAIT: 18,
    VM_EXITCODE_SVM: 19, VM_EXITCODE_DEPRECATED2: 20, VM_EXITCODE_DEBUG: 21,
    VM_EXITCODE_VMINSN: 22, VM_EXITCODE_BPT: 23, VM_EXITCODE_HT: 24, VM_EXITCODE_MAX: 25,
    INOUT_IN: 1, INOUT_STR: 2, INOUT_REP: 4, TSR_CALL: 0, TSR_IRET: 1, TSR_JMP: 2,
    TSR_IDT_GATE: 3, VRS_HALT: 0, VRS_INIT: 1, VRS_RUN: 2, VRS_PEND_INIT: 16384,
    VRS_PEND_SIPI: 32768, VCF_RESERVOIR_MEM: 1, VCF_TRACK_DIRTY: 2, VRK_RESET: 0, VRK_INIT: 1,
  },
};
