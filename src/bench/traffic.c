/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../cli.h"
#include "../timing.h"
#include "../stop.h"
#include "bench.h"
#include "content.h"
#include "crew.h"
#include "flow.h"
#include "repeats.h"

/* How long a call waits before the thread looks whether another one is in trouble. */
#define SLICE_NS ((int64_t)100 * 1000 * 1000)
/* The same, of a thread that has other lanes to look after. */
#define SHORT_SLICE_NS ((int64_t)100 * 1000)

/** A producer, a consumer, or both in one: every \ref step th lane from \ref first on. */
struct party {
  FLOW_LINE struct flow *flows;
  unsigned first, step, count; /**< of flows: all lanes */
  size_t batch;
  int64_t end;                 /**< when to send no more */
  int64_t done;                /**< out: when all was received */
  unsigned until_clock;        /**< calls until the clock is read again */
  bool over;
};

static bool in_trouble(const struct party *p)
{
  return atomic_load_explicit(&p->flows->trouble->status, memory_order_relaxed) != 0;
}

/** Whether the time is over. The clock is read once in some 32 messages. */
static bool is_over(struct party *p)
{
  if (p->over || p->until_clock-- > 0) return p->over;
  p->until_clock = p->batch < 32 ? 32 / (unsigned)p->batch - 1 : 0;
  p->over = clock_ns() >= p->end || stop_requested();
  return p->over;
}

/** Send one batch of a flow; one last message if the time is over, for a batch of large ones could take long. */
static size_t send_some(struct party *p, struct flow *flow, int64_t timeout_ns)
{
  if (atomic_load_explicit(&flow->total, memory_order_relaxed) == UINT64_MAX && is_over(p))
    atomic_store(&flow->total, flow->next + 1); /* before it is sent: whoever takes it knows that it is the last */
  return flow_send(flow, p->batch, timeout_ns);
}

static bool all_sent(const struct flow *flow)
{
  return flow->next == atomic_load_explicit(&flow->total, memory_order_relaxed);
}

static bool all_received(const struct flow *flow)
{
  return flow->received == atomic_load_explicit(&flow->total, memory_order_acquire);
}

static void produce(void *argument)
{
  struct party *p = argument;
  const bool alone = p->first + p->step >= p->count;
  unsigned i, sending = 1;

  while (sending && !in_trouble(p)) {
    sending = 0;
    for (i = p->first; i < p->count; i += p->step) {
      if (all_sent(&p->flows[i])) continue;
      send_some(p, &p->flows[i], alone ? SLICE_NS : SHORT_SLICE_NS);
      sending++;
    }
  }
}

/** Nothing came: wait at one of the lanes that are not done, and find out whether anything ever will. */
static void wait_for_some(struct party *p, struct flow *flow, int64_t *idle_since)
{
  const bool alone = p->first + p->step >= p->count;

  if (flow_receive(flow, p->batch, alone ? SLICE_NS : SHORT_SLICE_NS) > 0) {
    *idle_since = 0;
    return;
  }
  if (*idle_since == 0) *idle_since = clock_ns();
  else if (clock_ns() - *idle_since > flow_patience_ns(flow))
    trouble_tell(flow->trouble, EXIT_SYSTEM, "lane %u: nothing has come back for %d s, after %" PRIu64 " results",
                 flow->index, (int)(flow_patience_ns(flow) / 1000000000), flow->received);
}

/** Receive on all lanes until nothing is missing; \p also: send on them. */
static void receive_all(struct party *p, bool also)
{
  int64_t idle_since = 0;
  unsigned i;

  while (!in_trouble(p)) {
    struct flow *missing = NULL;
    size_t moved = 0;

    for (i = p->first; i < p->count; i += p->step) {
      struct flow *flow = &p->flows[i];

      if (all_received(flow)) continue;
      missing = flow;
      if (also && !all_sent(flow)) moved += send_some(p, flow, 0);
      moved += flow_receive(flow, p->batch, 0);
    }
    if (!missing) break;
    if (moved) idle_since = 0;
    else wait_for_some(p, missing, &idle_since);
  }
  p->done = clock_ns();
}

static void consume(void *argument)
{
  receive_all(argument, false);
}

static void do_both(void *argument)
{
  receive_all(argument, true);
}

/** One run. \param end  out: how many seconds it took */
static bool run_once(struct bench *bench, const struct traffic *t, struct flow *flows, double seconds, double *took)
{
  const unsigned roles = t->separate ? 2 : 1;
  struct party *parties = allocate_aligned(_Alignof(struct party), t->threads * roles * sizeof *parties);
  int64_t begin = clock_ns(), end = 0;
  struct crew crew;
  bool fine = true;
  unsigned i;

  for (i = 0; i < t->lane_count; i++) flow_reset(&flows[i]);
  crew_init(&crew, t->threads * roles);
  for (i = 0; fine && i < t->threads * roles; i++) {
    parties[i] = (struct party){.flows = flows, .first = i % t->threads, .step = t->threads, .count = t->lane_count,
                                .batch = t->calls == CALLS_SINGLE ? 1 : t->batch};
    fine = crew_add(bench, &crew, !t->separate ? do_both : i < t->threads ? produce : consume, &parties[i]);
  }
  if (fine) {
    for (i = 0; i < t->threads * roles; i++) parties[i].end = clock_ns() + (int64_t)(seconds * 1e9);
    begin = crew_go(&crew);
  }
  crew_end(&crew);
  for (i = t->separate ? t->threads : 0; i < t->threads * roles; i++)
    if (parties[i].done > end) end = parties[i].done;
  *took = (double)(end - begin) * 1e-9;
  free(parties);
  return fine;
}

/** \return false after a complaint if something went wrong in a thread. */
static bool look_for_trouble(struct bench *bench, const struct traffic *t, struct flow *flows)
{
  struct trouble *trouble = flows->trouble;
  unsigned i;

  for (i = 0; i < t->lane_count && !atomic_load(&trouble->status); i++) flow_is_complete(&flows[i]);
  if (!atomic_load(&trouble->status)) return true;
  return bench_fail(bench, atomic_load(&trouble->status), "%s", trouble->text);
}

static bool run_repeats(struct bench *bench, const struct traffic *t, struct flow *flows, struct figures *figures)
{
  double rates[REPEATS], took, bytes_in = 0, bytes_out = 0, rate;
  uint64_t all = 0;
  struct disturbance_mark mark;
  unsigned i, k;

  if (!run_once(bench, t, flows, t->seconds / 8, &took) || !look_for_trouble(bench, t, flows)) return false;
  disturbance_mark(&mark);
  for (k = 0; k < REPEATS; k++) {
    uint64_t messages = 0;

    if (!run_once(bench, t, flows, t->seconds / REPEATS, &took) || !look_for_trouble(bench, t, flows)) return false;
    for (i = 0; i < t->lane_count; i++) {
      messages += flows[i].received;
      bytes_in += (double)flow_bytes_in(&flows[i], flows[i].received);
      bytes_out += (double)flows[i].bytes_out;
    }
    rates[k] = (double)messages / took;
    all += messages;
    figures->seconds += took;
  }
  disturbance_since(&mark, &figures->disturbance);
  rate = median(rates, REPEATS);
  figures->messages += all;
  figures->messages_per_s = rate;
  figures->bytes_in_per_s = rate * bytes_in / (double)all;
  figures->bytes_out_per_s = rate * bytes_out / (double)all;
  repeats_spread(rates, REPEATS, figures);
  return true;
}

bool traffic_measure(struct bench *bench, const struct traffic *traffic, struct figures *figures)
{
  struct flow *flows = allocate_aligned(_Alignof(struct flow), traffic->lane_count * sizeof *flows);
  struct trouble trouble;
  unsigned i;
  bool fine;

  memset(&trouble, 0, sizeof trouble);
  for (i = 0; i < traffic->lane_count; i++) flow_init(&flows[i], traffic, i, &trouble);
  fine = run_repeats(bench, traffic, flows, figures);
  for (i = 0; i < traffic->lane_count; i++) flow_free(&flows[i]);
  free(flows);
  return fine;
}
