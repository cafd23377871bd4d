/* Which descriptors are ours: one bit each, for all threads. */
#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>
#include "system.h"

enum { descriptor_max = 1 << 16, word_bits = 64 };

static atomic_uint_least64_t owned[descriptor_max / word_bits];

static uint64_t bit_of(int fd) {
  return UINT64_C(1) << (fd % word_bits);
}

int descriptor_own(int fd) {
  if (fd < 0) {
    return fd;
  }
  if (fd >= descriptor_max) {
    close(fd);
    return -EMFILE;
  }
  atomic_fetch_or(&owned[fd / word_bits], bit_of(fd));
  return fd;
}

int descriptor_owned(int fd) {
  return fd >= 0 && fd < descriptor_max &&
         (atomic_load_explicit(&owned[fd / word_bits], memory_order_relaxed) & bit_of(fd)) != 0;
}

int descriptor_release(int fd) {
  return fd >= 0 && fd < descriptor_max &&
         (atomic_fetch_and(&owned[fd / word_bits], ~bit_of(fd)) & bit_of(fd)) != 0;
}
