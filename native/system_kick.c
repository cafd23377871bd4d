/* Kicks: a signal that does nothing but end another thread's system call. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include "system.h"

enum { slots_max = 1024 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_t threads[slots_max];
static unsigned char used[slots_max];
static _Thread_local int own_slot = -1;

static int kick_signal(void) {
  return SIGRTMIN + 5; /* The lowest ones belong to thread libraries. */
}

static void ignore(int number) {
  (void)number;
}

/* Without SA_RESTART, or the call would go on. */
static int install(void) {
  struct sigaction action = { .sa_handler = ignore };
  sigemptyset(&action.sa_mask);
  return sigaction(kick_signal(), &action, NULL) < 0 ? -errno : 0;
}

static int take_slot(void) {
  for (int slot = 0; slot < slots_max; slot += 1) {
    if (!used[slot]) {
      used[slot] = 1;
      threads[slot] = pthread_self();
      return slot;
    }
  }
  return -EAGAIN;
}

int system_kick_slot(void) {
  if (own_slot >= 0) {
    return own_slot;
  }
  int result = install();
  if (result == 0) {
    pthread_mutex_lock(&lock);
    result = take_slot();
    pthread_mutex_unlock(&lock);
  }
  own_slot = result < 0 ? -1 : result;
  return result;
}

void system_kick_leave(int slot) {
  pthread_mutex_lock(&lock);
  used[slot] = 0;
  pthread_mutex_unlock(&lock);
  own_slot = -1;
}

int system_kick(int slot) {
  if (slot < 0 || slot >= slots_max) {
    return -ESRCH;
  }
  pthread_mutex_lock(&lock);
  int result = used[slot] ? -pthread_kill(threads[slot], kick_signal()) : -ESRCH;
  pthread_mutex_unlock(&lock);
  return result;
}
