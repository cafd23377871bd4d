/* The calls of FreeBSD, where there are none. */
#include <errno.h>
#include "system.h"

size_t system_kevent_bytes(void) {
  return 1;
}

int system_kqueue(void) {
  return -ENOSYS;
}

int system_kevent(int kq, const uint8_t *changes, size_t change_count, uint8_t *events,
                  size_t event_count, int timeout_ms) {
  (void)kq, (void)changes, (void)change_count, (void)events, (void)event_count, (void)timeout_ms;
  return -ENOSYS;
}

int system_cap_enter(void) {
  return -ENOSYS;
}
