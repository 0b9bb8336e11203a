/* SPDX-License-Identifier: Apache-2.0 */
#include "statistics.h"

#include "cli.h"
#include "json.h"
#include "progress.h"
#include "stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/** The counters by name, so that both formats have all of them. */
#define COUNTERS(X) \
  X(enqueued) X(completed) X(failed) X(cancelled) X(retried) X(dead_lettered) X(rejected_full) X(depth) X(in_flight) \
  X(unread) X(bytes_in) X(bytes_out) X(parks) X(relaunches) X(host_bytes) X(device_bytes)
#define STAGES(X) X(wait) X(handler) X(deliver) X(total)

static void print_stage_text(const char *name, const gq_latency *stage)
{
  if (stage->samples == 0) return;
  fprintf(stderr, "  %-8s p50 %.1f us, p90 %.1f us, p99 %.1f us, p99.9 %.1f us, max %.1f us (%" PRIu64 " samples)\n",
          name, (double)stage->p50 / 1e3, (double)stage->p90 / 1e3, (double)stage->p99 / 1e3,
          (double)stage->p999 / 1e3, (double)stage->max / 1e3, stage->samples);
}

static void print_text(const struct run *run, const gq_statistics *all, double seconds)
{
  char rate[32], read_rate[32];
  const double bytes = (double)all->bytes_in;

  fprintf(stderr, "%" PRIu64 " results (%" PRIu64 " bytes), %" PRIu64 " failed in %.3f s: %s/s, %sB/s\n", run->received,
          run->result_bytes, (uint64_t)atomic_load(&run->failed), seconds,
          progress_scaled((double)run->received / seconds, rate, sizeof rate),
          progress_scaled(bytes / seconds, read_rate, sizeof read_rate));
  fprintf(stderr, "ran on %s\n", gq_describe(run->queue));
#define PRINT_COUNTER(name) fprintf(stderr, "  %-14s %" PRIu64 "\n", #name, all->name);
  COUNTERS(PRINT_COUNTER)
#undef PRINT_COUNTER
#define PRINT_STAGE(name) print_stage_text(#name, &all->name);
  STAGES(PRINT_STAGE)
#undef PRINT_STAGE
  if (run->stream) stream_print_text(run->stream, stderr);
}

static void print_stage_json(const char *name, const gq_latency *stage)
{
  fprintf(stderr, ",\"%s_ns\":{\"samples\":%" PRIu64 ",\"p50\":%" PRIu64 ",\"p90\":%" PRIu64 ",\"p99\":%" PRIu64
          ",\"p999\":%" PRIu64 ",\"max\":%" PRIu64 "}",
          name, stage->samples, stage->p50, stage->p90, stage->p99, stage->p999, stage->max);
}

static void print_json(const struct run *run, const gq_statistics *all, double seconds)
{
  fprintf(stderr, "{\"results\":%" PRIu64 ",\"result_bytes\":%" PRIu64 ",\"failures\":%" PRIu64 ",\"seconds\":%.6f"
          ",\"running_on\":", run->received, run->result_bytes, (uint64_t)atomic_load(&run->failed), seconds);
  json_string(stderr, gq_describe(run->queue));
#define PRINT_COUNTER(name) fprintf(stderr, ",\"%s\":%" PRIu64, #name, all->name);
  COUNTERS(PRINT_COUNTER)
#undef PRINT_COUNTER
#define PRINT_STAGE(name) print_stage_json(#name, &all->name);
  STAGES(PRINT_STAGE)
#undef PRINT_STAGE
  if (run->stream) stream_print_json(run->stream, stderr);
  fprintf(stderr, "}\n");
}

void statistics_print(struct run *run, int64_t elapsed_ns)
{
  const double seconds = elapsed_ns > 0 ? (double)elapsed_ns / 1e9 : 1e-9;
  gq_statistics all;

  memset(&all, 0, sizeof all);
  all.size = sizeof all;
  if (gq_stats(run->queue, &all) != GQ_OK) complain("no statistics: %s", gq_last_error());
  else if (run->settings->stats == STATS_JSON) print_json(run, &all, seconds);
  else print_text(run, &all, seconds);
}
