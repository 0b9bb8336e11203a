/* SPDX-License-Identifier: Apache-2.0 */
/** \file samples.h
 * Latencies, every one kept: percentiles are exact. */
#ifndef GPUQUEUE_BENCH_SAMPLES_H
#define GPUQUEUE_BENCH_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct figures;

struct samples {
  uint64_t *ns;
  size_t count, capacity;
};

/** Memory for \p capacity samples, all of it touched, so that none of them pays for a page fault. */
void samples_init(struct samples *samples, size_t capacity);
void samples_free(struct samples *samples);

/** \return false if there is no room for another one. */
static inline bool samples_add(struct samples *samples, int64_t ns)
{
  if (samples->count == samples->capacity) return false;
  samples->ns[samples->count++] = ns > 0 ? (uint64_t)ns : 0;
  return true;
}

/** Sort the samples from \p first on. */
void samples_sort(struct samples *samples, size_t first);

/** Of \p count sorted samples, the least one that is not below a share \p share of all. */
uint64_t sample_at(const uint64_t *sorted, size_t count, double share);

/** Sort all samples, and put their percentiles into \p figures. */
void samples_summarise(struct samples *samples, struct figures *figures);

/** Drop the percentiles that lie above all samples but one: that one is `max` already. */
void figures_forget_few(struct figures *figures);

#endif
