/* SPDX-License-Identifier: Apache-2.0 */
/* What a warp begins, it notes in host memory first: after a fault the host finds there whom to suspect, and before one
 * what a handler is taking too long over (lib/cuda_begun.c). The notes are posted writes that nobody waits for, and are
 * never taken back: whoever reads them asks the lane whether the message has finished. */
#ifndef GQ_BEGUN_CUH
#define GQ_BEGUN_CUH
#include "cuda/device.h"

/* This warp's notes, GQ_BEGUN_RUNS of them. In block scope only the block's first warp has any. */
__device__ __forceinline__ gq_unit *gq_notes(const gq_dev_queue &q)
{
  return q.begun + (blockIdx.x * (blockDim.x >> 5) + (threadIdx.x >> 5)) * GQ_BEGUN_RUNS;
}

/* Called by one thread: note number `i` is `length` messages, from that of id `id` on. */
__device__ __forceinline__ void gq_note(const gq_dev_queue &q, uint32_t i, uint64_t id, uint32_t length)
{
  gq_unit note;

  note.w[0] = (uint32_t)id, note.w[1] = (uint32_t)(id >> 32), note.w[2] = length, note.w[3] = 0;
  gq_unit_st_sys(gq_notes(q) + i, note);
}

/* Note the messages of the threads in `mask`, those that follow one another in one note. Note 0 is always written: by
 * it the host tells that something new has begun. What older notes are left behind it has finished. */
__device__ __forceinline__ void gq_note_batch(const gq_dev_queue &q, uint32_t mask, uint32_t lane, uint64_t position)
{
  const uint32_t t = threadIdx.x & 31, all = 0xffffffffu, low = (uint32_t)position;
  const uint32_t low_before = __shfl_up_sync(all, low, 1), lane_before = __shfl_up_sync(all, lane, 1);
  const bool follows = t > 0 && (mask >> (t - 1) & 1) && lane_before == lane && low_before + 1 == low;
  const uint32_t starts = __ballot_sync(all, (mask >> t & 1) && !follows);
  const uint32_t ends = (~mask | starts) & ~((2u << t) - 1); /* above this thread */

  if (starts >> t & 1)
    gq_note(q, __popc(starts & ((1u << t) - 1)), (uint64_t)lane << 52 | (position + 1),
            (ends ? __ffs(ends) - 1 : 32) - t);
}

#endif
