/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the same key finish in the order in which they were sent: what that costs. */
#include "content.h"
#include "scenarios.h"
#include "session.h"
#include "trial.h"

enum { CAPACITY = 4096 };

bool scenario_keys(struct bench *bench)
{
  static const uint64_t keys[] = {0, 1, 10, 100, 10000, 1000000}, quick_keys[] = {0, 10000};
  const struct list counts = BENCH_LIST(bench, &bench->settings.keys, keys, quick_keys);
  const size_t payload = bench->settings.payloads.count ? bench->settings.payloads.values[0] : 64;
  const unsigned threads = trial_threads(bench, 64);
  const struct point *unordered = NULL;
  struct content content, *contents = &content;
  bool fine = true;
  size_t i;

  if (!content_init(bench, &content, payload, NULL, CAPACITY)) return false;
  for (i = 0; fine && i < counts.count; i++) {
    struct point *point = point_new("keys", "gpuqueue");
    struct trial trial;

    point_number(point, "keys", (double)counts.values[i]);
    point_number(point, "payload", (double)payload);
    point_number(point, "threads", threads);
    point->beside = counts.values[i] ? unordered : NULL;
    point->beside_name = "unordered";
    trial_init(&trial, bench, (const struct content *const *)&contents, payload + CELL_TAG_BYTES, threads, CAPACITY);
    trial.traffic.keys = counts.values[i];
    trial.traffic.timed = true; /* all carry a number, or the comparison would be with shorter messages */
    trial.latency = trial.rate = true;
    fine = trial_run(bench, &trial, point);
    if (fine && counts.values[i] == 0) unordered = point_latest(bench);
  }
  content_free(&content);
  return fine;
}
