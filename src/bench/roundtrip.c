/* SPDX-License-Identifier: Apache-2.0 */
#include "roundtrip.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../cli.h"
#include "../progress.h"
#include "../stop.h"
#include "bench.h"
#include "content.h"
#include "repeats.h"
#include "samples.h"

/* As many round trips of 300 ns as there is time for, but not more memory than this for their samples. */
enum { SAMPLES_MAX = 4 << 20, FASTEST_NS = 300 };

struct trip {
  struct bench *bench;
  gq_queue *lane;
  const struct content *content;
  unsigned char *result;
  size_t result_room;
  uint64_t number;
};

/** One round trip. \param ns  out: how long it took */
static bool go(struct trip *trip, int64_t *ns)
{
  const gq_message message = {content_payload(trip->content, trip->number), trip->content->size, 0, 0, 0};
  size_t size = trip->result_room;
  const char *call = "gq_enqueue";
  gq_status status;
  uint64_t id;

  *ns = clock_ns();
  status = gq_enqueue(trip->lane, &message, PATIENCE_NS, &id);
  if (status == GQ_OK) {
    call = "gq_dequeue_result";
    status = gq_dequeue_result(trip->lane, id, trip->result, &size, PATIENCE_NS);
  }
  *ns = clock_ns() - *ns;
  if (status != GQ_OK)
    return bench_fail(trip->bench, EXIT_SYSTEM, "message %" PRIu64 ": %s: %s: %s", trip->number, call,
                      gq_status_name((int)status), gq_last_error());
  if (!content_matches(trip->content, trip->number, trip->result, size))
    return bench_fail(trip->bench, EXIT_MESSAGES_FAILED, "message %" PRIu64 " of %zu bytes: its result of %zu bytes is "
                      "wrong", trip->number, trip->content->size, size);
  trip->number++;
  return true;
}

/** Round trips until \p end, kept in \p samples if it is not NULL; one at least. */
static bool go_until(struct trip *trip, int64_t end, struct samples *samples)
{
  int64_t ns;

  do {
    if (!go(trip, &ns)) return false;
    if (samples && !samples_add(samples, ns)) break;
  } while (clock_ns() < end && !stop_requested());
  return true;
}

bool roundtrip_measure(struct bench *bench, gq_queue *lane, const struct content *content, double seconds,
                       struct figures *figures)
{
  struct trip trip = {bench, lane, content, NULL, content->result_bytes, 0};
  const double fitting = seconds * 1e9 / FASTEST_NS;
  const int64_t turn = (int64_t)(seconds * 1e9 / REPEATS);
  struct disturbance_mark mark;
  struct samples samples;
  double middles[REPEATS];
  int64_t begin = clock_ns();
  bool fine;
  int i;

  samples_init(&samples, fitting < SAMPLES_MAX ? (size_t)fitting + 1000 : SAMPLES_MAX);
  trip.result = allocate(trip.result_room + 1);
  fine = go_until(&trip, clock_ns() + turn / 3, NULL); /* the warm-up */
  disturbance_mark(&mark);
  begin = clock_ns();
  for (i = 0; fine && i < REPEATS; i++) {
    const size_t first = samples.count;

    fine = go_until(&trip, begin + (i + 1) * turn, &samples);
    samples_sort(&samples, first);
    middles[i] = (double)sample_at(samples.ns + first, samples.count - first, 0.5);
  }
  figures->seconds = (double)(clock_ns() - begin) * 1e-9;
  if (fine) {
    figures->messages = samples.count;
    disturbance_since(&mark, &figures->disturbance);
    repeats_spread(middles, REPEATS, figures);
    samples_summarise(&samples, figures);
  }
  free(trip.result);
  samples_free(&samples);
  return fine;
}
