/*
 * What a C program makes of the same guests as bench/kvm.ts: `kvm-loop EXITS` prints nanoseconds an
 * exit of KVM_RUN, and `kvm-loop ioctl CALLS` nanoseconds of an ioctl that does nothing.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1e9 + at.tv_nsec;
}

static void need(int ok, const char *what) {
  if (!ok) {
    perror(what);
    exit(1);
  }
}

static volatile uint32_t sink;

static void serve(struct kvm_run *run) {
  if (run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_OUT) {
    sink += *((uint8_t *)run + run->io.data_offset);
  } else {
    need(0, "unexpected exit");
  }
}

static void time_exits(int vcpu, struct kvm_run *run, long exits) {
  double start = now();
  for (long left = exits; left > 0; left -= 1) {
    need(ioctl(vcpu, KVM_RUN, 0) == 0, "KVM_RUN");
    serve(run);
  }
  printf("%.1f\n", (now() - start) / exits);
}

static void time_calls(int kvm, long calls) {
  struct { uint32_t count, zero; } list = { 0, 0 };
  double start = now();
  for (long left = calls; left > 0; left -= 1) {
    list.count = 0;
    ioctl(kvm, KVM_GET_MSR_INDEX_LIST, &list); /* Copies four bytes in and out, and fails. */
  }
  printf("%.1f\n", (now() - start) / calls);
}

int main(int argc, char **argv) {
  int kvm = open("/dev/kvm", O_RDWR);
  need(kvm >= 0, "/dev/kvm");
  if (argc > 2 && strcmp(argv[1], "ioctl") == 0) {
    time_calls(kvm, atol(argv[2]));
    return 0;
  }
  /* OUT 0x80, AL; JMP back. */
  static const uint8_t code[] = { 0xe6, 0x80, 0xeb, 0xfc };
  int vm = ioctl(kvm, KVM_CREATE_VM, 0);
  need(vm >= 0, "KVM_CREATE_VM");
  ioctl(vm, KVM_SET_TSS_ADDR, 0xfeffd000);
  need(ioctl(vm, KVM_CREATE_IRQCHIP, 0) == 0, "KVM_CREATE_IRQCHIP");
  uint8_t *ram = mmap(NULL, 0x80000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(ram + 0x1000, code, sizeof code);
  struct kvm_userspace_memory_region region = { .memory_size = 0x80000,
                                                .userspace_addr = (uintptr_t)ram };
  need(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) == 0, "KVM_SET_USER_MEMORY_REGION");
  int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
  size_t bytes = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
  struct kvm_run *run = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
  need(run != MAP_FAILED, "mmap");
  struct kvm_sregs sregs;
  ioctl(vcpu, KVM_GET_SREGS, &sregs);
  sregs.cs.base = sregs.cs.selector = 0;
  ioctl(vcpu, KVM_SET_SREGS, &sregs);
  struct kvm_regs regs = { .rip = 0x1000, .rflags = 2 };
  ioctl(vcpu, KVM_SET_REGS, &regs);
  time_exits(vcpu, run, 1000);
  time_exits(vcpu, run, argc > 1 ? atol(argv[1]) : 100000);
  return 0;
}
