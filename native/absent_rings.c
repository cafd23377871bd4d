/* io_uring, where there is none. */
#include <errno.h>
#include "system.h"

int system_ring_setup(uint32_t entries, uint8_t *params) {
  (void)entries, (void)params;
  return -ENOSYS;
}

int system_ring_enter(int fd, uint32_t to_submit, uint32_t min_complete, uint32_t flags) {
  (void)fd, (void)to_submit, (void)min_complete, (void)flags;
  return -ENOSYS;
}

int system_ring_register(int fd, uint32_t opcode, uint8_t *bytes, size_t length, uint32_t count) {
  (void)fd, (void)opcode, (void)bytes, (void)length, (void)count;
  return -ENOSYS;
}
