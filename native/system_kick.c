/* Kicks: a signal that ends another thread's system call. A thread may name a byte that the signal
 * sets, so that a call it is about to make can end at once (KVM's immediate_exit). */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#ifdef __FreeBSD__
#include <pthread_np.h>
#endif
#include "system.h"

enum { slots_max = 1024 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_t threads[slots_max];
static unsigned char used[slots_max];
static _Thread_local int own_slot = -1;
static _Thread_local uint8_t *volatile own_cell;
static _Thread_local timer_t own_timer;
static _Thread_local int has_timer;

static int kick_signal(void) {
  return SIGRTMIN + 5; /* The lowest ones belong to thread libraries. */
}

static void note(int number) {
  (void)number;
  uint8_t *cell = own_cell;
  if (cell != NULL) {
    *(volatile uint8_t *)cell = 1;
  }
}

/* Without SA_RESTART, or the call would go on. */
static int install(void) {
  struct sigaction action = { .sa_handler = note };
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

void system_kick_cell(uint8_t *cell) {
  own_cell = cell;
}

static int make_timer(void) {
#if defined(SIGEV_THREAD_ID)
  struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = kick_signal() };
#if defined(__linux__)
  event._sigev_un._tid = gettid();
#else
  event.sigev_notify_thread_id = pthread_getthreadid_np();
#endif
  if (timer_create(CLOCK_MONOTONIC, &event, &own_timer) < 0) {
    return -errno;
  }
  has_timer = 1;
  return 0;
#else
  return -ENOSYS;
#endif
}

int system_kick_after(int64_t nanoseconds) {
  int made = has_timer ? 0 : make_timer();
  if (made < 0) {
    return made;
  }
  struct itimerspec when = {
    .it_value = { .tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000 },
  };
  return timer_settime(own_timer, 0, &when, NULL) < 0 ? -errno : 0;
}

/* In the thread that owns the slot, when it ends. */
void system_kick_leave(int slot) {
  if (has_timer) {
    timer_delete(own_timer);
    has_timer = 0;
  }
  own_cell = NULL;
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
