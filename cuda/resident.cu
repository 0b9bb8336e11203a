/* SPDX-License-Identifier: Apache-2.0 */
/* The resident kernel: launched once, it drains the queue's lanes until it is told to stop or has been idle for long
 * enough to park. Blocks 0 to ingress_blocks - 1 fetch messages from the lanes, the others run them; one warp is in
 * charge. One entry for each scope, and one for the handler's init. */
#include "cuda/control.cuh"

__constant__ uint64_t gq_lane_bases[GQ_MAX_LANES];

template <int scope> __device__ __forceinline__ void gq_resident(const gq_dev_queue &q)
{
  __shared__ volatile uint64_t words[32];
  const uint32_t warp = threadIdx.x >> 5, warps = blockDim.x >> 5, slots = scope == 1 ? 32 : 1;
  const uint32_t mine = scope == 3 ? 0 : warp, of_warp = slots * (q.stage_in + q.stage_out);
  gq_stage stage;

  stage.in = gq_shared_memory + mine * of_warp;
  stage.out = stage.in + slots * q.stage_in;
  stage.in_bytes = q.stage_in;
  stage.out_bytes = q.stage_out;
  if (blockIdx.x < q.ingress_blocks) {
    const uint32_t w = blockIdx.x * warps + warp, ingress = q.ingress_blocks * warps - 1;

    if (w == 0) gq_control_warp(q, ingress);
    else gq_ingress(q, stage, w - 1, ingress);
  } else {
    if constexpr (scope == 3) gq_work_block(q, stage, &words[0]);
    else gq_work_warp<scope>(q, stage, (gridDim.x - q.ingress_blocks) * warps, &words[warp]);
  }
}

extern "C" __global__ void __launch_bounds__(256, 1) gq_resident_thread(const __grid_constant__ gq_dev_queue q)
{
  if constexpr (gq_runs_in<1>) gq_resident<1>(q);
}

extern "C" __global__ void __launch_bounds__(256, 1) gq_resident_warp(const __grid_constant__ gq_dev_queue q)
{
  if constexpr (gq_runs_in<2>) gq_resident<2>(q);
}

extern "C" __global__ void __launch_bounds__(256, 1) gq_resident_block(const __grid_constant__ gq_dev_queue q)
{
  if constexpr (gq_runs_in<3>) gq_resident<3>(q);
}

/* Before the first launch of the others: the handler's init, by one block. */
extern "C" __global__ void __launch_bounds__(256, 1) gq_resident_init(const __grid_constant__ gq_dev_queue q)
{
  gq_context context = gq_make_context<3>(q, threadIdx.x, blockDim.x);

  context.shared = gq_shared_memory; /* nothing is staged */
  const int32_t code = gq_run_init(q.limits.handler, &context);

  if (threadIdx.x == 0) gq_st32(&q.control->init_code, (uint32_t)code, GQ_RELAXED, GQ_SYS);
}
