/* SPDX-License-Identifier: Apache-2.0 */
/* Round trips of several threads at once, each with a message in flight on a lane of its own. */
#include "content.h"
#include "scenarios.h"
#include "trial.h"

enum { CAPACITY = 256 };

bool scenario_threads(struct bench *bench)
{
  const struct list counts = trial_thread_counts(bench);
  const size_t payload = bench->settings.payloads.count ? bench->settings.payloads.values[0] : 64;
  struct content content, *contents = &content;
  bool fine = true;
  size_t i;

  if (!content_init(bench, &content, payload, NULL, CAPACITY)) return false;
  for (i = 0; fine && i < counts.count; i++) {
    const unsigned threads = (unsigned)counts.values[i];
    struct point *point = point_new("threads", "gpuqueue");
    struct trial trial;

    point_number(point, "threads", threads);
    point_number(point, "payload", (double)payload);
    trial_init(&trial, bench, (const struct content *const *)&contents, payload, threads, CAPACITY);
    trial.latency = trial.memory = true;
    trial.latency_threads = threads;
    fine = trial_run(bench, &trial, point);
  }
  content_free(&content);
  return fine;
}
