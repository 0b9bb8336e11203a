/* SPDX-License-Identifier: Apache-2.0 */
/* How a thread waits: spin, then sleep, with a way out at every turn. */
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "queue.h"

#define SPIN_NS 20000u            /* how long a wait spins before it sleeps */
#define SPIN_TURNS 32u            /* pauses between two looks at the clock, while spinning */
#define SLACK_NS 1000             /* ns by which the timer of a short sleep may be late */
#define SLACK_MATTERS_NS 500000u  /* longer sleeps may be late by the usual slack */
#define LONGEST_SLEEP_NS 1000000u
#define HEALTH_NS 20000000u       /* how often a sleeping wait asks whether the consumer is well */

uint64_t gq_now(void)
{
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int gq_start_thread(pthread_t *thread, void *(*run)(void *), void *argument)
{
  sigset_t all, before;
  int error;

  sigfillset(&all);
  /* A fault whose signal is blocked kills the process at once, past the application's own handlers for it, and past
   * those of sanitizers, which would have said what happened. */
  sigdelset(&all, SIGSEGV), sigdelset(&all, SIGBUS), sigdelset(&all, SIGFPE), sigdelset(&all, SIGILL);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  error = pthread_create(thread, NULL, run, argument);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error;
}

void gq_wait_begin(gq_waiting *w, const gq_core *core, int64_t timeout_ns)
{
  if (timeout_ns == GQ_DEFAULT_TIMEOUT) timeout_ns = core->default_timeout_ns;
  w->begin = w->checked = 0;
  w->deadline = timeout_ns < 0 ? UINT64_MAX : (uint64_t)timeout_ns;
  w->turns = 0;
  w->spinning = true;
  w->announced = false;
  w->counted = false;
}

gq_status gq_core_lost(gq_core *core)
{
  return gq_fail(GQ_DEVICE_LOST, "%s", core->lost_text);
}

gq_status gq_why_unusable(const gq_queue *queue)
{
  if (!queue) return gq_fail(GQ_INVALID, "the queue's handle is NULL");
  if (__atomic_load_n(&queue->core->lost, __ATOMIC_ACQUIRE)) return gq_core_lost(queue->core);
  return gq_fail(GQ_SHUT_DOWN, "the queue is shut down");
}

gq_status gq_check_health(gq_core *core)
{
  if (!__atomic_load_n(&core->lost, __ATOMIC_ACQUIRE)) {
    if (core->backend->health(core->state) == GQ_OK) return GQ_OK;
    pthread_mutex_lock(&core->lock);
    if (!core->lost) {
      char names[256];

      core->backend->suspect(core->state, &core->suspects);
      gq_suspects_say(&core->suspects, names, sizeof names);
      snprintf(core->lost_text, sizeof core->lost_text, "handler %s, running on %s: %s",
               core->consumption.handler->declared->info.name, names, gq_last_error());
      __atomic_store_n(&core->lost, 1, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&core->lock);
  }
  return gq_core_lost(core);
}

void gq_sleep_on(gq_a32 *word, uint32_t seen, uint64_t ns)
{
  const struct timespec t = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};

  syscall(SYS_futex, &word->v, FUTEX_WAIT, seen, &t, NULL, 0);
}

void gq_wake(gq_a32 *word, int threads)
{
  gq_add32(word, 1, GQ_ACQ_REL);
  syscall(SYS_futex, &word->v, FUTEX_WAKE, threads, NULL, NULL, 0);
}

/* gq_sleep_on() for a client. The kernel lets timers of a thread be late by its slack, 50 us unless somebody has set
 * it, to wake several at once; results of a GPU, which can wake nobody, would come late by that much. */
static void sleep_briefly(gq_a32 *word, uint32_t seen, uint64_t ns)
{
  const int slack = ns < SLACK_MATTERS_NS ? prctl(PR_GET_TIMERSLACK) : -1;

  if (slack > SLACK_NS) prctl(PR_SET_TIMERSLACK, (unsigned long)SLACK_NS);
  gq_sleep_on(word, seen, ns);
  if (slack > SLACK_NS) prctl(PR_SET_TIMERSLACK, (unsigned long)slack);
}

static bool is_over(const gq_core *core, const gq_lane *lane, enum gq_until until)
{
  if (until == GQ_UNTIL_CLOSED && gq_is_closed(core, lane)) return true;
  return until != GQ_THROUGH_END &&
         (__atomic_load_n(&core->ended, __ATOMIC_ACQUIRE) || __atomic_load_n(&lane->ended, __ATOMIC_ACQUIRE));
}

/* Ask for a wake-up, and then look once more before sleeping: what comes after that look finds the wish. Whoever looks
 * at the wish has no fence (a GPU does not look at all), so it may be missed; that costs no more than one sleep. */
static void announce(gq_waiting *w, gq_sleeping *at)
{
  w->seen = gq_ld32(&at->woken, GQ_ACQUIRE, GQ_SYS); /* before the wish: see gq_wake_all() */
  gq_st32(&at->wanted, 1, GQ_RELAXED, GQ_SYS);
  gq_fence_sys();
  w->announced = true;
}

void gq_wake_all(gq_sleeping *at)
{
  /* First: a wish that this overwrites was announced by one who saw the old count, and will not sleep on it. */
  gq_st32(&at->wanted, 0, GQ_RELAXED, GQ_SYS);
  gq_wake(&at->woken, INT_MAX);
}

/* Pauses between two looks. The states that a full ring's sender looks at are what the receiver is just writing: each
 * look takes their line from it, and finds room for one message, so that the next must be waited for again. Whoever is
 * to make room in a large ring has more than a microsecond's work before it, so the sender may as well look away. */
static uint32_t patience(const gq_lane *lane, enum gq_until until)
{
  const uint32_t pauses = until == GQ_UNTIL_CLOSED ? lane->capacity / 256 : 1;

  return pauses < 1 ? 1 : pauses < SPIN_TURNS / 2 ? pauses : SPIN_TURNS / 2;
}

gq_status gq_wait_turn(gq_waiting *w, gq_core *core, gq_lane *lane, enum gq_until until)
{
  gq_sleeping *at = until == GQ_UNTIL_CLOSED ? &lane->head->for_room : &lane->head->for_results;
  uint64_t now, sleep;

  if (!w->counted) { /* from here on gq_shutdown() waits for this call to leave */
    w->counted = true;
    __atomic_fetch_add(&lane->waiters, 1, __ATOMIC_ACQ_REL);
  }
  for (uint32_t left = patience(lane, until); left > 0; left--, w->turns++) gq_pause();
  if (w->spinning && w->turns < SPIN_TURNS) return GQ_OK;
  w->turns = 0;
  now = gq_now();
  if (!w->begin) {
    w->begin = w->checked = now;
    if (w->deadline != UINT64_MAX) w->deadline = w->deadline > UINT64_MAX - now ? UINT64_MAX : now + w->deadline;
  }
  if (__atomic_load_n(&core->lost, __ATOMIC_ACQUIRE)) return gq_core_lost(core);
  if (is_over(core, lane, until)) return gq_fail(GQ_SHUT_DOWN, "the queue is shut down");
  if (now >= w->deadline)
    return gq_fail(GQ_TIMEOUT, "nothing came in %.3f ms", (double)(now - w->begin) * 1e-6);
  w->spinning = now - w->begin < SPIN_NS;
  if (w->spinning) {
    /* Who is to do the work may need this very core. */
    if (core->running == GQ_BACKEND_CPU) sched_yield();
    return GQ_OK;
  }
  if (now - w->checked >= HEALTH_NS) {
    const gq_status status = gq_check_health(core);

    w->checked = now;
    if (status != GQ_OK) return status;
  }
  if (!w->announced) {
    announce(w, at);
    return GQ_OK;
  }
  sleep = (now - w->begin) / 8;
  if (sleep > LONGEST_SLEEP_NS) sleep = LONGEST_SLEEP_NS;
  if (sleep > w->deadline - now) sleep = w->deadline - now;
  sleep_briefly(&at->woken, w->seen, sleep);
  announce(w, at);
  return GQ_OK;
}

void gq_wait_end(gq_waiting *w, gq_lane *lane)
{
  if (w->counted) __atomic_fetch_sub(&lane->waiters, 1, __ATOMIC_ACQ_REL);
}

gq_status gq_check_now_and_then(gq_core *core)
{
  static _Thread_local uint32_t calls;
  uint64_t asked, now;

  if (__atomic_load_n(&core->lost, __ATOMIC_ACQUIRE)) return gq_core_lost(core);
  if (++calls % SPIN_TURNS) return GQ_OK;
  now = gq_now();
  asked = __atomic_load_n(&core->health_asked, __ATOMIC_RELAXED);
  if (now - asked < HEALTH_NS ||
      !__atomic_compare_exchange_n(&core->health_asked, &asked, now, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
    return GQ_OK;
  return gq_check_health(core);
}

void gq_kick_consumer(gq_core *core)
{
  if (core->backend->kick(core->state) != GQ_OK) gq_check_health(core);
}
