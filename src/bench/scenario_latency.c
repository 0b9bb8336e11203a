/* SPDX-License-Identifier: Apache-2.0 */
#include "content.h"
#include "peers.h"
#include "scenarios.h"
#include "trial.h"

enum { CAPACITY = 4096 };

static bool measure(struct bench *bench, const struct content *content)
{
  struct point *point = point_new("latency", "gpuqueue");
  struct trial trial;

  point_number(point, "payload", (double)content->size);
  trial_init(&trial, bench, &content, content->size, 1, CAPACITY);
  trial.latency = true;
  return trial_run(bench, &trial, point);
}

bool scenario_latency(struct bench *bench)
{
  static const uint64_t payloads[] = {0, 32, 64, 256, 1024}, quick_payloads[] = {64};
  const struct list sizes = BENCH_LIST(bench, &bench->settings.payloads, payloads, quick_payloads);
  bool fine = true;
  size_t i;

  for (i = 0; fine && i < sizes.count; i++) {
    struct content content;

    if (!content_init(bench, &content, sizes.values[i], NULL, CAPACITY)) return false;
    fine = peers_latency(bench, "latency", &content) && cuda_peers_latency(bench, "latency", &content) &&
           measure(bench, &content);
    content_free(&content);
  }
  return fine;
}
