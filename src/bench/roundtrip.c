/* SPDX-License-Identifier: Apache-2.0 */
#include "roundtrip.h"

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
#include "samples.h"

/* As many round trips of 300 ns as there is time for, but not more memory than this for their samples. */
enum { SAMPLES_MAX = 4 << 20, FASTEST_NS = 300 };

/** A thread's. */
struct trip {
  gq_queue *lane;
  unsigned index;               /**< of the lane */
  const struct content *content;
  uint64_t keys;
  struct trouble *trouble;
  unsigned char *result;
  uint64_t number;
  int64_t turn;                 /**< how long each part of the measuring is to be */
  struct samples samples;
  size_t ends[REPEATS];         /**< out: how many samples there were at the end of each part */
  int64_t began, ended;         /**< out: when the samples were taken */
};

/** One round trip. \param ns  out: how long it took */
static bool go(struct trip *trip, int64_t *ns)
{
  const gq_message message = {content_payload(trip->content, trip->number), trip->content->size,
                              traffic_key(trip->keys, trip->number), 0, 0};
  size_t size = trip->content->result_bytes;
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
  if (status == GQ_OK && content_matches(trip->content, trip->number, trip->result, size)) {
    trip->number++;
    return true;
  }
  if (status == GQ_RESULT_TOO_LARGE)
    trouble_tell(trip->trouble, EXIT_USAGE, TOO_LARGE_FORMAT, trip->content->size);
  else if (status != GQ_OK && status != GQ_TOO_SMALL) /* a result that is too large is a wrong one */
    trouble_tell(trip->trouble, EXIT_SYSTEM, "message %" PRIu64 " of lane %u: %s: %s: %s", trip->number, trip->index,
                 call, gq_status_name((int)status), gq_last_error());
  else
    trouble_tell(trip->trouble, EXIT_MESSAGES_FAILED, "message %" PRIu64 " of lane %u, of %zu bytes: its result of %zu "
                 "bytes is wrong", trip->number, trip->index, trip->content->size, size);
  return false;
}

/** Round trips until \p end, kept in \p samples if it is not NULL, until there are \p most of them; one at least. */
static bool go_until(struct trip *trip, int64_t end, struct samples *samples, size_t most)
{
  int64_t ns;

  do {
    if (!go(trip, &ns)) return false;
    if (samples && (!samples_add(samples, ns) || samples->count >= most)) break;
  } while (clock_ns() < end && !stop_requested() &&
           !atomic_load_explicit(&trip->trouble->status, memory_order_relaxed));
  return true;
}

static void travel(void *argument)
{
  struct trip *trip = argument;
  bool fine;
  int i;

  fine = go_until(trip, clock_ns() + trip->turn / 3, NULL, 0); /* the warm-up */
  trip->began = clock_ns();
  for (i = 0; i < REPEATS; i++) {
    /* each part has a third of the memory: if the first took it all, the others would have nothing to compare with */
    if (fine)
      fine = go_until(trip, trip->began + (i + 1) * trip->turn, &trip->samples,
                      (size_t)(i + 1) * trip->samples.capacity / REPEATS);
    trip->ends[i] = trip->samples.count;
  }
  trip->ended = clock_ns();
}

/** The samples of all threads, part by part, with each part's median in \p middles. */
static void gather(const struct trip *trips, unsigned threads, struct samples *all, double *middles)
{
  unsigned t;
  int i;

  for (i = 0; i < REPEATS; i++) {
    const size_t first = all->count;

    for (t = 0; t < threads; t++) {
      const size_t from = i ? trips[t].ends[i - 1] : 0, count = trips[t].ends[i] - from;

      memcpy(all->ns + all->count, trips[t].samples.ns + from, count * sizeof *all->ns);
      all->count += count;
    }
    samples_sort(all, first);
    middles[i] = (double)sample_at(all->ns + first, all->count - first, 0.5);
  }
}

static void summarise(const struct trip *trips, unsigned threads, struct figures *figures)
{
  struct samples all;
  double middles[REPEATS];
  size_t count = 0;
  unsigned t;

  for (t = 0; t < threads; t++) count += trips[t].samples.count;
  samples_init(&all, count);
  gather(trips, threads, &all, middles);
  figures->messages = count;
  figures->seconds = (double)(trips[0].ended - trips[0].began) * 1e-9;
  for (t = 0; t < threads; t++)
    figures->messages_per_s += (double)trips[t].samples.count / ((double)(trips[t].ended - trips[t].began) * 1e-9);
  figures->bytes_in_per_s = figures->messages_per_s * (double)trips[0].content->size;
  figures->bytes_out_per_s = figures->messages_per_s * (double)trips[0].content->result_bytes;
  repeats_spread(middles, REPEATS, figures);
  samples_summarise(&all, figures);
  samples_free(&all);
}

bool roundtrip_measure(struct bench *bench, const struct roundtrip *roundtrip, struct figures *figures)
{
  const double fitting = roundtrip->seconds * 1e9 / FASTEST_NS;
  const unsigned threads = roundtrip->threads;
  const size_t room = (fitting < SAMPLES_MAX ? (size_t)fitting : SAMPLES_MAX) / threads + 1000;
  struct trip *trips = allocate(threads * sizeof *trips);
  struct disturbance_mark mark;
  struct trouble trouble;
  struct crew crew;
  bool fine = true;
  unsigned t;

  memset(&trouble, 0, sizeof trouble);
  crew_init(&crew, threads);
  for (t = 0; t < threads; t++) {
    trips[t] = (struct trip){.lane = roundtrip->lanes[t], .index = t, .content = roundtrip->content,
                             .keys = roundtrip->keys, .trouble = &trouble,
                             .result = allocate(roundtrip->content->result_bytes + 1),
                             .turn = (int64_t)(roundtrip->seconds * 1e9 / REPEATS)};
    samples_init(&trips[t].samples, room);
    fine = fine && crew_add(bench, &crew, travel, &trips[t]);
  }
  disturbance_mark(&mark);
  if (fine) crew_go(&crew);
  crew_end(&crew);
  disturbance_since(&mark, &figures->disturbance);
  if (fine && atomic_load(&trouble.status)) fine = bench_fail(bench, atomic_load(&trouble.status), "%s", trouble.text);
  if (fine) summarise(trips, threads, figures);
  for (t = 0; t < threads; t++) {
    samples_free(&trips[t].samples);
    free(trips[t].result);
  }
  free(trips);
  return fine;
}
