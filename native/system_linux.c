/* What Linux alone has, or has its own way. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "system.h"

static int result_of(long result) {
  return result < 0 ? -errno : (int)result;
}

size_t system_ioctl_bytes(uint32_t request) {
  return _IOC_DIR(request) == _IOC_NONE ? 0 : _IOC_SIZE(request);
}

/* Nothing is mapped in the first 64 KiB (vm.mmap_min_addr); KVM's numbers without a direction take
 * plain values (asm/kvm.h). */
enum { group_kvm = 0xae, value_max = 0xffff };

int system_ioctl_value_allowed(uint32_t request, uint32_t value) {
  return value <= value_max || (_IOC_DIR(request) == _IOC_NONE && _IOC_TYPE(request) == group_kvm);
}

/* KVM_CREATE_VM and KVM_CREATE_VCPU (linux/kvm.h). */
int system_ioctl_makes_descriptor(uint32_t request) {
  return request == _IO(group_kvm, 0x01) || request == _IO(group_kvm, 0x41);
}

int system_memfd(const char *name, int64_t length) {
  int fd = descriptor_own(result_of(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING)));
  if (fd >= 0 && (ftruncate(fd, length) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)) {
    int error = errno;
    system_close(fd);
    return -error;
  }
  return fd;
}

int system_eventfd(uint32_t initial, int blocking) {
  return descriptor_own(result_of(eventfd(initial, EFD_CLOEXEC | (blocking ? 0 : EFD_NONBLOCK))));
}

int system_ring_setup(uint32_t entries, uint8_t *params) {
  _Static_assert(sizeof(struct io_uring_params) == ring_params_bytes, "io_uring(7)");
  struct io_uring_params copy;
  memcpy(&copy, params, sizeof copy);
  int fd = descriptor_own(result_of(syscall(__NR_io_uring_setup, entries, &copy)));
  memcpy(params, &copy, sizeof copy);
  return fd;
}

int system_ring_enter(int fd, uint32_t to_submit, uint32_t min_complete, uint32_t flags) {
  return result_of(syscall(__NR_io_uring_enter, fd, to_submit, min_complete, flags, NULL, 0));
}

/* As with ioctl, the kernel reads and writes a copy with room to spare. */
enum { scratch_bytes = 64 * 1024 };

int system_ring_register(int fd, uint32_t opcode, uint8_t *bytes, size_t length, uint32_t count) {
  _Alignas(16) uint8_t scratch[scratch_bytes];
  if (length > scratch_bytes) {
    return -EINVAL;
  }
  memset(scratch, 0, scratch_bytes);
  memcpy(scratch, bytes, length);
  void *argument = length == 0 ? NULL : scratch;
  int result = result_of(syscall(__NR_io_uring_register, fd, opcode, argument, count));
  memcpy(bytes, scratch, length);
  return result;
}

/* The file of a variable (proc(5), /proc/sys): dots of the name are its folders. */
static int open_variable(const char *name, int flags) {
  char path[512] = "/proc/sys/";
  size_t at = strlen(path);
  for (; *name != '\0' && at < sizeof path - 1; name += 1) {
    path[at++] = *name == '.' ? '/' : *name;
  }
  path[at] = '\0';
  return result_of(open(path, flags | O_CLOEXEC));
}

int64_t system_sysctl(const char *name, uint8_t *old_bytes, size_t old_length,
                      const uint8_t *new_bytes, size_t new_length) {
  int fd = open_variable(name, new_length > 0 ? O_WRONLY : O_RDONLY);
  if (fd < 0) {
    return fd;
  }
  ssize_t result = new_length > 0 ? write(fd, new_bytes, new_length)
                                  : read(fd, old_bytes, old_length);
  int error = errno;
  close(fd);
  return result < 0 ? -error : new_length > 0 ? 0 : result;
}
