/* SPDX-License-Identifier: Apache-2.0 */
/* What the warps of the resident kernel noted that they have begun (cuda/begun.cuh), as the host reads it. */
#ifndef GQ_CUDA_BEGUN_H
#define GQ_CUDA_BEGUN_H
#include "backend.h"

typedef struct gq_begun {
  const gq_unit *notes;     /* GQ_BEGUN_RUNS a warp, in memory that the kernel writes */
  uint32_t warps;
  uint32_t stalled;         /* the warp that gq_begun_watch() found, plus one; 0: none */
  gq_sighting *sightings;   /* one a warp */
} gq_begun;

/** Bytes of notes that \p warps warps write. */
size_t gq_begun_bytes(uint32_t warps);

/** Look for a warp that has been on the same messages for longer than stall_ms. To be called by one thread at a time,
 * now and then: a warp's time counts from when it was first seen with them.
 * \return for how many ns it has been, or 0. */
uint64_t gq_begun_watch(gq_begun *begun, const gq_consumption *c, uint64_t now);

/** Add what the stalled warp is on, or, where none was found to have stalled, what all of them are on. */
void gq_begun_suspect(const gq_begun *begun, const gq_consumption *c, gq_suspects *suspects);

#endif
