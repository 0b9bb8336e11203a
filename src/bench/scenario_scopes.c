/* SPDX-License-Identifier: Apache-2.0 */
/* One thread, one warp, one block a message. */
#include "content.h"
#include "scenarios.h"
#include "trial.h"

enum { CAPACITY = 4096, BATCH = 64 };

static bool measure(struct bench *bench, const struct content *content, uint32_t scope)
{
  static const char *const names[] = {[GQ_SCOPE_AUTO] = "auto", [GQ_SCOPE_THREAD] = "thread", [GQ_SCOPE_WARP] = "warp",
                                      [GQ_SCOPE_BLOCK] = "block"};
  struct point *point = point_new("scopes", "gpuqueue");
  const unsigned threads = trial_threads(bench, 64);
  struct trial trial;

  point_word(point, "scope", names[scope]);
  point_number(point, "payload", (double)content->size);
  point_number(point, "threads", threads);
  trial_init(&trial, bench, &content, content->size, threads, CAPACITY);
  trial.options.scope = scope;
  trial.traffic.batch = BATCH;
  trial.latency = trial.rate = true;
  return trial_run(bench, &trial, point);
}

bool scenario_scopes(struct bench *bench)
{
  static const uint64_t payloads[] = {64, 4096}, quick_payloads[] = {64};
  const struct list sizes = BENCH_LIST(bench, &bench->settings.payloads, payloads, quick_payloads);
  const bool given = bench_is_given(&bench->settings, "scope");
  /* a handler of the user's need not run in all of them, and echo does */
  const bool any = given || !bench_is_given(&bench->settings, "handler");
  bool fine = true;
  uint32_t scope;
  size_t i;

  for (i = 0; fine && i < sizes.count; i++) {
    struct content content;

    if (!content_init(bench, &content, sizes.values[i], NULL, CAPACITY)) return false;
    if (given || !any) fine = measure(bench, &content, bench->settings.queue.scope);
    else
      for (scope = GQ_SCOPE_THREAD; fine && scope <= GQ_SCOPE_BLOCK; scope++) fine = measure(bench, &content, scope);
    content_free(&content);
  }
  return fine;
}
