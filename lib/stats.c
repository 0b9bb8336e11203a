/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "error.h"
#include "queue.h"

_Thread_local uint32_t gq_my_stripe;

uint32_t gq_stripe_number(void)
{
  static uint32_t threads;
  const uint32_t n = __atomic_fetch_add(&threads, 1, __ATOMIC_RELAXED), shared = GQ_STRIPES - GQ_OWN_STRIPES;

  gq_my_stripe = 1 + (n < GQ_OWN_STRIPES ? n : GQ_OWN_STRIPES + n % shared);
  return gq_my_stripe - 1;
}

/* Bucket b holds times from (8 + b % 8) << (b / 8 - 1) on, for b >= 8; times below 8 ns have buckets of their own. */
static unsigned bucket_of(uint64_t ns)
{
  unsigned power;

  if (ns < 8) return (unsigned)ns;
  power = 63u - (unsigned)__builtin_clzll(ns);
  return 8 * (power - 2) + (unsigned)(ns >> (power - 3) & 7);
}

static uint64_t bucket_end(unsigned bucket)
{
  return bucket < 8 ? bucket : ((uint64_t)(9 + bucket % 8) << (bucket / 8 - 1)) - 1;
}

static void record(gq_histogram *h, uint64_t from, uint64_t to)
{
  const uint64_t ns = to > from ? to - from : 0; /* the device's clock may be off by a little */
  uint64_t max = __atomic_load_n(&h->max, __ATOMIC_RELAXED);

  __atomic_fetch_add(&h->count[bucket_of(ns)], 1, __ATOMIC_RELAXED);
  while (ns > max &&
         !__atomic_compare_exchange_n(&h->max, &max, ns, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) continue;
}

void gq_record_stages(gq_core *core, const gq_lane *lane, uint64_t position)
{
  uint64_t at, enqueued, start, end, now, offset;

  if (position % GQ_SAMPLE) return;
  at = (position & lane->ring_mask) / GQ_SAMPLE;
  enqueued = gq_ld64(&lane->enqueue_stamps[at], GQ_RELAXED, GQ_SYS);
  offset = gq_ld64(&lane->head->clock_offset, GQ_RELAXED, GQ_SYS);
  start = gq_ld64(&lane->start_stamps[at].start, GQ_RELAXED, GQ_SYS) + offset;
  end = gq_ld64(&lane->start_stamps[at].end, GQ_RELAXED, GQ_SYS) + offset;
  now = gq_now();
  /* Stamps are not ordered with the completion on the bus. One of an earlier lap, or of a message that never ran, is
   * told by its time. */
  if (start + 1000000u < enqueued || end < start || end > now + 1000000u) {
    record(&core->stages[GQ_STAGE_TOTAL], enqueued, now);
    return;
  }
  record(&core->stages[GQ_STAGE_WAIT], enqueued, start);
  record(&core->stages[GQ_STAGE_HANDLER], start, end);
  record(&core->stages[GQ_STAGE_DELIVER], end, now);
  record(&core->stages[GQ_STAGE_TOTAL], enqueued, now);
}

static gq_latency summarise(const gq_histogram *h)
{
  const double wanted[4] = {0.5, 0.9, 0.99, 0.999};
  gq_latency l = {0, 0, 0, 0, 0, 0};
  uint64_t *const out[4] = {&l.p50, &l.p90, &l.p99, &l.p999};
  uint64_t seen = 0;
  unsigned at = 0;

  for (unsigned b = 0; b < GQ_BUCKETS; b++) l.samples += __atomic_load_n(&h->count[b], __ATOMIC_RELAXED);
  l.max = __atomic_load_n(&h->max, __ATOMIC_RELAXED);
  for (unsigned b = 0; b < GQ_BUCKETS && at < 4 && l.samples; b++) {
    seen += __atomic_load_n(&h->count[b], __ATOMIC_RELAXED);
    while (at < 4 && (double)seen >= wanted[at] * (double)l.samples) {
      *out[at] = bucket_end(b) < l.max ? bucket_end(b) : l.max;
      at++;
    }
  }
  return l;
}

static uint64_t above(uint64_t a, uint64_t b)
{
  return a > b ? a - b : 0; /* counters are read one after another: differences may seem negative */
}

gq_status gq_stats(gq_queue *queue, gq_statistics *statistics)
{
  gq_consumed consumed;
  gq_statistics s;
  uint64_t taken = 0;
  gq_core *core;
  size_t size;

  if (!queue || !statistics) return gq_fail(GQ_INVALID, "gq_stats: an argument is NULL");
  core = queue->core;
  size = statistics->size;
  if (size == 0) return gq_fail(GQ_INVALID, "gq_stats: size is 0, not sizeof(gq_statistics), %zu", sizeof s);
  memset(&s, 0, sizeof s);
  memset(&consumed, 0, sizeof consumed);
  for (const gq_stripe *stripe = core->stripes; stripe < core->stripes + GQ_STRIPES; stripe++) {
    s.bytes_in += __atomic_load_n(&stripe->count[GQ_BYTES_IN], __ATOMIC_RELAXED);
    s.bytes_out += __atomic_load_n(&stripe->count[GQ_BYTES_OUT], __ATOMIC_RELAXED);
    s.rejected_full += __atomic_load_n(&stripe->count[GQ_REJECTED_FULL], __ATOMIC_RELAXED);
    taken += __atomic_load_n(&stripe->count[GQ_RESULTS_TAKEN], __ATOMIC_RELAXED);
  }
  core->backend->count(core->state, &consumed);
  for (uint32_t i = 0; i < core->lane_count; i++) {
    s.enqueued += gq_ld64(&core->lanes[i].head->claimed, GQ_RELAXED, GQ_SYS);
    s.host_bytes += core->lanes[i].total_bytes;
  }
  s.completed = consumed.completed;
  s.failed = s.dead_lettered = consumed.failed;
  s.cancelled = consumed.cancelled;
  s.retried = consumed.retried;
  s.depth = above(s.enqueued, consumed.taken);
  s.in_flight = above(consumed.taken, consumed.finished);
  s.unread = above(consumed.finished, taken);
  s.parks = consumed.parks;
  s.relaunches = consumed.relaunches;
  s.host_bytes += consumed.host_bytes;
  s.device_bytes = consumed.device_bytes;
  s.wait = summarise(&core->stages[GQ_STAGE_WAIT]);
  s.handler = summarise(&core->stages[GQ_STAGE_HANDLER]);
  s.deliver = summarise(&core->stages[GQ_STAGE_DELIVER]);
  s.total = summarise(&core->stages[GQ_STAGE_TOTAL]);
  s.size = size < sizeof s ? size : sizeof s;
  memcpy(statistics, &s, s.size);
  return GQ_OK;
}
