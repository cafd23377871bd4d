/* launcher SOCKET PROGRAM ARGUMENT...: hands open of files, and ioctl of /dev/vmm's groups, over to
 * the supervisor at the other end of SOCKET (seccomp_unotify(2)), and runs PROGRAM. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define DO(action) BPF_STMT(BPF_RET | BPF_K, action)
/* Descriptors that the supervisor gives for writes of hw.vmm.create and hw.vmm.destroy. */
enum { create_fd = 900, destroy_fd = 901 };

static int install(void) {
  struct sock_filter rows[] = {
    LOAD(nr),
    IF(__NR_openat, 10, 0),
    IF(__NR_ioctl, 0, 4),
    LOAD(args[1]),
    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff00),
    IF('v' << 8, 6, 0),
    IF('V' << 8, 5, 4),
    IF(__NR_write, 0, 3),
    LOAD(args[0]),
    IF(create_fd, 2, 0),
    IF(destroy_fd, 1, 0),
    DO(SECCOMP_RET_ALLOW),
    DO(SECCOMP_RET_USER_NOTIF),
  };
  struct sock_fprog program = { .len = sizeof rows / sizeof rows[0], .filter = rows };
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
    return -1;
  }
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                      &program);
}

static int send_descriptor(int to, int fd) {
  char byte = 1;
  union { struct cmsghdr header; char bytes[CMSG_SPACE(sizeof(int))]; } control;
  struct iovec vector = { &byte, 1 };
  struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control,
                            .msg_controllen = sizeof control };
  memset(&control, 0, sizeof control);
  control.header.cmsg_level = SOL_SOCKET;
  control.header.cmsg_type = SCM_RIGHTS;
  control.header.cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
  return sendmsg(to, &message, 0) == 1 ? 0 : -1;
}

int main(int argc, char **argv) {
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int to = socket(AF_UNIX, SOCK_STREAM, 0), listener;
  if (argc < 3) {
    return 2;
  }
  strncpy(address.sun_path, argv[1], sizeof address.sun_path - 1);
  if (connect(to, (struct sockaddr *)&address, sizeof address) < 0 ||
      (listener = install()) < 0 || send_descriptor(to, listener) < 0) {
    fprintf(stderr, "launcher: %s\n", strerror(errno));
    return 1;
  }
  close(to);
  close(listener);
  execv(argv[2], argv + 2);
  fprintf(stderr, "launcher: %s: %s\n", argv[2], strerror(errno));
  return 1;
}
