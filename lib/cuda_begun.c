/* SPDX-License-Identifier: Apache-2.0 */
#include "cuda_begun.h"

#include "cuda/device.h"

typedef struct note {
  uint64_t id;
  uint32_t length;
} note;

size_t gq_begun_bytes(uint32_t warps)
{
  return (size_t)warps * GQ_BEGUN_RUNS * sizeof(gq_unit);
}

/* Note `i` of a warp, in one access: id and length belong together. */
static note read_note(const gq_begun *begun, uint32_t warp, uint32_t i)
{
  note n = {0, 0};
#if !defined(GQ_NO_UNIT16)
  const gq_unit unit = gq_unit16_ld(&begun->notes[(size_t)warp * GQ_BEGUN_RUNS + i]);

  n.id = unit.w[0] | (uint64_t)unit.w[1] << 32;
  n.length = unit.w[2] < 32 ? unit.w[2] : 32;
#else
  (void)begun, (void)warp, (void)i; /* such a host has no CUDA backend: see find_obstacle() */
#endif
  return n;
}

static bool suspect_warp(const gq_begun *begun, const gq_consumption *c, uint32_t warp, gq_suspects *suspects)
{
  bool any = false;

  for (uint32_t i = 0; i < GQ_BEGUN_RUNS; i++) {
    const note n = read_note(begun, warp, i);

    any |= gq_suspect(suspects, c->lanes, c->lane_count, n.id, n.length);
  }
  return any;
}

static bool is_at_work(const gq_begun *begun, const gq_consumption *c, uint32_t warp)
{
  for (uint32_t i = 0; i < GQ_BEGUN_RUNS; i++) {
    const note n = read_note(begun, warp, i);

    if (gq_any_unfinished(c->lanes, c->lane_count, n.id, n.length)) return true;
  }
  return false;
}

uint64_t gq_begun_watch(gq_begun *begun, const gq_consumption *c, uint64_t now)
{
  const uint64_t limit = (uint64_t)c->stall_ms * 1000000u;

  for (uint32_t w = 0; limit && w < begun->warps; w++) {
    const uint64_t ns = gq_sight(&begun->sightings[w], read_note(begun, w, 0).id, now);

    if (ns <= limit) continue;
    if (is_at_work(begun, c, w)) {
      begun->stalled = w + 1;
      return ns;
    }
    begun->sightings[w].since = now; /* it has finished, and is idle: not to be looked at so closely for a while */
  }
  return 0;
}

void gq_begun_suspect(const gq_begun *begun, const gq_consumption *c, gq_suspects *suspects)
{
  if (begun->stalled && suspect_warp(begun, c, begun->stalled - 1, suspects)) return;
  for (uint32_t w = 0; w < begun->warps; w++) suspect_warp(begun, c, w, suspects);
}
