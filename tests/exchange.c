/* SPDX-License-Identifier: Apache-2.0 */
/* Producers and consumers of one queue, as a stress_plan describes them. */
#include "stress.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_THREADS 64
#define MOST_LANES 16
#define MOST_BATCH 64
#define BATCHED_BYTES 4096       /* larger messages are sent alone */
#define MOST_POLLED 16
#define BAG 4096

/* Ids on their way from producers to takers. */
typedef struct bag {
  pthread_mutex_t lock;
  struct { uint64_t id; unsigned producer; uint64_t number; } items[BAG];
  size_t count;
} bag;

typedef struct exchange {
  const stress_plan *plan;
  traffic traffic;
  gq_queue *lanes[MOST_LANES];
  bag bag;
  int64_t end;                   /* when producers stop, ns */
  atomic_uint producing;         /* producers still at it */
  atomic_bool failed;
  pthread_mutex_t lock;
  char wrong[512];
} exchange;

/* A thread and what it owns. */
typedef struct party {
  exchange *exchange;
  unsigned index;
  support_random random;
  pthread_t thread;
} party;

static void fail(exchange *x, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fail(exchange *x, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  pthread_mutex_lock(&x->lock);
  if (!atomic_load(&x->failed)) vsnprintf(x->wrong, sizeof x->wrong, format, arguments);
  atomic_store(&x->failed, true);
  pthread_mutex_unlock(&x->lock);
  va_end(arguments);
  gq_close(x->lanes[0]);         /* lets those who wait for ever leave */
}

/* \return true if \p got is not GQ_OK; a queue that was closed because of a failure is no second failure. */
static bool is_wrong(exchange *x, const char *call, gq_status got)
{
  if (got == GQ_OK) return false;
  if (!atomic_load(&x->failed)) fail(x, "%s gave %s: %s", call, gq_status_name((int)got), gq_last_error());
  return true;
}

static bool chance(party *p, unsigned percent)
{
  return support_below(&p->random, 100) < percent;
}

static gq_queue *lane_of(exchange *x, unsigned index)
{
  return x->lanes[index % x->plan->lanes];
}

/* -------------------------------------------------------------------------------------------------------- producing */

static void hand_over(exchange *x, uint64_t id, const traffic_message *m)
{
  for (;;) {
    pthread_mutex_lock(&x->bag.lock);
    if (x->bag.count < BAG || atomic_load(&x->failed)) break;
    pthread_mutex_unlock(&x->bag.lock);
    sched_yield();
  }
  if (x->bag.count < BAG) {
    x->bag.items[x->bag.count].id = id;
    x->bag.items[x->bag.count].producer = m->producer;
    x->bag.items[x->bag.count++].number = m->number;
  }
  pthread_mutex_unlock(&x->bag.lock);
}

static void cancel(party *p, gq_queue *lane, uint64_t id, const traffic_message *m)
{
  traffic_cancelling(&p->exchange->traffic, m);
  const gq_status status = gq_cancel(lane, id);
  if (status != GQ_OK && status != GQ_AGAIN && status != GQ_UNKNOWN_ID) is_wrong(p->exchange, "gq_cancel", status);
}

static void accepted(party *p, gq_queue *lane, uint64_t id, const traffic_message *m)
{
  exchange *x = p->exchange;
  traffic_accepted(&x->traffic, m);
  if (chance(p, x->plan->cancel_percent / 2)) cancel(p, lane, id, m);
  if (x->plan->takers) hand_over(x, id, m);
}

static gq_message as_message(const traffic_message *m, const void *data)
{
  return (gq_message){ .data = data, .size = m->size, .key = m->key, .tag = m->tag };
}

static bool send_in_place(party *p, gq_queue *lane, const traffic_message *m, uint64_t *id)
{
  exchange *x = p->exchange;
  gq_reservation reservation;
  const size_t spare = support_below(&p->random, x->plan->kind.max_message_bytes - m->size + 1);
  if (is_wrong(x, "gq_reserve", gq_reserve(lane, m->size + spare, GQ_FOREVER, &reservation))) return false;
  if (chance(p, x->plan->abort_percent)) {
    memset(reservation.data, 0xdb, reservation.size);   /* never sent, so never to be seen */
    gq_abort(lane, &reservation);
    if (is_wrong(x, "gq_reserve", gq_reserve(lane, m->size, GQ_FOREVER, &reservation))) return false;
  }
  traffic_write(m, reservation.data);
  const gq_message message = as_message(m, NULL);
  const gq_status status = gq_commit(lane, &reservation, &message, GQ_FOREVER, id);
  if (status != GQ_OK) gq_abort(lane, &reservation);
  return !is_wrong(x, "gq_commit", status);
}

static bool send_one(party *p, gq_queue *lane, const traffic_message *m, unsigned char *buffer, uint64_t *id)
{
  exchange *x = p->exchange;
  if (chance(p, x->plan->reserve_percent)) return send_in_place(p, lane, m, id);
  traffic_write(m, buffer);
  const gq_message message = as_message(m, buffer);
  gq_status status;
  if (chance(p, 75)) status = gq_enqueue(lane, &message, GQ_FOREVER, id);
  else while ((status = gq_enqueue(lane, &message, 0, id)) == GQ_FULL && !atomic_load(&x->failed)) sched_yield();
  memset(buffer, 0xdb, m->size < 64 ? m->size : 64);    /* the queue has copied it */
  return !is_wrong(x, "gq_enqueue", status);
}

/* Send messages from \p number on, as far as they are small. \return how many. */
static size_t send_batch(party *p, gq_queue *lane, uint64_t number, unsigned char *buffer)
{
  exchange *x = p->exchange;
  traffic_message messages[MOST_BATCH];
  gq_message batch[MOST_BATCH];
  uint64_t ids[MOST_BATCH];
  size_t count = 0, most = 1 + support_below(&p->random, x->plan->batch), done = 0;
  for (; count < most && number + count < TRAFFIC_MOST_MESSAGES; count++) {
    messages[count] = traffic_describe(&x->traffic, p->index, number + count);
    if (messages[count].size > BATCHED_BYTES) break;
    traffic_write(&messages[count], buffer + count * BATCHED_BYTES);
    batch[count] = as_message(&messages[count], buffer + count * BATCHED_BYTES);
  }
  if (count == 0) return 0;
  /* Takers need the ids before they can make room: such a batch must not wait for it. */
  const int64_t timeout = x->plan->takers ? 0 : GQ_FOREVER;
  const gq_status status = gq_enqueue_batch(lane, batch, count, timeout, ids, &done);
  for (size_t i = 0; i < done; i++) accepted(p, lane, ids[i], &messages[i]);
  if (status == GQ_FULL && timeout == 0 && done < count) return done;
  if (is_wrong(x, "gq_enqueue_batch", status)) return 0;
  if (done != count) fail(x, "gq_enqueue_batch gave GQ_OK after %zu of %zu messages", done, count);
  return done;
}

static void *produce(void *argument)
{
  party *p = argument;
  exchange *x = p->exchange;
  const stress_plan *plan = x->plan;
  gq_queue *lane = lane_of(x, p->index);
  const uint64_t most = plan->kind.max_message_bytes, staged = (uint64_t)plan->batch * BATCHED_BYTES;
  unsigned char *buffer = malloc((most > staged ? most : staged) + 1);
  uint64_t number = 0, pause_at = plan->burst;
  while (number < TRAFFIC_MOST_MESSAGES && !atomic_load(&x->failed) && support_now_ns() < x->end) {
    if (plan->burst && number >= pause_at) {
      support_sleep_us(support_below(&p->random, plan->pause_us + 1));
      pause_at = number + 1 + support_below(&p->random, plan->burst * 2);
    }
    const size_t sent = plan->batch && chance(p, 50) ? send_batch(p, lane, number, buffer) : 0;
    number += sent;
    if (sent || atomic_load(&x->failed)) continue;
    const traffic_message m = traffic_describe(&x->traffic, p->index, number);
    uint64_t id;
    if (!send_one(p, lane, &m, buffer, &id)) break;
    accepted(p, lane, id, &m);
    number++;
  }
  free(buffer);
  atomic_fetch_sub(&x->producing, 1);
  return NULL;
}

/* -------------------------------------------------------------------------------------------------- consuming by id */

static bool pick(party *p, uint64_t *id, traffic_message *m)
{
  bag *b = &p->exchange->bag;
  bool found = false;
  pthread_mutex_lock(&b->lock);
  if (b->count) {
    const size_t i = support_below(&p->random, b->count);
    *id = b->items[i].id;
    *m = traffic_describe(&p->exchange->traffic, b->items[i].producer, b->items[i].number);
    b->items[i] = b->items[--b->count];
    found = true;
  }
  pthread_mutex_unlock(&b->lock);
  return found;
}

static void take(party *p, uint64_t id, const traffic_message *m, unsigned char *buffer)
{
  exchange *x = p->exchange;
  gq_queue *lane = lane_of(x, (unsigned)support_below(&p->random, x->plan->lanes));   /* any handle will do */
  const uint64_t most = x->plan->kind.max_message_bytes;
  size_t size = chance(p, 5) ? 0 : most;
  gq_status status;
  if (chance(p, x->plan->cancel_percent / 2)) cancel(p, lane, id, m);
  if (chance(p, 50)) status = gq_dequeue_result(lane, id, buffer, &size, GQ_FOREVER);
  else while ((status = gq_try_dequeue_result(lane, id, buffer, &size)) == GQ_AGAIN && !atomic_load(&x->failed))
    sched_yield();
  if (status == GQ_TOO_SMALL) {
    if (size != m->size) fail(x, "GQ_TOO_SMALL says %zu bytes of a result of %zu", size, m->size);
    size = most;
    status = gq_dequeue_result(lane, id, buffer, &size, GQ_FOREVER);
  }
  if (atomic_load(&x->failed) || (status == GQ_UNKNOWN_ID && x->plan->pollers)) return;   /* a poller was faster */
  const char *wrong = traffic_ended(&x->traffic, m, status, buffer, size, -1, 0);
  if (wrong) fail(x, "taken by id %#" PRIx64 ": %s", id, wrong);
}

static void *take_by_id(void *argument)
{
  party *p = argument;
  exchange *x = p->exchange;
  unsigned char *buffer = malloc(x->plan->kind.max_message_bytes + 1);
  for (;;) {
    const bool last = atomic_load(&x->producing) == 0;
    uint64_t id;
    traffic_message m;
    if (atomic_load(&x->failed)) break;
    if (pick(p, &id, &m)) take(p, id, &m, buffer);
    else if (last) break;
    else support_sleep_us(50);
  }
  free(buffer);
  return NULL;
}

/* ------------------------------------------------------------------------------------------------ consuming by poll */

/* What a lane's only poller has seen: the number due next of each producer, and of each key. */
typedef struct order {
  bool keyed, ordered;
  uint64_t by_producer[TRAFFIC_PRODUCERS], by_key[TRAFFIC_PRODUCERS * 16];
} order;

static void check_order(exchange *x, order *o, const traffic_message *m)
{
  if (o->ordered) {
    if (m->number != o->by_producer[m->producer])
      fail(x, "ordered: message %" PRIu64 " of producer %u came when %" PRIu64 " was due", m->number, m->producer,
           o->by_producer[m->producer]);
    o->by_producer[m->producer] = m->number + 1;
  }
  if (o->keyed) {
    if (m->number < o->by_key[m->key])
      fail(x, "key %" PRIu64 ": message %" PRIu64 " came after %" PRIu64, m->key, m->number, o->by_key[m->key] - 1);
    o->by_key[m->key] = m->number + 1;
  }
}

static void check_completions(exchange *x, gq_queue *lane, const gq_completion *done, size_t count, order *o)
{
  for (size_t i = 0; i < count && !atomic_load(&x->failed); i++) {
    const traffic_message m = traffic_of_tag(&x->traffic, done[i].tag);
    const char *wrong;
    if (m.producer < x->traffic.producers && done[i].key != m.key)
      fail(x, "tag %#" PRIx64 " came with another key", m.tag);
    wrong = traffic_ended(&x->traffic, &m, done[i].status, done[i].data, done[i].size, done[i].code, done[i].attempts);
    if (wrong) fail(x, "polled id %#" PRIx64 ": %s", done[i].id, wrong);
    else check_order(x, o, &m);
    if (!wrong && m.size <= 512 && m.number % 64 == 0) {   /* what a dead letter would keep */
      unsigned char payload[512], expected[512];
      size_t size = sizeof payload;
      traffic_write(&m, expected);
      if (!is_wrong(x, "gq_completion_payload", gq_completion_payload(lane, &done[i], payload, &size))
          && (size != m.size || memcmp(payload, expected, size)))
        fail(x, "message %" PRIu64 " of producer %u: its payload is wrong", m.number, m.producer);
    }
  }
}

static void *poll_lane(void *argument)
{
  party *p = argument;
  exchange *x = p->exchange;
  gq_queue *lane = lane_of(x, p->index);
  const bool alone = x->plan->pollers <= x->plan->lanes && !x->plan->takers;
  order *o = calloc(1, sizeof *o);
  o->keyed = alone && x->plan->kind.keys, o->ordered = alone && x->plan->ordered;
  while (!atomic_load(&x->failed)) {
    gq_completion done[MOST_POLLED];
    size_t count, most = 1 + support_below(&p->random, MOST_POLLED);
    const bool last = atomic_load(&x->producing) == 0 && traffic_is_over(&x->traffic);
    const gq_status status = gq_wait(lane, done, most, last ? 0 : 5 * SUPPORT_MILLISECOND, &count);
    if (status == GQ_TIMEOUT && last) break;
    if (status == GQ_TIMEOUT) continue;
    if (is_wrong(x, "gq_wait", status)) break;
    check_completions(x, lane, done, count, o);
    const size_t half = support_below(&p->random, count + 1);   /* released in two pieces, the later one first */
    gq_release(lane, done + half, count - half);
    gq_release(lane, done, half);
  }
  free(o);
  return NULL;
}

static void *drain(void *argument)
{
  party *p = argument;
  exchange *x = p->exchange;
  while (atomic_load(&x->producing) && !atomic_load(&x->failed)) {
    gq_queue *lane = lane_of(x, (unsigned)support_below(&p->random, x->plan->lanes));
    if (is_wrong(x, "gq_drain", gq_drain(lane, GQ_FOREVER))) break;
    support_sleep_us(support_below(&p->random, 200));
  }
  return NULL;
}

/* --------------------------------------------------------------------------------------------------------- the body */

static bool open_lanes(exchange *x, gq_backend backend)
{
  const stress_plan *plan = x->plan;
  gq_options options;
  gq_options_init(&options);
  options.backend = backend;
  options.handler = plan->kind.attempts ? "test_fail" : "echo";
  options.capacity = plan->capacity;
  options.cell_bytes = plan->cell_bytes;
  options.lanes = plan->lanes;
  options.max_message_bytes = plan->kind.max_message_bytes;
  options.arena_bytes = plan->arena_bytes;
  options.workers = plan->workers;
  options.ordered = plan->ordered;
  if (plan->park_us) options.park_us = plan->park_us;
  if (plan->kind.attempts) options.attempts = plan->kind.attempts;
  if (gq_init(&x->lanes[0], &options) != GQ_OK) {
    snprintf(x->wrong, sizeof x->wrong, "gq_init: %s", gq_last_error());
    return false;
  }
  watchdog_watch(x->lanes[0], plan->name);
  for (uint32_t i = 1; i < plan->lanes; i++)
    if (is_wrong(x, "gq_open_lane", gq_open_lane(x->lanes[0], &x->lanes[i]))) return false;
  return true;
}

static void run_parties(exchange *x, uint64_t seed)
{
  const stress_plan *plan = x->plan;
  const struct { void *(*body)(void *); unsigned count; } roles[] = {
    { poll_lane, plan->pollers }, { take_by_id, plan->takers }, { drain, plan->drainers },
    { produce, plan->producers } };
  static party parties[MOST_THREADS];
  size_t count = 0;
  atomic_store(&x->producing, plan->producers);
  for (size_t r = 0; r < sizeof roles / sizeof *roles; r++)
    for (unsigned i = 0; i < roles[r].count && count < MOST_THREADS; i++, count++) {
      parties[count] = (party){ .exchange = x, .index = i, .random = { support_mix(seed, r + 100, i) } };
      if (pthread_create(&parties[count].thread, NULL, roles[r].body, &parties[count])) {
        fprintf(stderr, "no thread for %s\n", plan->name);
        exit(2);
      }
    }
  for (size_t i = 0; i < count; i++) pthread_join(parties[i].thread, NULL);
}

static void settle(exchange *x, char *text, size_t text_size)
{
  gq_statistics s = { .size = sizeof s };
  for (uint32_t i = 0; i < x->plan->lanes && !atomic_load(&x->failed); i++) {
    gq_completion completion;
    size_t count;
    if (is_wrong(x, "gq_drain", gq_drain(x->lanes[i], SUPPORT_LONG))) return;
    if (gq_poll(x->lanes[i], &completion, 1, &count) != GQ_AGAIN) fail(x, "a completion came after all had ended");
  }
  if (atomic_load(&x->failed) || is_wrong(x, "gq_stats", gq_stats(x->lanes[0], &s))) return;
  const char *wrong = traffic_settle(&x->traffic, &s);
  if (wrong) fail(x, "%s", wrong);
  else if (s.enqueued == 0) fail(x, "no message was sent");
  else if (x->plan->pause_us && s.parks == 0) fail(x, "it was idle, but never parked");
  snprintf(text, text_size, "%" PRIu64 " messages, %" PRIu64 " laps of %u, %" PRIu64 " failed, %" PRIu64 " cancelled, %"
           PRIu64 " parks", s.enqueued, s.enqueued / x->plan->capacity / x->plan->lanes, x->plan->capacity, s.failed,
           s.cancelled, s.parks);
}

static const char *exchange_body(const void *plan, gq_backend backend, const stress_arguments *arguments, char *text,
                                 size_t text_size)
{
  static exchange x;
  memset(&x, 0, sizeof x);
  x.plan = plan;
  pthread_mutex_init(&x.lock, NULL);
  pthread_mutex_init(&x.bag.lock, NULL);
  if (traffic_init(&x.traffic, &x.plan->kind, arguments->seed, x.plan->producers)) return "no memory for the ledger";
  if (open_lanes(&x, backend)) {
    x.end = support_now_ns() + (int64_t)(arguments->seconds * 1e9);
    run_parties(&x, arguments->seed);
    if (!atomic_load(&x.failed)) settle(&x, text, text_size);
    if (atomic_load(&x.failed)) support_dump_stats(x.lanes[0], x.plan->name);
    watchdog_forget(x.lanes[0]);
    const gq_status status = gq_shutdown(x.lanes[0], SUPPORT_LONG);
    if (status != GQ_OK && !*x.wrong)
      snprintf(x.wrong, sizeof x.wrong, "gq_shutdown gave %s", gq_status_name((int)status));
  }
  traffic_free(&x.traffic);
  return *x.wrong ? x.wrong : NULL;
}

int stress_main(int argc, char **argv, const stress_plan *plan)
{
  return stress_run(argc, argv, plan->name, exchange_body, plan);
}
