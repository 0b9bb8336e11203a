/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "baseline_gpu.h"

#define MOST_SAMPLES (1u << 25)
#define MOST_A_SECOND 2e6 /* no round trip takes less than half a microsecond */

bool gq_baseline_samples_open(gq_baseline_samples *samples, const gq_baseline_task *task)
{
  const double wanted = task->seconds * MOST_A_SECOND + 1024;

  samples->count = 0;
  samples->total_ns = 0;
  samples->room = wanted < MOST_SAMPLES ? (size_t)wanted : MOST_SAMPLES;
  samples->ns = malloc(samples->room * sizeof *samples->ns);
  return samples->ns || gq_baseline_fail(task->gpu, "no memory for %zu latencies", samples->room);
}

bool gq_baseline_samples_add(gq_baseline_samples *samples, uint64_t ns)
{
  if (samples->count == samples->room) return false;
  samples->total_ns += ns;
  samples->ns[samples->count++] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
  return true;
}

static int compare(const void *a, const void *b)
{
  const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

  return (x > y) - (x < y);
}

/* The smallest latency that `share` of the messages do not exceed, in microseconds. */
static double percentile(const gq_baseline_samples *samples, double share)
{
  const double rank = share * (double)samples->count;
  size_t at = (size_t)rank;

  if ((double)at < rank) at++;
  return samples->ns[at ? at - 1 : 0] * 1e-3;
}

void gq_baseline_samples_close(gq_baseline_samples *samples, size_t payload, gq_baseline_result *result)
{
  if (samples->count) {
    qsort(samples->ns, samples->count, sizeof *samples->ns, compare);
    result->p50_us = percentile(samples, 0.5);
    result->p90_us = percentile(samples, 0.9);
    result->p99_us = percentile(samples, 0.99);
    result->p999_us = percentile(samples, 0.999);
    result->max_us = percentile(samples, 1);
    result->messages = samples->count;
    result->messages_per_s = (double)samples->count * 1e9 / (double)samples->total_ns;
    result->bytes_in_per_s = result->bytes_out_per_s = result->messages_per_s * (double)payload;
  }
  free(samples->ns);
  samples->ns = NULL;
}
