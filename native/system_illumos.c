/* What illumos has its own way, and what it lacks. */
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/types.h>
#include "system.h"

static int result_of(int result) {
  return result < 0 ? -errno : result;
}

/* Numbers carry no sizes here; the vmm driver copies what its tables say. */
size_t system_ioctl_bytes(uint32_t request) {
  (void)request;
  return 0;
}

enum { value_max = 0xffff };

int system_ioctl_value_allowed(uint32_t request, uint32_t value) {
  (void)request;
  return value <= value_max;
}

int system_ioctl_makes_descriptor(uint32_t request) {
  (void)request;
  return 0;
}

int system_memfd(const char *name, int64_t length) {
  (void)name, (void)length;
  return -ENOSYS;
}

int system_eventfd(uint32_t initial, int blocking) {
  return descriptor_own(result_of(eventfd(initial, EFD_CLOEXEC | (blocking ? 0 : EFD_NONBLOCK))));
}

int64_t system_sysctl(const char *name, uint8_t *old_bytes, size_t old_length,
                      const uint8_t *new_bytes, size_t new_length) {
  (void)name, (void)old_bytes, (void)old_length, (void)new_bytes, (void)new_length;
  return -ENOSYS;
}
