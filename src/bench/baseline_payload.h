/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads of what is written by hand: filling them and comparing answers, and how the echo kernel is launched. */
#ifndef GQ_BENCH_BASELINE_PAYLOAD_H
#define GQ_BENCH_BASELINE_PAYLOAD_H
#include "baseline_gpu.h"

typedef struct gq_baseline_shape {
  size_t bytes;             /* the payload in whole units, at least one */
  uint64_t units;
  unsigned blocks, threads;
} gq_baseline_shape;

/* A thread for each unit, one warp for small payloads; from some size on threads do several. */
static inline gq_baseline_shape gq_baseline_shape_of(const gq_baseline_task *task)
{
  const uint64_t units = task->payload ? (task->payload + 15) / 16 : 1;
  const uint64_t most = 2u * task->gpu->multiprocessors;
  const uint64_t wanted = (units + GQ_BASELINE_THREADS - 1) / GQ_BASELINE_THREADS;
  gq_baseline_shape shape = {.bytes = units * 16, .units = units};

  shape.blocks = (unsigned)(wanted < most ? wanted : most);
  shape.threads = units <= 32 ? 32 : GQ_BASELINE_THREADS;
  return shape;
}

static inline uint32_t gq_baseline_seed(uint32_t number)
{
  return number * 2654435761u + 7u;
}

static inline void gq_baseline_fill(uint32_t *payload, const gq_baseline_shape *shape, uint32_t number)
{
  const uint32_t seed = gq_baseline_seed(number), words = (uint32_t)(shape->bytes / 4);

  for (uint32_t j = 0; j < words; j++) payload[j] = seed + j;
}

static inline bool gq_baseline_check(const uint32_t *answer, const gq_baseline_shape *shape, uint32_t number)
{
  const uint32_t seed = gq_baseline_seed(number), words = (uint32_t)(shape->bytes / 4);
  uint32_t differences = 0;

  for (uint32_t j = 0; j < words; j++) differences |= answer[j] ^ (seed + j) ^ GQ_BASELINE_MARK;
  return differences == 0;
}

#endif
