/* SPDX-License-Identifier: Apache-2.0 */
/* A queue that had nothing to do has left the device: what its first message pays, how much of that is the call that
 * wakes it, and what the queue costs meanwhile. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../cli.h"
#include "../timing.h"
#include "../stop.h"
#include "content.h"
#include "repeats.h"
#include "samples.h"
#include "scenarios.h"
#include "session.h"
#include "trial.h"

enum { SAMPLES_MAX = 100000, SAMPLES_LEAST = 20, CAPACITY = 4096 };
/* How long is watched what a parked queue costs. */
#define WATCHED_S 0.5

static void nap(int64_t ns)
{
  const struct timespec pause = {ns / 1000000000, ns % 1000000000};

  nanosleep(&pause, NULL);
}

static bool is_parked(const struct session *session)
{
  gq_statistics statistics;

  memset(&statistics, 0, sizeof statistics);
  statistics.size = sizeof statistics;
  return gq_stats(session->lanes[0], &statistics) == GQ_OK && statistics.parks > statistics.relaunches;
}

/** Wait until the queue has parked. */
static bool await_park(struct bench *bench, const struct session *session)
{
  const int64_t begin = clock_ns(), idle = (int64_t)bench->settings.queue.park_us * 1000;

  while (!is_parked(session)) {
    if (stop_requested()) return true;
    if (clock_ns() - begin > idle + PATIENCE_NS)
      return bench_fail(bench, EXIT_SYSTEM, "the queue has not parked %d s after its idle time of park_us %" PRIu32,
                        (int)(PATIENCE_NS / 1000000000), bench->settings.queue.park_us);
    nap(idle < 1000000 ? 100000 + idle / 2 : 500000);
  }
  return true;
}

/** \param enqueue_ns  out: how much of \p ns the sending call took, which is who wakes the queue */
static bool round_trip(struct bench *bench, struct session *session, const struct content *content, uint64_t number,
                       unsigned char *result, int64_t *ns, int64_t *enqueue_ns)
{
  const gq_message message = {content_payload(content, number), content->size, 0, 0, 0};
  size_t size = content->result_bytes;
  uint64_t id;
  const int64_t begin = clock_ns();
  gq_status status = gq_enqueue(session->lanes[0], &message, PATIENCE_NS, &id);

  *enqueue_ns = clock_ns() - begin;
  if (status == GQ_OK) status = gq_dequeue_result(session->lanes[0], id, result, &size, PATIENCE_NS);
  *ns = clock_ns() - begin;
  if (status != GQ_TOO_SMALL && !session_check(bench, status, "a message to a parked queue")) return false;
  if (status == GQ_OK && content_matches(content, number, result, size)) return true;
  return bench_fail(bench, EXIT_MESSAGES_FAILED, "message %" PRIu64 " to a parked queue: its result is wrong", number);
}

static bool measure(struct bench *bench, struct session *session, const struct content *content,
                    struct figures *figures, struct figures *enqueueing)
{
  const double seconds = bench->settings.seconds;
  unsigned char *result = allocate(content->result_bytes + 1);
  double middles[REPEATS], cpu;
  struct disturbance_mark mark;
  struct samples samples, calls;
  uint64_t number = 0;
  int64_t begin, ns, enqueue_ns;
  bool fine = true;
  int i;

  samples_init(&samples, SAMPLES_MAX);
  samples_init(&calls, SAMPLES_MAX);
  disturbance_mark(&mark);
  begin = clock_ns();
  for (i = 0; fine && i < REPEATS; i++) {
    const size_t first = samples.count;

    do {
      fine = await_park(bench, session) && round_trip(bench, session, content, number++, result, &ns,
                                                          &enqueue_ns) &&
             samples_add(&samples, ns) && samples_add(&calls, enqueue_ns);
    } while (fine && !stop_requested() && (samples.count - first < SAMPLES_LEAST / REPEATS + 1 ||
             (double)(clock_ns() - begin) * 1e-9 < (i + 1) * seconds / REPEATS));
    samples_sort(&samples, first);
    middles[i] = (double)sample_at(samples.ns + first, samples.count - first, 0.5);
  }
  if (fine) fine = await_park(bench, session);
  if (fine) {
    disturbance_since(&mark, &figures->disturbance);
    figures->messages = samples.count;
    repeats_spread(middles, REPEATS, figures);
    samples_summarise(&samples, figures);
    samples_summarise(&calls, enqueueing);
    enqueueing->messages = calls.count;
    enqueueing->disturbance = figures->disturbance;
    cpu = own_cpu_seconds();
    begin = clock_ns();
    nap((int64_t)(WATCHED_S * 1e9));
    figures->cpu_share = (own_cpu_seconds() - cpu) / ((double)(clock_ns() - begin) * 1e-9);
    figures->cpu_share_known = true;
  }
  samples_free(&samples);
  samples_free(&calls);
  free(result);
  return fine;
}

static struct point *new_point(const struct bench *bench, const struct content *content, const char *part)
{
  struct point *point = point_new("wake", "gpuqueue");

  point_number(point, "payload", (double)content->size);
  if (bench->backend == GQ_BACKEND_CUDA) /* the CPU's workers have their own times */
    point_number(point, "park_us", bench->settings.queue.park_us);
  if (part) point_word(point, "part", part);
  return point;
}

bool scenario_wake(struct bench *bench)
{
  const size_t payload = bench->settings.payloads.count ? bench->settings.payloads.values[0] : 64;
  struct point *point, *enqueue;
  struct session session;
  struct content content;
  bool fine;

  if (!content_init(bench, &content, payload, NULL, CAPACITY)) return false;
  point = new_point(bench, &content, NULL);
  enqueue = new_point(bench, &content, "enqueue");
  bench_expect(bench, "scenario wake", bench->settings.seconds + 60 * 1e-6 * bench->settings.queue.park_us);
  fine = session_start(bench, &session, content.size, 1, CAPACITY);
  if (fine) {
    session_tell(&session, point);
    session_tell(&session, enqueue);
    fine = measure(bench, &session, &content, &point->figures, &enqueue->figures);
    session_close(&session);
  }
  content_free(&content);
  if (!fine) {
    point_drop(point);
    point_drop(enqueue);
    return false;
  }
  if (point_done(bench, point)) return point_done(bench, enqueue);
  point_drop(enqueue);
  return false;
}
