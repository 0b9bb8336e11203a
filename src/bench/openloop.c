/* SPDX-License-Identifier: Apache-2.0 */
#include "openloop.h"

#include <sched.h>
#include <string.h>
#include <time.h>

#include "../cli.h"
#include "../timing.h"
#include "../stop.h"
#include "bench.h"
#include "content.h"
#include "crew.h"
#include "flow.h"
#include "repeats.h"
#include "samples.h"

/* Memory for samples bounds how many messages a part may have. */
enum { SAMPLES_MAX = 6 << 20, DUE_MAX = 256 };
#define SLICE_NS ((int64_t)50 * 1000 * 1000)
/* A sender that has so long to wait sleeps, and wakes up so much too early. */
#define WORTH_SLEEPING_NS 300000
#define SLEEP_MARGIN_NS 150000
/* A rate that cannot be had is given up after so many times the time it should have taken. */
#define LATEST 4

struct schedule {
  struct flow *flow;
  uint64_t count;        /**< messages to send */
  int64_t done;
};

static bool in_trouble(const struct schedule *s)
{
  return atomic_load_explicit(&s->flow->trouble->status, memory_order_relaxed) != 0;
}

static void pause_until(int64_t when)
{
  const int64_t left = when - clock_ns();
  struct timespec pause;

  if (left < WORTH_SLEEPING_NS) {
    sched_yield(); /* gives way to a consumer on the same core */
    return;
  }
  pause = (struct timespec){0, left - SLEEP_MARGIN_NS};
  if (pause.tv_nsec > SLICE_NS) pause.tv_nsec = SLICE_NS;
  nanosleep(&pause, NULL);
}

static void send_on_time(void *argument)
{
  struct schedule *s = argument;
  struct flow *flow = s->flow;
  const int64_t latest = flow->begin + (int64_t)(LATEST * (double)s->count * flow->pause_ns) + SLICE_NS;

  atomic_store(&flow->total, s->count);
  while (flow->next < s->count && !in_trouble(s)) {
    const int64_t now = clock_ns();
    const uint64_t due = now < flow->begin ? 0 : (uint64_t)((double)(now - flow->begin) / flow->pause_ns) + 1;

    if (stop_requested() || now > latest) break;
    if (due > flow->next) flow_send(flow, due - flow->next < DUE_MAX ? (size_t)(due - flow->next) : DUE_MAX, 0);
    else pause_until(flow->begin + (int64_t)((double)flow->next * flow->pause_ns));
  }
  atomic_store(&flow->total, flow->next);
}

static void receive(void *argument)
{
  struct schedule *s = argument;
  struct flow *flow = s->flow;
  int64_t idle_since = clock_ns();

  while (flow->received < atomic_load(&flow->total) && !in_trouble(s)) {
    const int64_t pause = (int64_t)flow->pause_ns;

    if (flow_receive(flow, DUE_MAX, SLICE_NS) > 0) idle_since = clock_ns();
    else if (clock_ns() - idle_since > flow_patience_ns(flow) + 2 * pause)
      trouble_tell(flow->trouble, EXIT_SYSTEM, "nothing has come back for %d s",
                   (int)(flow_patience_ns(flow) / 1000000000));
  }
  s->done = clock_ns();
}

static bool run_once(struct bench *bench, struct flow *flow, uint64_t count, double *took)
{
  struct schedule schedule = {flow, count, 0};
  struct crew crew;
  bool fine;

  flow_reset(flow);
  crew_init(&crew, 2);
  fine = crew_add(bench, &crew, receive, &schedule) && crew_add(bench, &crew, send_on_time, &schedule);
  flow->begin = clock_ns();
  if (fine) crew_go(&crew);
  crew_end(&crew);
  *took = (double)(schedule.done - flow->begin) * 1e-9;
  if (*took < flow->pause_ns * 1e-9 * (double)count) *took = flow->pause_ns * 1e-9 * (double)count; /* the last pause */
  if (fine && !atomic_load(&flow->trouble->status)) flow_is_complete(flow);
  if (!fine || !atomic_load(&flow->trouble->status)) return fine;
  return bench_fail(bench, atomic_load(&flow->trouble->status), "%s", flow->trouble->text);
}

bool openloop_measure(struct bench *bench, gq_queue *lane, const struct content *content, double rate, double seconds,
                      struct figures *figures)
{
  const struct traffic traffic = {.contents = &content, .content_count = 1, .lanes = &lane, .lane_count = 1,
                                  .threads = 1, .separate = true, .calls = CALLS_BATCH, .batch = DUE_MAX,
                                  .timed = true};
  const double wished = rate * seconds / REPEATS;
  const uint64_t count = wished < 1 ? 1 : wished < SAMPLES_MAX / REPEATS ? (uint64_t)wished : SAMPLES_MAX / REPEATS;
  struct disturbance_mark mark;
  struct trouble trouble;
  struct samples samples;
  struct flow flow;
  double middles[REPEATS], took;
  bool fine;
  int i;

  memset(&trouble, 0, sizeof trouble);
  flow_init(&flow, &traffic, 0, &trouble);
  flow.pause_ns = 1e9 / rate;
  samples_init(&samples, REPEATS * count);
  fine = run_once(bench, &flow, (count + 7) / 8, &took);
  disturbance_mark(&mark);
  flow.samples = &samples;
  for (i = 0; fine && i < REPEATS; i++) {
    const size_t first = samples.count;

    fine = run_once(bench, &flow, count, &took);
    samples_sort(&samples, first);
    middles[i] = (double)sample_at(samples.ns + first, samples.count - first, 0.5);
    figures->messages += flow.received;
    figures->seconds += took;
  }
  if (fine) {
    disturbance_since(&mark, &figures->disturbance);
    figures->messages_per_s = (double)figures->messages / figures->seconds;
    figures->bytes_in_per_s = figures->messages_per_s * (double)content->size;
    figures->bytes_out_per_s = figures->messages_per_s * (double)content->result_bytes;
    repeats_spread(middles, REPEATS, figures);
    samples_summarise(&samples, figures);
  }
  samples_free(&samples);
  flow_free(&flow);
  return fine;
}
