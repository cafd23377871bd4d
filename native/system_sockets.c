/* UNIX sockets that carry descriptors (unix(7), SCM_RIGHTS). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "system.h"

#ifndef MSG_CMSG_CLOEXEC
#define MSG_CMSG_CLOEXEC 0
#endif

static int own_new(int fd) {
  if (fd < 0) {
    return -errno;
  }
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  return descriptor_own(fd);
}

int system_socket_pair(int fds[2]) {
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0) {
    return -errno;
  }
  int first = own_new(fds[0]), second = own_new(fds[1]);
  return first < 0 ? first : second < 0 ? second : 0;
}

size_t system_unix_path_max(void) {
  return sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
}

/* Makes a socket and binds it to, or connects it with, a path that fits. */
static int at_path(const char *path, int (*call)(int, const struct sockaddr *, socklen_t)) {
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd >= 0 && call(fd, (struct sockaddr *)&address, sizeof address) < 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  return own_new(fd);
}

int system_unix_connect(const char *path) {
  return at_path(path, connect);
}

int system_unix_listen(const char *path, int backlog) {
  int fd = at_path(path, bind);
  if (fd >= 0 && listen(fd, backlog) < 0) {
    int error = errno;
    system_close(fd);
    return -error;
  }
  return fd;
}

int system_accept(int fd) {
  return own_new(accept(fd, NULL, NULL));
}

union control {
  struct cmsghdr header;
  unsigned char bytes[CMSG_SPACE(descriptors_max * sizeof(int))];
};

int64_t system_send(int fd, const uint8_t *bytes, size_t length, const int32_t *fds,
                    size_t count) {
  union control control;
  struct iovec vector = { .iov_base = (void *)bytes, .iov_len = length };
  struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
  if (count > 0) {
    memset(&control, 0, sizeof control);
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(header), fds, count * sizeof(int));
  }
  ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
  return sent < 0 ? -errno : sent;
}

/* Takes the descriptors of one control message; the rest of `fds` stays -1. */
static size_t take(const struct cmsghdr *header, int32_t *fds, size_t taken, size_t count) {
  size_t given = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  for (size_t i = 0; i < given; i += 1) {
    int fd;
    memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
    int own = own_new(fd);
    if (taken < count) {
      fds[taken++] = own;
    } else if (own >= 0) {
      system_close(own);
    }
  }
  return taken;
}

int64_t system_receive(int fd, uint8_t *bytes, size_t length, int32_t *fds, size_t count) {
  union control control;
  struct iovec vector = { .iov_base = bytes, .iov_len = length };
  struct msghdr message = {
    .msg_iov = &vector, .msg_iovlen = 1,
    .msg_control = &control, .msg_controllen = sizeof control,
  };
  ssize_t received = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  if (received < 0) {
    return -errno;
  }
  size_t taken = 0;
  for (size_t i = 0; i < count; i += 1) {
    fds[i] = -1;
  }
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
      taken = take(header, fds, taken, count);
    }
  }
  return received;
}
