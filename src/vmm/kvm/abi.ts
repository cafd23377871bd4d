/**
 * Numbers and layouts of /dev/kvm on x86 (linux/kvm.h, asm/kvm.h; Linux, Documentation/virt/kvm/
 * api.rst). A test compares all of them with the header of the host.
 */

export const apiVersion = 12;

/** ioctl numbers. */
export const kvmIoctl = {
  KVM_GET_API_VERSION: 0xae00, KVM_CREATE_VM: 0xae01, KVM_GET_MSR_INDEX_LIST: 0xc004_ae02,
  KVM_CHECK_EXTENSION: 0xae03, KVM_GET_VCPU_MMAP_SIZE: 0xae04,
  KVM_GET_SUPPORTED_CPUID: 0xc008_ae05,
  KVM_CREATE_VCPU: 0xae41, KVM_GET_DIRTY_LOG: 0x4010_ae42,
  KVM_SET_USER_MEMORY_REGION: 0x4020_ae46, KVM_SET_TSS_ADDR: 0xae47,
  KVM_SET_IDENTITY_MAP_ADDR: 0x4008_ae48,
  KVM_CREATE_IRQCHIP: 0xae60, KVM_IRQ_LINE: 0x4008_ae61, KVM_GET_IRQCHIP: 0xc208_ae62,
  KVM_SET_IRQCHIP: 0x8208_ae63, KVM_SET_GSI_ROUTING: 0x4008_ae6a, KVM_IRQFD: 0x4020_ae76,
  KVM_ENABLE_CAP: 0x4068_aea3,
  KVM_CREATE_PIT2: 0x4040_ae77, KVM_IOEVENTFD: 0x4040_ae79, KVM_GET_PIT2: 0x8070_ae9f,
  KVM_SET_PIT2: 0x4070_aea0, KVM_SIGNAL_MSI: 0x4020_aea5,
  KVM_RUN: 0xae80, KVM_GET_REGS: 0x8090_ae81, KVM_SET_REGS: 0x4090_ae82,
  KVM_GET_SREGS: 0x8138_ae83, KVM_SET_SREGS: 0x4138_ae84, KVM_GET_MSRS: 0xc008_ae88,
  KVM_SET_MSRS: 0x4008_ae89, KVM_GET_FPU: 0x81a0_ae8c, KVM_SET_FPU: 0x41a0_ae8d,
  KVM_GET_LAPIC: 0x8400_ae8e, KVM_SET_LAPIC: 0x4400_ae8f, KVM_SET_CPUID2: 0x4008_ae90,
  KVM_GET_MP_STATE: 0x8004_ae98, KVM_SET_MP_STATE: 0x4004_ae99, KVM_NMI: 0xae9a,
  KVM_GET_VCPU_EVENTS: 0x8040_ae9f, KVM_SET_VCPU_EVENTS: 0x4040_aea0,
  KVM_GET_DEBUGREGS: 0x8080_aea1, KVM_SET_DEBUGREGS: 0x4080_aea2,
} as const;

/** Extensions (KVM_CHECK_EXTENSION). */
export const kvmCap = {
  KVM_CAP_IRQCHIP: 0, KVM_CAP_USER_MEMORY: 3, KVM_CAP_SET_TSS_ADDR: 4, KVM_CAP_EXT_CPUID: 7,
  KVM_CAP_NR_VCPUS: 9, KVM_CAP_IRQ_ROUTING: 25, KVM_CAP_IRQFD: 32, KVM_CAP_PIT2: 33,
  KVM_CAP_IOEVENTFD: 36, KVM_CAP_MAX_VCPUS: 66, KVM_CAP_TSC_DEADLINE_TIMER: 72,
  KVM_CAP_SIGNAL_MSI: 77, KVM_CAP_READONLY_MEM: 81, KVM_CAP_IMMEDIATE_EXIT: 136,
  KVM_CAP_X86_USER_SPACE_MSR: 188,
} as const;

export const kvmExit = {
  KVM_EXIT_UNKNOWN: 0, KVM_EXIT_EXCEPTION: 1, KVM_EXIT_IO: 2, KVM_EXIT_HYPERCALL: 3,
  KVM_EXIT_DEBUG: 4, KVM_EXIT_HLT: 5, KVM_EXIT_MMIO: 6, KVM_EXIT_IRQ_WINDOW_OPEN: 7,
  KVM_EXIT_SHUTDOWN: 8, KVM_EXIT_FAIL_ENTRY: 9, KVM_EXIT_INTR: 10, KVM_EXIT_SET_TPR: 11,
  KVM_EXIT_TPR_ACCESS: 12, KVM_EXIT_NMI: 16, KVM_EXIT_INTERNAL_ERROR: 17,
  KVM_EXIT_SYSTEM_EVENT: 24, KVM_EXIT_IOAPIC_EOI: 26, KVM_EXIT_HYPERV: 27,
  KVM_EXIT_X86_RDMSR: 29, KVM_EXIT_X86_WRMSR: 30, KVM_EXIT_X86_BUS_LOCK: 33,
} as const;

/** Sizes of structures and offsets of the fields that are used. */
export const kvmLayout = {
  kvm_run: {
    size: 2352, immediate_exit: 1, exit_reason: 8, if_flag: 13,
    "io.direction": 32, "io.size": 33, "io.port": 34, "io.count": 36, "io.data_offset": 40,
    "mmio.phys_addr": 32, "mmio.data": 40, "mmio.len": 48, "mmio.is_write": 52,
    "internal.suberror": 32, "internal.ndata": 36, "internal.data": 40,
    "msr.error": 32, "msr.index": 44, "msr.data": 48,
    "fail_entry.hardware_entry_failure_reason": 32, "system_event.type": 32,
  },
  kvm_regs: {
    size: 144, rax: 0, rbx: 8, rcx: 16, rdx: 24, rsi: 32, rdi: 40, rsp: 48, rbp: 56, r8: 64,
    r9: 72, r10: 80, r11: 88, r12: 96, r13: 104, r14: 112, r15: 120, rip: 128, rflags: 136,
  },
  kvm_sregs: {
    size: 312, cs: 0, ds: 24, es: 48, fs: 72, gs: 96, ss: 120, tr: 144, ldt: 168, gdt: 192,
    idt: 208, cr0: 224, cr2: 232, cr3: 240, cr4: 248, cr8: 256, efer: 264, apic_base: 272,
  },
  kvm_segment: {
    size: 24, base: 0, limit: 8, selector: 12, type: 14, present: 15, dpl: 16, db: 17, s: 18,
    l: 19, g: 20, avl: 21, unusable: 22,
  },
  kvm_dtable: { size: 16, base: 0, limit: 8 },
  kvm_userspace_memory_region: {
    size: 32, slot: 0, flags: 4, guest_phys_addr: 8, memory_size: 16, userspace_addr: 24,
  },
  kvm_dirty_log: { size: 16, slot: 0, dirty_bitmap: 8 },
  kvm_irq_level: { size: 8, irq: 0, level: 4 },
  kvm_irqchip: { size: 520, chip_id: 0, chip: 8 },
  kvm_pic_state: { size: 16, elcr: 14 },
  kvm_irq_routing: { size: 8, nr: 0, entries: 8 },
  kvm_irq_routing_entry: { size: 48, gsi: 0, type: 4, flags: 8, u: 16 },
  kvm_irqfd: { size: 32, fd: 0, gsi: 4, flags: 8 },
  kvm_ioeventfd: { size: 64, datamatch: 0, addr: 8, len: 16, fd: 20, flags: 24 },
  kvm_enable_cap: { size: 104, cap: 0, args: 8 },
  kvm_msi: { size: 32, address_lo: 0, address_hi: 4, data: 8, flags: 12 },
  kvm_pit_config: { size: 64, flags: 0 },
  kvm_pit_state2: { size: 112, flags: 72 },
  kvm_cpuid2: { size: 8, nent: 0, entries: 8 },
  kvm_cpuid_entry2: {
    size: 40, function: 0, index: 4, flags: 8, eax: 12, ebx: 16, ecx: 20, edx: 24,
  },
  kvm_msr_list: { size: 4, nmsrs: 0, indices: 4 },
  kvm_msrs: { size: 8, nmsrs: 0, entries: 8 },
  kvm_msr_entry: { size: 16, index: 0, data: 8 },
  kvm_debugregs: { size: 128, db: 0, dr6: 32, dr7: 40, flags: 48 },
  kvm_mp_state: { size: 4, mp_state: 0 },
  kvm_vcpu_events: { size: 64 },
  kvm_lapic_state: { size: 1024 },
  kvm_fpu: { size: 416 },
} as const;

export const kvmFlag = {
  KVM_MEM_LOG_DIRTY_PAGES: 1, KVM_MEM_READONLY: 2, KVM_IRQ_ROUTING_IRQCHIP: 1,
  KVM_IRQ_ROUTING_MSI: 2, KVM_IRQFD_FLAG_DEASSIGN: 1, KVM_IOEVENTFD_FLAG_DATAMATCH: 1,
  KVM_IOEVENTFD_FLAG_PIO: 2, KVM_IOEVENTFD_FLAG_DEASSIGN: 4, KVM_PIT_SPEAKER_DUMMY: 1,
  KVM_PIT_FLAGS_HPET_LEGACY: 1, KVM_IRQCHIP_PIC_MASTER: 0, KVM_IRQCHIP_PIC_SLAVE: 1,
  KVM_IRQCHIP_IOAPIC: 2, KVM_MP_STATE_RUNNABLE: 0, KVM_MP_STATE_UNINITIALIZED: 1,
  KVM_MP_STATE_HALTED: 3, KVM_EXIT_IO_IN: 0, KVM_EXIT_IO_OUT: 1,
  KVM_MSR_EXIT_REASON_UNKNOWN: 2,
} as const;
