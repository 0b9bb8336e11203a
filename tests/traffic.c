/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The fate of a message. It may end before its sender has been told that it was accepted. */
#define FATE_ACCEPTED 1
#define FATE_ENDED 2
#define FATE_CANCELLING 4

#define RETRY 255   /* as test_fail understands it */
#define NUMBER_BITS 48

int traffic_init(traffic *t, const traffic_kind *kind, uint64_t seed, unsigned producers)
{
  memset(t, 0, sizeof *t);
  t->kind = kind, t->seed = seed, t->producers = producers;
  for (unsigned p = 0; p < producers; p++) {
    t->fate[p] = calloc(TRAFFIC_MOST_MESSAGES, 1);
    if (!t->fate[p]) {
      traffic_free(t);
      return -1;
    }
  }
  return 0;
}

void traffic_free(traffic *t)
{
  for (unsigned p = 0; p < TRAFFIC_PRODUCERS; p++) {
    free(t->fate[p]);
    t->fate[p] = NULL;
  }
}

/* Mostly around what a cell holds, where the code has its branches. */
static size_t choose_size(const traffic_kind *kind, support_random *random)
{
  const uint64_t most = kind->max_message_bytes, percent = support_below(random, 100);
  uint64_t size;
  if (percent < kind->large_percent) size = support_below(random, most + 1);
  else if (percent % 10 == 0) size = support_below(random, 4);
  else if (percent % 10 < 6) size = support_below(random, 100);
  else if (percent % 10 < 8) size = 60 + support_below(random, 64);
  else size = support_below(random, 600);
  return size < most ? size : most;
}

traffic_message traffic_describe(const traffic *t, unsigned producer, uint64_t number)
{
  traffic_message m = { .producer = producer, .number = number };
  support_random random = { support_mix(t->seed, producer + 1, number) };
  m.tag = (uint64_t)producer << NUMBER_BITS | number;
  m.size = choose_size(t->kind, &random);
  if (t->kind->keys) m.key = 1 + (uint64_t)producer * t->kind->keys + support_below(&random, t->kind->keys);
  if (t->kind->attempts) {
    m.code = support_below(&random, 2) ? RETRY : (uint8_t)(1 + support_below(&random, RETRY - 1));
    m.failures = (uint8_t)(support_below(&random, 2) ? 0 : support_below(&random, t->kind->attempts + 2));
  }
  m.seed = support_next(&random);
  return m;
}

traffic_message traffic_of_tag(const traffic *t, uint64_t tag)
{
  const uint64_t number = tag & ((UINT64_C(1) << NUMBER_BITS) - 1);
  const unsigned producer = (unsigned)(tag >> NUMBER_BITS);
  if (producer >= t->producers || number >= TRAFFIC_MOST_MESSAGES)
    return (traffic_message){ .producer = TRAFFIC_PRODUCERS };
  return traffic_describe(t, producer, number);
}

/* The first 8 bytes hold what test_fail reads; the others follow from the seed alone. */
static void make_prefix(const traffic_message *m, unsigned char prefix[8])
{
  support_fill(prefix, 8, ~m->seed);
  if (m->code) prefix[0] = m->code, prefix[1] = m->failures;
}

void traffic_write(const traffic_message *m, void *data)
{
  unsigned char prefix[8];
  make_prefix(m, prefix);
  if (m->size) memcpy(data, prefix, m->size < 8 ? m->size : 8);
  if (m->size > 8) support_fill((unsigned char *)data + 8, m->size - 8, m->seed);
}

static bool is_payload(const traffic_message *m, const void *data, size_t size)
{
  unsigned char prefix[8];
  if (size != m->size) return false;
  make_prefix(m, prefix);
  if (size && memcmp(data, prefix, size < 8 ? size : 8)) return false;
  return size <= 8 || support_compare((const unsigned char *)data + 8, size - 8, m->seed) == size - 8;
}

void traffic_accepted(traffic *t, const traffic_message *m)
{
  atomic_fetch_or(&t->fate[m->producer][m->number], FATE_ACCEPTED);
  atomic_fetch_add_explicit(&t->bytes, m->size, memory_order_relaxed);
  atomic_store(&t->sent[m->producer], m->number + 1);
}

void traffic_cancelling(traffic *t, const traffic_message *m)
{
  atomic_fetch_or(&t->fate[m->producer][m->number], FATE_CANCELLING);
}

static const char *complain(const traffic_message *m, const char *what)
{
  static _Thread_local char text[256];
  snprintf(text, sizeof text, "message %" PRIu64 " of producer %u (%zu bytes, key %" PRIu64 "): %s", m->number,
           m->producer, m->size, m->key, what);
  return text;
}

const char *traffic_ended(traffic *t, const traffic_message *m, gq_status status, const void *data, size_t size,
                          int32_t code, uint32_t attempts)
{
  const bool asks = m->code == RETRY, reads = m->code && m->size >= 2;
  const bool gives_up = reads && m->failures >= (asks ? t->kind->attempts : 1);
  if (m->producer >= t->producers) return complain(m, "its tag is of no message");
  const uint8_t before = atomic_fetch_or(&t->fate[m->producer][m->number], FATE_ENDED);
  if (before & FATE_ENDED) return complain(m, "it ended twice");
  if (status == GQ_OK) {
    if (gives_up) return complain(m, "its handler failed, but it ended well");
    if (size != m->size) return complain(m, "its result has another size");
    if (!is_payload(m, data, size)) return complain(m, "its result has wrong bytes");
    if (attempts && attempts != (reads && asks ? m->failures + 1u : 1u))
      return complain(m, "wrong number of attempts");
    atomic_fetch_add(&t->completed, 1);
  } else if (status == GQ_CANCELLED) {
    if (!(before & FATE_CANCELLING)) return complain(m, "it was cancelled by nobody");
    atomic_fetch_add(&t->cancelled, 1);
  } else if (status == GQ_FAILED) {
    if (!gives_up) return complain(m, "its handler failed, but should not have");
    if (attempts && code != (asks ? -1 : m->code)) return complain(m, "another code");
    if (attempts && attempts != (asks ? t->kind->attempts : 1))
      return complain(m, "wrong number of attempts before failing");
    atomic_fetch_add(&t->failed, 1);
  } else {
    return complain(m, gq_status_name((int)status));
  }
  atomic_fetch_add(&t->ended, 1);
  return NULL;
}

uint64_t traffic_total(traffic *t)
{
  uint64_t total = 0;
  for (unsigned p = 0; p < t->producers; p++) total += atomic_load(&t->sent[p]);
  return total;
}

bool traffic_is_over(traffic *t)
{
  return atomic_load(&t->ended) >= traffic_total(t);
}

const char *traffic_settle(traffic *t, const gq_statistics *s)
{
  static char text[256];
  for (unsigned p = 0; p < t->producers; p++)
    for (uint64_t n = 0; n < atomic_load(&t->sent[p]); n++) {
      const uint8_t fate = atomic_load(&t->fate[p][n]) & (FATE_ACCEPTED | FATE_ENDED);
      if (fate == (FATE_ACCEPTED | FATE_ENDED)) continue;
      const traffic_message m = traffic_describe(t, p, n);
      return complain(&m, fate & FATE_ACCEPTED ? "it never ended" : "it was never accepted");
    }
  const uint64_t total = traffic_total(t);
  if (s->enqueued == total && s->completed == atomic_load(&t->completed) && s->failed == atomic_load(&t->failed)
      && s->cancelled == atomic_load(&t->cancelled) && s->depth == 0 && s->in_flight == 0 && s->unread == 0
      && s->bytes_in == atomic_load(&t->bytes))
    return NULL;
  snprintf(text, sizeof text, "the counters differ: %" PRIu64 " sent, %" PRIu64 " completed, %" PRIu64 " failed, %"
           PRIu64 " cancelled, %" PRIu64 " bytes", total, atomic_load(&t->completed), atomic_load(&t->failed),
           atomic_load(&t->cancelled), atomic_load(&t->bytes));
  return text;
}
