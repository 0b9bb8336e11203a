/* SPDX-License-Identifier: Apache-2.0 */
#include "watchdog.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include "../cli.h"
#include "../timing.h"

#define NOTHING_EXPECTED INT64_MAX

static _Atomic int64_t deadline_ns = NOTHING_EXPECTED;
static const char *_Atomic expected = "";
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void *watch(void *unused)
{
  const struct timespec pause = {0, 200 * 1000 * 1000};

  (void)unused;
  while (clock_ns() < atomic_load(&deadline_ns)) nanosleep(&pause, NULL);
  complain("bench: %s does not come to an end: this cannot be waited for any longer", atomic_load(&expected));
  _exit(EXIT_SYSTEM); /* not exit(): threads that hang may hold locks that it takes */
}

static void start(void)
{
  pthread_t thread;

  if (pthread_create(&thread, NULL, watch, NULL) == 0) pthread_detach(thread);
  else complain("bench: no watchdog could be started: a queue that hangs will not be noticed");
}

void watchdog_expect(const char *what, double seconds)
{
  atomic_store(&expected, what);
  atomic_store(&deadline_ns, clock_ns() + (int64_t)(seconds * 1e9));
  pthread_once(&once, start);
}

void watchdog_rest(void)
{
  atomic_store(&deadline_ns, NOTHING_EXPECTED);
}
