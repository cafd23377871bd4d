/* System calls that all hosts have: files, ioctl, batches of reads and writes, mappings. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include "system.h"

static int result_of(int result) {
  return result < 0 ? -errno : result;
}

int system_open(const char *path, int flags, int mode) {
  return descriptor_own(result_of(open(path, flags | O_CLOEXEC, mode)));
}

int system_adopt(int fd) {
  return descriptor_own(result_of(fcntl(fd, F_DUPFD_CLOEXEC, 3)));
}

int system_close(int fd) {
  return descriptor_release(fd) ? result_of(close(fd)) : -EBADF;
}

int system_set_blocking(int fd, int blocking) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0) {
    return -errno;
  }
  return result_of(fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK));
}

/* The kernel works on a copy with room to spare: an answer longer than the caller's buffer, as of
 * an ioctl whose number does not tell its size, hurts nobody. */
enum { scratch_bytes = 64 * 1024 };

int system_ioctl(int fd, uint32_t request, uint8_t *bytes, size_t length) {
  _Alignas(16) uint8_t scratch[scratch_bytes];
  if (length > scratch_bytes) {
    return result_of(ioctl(fd, (unsigned long)request, bytes));
  }
  memcpy(scratch, bytes, length);
  int result = result_of(ioctl(fd, (unsigned long)request, scratch));
  memcpy(bytes, scratch, length);
  return result;
}

int system_ioctl_value(int fd, uint32_t request, uint32_t value) {
  int result = result_of(ioctl(fd, (unsigned long)request, (unsigned long)value));
  return system_ioctl_makes_descriptor(request) ? descriptor_own(result) : result;
}

enum { kind_pread, kind_pwrite, kind_sync, kind_read, kind_write, kind_count };
#define position_max 9007199254740991.0 /* 2^53 - 1, the largest safe integer */

/* A whole number from 0 to `max`, or -1. */
static int64_t whole(double value, double max) {
  return value >= 0 && value <= max && (double)(int64_t)value == value ? (int64_t)value : -1;
}

/* Returns the bytes of all segments, or -1. */
static int64_t gather(const struct batch *batch, int64_t first, int64_t count,
                      struct iovec *vector) {
  int64_t total = 0;
  for (int64_t i = 0; i < count; i += 1) {
    const volatile double *row = batch->segments + (first + i) * segment_columns;
    int64_t offset = whole(row[0], (double)batch->memory_length);
    int64_t length = whole(row[1], (double)batch->memory_length);
    if (offset < 0 || length < 0 || (size_t)(offset + length) > batch->memory_length) {
      return -1;
    }
    vector[i].iov_base = batch->memory + offset;
    vector[i].iov_len = (size_t)length;
    total += length;
  }
  return total;
}

static int64_t transfer(int fd, int64_t kind, const struct iovec *vector, int count,
                        int64_t position) {
  ssize_t result = 0;
  switch (kind) {
    case kind_pread: result = preadv(fd, vector, count, position); break;
    case kind_pwrite: result = pwritev(fd, vector, count, position); break;
    case kind_sync: result = fdatasync(fd); break;
    case kind_read: result = readv(fd, vector, count); break;
    default: result = writev(fd, vector, count); break;
  }
  return result < 0 ? -errno : result;
}

int64_t system_transfer(int fd, const struct batch *batch) {
  struct iovec vector[segments_max];
  for (size_t i = 0; i < batch->request_count; i += 1) {
    volatile double *row = batch->requests + i * transfer_columns;
    int64_t kind = whole(row[0], kind_count - 1);
    int64_t position = whole(row[1], position_max);
    int64_t first = whole(row[2], (double)batch->segment_count);
    int64_t count = whole(row[3], segments_max);
    if (kind < 0 || position < 0 || first < 0 || count < 0 ||
        (size_t)(first + count) > batch->segment_count) {
      return transfer_invalid - (int64_t)i;
    }
    int64_t wanted = gather(batch, first, count, vector);
    if (wanted < 0) {
      return transfer_invalid - (int64_t)i;
    }
    int64_t result = transfer(fd, kind, vector, (int)count, position);
    row[4] = (double)result;
    int is_write = kind == kind_pwrite || kind == kind_write;
    if (result < 0 || (is_write && result < wanted)) {
      return (int64_t)i + 1;
    }
  }
  return (int64_t)batch->request_count;
}

size_t system_page_bytes(void) {
  return (size_t)sysconf(_SC_PAGESIZE);
}

/* A page behind the end of a file is a fault at the first touch: only a file that reaches far
 * enough, and that nobody can shorten, is mapped. */
static int refusal(int fd, int64_t offset, size_t length) {
  struct stat status;
  if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
    return 0;
  }
#ifdef F_GET_SEALS
  int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) {
    return -EPERM;
  }
#endif
  return offset > status.st_size || (int64_t)length > status.st_size - offset ? -ENXIO : 0;
}

int system_map_zeroes(void *address, size_t length) {
  int flags = MAP_PRIVATE | MAP_ANON | MAP_FIXED;
  void *at = mmap(address, length, PROT_READ | PROT_WRITE, flags, -1, 0);
  return at == MAP_FAILED ? -errno : 0;
}

int system_map_over(void *address, size_t length, int fd, int64_t offset) {
  int refused = refusal(fd, offset, length);
  if (refused != 0) {
    return refused;
  }
  void *at = mmap(address, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, offset);
  if (at == MAP_FAILED) {
    int error = errno;
    system_map_zeroes(address, length); /* A device that refuses late leaves a hole. */
    return -error;
  }
  return 0;
}

int system_poll(struct poll_row *rows, size_t count, int timeout_ms) {
  struct pollfd polled[poll_rows_max];
  for (size_t i = 0; i < count; i += 1) {
    polled[i] = (struct pollfd){ .fd = rows[i].fd, .events = (short)rows[i].events };
  }
  int result = result_of(poll(polled, (nfds_t)count, timeout_ms));
  for (size_t i = 0; i < count && result >= 0; i += 1) {
    rows[i].revents = polled[i].revents;
  }
  return result;
}
