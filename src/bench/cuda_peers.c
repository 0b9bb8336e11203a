/* SPDX-License-Identifier: Apache-2.0 */
/* What a GPU can do without a queue, as points of the scenarios. */
#include <string.h>

#include "../cli.h"
#include "baselines.h"
#include "bench.h"
#include "content.h"
#include "peers.h"
#include "samples.h"

static void take_result(const gq_baseline_result *result, struct figures *figures)
{
  figures->samples = result->p50_us > 0 ? result->messages : 0;
  figures->p50_us = result->p50_us;
  figures->p90_us = result->p90_us;
  figures->p99_us = result->p99_us;
  figures->p999_us = result->p999_us;
  figures->max_us = result->max_us;
  figures_forget_few(figures);
  figures->messages = result->messages;
  figures->messages_per_s = result->messages_per_s;
  figures->bytes_in_per_s = result->bytes_in_per_s;
  figures->bytes_out_per_s = result->bytes_out_per_s;
}

/** Measure \p baseline. \return 1; 0 if it cannot be measured here, which is said; -1 if the run is to end. */
static int measure(struct bench *bench, const gq_baseline *baseline, size_t payload, unsigned threads,
                   struct figures *figures)
{
  struct disturbance_mark mark;
  gq_baseline_result result;
  char error[512] = "";

  memset(&result, 0, sizeof result);
  bench_expect(bench, baseline->name, bench->settings.seconds);
  disturbance_mark(&mark);
  if (gq_cuda_baseline_run(baseline, bench->settings.queue.device, payload, threads, bench->settings.seconds, &result,
                           error, sizeof error) != 0) {
    fprintf(bench->table, "  %s is not measured: %s\n", baseline->name, error);
    return ferror(bench->table) ? -1 : 0;
  }
  disturbance_since(&mark, &figures->disturbance);
  take_result(&result, figures);
  return 1;
}

/** Points for all baselines of a kind. \p parameters is called with each. */
static bool measure_all(struct bench *bench, const char *scenario, int kind, size_t payload, unsigned threads)
{
  const gq_baseline *rows;
  size_t count, i;

  if (bench->backend != GQ_BACKEND_CUDA) return true;
  rows = gq_cuda_baselines(&count);
  for (i = 0; i < count; i++) {
    struct point *point;
    int measured;

    if ((int)rows[i].kind != kind) continue;
    point = point_new(scenario, rows[i].name);
    point->is_baseline = true;
    point->is_raw_limit = rows[i].raw_limit;
    if (kind != GQ_BASELINE_BANDWIDTH) point_number(point, "payload", (double)payload);
    if (kind == GQ_BASELINE_RATE) point_number(point, "threads", threads);
    measured = measure(bench, &rows[i], payload, threads, &point->figures);
    if (measured <= 0) point_drop(point);
    if (measured < 0 || (measured > 0 && !point_done(bench, point))) return false;
  }
  return true;
}

bool cuda_peers_describe(size_t index, const char **name, const char **summary)
{
  size_t count;
  const gq_baseline *rows = gq_cuda_baselines(&count);

  if (index >= count) return false;
  *name = rows[index].name;
  *summary = rows[index].summary;
  return true;
}

bool cuda_peers_latency(struct bench *bench, const char *scenario, const struct content *content)
{
  return measure_all(bench, scenario, GQ_BASELINE_LATENCY, content->size, 1);
}

bool cuda_peers_rate(struct bench *bench, const char *scenario, const struct content *content, unsigned threads)
{
  return measure_all(bench, scenario, GQ_BASELINE_RATE, content->size, threads);
}

bool cuda_peers_bandwidth(struct bench *bench, const char *scenario, size_t payload)
{
  return measure_all(bench, scenario, GQ_BASELINE_BANDWIDTH, payload, 1);
}
