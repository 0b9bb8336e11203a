/* SPDX-License-Identifier: Apache-2.0 */
#include "samples.h"

#include <stdlib.h>
#include <string.h>

#include "../cli.h"
#include "bench.h"

void samples_init(struct samples *samples, size_t capacity)
{
  samples->ns = allocate(capacity * sizeof *samples->ns);
  memset(samples->ns, 1, capacity * sizeof *samples->ns);
  samples->capacity = capacity;
  samples->count = 0;
}

void samples_free(struct samples *samples)
{
  free(samples->ns);
  samples->ns = NULL;
}

/* Millions of samples, most of which are small numbers: by bytes, from the lowest, as far as any has one. */
void samples_sort(struct samples *samples, size_t first)
{
  const size_t count = samples->count - first;
  uint64_t *from = samples->ns + first, *to = allocate((count + 1) * sizeof *to), *spare = to, *swap;
  uint64_t all = 0;
  size_t i, starts[256];
  unsigned shift, digit;

  for (i = 0; i < count; i++) all |= from[i];
  for (shift = 0; shift < 64 && all >> shift; shift += 8) {
    memset(starts, 0, sizeof starts);
    for (i = 0; i < count; i++) {
      digit = (unsigned)(from[i] >> shift) & 255;
      if (digit < 255) starts[digit + 1]++;
    }
    for (digit = 1; digit < 256; digit++) starts[digit] += starts[digit - 1];
    for (i = 0; i < count; i++) to[starts[from[i] >> shift & 255]++] = from[i];
    swap = from, from = to, to = swap;
  }
  if (from == spare) memcpy(samples->ns + first, from, count * sizeof *from);
  free(spare);
}

uint64_t sample_at(const uint64_t *sorted, size_t count, double share)
{
  const double rank = share * (double)count;
  size_t at = (size_t)rank;

  if (count == 0) return 0;
  if ((double)at == rank && at > 0) at--;
  return sorted[at < count ? at : count - 1];
}

void figures_forget_few(struct figures *figures)
{
  if (figures->samples < 10) figures->p90_us = 0;
  if (figures->samples < 100) figures->p99_us = 0;
  if (figures->samples < 1000) figures->p999_us = 0;
}

void samples_summarise(struct samples *samples, struct figures *figures)
{
  const uint64_t *ns = samples->ns;
  const size_t count = samples->count;

  samples_sort(samples, 0);
  figures->samples = count;
  if (count == 0) return;
  figures->p50_us = (double)sample_at(ns, count, 0.5) / 1e3;
  figures->p90_us = (double)sample_at(ns, count, 0.9) / 1e3;
  figures->p99_us = (double)sample_at(ns, count, 0.99) / 1e3;
  figures->p999_us = (double)sample_at(ns, count, 0.999) / 1e3;
  figures->max_us = (double)ns[count - 1] / 1e3;
  figures_forget_few(figures);
}
