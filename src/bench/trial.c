/* SPDX-License-Identifier: Apache-2.0 */
#include "trial.h"

#include <string.h>

#include "content.h"
#include "roundtrip.h"
#include "session.h"

enum { THREADS_MAX = 8, VARIED_THREADS_MAX = 64, BATCH = 256 };

void trial_init(struct trial *trial, const struct bench *bench, const struct content *const *content, size_t payload,
                unsigned lanes, uint32_t capacity)
{
  memset(trial, 0, sizeof *trial);
  trial->options = bench->settings.queue;
  session_plan(bench, &trial->options, payload + (content[0]->tells_number ? 0 : CELL_TAG_BYTES), lanes, capacity);
  trial->traffic = (struct traffic){
    .contents = content, .content_count = 1, .lane_count = lanes, .threads = lanes, .separate = true,
    .calls = CALLS_BATCH, .batch = BATCH, .seconds = bench->settings.seconds,
  };
  trial->latency_threads = 1;
}

bool trial_run(struct bench *bench, struct trial *trial, struct point *point)
{
  const double seconds = bench->settings.seconds / (trial->latency && trial->rate ? 2 : 1);
  struct figures *figures = &point->figures;
  struct session session;
  bool fine;

  bench_expect(bench, point->scenario, bench->settings.seconds);
  fine = session_open(bench, &session, &trial->options);
  if (fine) {
    session_tell(&session, point);
    trial->traffic.lanes = session.lanes;
    trial->traffic.seconds = seconds;
    if (trial->latency) {
      const struct roundtrip roundtrip = {trial->traffic.contents[0], session.lanes, trial->latency_threads,
                                          trial->traffic.keys, seconds};

      fine = roundtrip_measure(bench, &roundtrip, figures);
    }
    if (fine && trial->rate) fine = traffic_measure(bench, &trial->traffic, figures);
    if (fine && trial->memory) session_memory(&session, figures);
    session_close(&session);
  }
  if (fine) return point_done(bench, point);
  point_drop(point);
  return false;
}

struct list trial_thread_counts(const struct bench *bench)
{
  const uint64_t most = bench->settings.quick ? 2 : 4 * (uint64_t)bench->machine.cores;
  struct list list = bench->settings.threads;
  uint64_t threads;

  if (list.count) return list;
  for (threads = 1; threads <= most && threads <= VARIED_THREADS_MAX; threads *= 2) list.values[list.count++] = threads;
  return list;
}

unsigned trial_threads(const struct bench *bench, unsigned lanes)
{
  unsigned threads = bench->settings.threads.count ? (unsigned)bench->settings.threads.values[0]
                                                   : bench->machine.cores / 2;

  if (threads > THREADS_MAX && !bench->settings.threads.count) threads = THREADS_MAX;
  if (threads > lanes) threads = lanes;
  return threads ? threads : 1;
}
