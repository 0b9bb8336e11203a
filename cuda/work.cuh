/* SPDX-License-Identifier: Apache-2.0 */
/* Workers: warps or blocks that take messages from the resident ring and serve them. */
#ifndef GQ_WORK_CUH
#define GQ_WORK_CUH
#include "cuda/ingress.cuh"

/* Copy claimed entries to the stage, with a warp, and free them. \return false if the kernel is leaving without them. */
__device__ __forceinline__ bool gq_load_entries(const gq_dev_queue &q, const gq_stage &stage, uint32_t first,
                                                uint32_t n)
{
  bool there = true;
  const uint32_t t = gq_lane_id(), units = 1u << q.units_log2, mask = (1u << q.ring_log2) - 1;
  const uint32_t h = t & ~(units - 1), u = t & (units - 1);

  for (uint32_t it = 0; it * 32 >> q.units_log2 < n; it += 4) {
    gq_unit unit[4];

#pragma unroll
    for (uint32_t k = 0; k < 4; k++) { /* four loads under way at once */
      const uint32_t c = ((it + k) * 32 + t) >> q.units_log2;

      if (c < n) unit[k] = gq_unit_ld_gpu(&q.ring_cells[((size_t)((first + c) & mask) << q.units_log2) + u]);
    }
#pragma unroll
    for (uint32_t k = 0; k < 4; k++) {
      const uint32_t c = ((it + k) * 32 + t) >> q.units_log2, entry = first + c;

      if (c < n) /* [Q1] the tags license reading; what is not there yet is on its way */
        while (there && unit[k].w[3] != gq_tag(entry, q.ring_log2)) {
          unit[k] = gq_unit_ld_gpu(&q.ring_cells[((size_t)(entry & mask) << q.units_log2) + u]);
          there = !gq_is_leaving(q);
        }
      const uint32_t flags = __shfl_sync(GQ_ALL, unit[k].w[1], h);

      if (c < n) stage.put_unit(c, u, unit[k], flags);
    }
  }
  if (t < n) {
    const uint32_t entry = first + t;
    gq_unit origin;

    do origin = gq_unit_ld_gpu(&q.ring_origins[entry & mask]);
    while (origin.w[3] != gq_tag(entry, q.ring_log2) && (there = there && !gq_is_leaving(q)));
    stage.set_origin(t, origin.w[0], origin.w[1] | (uint64_t)origin.w[2] << 32);
  }
  if (!__all_sync(GQ_ALL, there)) return false; /* the kernel is leaving, and its ingress has left */
  if (t < n) gq_ring_free(&q.ring_free[(first + t) & mask], first + t, q.ring_log2); /* [Q2] */
  return true;
}

/* Claim up to `most` entries, more the more are waiting, so that a few are spread over the warps and many are taken 32
 * at a time. The messages of one warp finish together, so those that may take long are spread as far as there are
 * warps; of short ones, which cost a warp about as much however many there are, some more are taken (see the kernel's
 * rates in doc/performance.md), unless some are large. Of large ones that all of a warp runs one after another it takes
 * about as many as GQ_MOST_WEIGHT says, by what those that wait have on average: the last would wait for all of them,
 * and the client's memory with it. Called by one thread. */
__device__ __forceinline__ uint32_t gq_claim_share(const gq_dev_queue &q, uint32_t most, uint32_t servers,
                                                   uint32_t *first)
{
  const uint32_t waiting = gq_ring_waiting(&q.shared->ring), large = gq_ld32(&q.shared->ring.large, GQ_RELAXED, GQ_GPU);
  uint32_t share = waiting / servers + (q.is_short && large == 0 ? 16 : 1);

  if (q.widens && large && share * large > waiting * GQ_MOST_WEIGHT) share = max(waiting * GQ_MOST_WEIGHT / large, 1u);
  return waiting ? gq_ring_claim(&q.shared->ring, min(share, most), first) : 0;
}

/* The staged messages 0 to n - 1 wait no more: see gq_count_large(). */
__device__ __forceinline__ void gq_count_off_large(const gq_dev_queue &q, const gq_stage &stage, uint32_t n)
{
  const uint32_t t = gq_lane_id();

  if (!q.is_short && !q.widens) return;
  __syncwarp(); /* the heads were stored by other threads */
  uint32_t weight = t < n ? gq_weight(q, stage.head(t)[0], stage.head(t)[1]) : 0;

  if (!__any_sync(GQ_ALL, weight)) return;
  weight = gq_warp_sum(weight);
  if (t == 0) gq_add32(&q.shared->ring.large, 0u - weight, GQ_RELAXED);
}

/* A warp's worth of work in thread and warp scope. */
template <int scope>
__device__ void gq_work_warp(const gq_dev_queue &q, const gq_stage &stage, uint32_t servers, volatile uint64_t *word)
{
  uint32_t nap = 50;

  for (;;) {
    uint32_t first = 0, n = 0;

    if (gq_lane_id() == 0)
      n = scope == 1 ? gq_claim_share(q, 32, servers, &first) : gq_ring_claim(&q.shared->ring, 1, &first);
    n = __shfl_sync(GQ_ALL, n, 0);
    first = __shfl_sync(GQ_ALL, first, 0);
    if (n == 0) {
      if ((gq_phase_now(q) & 3u) == GQ_LEAVE) return;
      __nanosleep(nap);
      nap = nap < 800 ? nap * 2 : 800;
      continue;
    }
    nap = 50;
    if (!gq_load_entries(q, stage, first, n)) return;
    if constexpr (scope == 1) {
      gq_count_off_large(q, stage, n);
      gq_serve_threads<false>(q, stage, n, 0);
    }
    if constexpr (scope == 2) gq_serve_group<2>(q, stage, word);
    __syncwarp();
  }
}

/* A block's worth of work. Its first warp claims and loads. */
__device__ void gq_work_block(const gq_dev_queue &q, const gq_stage &stage, volatile uint64_t *word)
{
  uint32_t nap = 50;

  for (;;) {
    uint32_t first = 0, n = 0, leave = 0;

    if (threadIdx.x < 32) {
      if (gq_lane_id() == 0) {
        n = gq_ring_claim(&q.shared->ring, 1, &first);
      }
      leave = (gq_phase_now(q) & 3u) == GQ_LEAVE;
      n = __shfl_sync(GQ_ALL, n, 0);
      first = __shfl_sync(GQ_ALL, first, 0);
      if (n && !gq_load_entries(q, stage, first, 1)) n = 0, leave = 1;
      if (gq_lane_id() == 0) *word = n | (n == 0 && leave) << 1;
    }
    __syncthreads();
    const uint64_t what = *word;

    __syncthreads();
    if (what & 2) return;
    if (what == 0) {
      __nanosleep(nap);
      nap = nap < 800 ? nap * 2 : 800;
      continue;
    }
    nap = 50;
    gq_serve_group<3>(q, stage, word);
  }
}

#endif
