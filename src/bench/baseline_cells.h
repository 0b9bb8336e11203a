/* SPDX-License-Identifier: Apache-2.0 */
/* Cells as the queue has them, written and read by the host with one 16-byte access a unit: three data words and the
 * lap's tag. Relaxed accesses will do, for each unit carries its own flag. */
#ifndef GQ_BENCH_BASELINE_CELLS_H
#define GQ_BENCH_BASELINE_CELLS_H
#if defined(__SSE2__)
#include <emmintrin.h>
#endif
#include <stdbool.h>

#include "cuda/baselines.h"
#include "protocol.h"

#if defined(GQ_NO_UNIT16)
#define GQ_BASELINE_HAS_CELLS 0
#else
#define GQ_BASELINE_HAS_CELLS 1
#endif

#define GQ_BASELINE_MOST_UNITS 32u

typedef uint32_t gq_vector __attribute__((vector_size(16), may_alias));

/** Units of the smallest cell that holds \p payload bytes beside its head, as the queue chooses it; 0: none does. */
static inline uint32_t gq_baseline_units(size_t payload)
{
  uint32_t units = 4;

  while (units <= GQ_BASELINE_MOST_UNITS && gq_inline_bytes(units, 16, 0) < payload) units *= 2;
  return units <= GQ_BASELINE_MOST_UNITS ? units : 0;
}

static inline bool gq_vector_is_zero(gq_vector v)
{
#if defined(__SSE2__)
  return _mm_movemask_epi8(_mm_cmpeq_epi32((__m128i)v, _mm_setzero_si128())) == 0xffff;
#else
  return (v[0] | v[1] | v[2] | v[3]) == 0;
#endif
}

/* Volatile, so that each is one access, now. */
static inline void gq_vector_store(gq_vector *to, gq_vector v)
{
  *(volatile gq_vector *)to = v;
}

static inline gq_vector gq_vector_load(const gq_vector *from)
{
  return *(const volatile gq_vector *)from;
}

#endif
