/* SPDX-License-Identifier: Apache-2.0 */
/* The control warp: warp 0 of block 0. It says hello, answers the host, and decides when the kernel parks. */
#ifndef GQ_CONTROL_CUH
#define GQ_CONTROL_CUH
#include "cuda/work.cuh"

#define GQ_TURN_NS 2000u
#define GQ_HEARTBEAT_NS 1000000u

__device__ __forceinline__ void gq_set_phase(const gq_dev_queue &q, uint32_t phase)
{
  const uint32_t number = (gq_phase_now(q) >> 2 & 0x3fffu) + 1;

  __syncwarp();
  if (gq_lane_id() == 0) {
    gq_st32(&q.shared->arrived, 0u, GQ_RELAXED, GQ_GPU);
    gq_st32(&q.shared->phase, gq_phase_word(q.epoch, number, phase), GQ_RELEASE, GQ_GPU);
  }
  __syncwarp();
}

/* Tell the lanes' clients whether somebody is looking. */
__device__ __forceinline__ void gq_set_parked(const gq_dev_queue &q, uint32_t parked)
{
  for (uint32_t i = gq_lane_id(); i < q.lane_count; i += 32) gq_st32(gq_dev_lane(q, i).parked(), parked, GQ_RELAXED, GQ_SYS);
  gq_fence_sys(); /* [P1] the word is set before the last look at the cells */
  __syncwarp();
}

__device__ __forceinline__ void gq_publish_counters(const gq_dev_queue &q)
{
  const gq_a64 *from = (const gq_a64 *)&q.shared->counters;
  gq_a64 *to = (gq_a64 *)&q.control->counters;
  const uint32_t t = gq_lane_id();

  if (t < sizeof(gq_dev_counters) / sizeof(gq_a64))
    gq_st64(&to[t], gq_ld64(&from[t], GQ_RELAXED, GQ_GPU), GQ_RELAXED, GQ_SYS);
  gq_fence_sys();
  __syncwarp();
}

__device__ __forceinline__ bool gq_is_stopped(const gq_dev_queue &q)
{
  return __shfl_sync(GQ_ALL, gq_ld32(&q.control->stop, GQ_RELAXED, GQ_SYS), 0) != 0;
}

/* Wait until every ingress warp has done what the phase asks. \return false if the host wants the kernel to stop. */
__device__ __forceinline__ bool gq_await_ingress(const gq_dev_queue &q, uint32_t warps)
{
  /* [P2] acquire: what the warps have taken has been counted */
  while (__shfl_sync(GQ_ALL, gq_ld32(&q.shared->arrived, GQ_ACQUIRE, GQ_GPU), 0) != warps) {
    if (gq_is_stopped(q)) return false;
    __nanosleep(200);
  }
  return true;
}

__device__ __forceinline__ uint64_t gq_taken(const gq_dev_queue &q)
{
  return __shfl_sync(GQ_ALL, gq_ld64(&q.shared->counters.taken, GQ_RELAXED, GQ_GPU), 0);
}

__device__ __forceinline__ uint64_t gq_finished(const gq_dev_queue &q)
{
  return __shfl_sync(GQ_ALL, gq_ld64(&q.shared->counters.finished, GQ_RELAXED, GQ_GPU), 0);
}

/* Nothing has come for park_ns: leave, unless something comes while the lanes are being told. */
__device__ __forceinline__ bool gq_try_park(const gq_dev_queue &q, uint32_t warps)
{
  gq_set_phase(q, GQ_QUIET);
  if (!gq_await_ingress(q, warps)) return false;
  if (gq_taken(q) == gq_finished(q)) {
    gq_set_parked(q, 1);
    if (gq_lane_id() == 0) gq_st32(&q.shared->found, 0u, GQ_RELAXED, GQ_GPU);
    gq_set_phase(q, GQ_LOOK);
    if (!gq_await_ingress(q, warps)) return false;
    if (__shfl_sync(GQ_ALL, gq_ld32(&q.shared->found, GQ_RELAXED, GQ_GPU), 0) == 0) return true;
    gq_set_parked(q, 0);
  }
  gq_set_phase(q, GQ_RUN);
  return false;
}

__device__ void gq_control_warp(const gq_dev_queue &q, uint32_t warps)
{
  uint64_t now = gq_clock_ns(), last_taken = gq_taken(q), idle_since = now, beat = 0;
  uint32_t answered = gq_ld32(&q.control->answered, GQ_RELAXED, GQ_SYS);

  if (gq_lane_id() == 0) {
    gq_st64(&q.control->clock, now, GQ_RELAXED, GQ_SYS);
    gq_fence_sys();
    gq_st32(&q.control->hello, q.epoch, GQ_RELAXED, GQ_SYS);
  }
  for (;;) {
    const gq_unit host = gq_unit_ld_sys((const gq_unit *)q.control); /* stop, ask */
    const uint32_t stop = __shfl_sync(GQ_ALL, host.w[0], 0), ask = __shfl_sync(GQ_ALL, host.w[1], 0);
    const uint64_t taken = gq_taken(q);

    now = __shfl_sync(GQ_ALL, gq_clock_ns(), 0);
    if (stop) break;
    if (ask != answered) {
      gq_publish_counters(q);
      if (gq_lane_id() == 0) gq_st32(&q.control->answered, ask, GQ_RELAXED, GQ_SYS);
      answered = ask;
    }
    if (now - beat >= GQ_HEARTBEAT_NS) {
      if (gq_lane_id() == 0) gq_st64(&q.control->heartbeat, now, GQ_RELAXED, GQ_SYS);
      beat = now;
    }
    if (taken != last_taken || taken != gq_finished(q)) {
      last_taken = taken;
      idle_since = now;
    } else if (now - idle_since >= q.park_ns) {
      if (gq_try_park(q, warps)) break;
      idle_since = now;
    }
    __nanosleep(GQ_TURN_NS);
  }
  /* Stopped with messages waiting: nobody claims any more. When the kernel parks there are none. */
  if (gq_is_stopped(q) && gq_lane_id() == 0) gq_add32(&q.shared->ring.tokens, 0xc0000000u, GQ_RELAXED);
  gq_publish_counters(q);
  gq_set_phase(q, GQ_LEAVE);
  if (gq_lane_id() == 0) gq_st32(&q.control->left, q.epoch, GQ_RELAXED, GQ_SYS);
}

#endif
