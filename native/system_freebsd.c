/* What FreeBSD alone has, or has its own way. */
#include <sys/types.h>
#include <sys/capsicum.h>
#include <sys/event.h>
#include <sys/eventfd.h>
#include <sys/ioccom.h>
#include <sys/mman.h>
#include <sys/sysctl.h>
#include <sys/time.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "system.h"

static int result_of(int result) {
  return result < 0 ? -errno : result;
}

size_t system_ioctl_bytes(uint32_t request) {
  return (request & (IOC_IN | IOC_OUT)) == 0 ? 0 : IOCPARM_LEN(request);
}

/* The kernel copies arguments by the size in the number; a plain value never is an address. */
int system_ioctl_value_allowed(uint32_t request, uint32_t value) {
  (void)value;
  return (request & (IOC_IN | IOC_OUT)) == 0;
}

int system_ioctl_makes_descriptor(uint32_t request) {
  (void)request;
  return 0;
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

int64_t system_sysctl(const char *name, uint8_t *old_bytes, size_t old_length,
                      const uint8_t *new_bytes, size_t new_length) {
  size_t length = old_length;
  int reads = new_length == 0;
  int result = sysctlbyname(name, reads ? old_bytes : NULL, reads ? &length : NULL, new_bytes,
                            new_length);
  return result < 0 ? -errno : reads ? (int64_t)length : 0;
}

size_t system_kevent_bytes(void) {
  return sizeof(struct kevent);
}

int system_kqueue(void) {
  return descriptor_own(result_of(kqueue()));
}

int system_kevent(int kq, const uint8_t *changes, size_t change_count, uint8_t *events,
                  size_t event_count, int timeout_ms) {
  struct timespec limit = { .tv_sec = timeout_ms / 1000,
                            .tv_nsec = (long)(timeout_ms % 1000) * 1000000 };
  return result_of(kevent(kq, (const struct kevent *)(const void *)changes, (int)change_count,
                          (struct kevent *)(void *)events, (int)event_count,
                          timeout_ms < 0 ? NULL : &limit));
}

int system_cap_enter(void) {
  return result_of(cap_enter());
}
