/* SPDX-License-Identifier: Apache-2.0 */
/* What `gpuqueue bench` compares the queue with: the least that a kernel can do to exchange cells with the host, the
 * memory's own bandwidth, and the kernel of somebody who launches one for each message. */
#include "cuda/baselines.h"

#define ALL 0xffffffffu
#define SPINS 1024u /* fruitless looks between two looks at the stop word: a millisecond or so */
#define WINDOWS 4   /* windows of 32 units that an ingress warp has in flight */

__device__ __forceinline__ uint64_t now_ns()
{
  uint64_t t;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(t));
  return t;
}

/* Called by whole warps. */
__device__ __forceinline__ bool is_over(const gq_baseline_life &life, uint64_t begin)
{
  uint32_t over = 0;

  if ((threadIdx.x & 31) == 0)
    over = gq_ld32((const gq_a32 *)life.stop, GQ_RELAXED, GQ_SYS) != 0 || now_ns() - begin > life.limit_ns;
  return __shfl_sync(ALL, over, 0) != 0;
}

__device__ __forceinline__ gq_unit marked(gq_unit u)
{
  u.w[0] ^= GQ_BASELINE_MARK, u.w[1] ^= GQ_BASELINE_MARK, u.w[2] ^= GQ_BASELINE_MARK;
  return u;
}

/* ------------------------------------------------------------------------------------------------ ping-pong */

/* One warp, one cell, a thread for each unit: message `tag` is complete when all units carry the tag. */
extern "C" __global__ void __launch_bounds__(32)
gq_baseline_pingpong(const gq_unit *in, gq_unit *out, uint32_t units, gq_baseline_life life)
{
  const bool mine = threadIdx.x < units;
  const uint64_t begin = now_ns();

  in += threadIdx.x, out += threadIdx.x;
  for (uint32_t tag = 1;; tag++) {
    gq_unit u = {{0, 0, 0, tag}};

    for (uint32_t spins = 1;; spins++) {
      if (mine) u = gq_unit_ld_sys(in);
      if (__all_sync(ALL, u.w[3] == tag)) break;
      if (spins % SPINS == 0 && is_over(life, begin)) return;
    }
    if (mine) gq_unit_st_sys(out, marked(u));
  }
}

/* The same with two warps, whose reads are under way at the same time: the message is seen sooner. Whoever advances the
 * shared tag answers. */
extern "C" __global__ void __launch_bounds__(64)
gq_baseline_pingpong2(const gq_unit *in, gq_unit *out, uint32_t units, gq_baseline_life life)
{
  __shared__ uint32_t turn;
  const uint32_t me = threadIdx.x & 31;
  const bool mine = me < units;
  const uint64_t begin = now_ns();
  uint32_t spins = 0;

  if (threadIdx.x == 0) turn = 1;
  __syncthreads();
  in += me, out += me;
  for (;;) {
    /* One thread's value for all: were there two in a warp, an answer could be made of two messages. */
    const uint32_t tag = __shfl_sync(ALL, *(volatile uint32_t *)&turn, 0);
    gq_unit u = {{0, 0, 0, tag}};
    uint32_t won = 0;

    if (mine) u = gq_unit_ld_sys(in);
    if (!__all_sync(ALL, u.w[3] == tag)) {
      if (++spins % SPINS == 0 && is_over(life, begin)) return;
      continue;
    }
    if (me == 0) won = atomicCAS(&turn, tag, tag + 1) == tag;
    if (__shfl_sync(ALL, won, 0) && mine) gq_unit_st_sys(out, marked(u));
    spins = 0;
  }
}

/* ----------------------------------------------------------------------------------------- the resident ring */

__device__ __forceinline__ uint32_t tag_of(uint64_t unit, uint32_t units_log2)
{
  return (uint32_t)(unit >> units_log2) + 1;
}

/* An ingress warp: copies complete units from its lane in host memory into device memory, WINDOWS windows at a time.
 * While nothing comes it looks at the first incomplete window only: every look at one crosses the bus. Units are
 * copied as they come, for each carries its own tag. */
template <int UNITS> __device__ __forceinline__ void ingest(const gq_baseline_ring &r, uint64_t begin)
{
  constexpr uint32_t warps = GQ_BASELINE_WARPS(UNITS), every = (1u << WINDOWS) - 1;
  const uint32_t me = threadIdx.x & 31, warp = blockIdx.x * warps + (threadIdx.x >> 5);
  const uint32_t share = r.ingress_blocks * warps / r.lanes, lane = warp % r.lanes, mine = warp / r.lanes;
  const uint64_t mask = (1ull << r.units_log2) - 1;
  const gq_unit *from = (const gq_unit *)r.submissions + ((uint64_t)lane << r.units_log2);
  gq_unit *to = (gq_unit *)r.resident + ((uint64_t)lane << r.units_log2);

  if (mine >= share) return;
  for (uint64_t window = (uint64_t)mine * WINDOWS;; window += (uint64_t)share * WINDOWS) {
    uint32_t got = 0, full = 0, spins = 0; /* a bit for each window: of this thread's unit, of all 32 */
    bool burst = false;

    while (full != every) {
      const uint32_t look = burst ? every & ~full : ~full & (full + 1);
      gq_unit u[WINDOWS];

#pragma unroll
      for (int w = 0; w < WINDOWS; w++)
        if (look >> w & 1) u[w] = gq_unit_ld_sys(&from[((window + w) * 32 + me) & mask]);
      burst = false;
#pragma unroll
      for (int w = 0; w < WINDOWS; w++) {
        const uint64_t unit = (window + w) * 32 + me;

        if (!(look >> w & 1)) continue;
        if (!(got >> w & 1) && u[w].w[3] == tag_of(unit, r.units_log2)) {
          gq_unit_st_gpu(&to[unit & mask], u[w]);
          got |= 1u << w;
        }
        if (!__all_sync(ALL, got >> w & 1)) continue;
        full |= 1u << w;
        burst = true;
      }
      if (full != every && ++spins % SPINS == 0 && is_over(r.life, begin)) return;
    }
  }
}

/* The handler: one thread reads the whole message, and the answer is the message with the sum of its words in the
 * third. */
template <int UNITS> __device__ __forceinline__ void handle(gq_unit *cell)
{
  uint32_t sum = 0;

#pragma unroll
  for (int k = 0; k < UNITS; k++) sum += cell[k].w[0] + cell[k].w[1] + cell[k].w[2];
  cell[0].w[2] = sum;
}

/* Copy what has come of the batch that begins with unit `first` into `stage`. \return for each unit of the row in which
 * this thread's message lies, whether it is there. `got`: a bit for each row, of this thread's unit. `open`: the
 * first incomplete row, and the only one that is looked at unless `burst`. */
template <int UNITS>
__device__ __forceinline__ uint32_t gather(const gq_unit *from, uint64_t first, const gq_baseline_ring &r,
                                           gq_unit *stage, uint32_t &got, uint32_t &open, bool burst)
{
  constexpr int AT_ONCE = UNITS < 8 ? UNITS : 8; /* loads under way: each takes long, and registers are few */
  const uint64_t mask = (1ull << r.units_log2) - 1;
  const uint32_t me = threadIdx.x & 31, my_row = me * UNITS / 32;
  uint32_t ready = 0;

#pragma unroll
  for (int group = 0; group < UNITS; group += AT_ONCE) {
    const uint32_t look = burst ? ~got : ~got & 1u << (open & 31);
    gq_unit u[AT_ONCE];

#pragma unroll
    for (int g = 0; g < AT_ONCE; g++)
      if (look >> (group + g) & 1) u[g] = gq_unit_ld_gpu(&from[(first + (group + g) * 32 + me) & mask]);
#pragma unroll
    for (int g = 0; g < AT_ONCE; g++) {
      const int row = group + g;
      uint32_t there;

      if ((look >> row & 1) && u[g].w[3] == tag_of(first + row * 32 + me, r.units_log2)) {
        stage[row * 32 + me] = u[g];
        got |= 1u << row;
      }
      there = __ballot_sync(ALL, got >> row & 1);
      if (row == (int)my_row) ready = there;
      if (there == ALL && row == (int)open) open++;
    }
  }
  return ready;
}

/* A worker warp: claims 32 messages of its lane at a time, one for each thread, and answers each as soon as all its
 * units have come. */
template <int UNITS> __device__ __forceinline__ void work(const gq_baseline_ring &r, uint64_t begin, gq_unit *stage)
{
  constexpr uint32_t warps = GQ_BASELINE_WARPS(UNITS), whole = UNITS == 32 ? ALL : (1u << (UNITS & 31)) - 1;
  const uint32_t me = threadIdx.x & 31, shift = me * UNITS % 32;
  const uint32_t lane = ((blockIdx.x - r.ingress_blocks) * warps + (threadIdx.x >> 5)) % r.lanes;
  const uint64_t mask = (1ull << r.units_log2) - 1;
  const gq_unit *from = (const gq_unit *)r.resident + ((uint64_t)lane << r.units_log2);
  gq_unit *to = (gq_unit *)r.completions + ((uint64_t)lane << r.units_log2);
  gq_a32 *ticket = (gq_a32 *)(r.tickets + (uint64_t)lane * GQ_BASELINE_TICKET_BYTES);

  for (;;) {
    uint32_t batch = 0, got = 0, open = 0, spins = 0;
    bool done = false, burst = true;

    if (me == 0) batch = gq_add32(ticket, 1u, GQ_RELAXED);
    const uint64_t first = (uint64_t)__shfl_sync(ALL, batch, 0) * UNITS * 32;
    for (;;) {
      const uint32_t ready = gather<UNITS>(from, first, r, stage, got, open, burst);
      const bool fresh = !done && (ready >> shift & whole) == whole;
      const uint32_t answers = __ballot_sync(ALL, fresh);

      __syncwarp(); /* the units that others staged */
      if (fresh) handle<UNITS>(&stage[me * UNITS]);
      done = done || fresh;
      burst = __popc(answers) > 1;
      __syncwarp(); /* the answers of the others */
      if (answers) {
#pragma unroll
        for (int row = 0; row < UNITS; row++)
          if (answers >> (row * 32 + me) / UNITS & 1)
            gq_unit_st_sys(&to[(first + row * 32 + me) & mask], stage[row * 32 + me]);
      }
      __syncwarp(); /* before the stage is written again */
      if (__all_sync(ALL, done)) break;
      if (++spins % SPINS == 0 && is_over(r.life, begin)) return;
    }
  }
}

template <int UNITS> __device__ __forceinline__ void ring(const gq_baseline_ring &r)
{
  __shared__ gq_unit stages[GQ_BASELINE_WARPS(UNITS)][32 * UNITS];
  const uint64_t begin = now_ns();

  if (blockIdx.x < r.ingress_blocks) ingest<UNITS>(r, begin);
  else work<UNITS>(r, begin, stages[threadIdx.x >> 5]);
}

#define RING(units)                                                                      \
  extern "C" __global__ void __launch_bounds__(32 * GQ_BASELINE_WARPS(units))            \
  gq_baseline_ring_##units(gq_baseline_ring r)                                           \
  {                                                                                      \
    ring<units>(r);                                                                      \
  }
RING(4)
RING(8)
RING(16)
RING(32)

/* ------------------------------------------------------------------------------- memory, and one message a launch */

/* Read everything and add the sum of its words to *sum. */
extern "C" __global__ void __launch_bounds__(GQ_BASELINE_THREADS)
gq_baseline_load(const gq_unit *in, uint64_t units, gq_a32 *sum)
{
  const uint64_t step = (uint64_t)gridDim.x * blockDim.x;
  uint64_t i = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x;
  uint32_t mine = 0;

  for (; i + 3 * step < units; i += 4 * step) {
    gq_unit u[4];

#pragma unroll
    for (int k = 0; k < 4; k++) u[k] = gq_unit_ld_sys(&in[i + k * step]);
#pragma unroll
    for (int k = 0; k < 4; k++) mine += u[k].w[0] + u[k].w[1] + u[k].w[2] + u[k].w[3];
  }
  for (; i < units; i += step) {
    const gq_unit u = gq_unit_ld_sys(&in[i]);

    mine += u.w[0] + u.w[1] + u.w[2] + u.w[3];
  }
  for (int distance = 16; distance; distance /= 2) mine += __shfl_down_sync(ALL, mine, distance);
  if ((threadIdx.x & 31) == 0) gq_add32(sum, mine, GQ_RELAXED);
}

/* Write everything. */
extern "C" __global__ void __launch_bounds__(GQ_BASELINE_THREADS)
gq_baseline_store(uint4 *out, uint64_t units, uint32_t pass)
{
  const uint64_t step = (uint64_t)gridDim.x * blockDim.x;

  for (uint64_t i = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x; i < units; i += step)
    out[i] = make_uint4(GQ_BASELINE_STORED(i, 0, pass), GQ_BASELINE_STORED(i, 1, pass), GQ_BASELINE_STORED(i, 2, pass),
                        GQ_BASELINE_STORED(i, 3, pass));
}

__device__ __forceinline__ uint4 answer(uint4 v)
{
  return make_uint4(v.x ^ GQ_BASELINE_MARK, v.y ^ GQ_BASELINE_MARK, v.z ^ GQ_BASELINE_MARK, v.w ^ GQ_BASELINE_MARK);
}

/* Read everything and write the answer: both directions at once, and the handler of a message a launch. */
extern "C" __global__ void __launch_bounds__(GQ_BASELINE_THREADS)
gq_baseline_echo(const uint4 *__restrict__ in, uint4 *__restrict__ out, uint64_t units)
{
  const uint64_t step = (uint64_t)gridDim.x * blockDim.x;
  uint64_t i = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x;

  for (; i + 3 * step < units; i += 4 * step) {
    uint4 v[4];

#pragma unroll
    for (int k = 0; k < 4; k++) v[k] = in[i + k * step];
#pragma unroll
    for (int k = 0; k < 4; k++) out[i + k * step] = answer(v[k]);
  }
  for (; i < units; i += step) out[i] = answer(in[i]);
}
