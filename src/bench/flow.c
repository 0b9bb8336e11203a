/* SPDX-License-Identifier: Apache-2.0 */
#include "flow.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cli.h"
#include "../timing.h"
#include "bench.h"
#include "content.h"

enum { LEDGER_TAGGED = 65536, LANE_STEP = 977 };
/* A handler that is slow with large messages, on a machine that does other things. */
#define SLOW_BYTES_A_S ((uint64_t)16 << 20)

void trouble_tell(struct trouble *trouble, int status, const char *format, ...)
{
  va_list arguments;

  if (atomic_exchange(&trouble->told, true)) return;
  va_start(arguments, format);
  vsnprintf(trouble->text, sizeof trouble->text, format, arguments);
  va_end(arguments);
  atomic_store(&trouble->status, status);
}

void flow_init(struct flow *flow, const struct traffic *traffic, unsigned index, struct trouble *trouble)
{
  const struct content *content = traffic->contents[0];

  memset(flow, 0, sizeof *flow);
  flow->traffic = traffic;
  flow->trouble = trouble;
  flow->lane = traffic->lanes[index];
  flow->index = index;
  flow->tagged = traffic->content_count > 1 || traffic->keys > 0 || traffic->timed || !content->tells_number;
  flow->start = (uint64_t)index * LANE_STEP;
  flow->ledger_mask = (flow->tagged ? LEDGER_TAGGED : content->variety) - 1;
  flow->ledger = allocate((size_t)flow->ledger_mask + 1);
  if (traffic->keys) flow->latest = allocate(traffic->keys * sizeof *flow->latest);
  flow_reset(flow);
}

void flow_free(struct flow *flow)
{
  free(flow->ledger);
  free(flow->latest);
}

void flow_reset(struct flow *flow)
{
  flow->next = flow->received = flow->bytes_out = 0;
  atomic_store(&flow->total, UINT64_MAX);
  memset(flow->ledger, 0, (size_t)flow->ledger_mask + 1);
  if (flow->latest) memset(flow->latest, 0, flow->traffic->keys * sizeof *flow->latest);
}

static const struct content *content_of(const struct flow *flow, uint64_t number)
{
  const struct traffic *t = flow->traffic;

  return t->content_count == 1 ? t->contents[0] : t->contents[number % t->content_count];
}

static gq_message message_of(const struct flow *flow, uint64_t number)
{
  const struct content *content = content_of(flow, number);

  return (gq_message){content_payload(content, number + flow->start), content->size,
                      traffic_key(flow->traffic->keys, number), flow->tagged ? number + 1 : 0, 0};
}

/* ---------------------------------------------------------------------------------------------------- sending */

static gq_status send_batch(struct flow *flow, size_t count, int64_t timeout_ns, size_t *done)
{
  const struct content *content = flow->traffic->contents[0];
  const uint64_t next = flow->next, start = flow->start;
  gq_message messages[BATCH_MAX];
  size_t i;

  if (flow->tagged)
    for (i = 0; i < count; i++) messages[i] = message_of(flow, next + i);
  else
    for (i = 0; i < count; i++)
      messages[i] = (gq_message){content_payload(content, next + start + i), content->size, 0, 0, 0};
  return gq_enqueue_batch(flow->lane, messages, count, timeout_ns, NULL, done);
}

static gq_status send_single(struct flow *flow, int64_t timeout_ns, size_t *done)
{
  const gq_message message = message_of(flow, flow->next);
  uint64_t id;
  const gq_status status = gq_enqueue(flow->lane, &message, timeout_ns, &id);

  *done = status == GQ_OK;
  return status;
}

static gq_status send_reserved(struct flow *flow, size_t count, int64_t timeout_ns, size_t *done)
{
  gq_status status = GQ_OK;

  for (*done = 0; *done < count; ++*done) {
    const gq_message message = message_of(flow, flow->next + *done);
    gq_reservation reservation;
    uint64_t id;

    status = gq_reserve(flow->lane, message.size, timeout_ns, &reservation);
    if (status != GQ_OK) break;
    if (message.size) memcpy(reservation.data, message.data, message.size);
    status = gq_commit(flow->lane, &reservation, &message, timeout_ns, &id);
    if (status == GQ_OK) continue;
    gq_abort(flow->lane, &reservation);
    break;
  }
  return status;
}

size_t flow_send(struct flow *flow, size_t count, int64_t timeout_ns)
{
  const uint64_t left = atomic_load_explicit(&flow->total, memory_order_relaxed) - flow->next;
  size_t done = 0;
  gq_status status;

  if (count > left) count = (size_t)left;
  if (count == 0) return 0;
  switch (flow->traffic->calls) {
  case CALLS_SINGLE: status = send_single(flow, timeout_ns, &done); break;
  case CALLS_RESERVE: status = send_reserved(flow, count, timeout_ns, &done); break;
  default: status = send_batch(flow, count, timeout_ns, &done);
  }
  flow->next += done;
  if (status == GQ_OK || status == GQ_FULL || status == GQ_TIMEOUT) return done;
  trouble_tell(flow->trouble, EXIT_SYSTEM, "message %" PRIu64 " of lane %u cannot be sent: %s: %s", flow->next,
               flow->index, gq_status_name((int)status), gq_last_error());
  return 0;
}

/* -------------------------------------------------------------------------------------------------- receiving */

static void tell_wrong(struct flow *flow, const gq_completion *c, uint64_t number, const char *how)
{
  char which[64] = "a message";

  if (flow->tagged) snprintf(which, sizeof which, "message %" PRIu64, number);
  trouble_tell(flow->trouble, EXIT_MESSAGES_FAILED,
               "%s of lane %u (id %#" PRIx64 ", number %" PRIu64 " to come back): %s (%s, code %d, %zu bytes)", which,
               flow->index, c->id, flow->received + 1, how, gq_status_name((int)c->status), (int)c->code, c->size);
}

/** A message that has no result: the user's limit may be what is wrong. */
static void tell_failed(struct flow *flow, const gq_completion *c, uint64_t number)
{
  if (c->status == GQ_RESULT_TOO_LARGE)
    trouble_tell(flow->trouble, EXIT_USAGE, TOO_LARGE_FORMAT, content_of(flow, number)->size);
  else
    tell_wrong(flow, c, number, "it has no result");
}

int64_t flow_patience_ns(const struct flow *flow)
{
  const struct traffic *t = flow->traffic;
  uint64_t largest = 0;
  unsigned i;

  for (i = 0; i < t->content_count; i++)
    if (t->contents[i]->size > largest) largest = t->contents[i]->size;
  return PATIENCE_NS + (int64_t)(largest / SLOW_BYTES_A_S * 1000000000);
}

/** Verify one result, which came at \p now. \return false in trouble. */
static bool take(struct flow *flow, const gq_completion *c, int64_t now)
{
  const uint64_t number = c->tag - 1;
  uint64_t place;

  if (c->status != GQ_OK) return tell_failed(flow, c, number), false;
  if (flow->tagged) {
    if (number >= atomic_load_explicit(&flow->total, memory_order_relaxed))
      return tell_wrong(flow, c, number, "it was never sent"), false;
    place = number + flow->start;
    if (!content_matches(content_of(flow, number), place, c->data, c->size))
      return tell_wrong(flow, c, number, "its result is wrong"), false;
  } else {
    if (!content_is_echo(flow->traffic->contents[0], c->data, c->size, &place))
      return tell_wrong(flow, c, number, "its result is none that was sent"), false;
  }
  flow->ledger[place & flow->ledger_mask]++;
  flow->bytes_out += c->size;
  if (flow->latest) {
    uint64_t *latest = &flow->latest[traffic_key(flow->traffic->keys, number) - 1];

    if (*latest > number + 1) return tell_wrong(flow, c, number, "a later one of its key came before it"), false;
    *latest = number + 1;
  }
  if (flow->samples) samples_add(flow->samples, now - flow->begin - (int64_t)((double)number * flow->pause_ns));
  flow->received++;
  return true;
}

/** take() for the first of \p count results that are plain echoes, as if there were nothing to do but to verify them.
 * \return how many those are */
static size_t take_echoes(struct flow *flow, const gq_completion *completions, size_t count)
{
  const struct content content = *flow->traffic->contents[0];
  uint8_t *const ledger = flow->ledger;
  uint64_t place;
  size_t i;

  if (flow->tagged || flow->latest || flow->samples) return 0;
  for (i = 0; i < count; i++) {
    const gq_completion *c = &completions[i];

    if (c->status != GQ_OK || !content_is_echo(&content, c->data, c->size, &place)) break;
    ledger[place]++;
  }
  flow->bytes_out += i * content.size;
  flow->received += i;
  return i;
}

size_t flow_receive(struct flow *flow, size_t count, int64_t timeout_ns)
{
  gq_completion completions[BATCH_MAX];
  size_t n = 0, i;
  int64_t now;
  const gq_status status = timeout_ns == 0 ? gq_poll(flow->lane, completions, count, &n)
                                           : gq_wait(flow->lane, completions, count, timeout_ns, &n);

  if (status == GQ_AGAIN || status == GQ_TIMEOUT) return 0;
  if (status != GQ_OK) {
    trouble_tell(flow->trouble, EXIT_SYSTEM, "results of lane %u cannot be taken: %s: %s", flow->index,
                 gq_status_name((int)status), gq_last_error());
    return 0;
  }
  now = flow->samples ? clock_ns() : 0;
  for (i = take_echoes(flow, completions, n); i < n && take(flow, &completions[i], now); i++) continue;
  gq_release(flow->lane, completions, n);
  return i == n ? n : 0;
}

bool flow_is_complete(const struct flow *flow)
{
  const uint64_t size = (uint64_t)flow->ledger_mask + 1, rounds = flow->received / size, rest = flow->received % size;
  uint64_t place;

  for (place = 0; place < size; place++) {
    const bool once_more = ((place - flow->start) & flow->ledger_mask) < rest;

    if (flow->ledger[place] == (uint8_t)(rounds + once_more)) continue;
    trouble_tell(flow->trouble, EXIT_MESSAGES_FAILED,
                 "lane %u: of %" PRIu64 " messages one came twice and another never: content %" PRIu64 " came too %s",
                 flow->index, flow->received, place,
                 (int8_t)(flow->ledger[place] - (uint8_t)(rounds + once_more)) > 0 ? "often" : "seldom");
    return false;
  }
  return true;
}

uint64_t flow_bytes_in(const struct flow *flow, uint64_t count)
{
  const struct traffic *t = flow->traffic;
  uint64_t bytes = 0;
  unsigned i;

  for (i = 0; i < t->content_count; i++)
    bytes += t->contents[i]->size * (count / t->content_count + (i < count % t->content_count));
  return bytes;
}
