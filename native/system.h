/*
 * System calls as the glue wants them: one function each, no policy, only libc. A result below
 * zero is -errno. Pointers and lengths have been checked by the glue; what tables in shared memory
 * say is checked here, once it has been read.
 */
#ifndef TSBHYVE_SYSTEM_H
#define TSBHYVE_SYSTEM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Descriptors that this addon opened. Only these are used or closed, so that a wrong number never
 * reaches a descriptor of Node's own. */
int descriptor_own(int fd); /* Takes a result of a system call; passes errors on. */
int descriptor_owned(int fd);
int descriptor_release(int fd); /* 1 for the one caller that may close it. */

int system_open(const char *path, int flags, int mode);
int system_adopt(int fd);
int system_close(int fd);
int system_set_blocking(int fd, int blocking);

/* The least length of an ioctl's buffer that its number tells; 0 where it tells none. */
size_t system_ioctl_bytes(uint32_t request);
/* Whether `value` may be the argument itself: nothing that a kernel could take for an address. */
int system_ioctl_value_allowed(uint32_t request, uint32_t value);
int system_ioctl(int fd, uint32_t request, uint8_t *bytes, size_t length);
/* Whether the result is a new descriptor, which then is ours. */
int system_ioctl_makes_descriptor(uint32_t request);
int system_ioctl_value(int fd, uint32_t request, uint32_t value);

/* Batches. A row of `requests` is kind, file position, first segment, segment count, result; a row
 * of `segments` is offset in `memory`, length. Returns the rows carried out, the last of which may
 * have failed; or transfer_invalid - row when a row means nothing. */
enum { transfer_columns = 5, segment_columns = 2, segments_max = 1024 };
#define transfer_invalid (INT64_C(-0x100000000))
struct batch {
  uint8_t *memory;
  size_t memory_length;
  double *requests;
  size_t request_count;
  const double *segments;
  size_t segment_count;
};
int64_t system_transfer(int fd, const struct batch *batch);

/* Maps a descriptor, shared and writable, over memory that is there; or zeroes again. */
size_t system_page_bytes(void);
int system_map_over(void *address, size_t length, int fd, int64_t offset);
int system_map_zeroes(void *address, size_t length);
int system_memfd(const char *name, int64_t length);

int system_eventfd(uint32_t initial, int blocking);
struct poll_row { int32_t fd, events, revents; };
enum { poll_rows_max = 256 };
int system_poll(struct poll_row *rows, size_t count, int timeout_ms);

/* Kicks: a signal without effect, so that a system call of another thread ends with EINTR. */
int system_kick_slot(void); /* The calling thread's, the same each time. */
void system_kick_leave(int slot);
int system_kick(int slot);
void system_kick_cell(uint8_t *cell); /* The calling thread's; set to 1 by each kick. */
int system_kick_after(int64_t nanoseconds); /* Kicks the calling thread then; 0 never. */

enum { descriptors_max = 64 };
int system_socket_pair(int fds[2]);
int system_unix_connect(const char *path);
int system_unix_listen(const char *path, int backlog);
int system_accept(int fd);
size_t system_unix_path_max(void);
int64_t system_send(int fd, const uint8_t *bytes, size_t length, const int32_t *fds, size_t count);
int64_t system_receive(int fd, uint8_t *bytes, size_t length, int32_t *fds, size_t count);

/* Linux only; -ENOSYS elsewhere. */
enum { ring_params_bytes = 120 };
int system_ring_setup(uint32_t entries, uint8_t *params);
int system_ring_enter(int fd, uint32_t to_submit, uint32_t min_complete, uint32_t flags);
int system_ring_register(int fd, uint32_t opcode, uint8_t *bytes, size_t length, uint32_t count);

/* FreeBSD only; -ENOSYS elsewhere. */
int64_t system_sysctl(const char *name, uint8_t *old_bytes, size_t old_length,
                      const uint8_t *new_bytes, size_t new_length);
size_t system_kevent_bytes(void);
int system_kqueue(void);
int system_kevent(int kq, const uint8_t *changes, size_t change_count, uint8_t *events,
                  size_t event_count, int timeout_ms);
int system_cap_enter(void);

#ifdef __cplusplus
}
#endif
#endif
