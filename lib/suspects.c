/* SPDX-License-Identifier: Apache-2.0 */
#include "suspects.h"

#include <stdio.h>

#include "error.h"
#include "lane_path.h"
#include "queue.h"

#define NAMED 8u /* suspects that a text names; gq_list_suspects() gives all */

/* How many of `length` messages from `id` on are of the same lane: none, if there is no such lane. */
static uint64_t of_one_lane(uint32_t lane_count, uint64_t id, uint64_t length)
{
  const uint64_t last = id | ((1ull << GQ_POSITION_BITS) - 1);

  if (gq_id_lane(id) >= lane_count) return 0;
  return length <= last - id ? length : last - id;
}

static bool is_unfinished(const gq_lane *lanes, uint64_t id)
{
  const gq_lane *lane = &lanes[gq_id_lane(id)];
  const uint64_t position = gq_id_position(id);

  return gq_lane_standing(lane, position) == GQ_STANDING_LIVE && !gq_lane_is_completed(lane, position);
}

bool gq_any_unfinished(const gq_lane *lanes, uint32_t lane_count, uint64_t id, uint64_t length)
{
  const uint64_t n = of_one_lane(lane_count, id, length);

  for (uint64_t i = 0; i < n; i++)
    if (is_unfinished(lanes, id + i)) return true;
  return false;
}

bool gq_suspect(gq_suspects *suspects, const gq_lane *lanes, uint32_t lane_count, uint64_t id, uint64_t length)
{
  const uint64_t n = of_one_lane(lane_count, id, length);
  bool any = false;

  for (uint64_t i = 0; i < n; i++) {
    if (!is_unfinished(lanes, id + i)) continue;
    if (suspects->count < GQ_MOST_SUSPECTS) suspects->ids[suspects->count] = id + i;
    suspects->count++;
    any = true;
  }
  return any;
}

void gq_suspect_all(gq_suspects *suspects, const gq_lane *lanes, uint32_t lane_count)
{
  for (uint32_t l = 0; l < lane_count; l++) {
    const uint64_t end = gq_ld64(&lanes[l].head->claimed, GQ_ACQUIRE, GQ_SYS);
    const uint64_t begin = end > lanes[l].ring_mask ? end - lanes[l].ring_mask - 1 : 0;

    gq_suspect(suspects, lanes, lane_count, gq_id_make(l, begin), end - begin);
  }
}

void gq_suspects_say(const gq_suspects *suspects, char *text, size_t size)
{
  const uint64_t named = suspects->count < NAMED ? suspects->count : NAMED;
  size_t at;

  if (suspects->count == 0) {
    snprintf(text, size, "no message");
    return;
  }
  at = (size_t)snprintf(text, size, "message%s", suspects->count == 1 ? "" : "s");
  for (uint64_t i = 0; i < named && at < size; i++)
    at += (size_t)snprintf(text + at, size - at, "%s %#llx",
                           i == 0 ? "" : i + 1 == suspects->count ? " and" : ",", (unsigned long long)suspects->ids[i]);
  if (named < suspects->count && at < size)
    snprintf(text + at, size - at, " and %llu more", (unsigned long long)(suspects->count - named));
}

gq_status gq_list_suspects(gq_queue *queue, gq_completion *suspects, size_t max, size_t *count)
{
  gq_core *core;

  if (!queue || !count || (!suspects && max)) return gq_fail(GQ_INVALID, "gq_list_suspects: an argument is NULL");
  core = queue->core;
  if (!__atomic_load_n(&core->lost, __ATOMIC_ACQUIRE)) return gq_fail(GQ_AGAIN, "the queue is not lost");
  *count = core->suspects.count < GQ_MOST_SUSPECTS ? core->suspects.count : GQ_MOST_SUSPECTS;
  for (size_t i = 0; i < *count && i < max; i++) {
    const uint64_t id = core->suspects.ids[i];
    gq_finished f = {.slot = GQ_NO_SLOT, .result_slot = GQ_NO_SLOT};

    gq_lane_recall(&core->lanes[gq_id_lane(id)], gq_id_position(id), &f);
    suspects[i] = (gq_completion){.id = id, .tag = f.tag, .key = f.key, .status = GQ_DEVICE_LOST};
  }
  return GQ_OK;
}
