/* SPDX-License-Identifier: Apache-2.0 */
/* A message in shared memory, between its cell and its handler:
 *   word 0-2   head           word 3  lane
 *   16 ...     payload, aligned as handlers are promised
 *   then       6 extension words, position low, position high */
#ifndef GQ_STAGE_CUH
#define GQ_STAGE_CUH
#include "cuda/device.h"

/* Host memory of each lane, as the device addresses it; in constant memory, which no acquire empties from the cache. */
extern __constant__ uint64_t gq_lane_bases[GQ_MAX_LANES];

/* A lane as the device sees it: addresses are made when they are used. */
struct gq_dev_lane {
  const gq_lane_map &map;
  const gq_limits &limits;
  uint8_t *host, *device;
  uint32_t index;

  __device__ __forceinline__ gq_dev_lane(const gq_dev_queue &q, uint32_t lane)
    : map(q.map), limits(q.limits), host((uint8_t *)gq_lane_bases[lane]), device(q.map.device + lane * q.map.stride),
      index(lane)
  {
  }
  __device__ __forceinline__ const gq_unit *submissions() const { return (const gq_unit *)(host + map.submissions); }
  __device__ __forceinline__ gq_unit *completions() const { return (gq_unit *)(host + map.completions); }
  __device__ __forceinline__ gq_a64 *endings() const { return (gq_a64 *)(host + map.endings); }
  __device__ __forceinline__ gq_a64 *stamps() const { return (gq_a64 *)(host + map.stamps); }
  __device__ __forceinline__ gq_a32 *parked() const { return (gq_a32 *)(host + map.parked); }
  __device__ __forceinline__ uint8_t *arena() const { return host + map.arena; }
  __device__ __forceinline__ uint8_t *mirror() const { return map.mirrors + index * limits.arena_bytes; }
  __device__ __forceinline__ gq_a64 *ended() const { return (gq_a64 *)(device + map.ended); }
  __device__ __forceinline__ gq_front *front() const { return (gq_front *)(device + map.front); }
  __device__ __forceinline__ gq_key_word *key(uint64_t position) const
  {
    return (gq_key_word *)(device + map.keys) + (position & ((1ull << limits.ring_log2) - 1));
  }
};

__device__ __forceinline__ uint32_t gq_lane_id() { return threadIdx.x & 31u; }

__device__ __forceinline__ uint64_t gq_clock_ns()
{
  uint64_t t;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(t));
  return t;
}

/* Nobody waits for it. */
__device__ __forceinline__ void gq_raise(gq_a64 *word, uint64_t to)
{
  asm volatile("red.relaxed.gpu.global.max.u64 [%0],%1;" ::"l"(word), "l"(to) : "memory");
}

extern __shared__ __align__(16) uint8_t gq_shared_memory[];

struct gq_stage {
  uint8_t *in, *out;           /* shared memory: staged messages, their replies */
  uint32_t in_bytes, out_bytes;

  __device__ __forceinline__ uint32_t *head(uint32_t i) const { return (uint32_t *)(in + i * in_bytes); }
  __device__ __forceinline__ uint8_t *payload(uint32_t i) const { return in + i * in_bytes + 16; }
  __device__ __forceinline__ uint32_t *ext(uint32_t i) const { return (uint32_t *)(in + (i + 1) * in_bytes - 32); }
  __device__ __forceinline__ uint8_t *reply(uint32_t i) const { return out + i * out_bytes; }
  __device__ __forceinline__ void set_origin(uint32_t i, uint32_t lane, uint64_t position) const
  {
    head(i)[3] = lane;
    ext(i)[6] = (uint32_t)position;
    ext(i)[7] = (uint32_t)(position >> 32);
  }
  __device__ __forceinline__ uint32_t lane(uint32_t i) const { return head(i)[3]; }
  __device__ __forceinline__ uint64_t position(uint32_t i) const { return ext(i)[6] | (uint64_t)ext(i)[7] << 32; }

  /* Unit u of message i; flags are those of its head. */
  __device__ __forceinline__ void put_unit(uint32_t i, uint32_t u, const gq_unit &unit, uint32_t flags) const
  {
    const bool has_ext = flags & GQ_CELL_EXT;
    uint32_t *to;

    if (u == 0) to = head(i);
    else if (has_ext && u < 3) to = ext(i) + (u - 1) * 3;
    else to = (uint32_t *)payload(i) + (u - (has_ext ? 3 : 1)) * 3;
    to[0] = unit.w[0], to[1] = unit.w[1], to[2] = unit.w[2];
  }
};

/* Units of a cell with this head that must be there before it can be read. A malformed head needs no more than its
 * fixed part: gq_job_decode() refuses it. */
__device__ __forceinline__ uint32_t gq_needed_units(uint32_t size, uint32_t flags, uint32_t cell_words)
{
  uint32_t used = gq_used_words(size, flags);

  if (used > cell_words) used = GQ_HEAD_WORDS + (flags & GQ_CELL_EXT ? GQ_EXT_WORDS : 0u);
  return (used + 2) / 3;
}

/* Copy between host and device memory with all threads of a group: `threads` of them, this one is `rank`. PCIe is far
 * away, so what counts is how much is under way: 8 loads a thread, 32 KiB for a block. Sizes are rounded up to 16 bytes;
 * slots are multiples of 256. */
__device__ __forceinline__ void gq_move(uint8_t *to, const uint8_t *from, uint32_t size, uint32_t rank, uint32_t threads)
{
  const uint32_t quads = (size + 15) / 16;
  const gq_unit *f = (const gq_unit *)from;
  gq_unit *t = (gq_unit *)to;
  uint32_t i = rank;

  for (; i + 7 * threads < quads; i += 8 * threads) {
    gq_unit u[8];

#pragma unroll
    for (uint32_t k = 0; k < 8; k++) u[k] = gq_unit_ld_sys(f + i + k * threads);
#pragma unroll
    for (uint32_t k = 0; k < 8; k++) t[i + k * threads] = u[k];
  }
  for (; i < quads; i += 4 * threads) {
    gq_unit u[4];

#pragma unroll
    for (uint32_t k = 0; k < 4; k++)
      if (i + k * threads < quads) u[k] = gq_unit_ld_sys(f + i + k * threads);
#pragma unroll
    for (uint32_t k = 0; k < 4; k++)
      if (i + k * threads < quads) t[i + k * threads] = u[k];
  }
}

#endif
