/* SPDX-License-Identifier: Apache-2.0 */
#include "stop.h"

#include "cli.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const int stopping_signals[] = {SIGINT, SIGTERM};
enum { STOPPING_SIGNALS = sizeof stopping_signals / sizeof *stopping_signals };

static atomic_int caught_signal;
static atomic_bool requested;
static int wake_fd = -1; /* readable from the stop on, so that poll() returns */

static void wake_reader(void)
{
  const uint64_t one = 1;
  ssize_t written = write(wake_fd, &one, sizeof one);
  (void)written; /* fails only when the counter is full, and then it is readable */
}

static void on_signal(int number)
{
  const int saved = errno;
  struct sigaction action;
  size_t i;

  memset(&action, 0, sizeof action);
  action.sa_handler = SIG_DFL;
  for (i = 0; i < STOPPING_SIGNALS; i++) sigaction(stopping_signals[i], &action, NULL);
  atomic_store(&caught_signal, number);
  atomic_store(&requested, true);
  wake_reader();
  errno = saved;
}

bool stop_prepare(void)
{
  struct sigaction action, before;
  size_t i;

  wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd < 0) {
    complain("cannot make an eventfd: %s", strerror(errno));
    return false;
  }
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  for (i = 0; i < STOPPING_SIGNALS; i++) {
    sigaction(stopping_signals[i], NULL, &before);
    if (before.sa_handler != SIG_IGN) sigaction(stopping_signals[i], &action, NULL);
  }
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, NULL);
  return true;
}

void stop_reading(void)
{
  atomic_store(&requested, true);
  wake_reader();
}

bool stop_requested(void)
{
  return atomic_load_explicit(&requested, memory_order_relaxed);
}

int stop_signal(void)
{
  return atomic_load(&caught_signal);
}

void stop_die_of(int number)
{
  struct sigaction action;

  memset(&action, 0, sizeof action);
  action.sa_handler = SIG_DFL;
  sigaction(number, &action, NULL);
  raise(number);
}

ssize_t stoppable_read(int fd, bool may_block, void *to, size_t size)
{
  for (;;) {
    ssize_t got;

    if (stop_requested()) return READ_STOPPED;
    if (may_block) {
      struct pollfd ready[2] = {{.fd = fd, .events = POLLIN}, {.fd = wake_fd, .events = POLLIN}};
      if (poll(ready, 2, -1) < 0 && errno != EINTR) return -1;
      if (!ready[0].revents) continue; /* the stop, or a signal that is none of ours */
    }
    got = read(fd, to, size);
    if (got >= 0) return got;
    if (errno == EAGAIN || errno == EWOULDBLOCK) may_block = true;
    else if (errno != EINTR) return -1;
  }
}
