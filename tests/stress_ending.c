/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a queue against everything else: queue after queue is closed, drained or ended while threads send, wait,
 * poll and cancel on it. Nobody hangs, nobody sees anything but a right result or GQ_SHUT_DOWN, and nothing is left. */
#include "stress.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define THREADS 5
#define MOST_BYTES 3000

typedef struct round_state {
  gq_queue *lanes[2];
  uint64_t seed;
  atomic_uint inside;
  atomic_bool closing, failed;
  pthread_mutex_t lock;
  char wrong[512];
} round_state;

typedef struct guest {
  round_state *round;
  support_random random;
  pthread_t thread;
} guest;

static void fail(round_state *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fail(round_state *r, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  pthread_mutex_lock(&r->lock);
  if (!atomic_load(&r->failed)) vsnprintf(r->wrong, sizeof r->wrong, format, arguments);
  atomic_store(&r->failed, true);
  pthread_mutex_unlock(&r->lock);
  va_end(arguments);
}

/* \return true to go on; false once the queue is closed or something went wrong. */
static bool go_on(round_state *r, const char *call, gq_status status)
{
  if (status == GQ_OK) return true;
  if (status != GQ_SHUT_DOWN) fail(r, "%s gave %s: %s", call, gq_status_name((int)status), gq_last_error());
  return false;
}

/* -------------------------------------------------------------------------------- guests that leave when it closes */

static void *send_and_take(void *argument)
{
  guest *g = argument;
  round_state *r = g->round;
  unsigned char data[MOST_BYTES], back[MOST_BYTES];
  while (!atomic_load(&r->failed)) {
    const uint64_t content = support_next(&g->random);
    const uint64_t most = support_below(&g->random, 4) ? 100 : MOST_BYTES;
    const gq_message message = { .data = data, .size = support_below(&g->random, most),
                                 .key = support_below(&g->random, 3) };
    uint64_t id;
    size_t size = sizeof back;
    support_fill(data, message.size, content);
    if (!go_on(r, "gq_enqueue", gq_enqueue(r->lanes[0], &message, GQ_FOREVER, &id))) break;
    if (support_below(&g->random, 10) == 0) continue;   /* and never looked at: another's poll may find it */
    const gq_status status = gq_dequeue_result(r->lanes[0], id, back, &size, GQ_FOREVER);
    if (status == GQ_UNKNOWN_ID) continue;               /* polled away */
    if (!go_on(r, "gq_dequeue_result", status)) break;
    if (size != message.size || support_compare(back, size, content) != size) fail(r, "a wrong result");
  }
  return NULL;
}

static void *send_and_poll(void *argument)
{
  guest *g = argument;
  round_state *r = g->round;
  while (!atomic_load(&r->failed)) {
    gq_completion done[4];
    size_t count;
    const gq_message message = { .data = "abcd", .size = 4, .tag = 1 };
    uint64_t id;
    if (!go_on(r, "gq_enqueue", gq_enqueue(r->lanes[1], &message, GQ_FOREVER, &id))) break;
    if (!go_on(r, "gq_wait", gq_wait(r->lanes[1], done, 4, GQ_FOREVER, &count))) break;
    for (size_t i = 0; i < count; i++)
      if (done[i].status != GQ_OK || done[i].size != 4 || memcmp(done[i].data, "abcd", 4))
        fail(r, "a wrong completion");
    gq_release(r->lanes[1], done, count);
  }
  return NULL;
}

static void *poll_away(void *argument)
{
  guest *g = argument;
  round_state *r = g->round;
  while (!atomic_load(&r->failed)) {
    gq_completion done[4];
    size_t count;
    if (!go_on(r, "gq_wait", gq_wait(r->lanes[0], done, 4, GQ_FOREVER, &count))) break;
    gq_release(r->lanes[0], done, count);
  }
  return NULL;
}

static void *drain_often(void *argument)
{
  guest *g = argument;
  round_state *r = g->round;
  while (!atomic_load(&r->closing) && !atomic_load(&r->failed)) {   /* draining is allowed when it is closed, too */
    gq_queue *lane = r->lanes[support_below(&g->random, 2)];
    if (!go_on(r, "gq_drain", gq_drain(lane, GQ_FOREVER))) break;
    support_sleep_us(support_below(&g->random, 100));
  }
  return NULL;
}

static void *reserve_often(void *argument)
{
  guest *g = argument;
  round_state *r = g->round;
  while (!atomic_load(&r->failed)) {
    gq_reservation reservation;
    const gq_message message = { .size = 1000 };
    uint64_t id;
    if (!go_on(r, "gq_reserve", gq_reserve(r->lanes[0], 1000, GQ_FOREVER, &reservation))) break;
    if (support_below(&g->random, 4) == 0) continue;     /* never committed: its memory comes back with the end */
    support_fill(reservation.data, 1000, 1);
    const gq_status status = gq_commit(r->lanes[0], &reservation, &message, GQ_FOREVER, &id);
    if (status != GQ_OK) gq_abort(r->lanes[0], &reservation);
    if (!go_on(r, "gq_commit", status)) break;
    gq_cancel(r->lanes[0], id);
    support_sleep_us(support_below(&g->random, 300));
  }
  return NULL;
}

/* --------------------------------------------------------------------- guests that are inside one call as it ends */

static void *wait_once(void *argument)
{
  guest *g = argument;
  round_state *r = g->round;
  gq_completion done;
  size_t count;
  atomic_fetch_add(&r->inside, 1);
  go_on(r, "gq_wait", gq_wait(r->lanes[1], &done, 1, GQ_FOREVER, &count));   /* nothing is ever sent on this lane */
  return NULL;
}

/* ---------------------------------------------------------------------------------------------------------- a round */

static bool open_queue(round_state *r, gq_backend backend, support_random *random)
{
  gq_options options;
  gq_options_init(&options);
  options.backend = backend;
  options.capacity = 2 + (uint32_t)support_below(random, 30);
  options.lanes = 2;
  options.max_message_bytes = MOST_BYTES;
  options.park_us = 10 + (uint32_t)support_below(random, 500);
  if (backend == GQ_BACKEND_CPU) options.workers = 1 + (uint32_t)support_below(random, 3);
  if (gq_init(&r->lanes[0], &options) != GQ_OK) {
    fail(r, "gq_init: %s", gq_last_error());
    return false;
  }
  watchdog_watch(r->lanes[0], "stress_ending");
  if (gq_open_lane(r->lanes[0], &r->lanes[1]) != GQ_OK) fail(r, "gq_open_lane: %s", gq_last_error());
  return true;
}

static void run_round(round_state *r, gq_backend backend, support_random *random)
{
  static void *(*const staying[THREADS])(void *) = { send_and_take, send_and_poll, poll_away, drain_often,
                                                     reserve_often };
  const bool closes_first = support_below(random, 4) != 0;
  guest guests[THREADS];
  unsigned started = 0;
  if (!open_queue(r, backend, random)) return;
  atomic_store(&r->inside, 0);
  atomic_store(&r->closing, false);
  for (; started < THREADS; started++) {
    guest *g = &guests[started];
    *g = (guest){ .round = r, .random = { support_next(random) } };
    if (pthread_create(&g->thread, NULL, closes_first ? staying[started] : wait_once, g)) break;
  }
  while (!closes_first && atomic_load(&r->inside) < started) support_sleep_us(100);
  support_sleep_us(closes_first ? support_below(random, 4000) : 10000);
  if (closes_first) {
    gq_close(r->lanes[0]);
    atomic_store(&r->closing, true);
    for (unsigned i = 0; i < started; i++) pthread_join(guests[i].thread, NULL);
  }
  watchdog_forget(r->lanes[0]);
  const gq_status status = gq_shutdown(r->lanes[0], support_below(random, 2) ? SUPPORT_LONG : 0);
  if (status != GQ_OK && status != GQ_TIMEOUT) fail(r, "gq_shutdown gave %s", gq_status_name((int)status));
  for (unsigned i = 0; !closes_first && i < started; i++) pthread_join(guests[i].thread, NULL);
}

static const char *ending_body(const void *unused, gq_backend backend, const stress_arguments *arguments, char *text,
                               size_t text_size)
{
  static round_state r;
  support_random random = { arguments->seed };
  const int64_t end = support_now_ns() + (int64_t)(arguments->seconds * 1e9);
  uint64_t rounds = 0;
  size_t descriptors = 0;
  (void)unused;
  memset(&r, 0, sizeof r);
  pthread_mutex_init(&r.lock, NULL);
  for (; rounds < 4 || (support_now_ns() < end && !atomic_load(&r.failed)); rounds++) {
    run_round(&r, backend, &random);
    if (rounds == 1) descriptors = support_count_entries("/proc/self/fd");
  }
  const size_t left = support_count_entries("/proc/self/fd");
  if (left != descriptors && !support_is_checked())
    fail(&r, "%zu descriptors after two queues, %zu after the last", descriptors, left);
  snprintf(text, text_size, "%" PRIu64 " queues ended", rounds);
  return atomic_load(&r.failed) ? r.wrong : NULL;
}

int main(int argc, char **argv)
{
  return stress_run(argc, argv, "stress_ending", ending_body, NULL);
}
