/* SPDX-License-Identifier: Apache-2.0 */
/* Results: by id, or as completions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "lane_path.h"
#include "queue.h"

/* Room for any cell's inline bytes, rounded up to whole units. */
#define INLINE_ROOM 528u

#define BATCH 64u /* completions taken together */

static gq_status unknown(uint64_t id)
{
  return gq_fail(GQ_UNKNOWN_ID, "no message %#llx waits here: its result was taken, or it never was enqueued",
                 (unsigned long long)id);
}

/* The lane that `id` belongs to, or NULL. */
static gq_lane *lane_of(gq_core *core, uint64_t id)
{
  const uint32_t index = gq_id_lane(id);

  if ((id & ((1ull << GQ_POSITION_BITS) - 1)) == 0 || index >= core->lane_count) return NULL;
  return &core->lanes[index];
}

/* What a finished message means to the one who takes its result. */
static gq_status verdict(const gq_finished *f, uint64_t id)
{
  char code[16] = "GQ_RETRY";

  switch (f->status) {
  case GQ_OK: return GQ_OK;
  case GQ_FAILED:
    gq_set_failure(f->code, f->attempts);
    if (f->code == GQ_CODE_ARITHMETIC)
      return gq_fail(GQ_FAILED, "message %#llx: the handler divided by zero (SIGFPE)", (unsigned long long)id);
    if (f->code != GQ_RETRY) snprintf(code, sizeof code, "%d", f->code);
    return gq_fail(GQ_FAILED, "message %#llx: the handler returned %s (%u attempt%s)", (unsigned long long)id, code,
                   f->attempts, f->attempts == 1 ? "" : "s");
  case GQ_RESULT_TOO_LARGE:
    return gq_fail(GQ_RESULT_TOO_LARGE, "message %#llx: its result of %u bytes is larger than its room",
                   (unsigned long long)id, f->size);
  case GQ_CANCELLED: return gq_fail(GQ_CANCELLED, "message %#llx was cancelled", (unsigned long long)id);
  default:
    return gq_fail(GQ_MALFORMED, "message %#llx: the consumer refused its cell", (unsigned long long)id);
  }
}

static void finish_taking(gq_core *core, uint64_t messages, uint64_t bytes)
{
  gq_count(core, GQ_RESULTS_TAKEN, messages);
  gq_count(core, GQ_BYTES_OUT, bytes);
}

static gq_status null_argument(const char *function)
{
  return gq_fail(GQ_INVALID, "%s: an argument is NULL", function);
}

gq_status gq_try_dequeue_result(gq_queue *queue, uint64_t id, void *data, size_t *size)
{
  gq_core *core;
  gq_lane *lane;
  const uint64_t position = gq_id_position(id);
  uint8_t inline_bytes[INLINE_ROOM];
  const void *from = inline_bytes;
  gq_finished f;
  gq_status status;

  if (!queue || !size || (!data && *size)) return null_argument("gq_try_dequeue_result");
  core = queue->core;
  lane = lane_of(core, id);
  if (!lane) return unknown(id);
  if (!gq_lane_completed(lane, position, &f, inline_bytes)) {
    /* It may never have been sent; or somebody has taken it, and its cells may be in their next lap. */
    if (gq_lane_standing(lane, position) != GQ_STANDING_LIVE) return unknown(id);
    return gq_check_now_and_then(core) == GQ_OK ? GQ_AGAIN : GQ_DEVICE_LOST;
  }
  if (!gq_lane_is_untaken(lane, position)) return unknown(id);
  if (f.status == GQ_OK && f.size > *size) {
    gq_fail(GQ_TOO_SMALL, "a buffer of %zu bytes is smaller than the result of %u", *size, f.size);
    *size = f.size;
    return GQ_TOO_SMALL;
  }
  if (!gq_lane_allow_ids(lane)) return GQ_AGAIN; /* somebody is just taking results, and may be taking this one */
  /* Until somebody takes it nobody writes to its cells: if it was still to be had, what was read of them holds. */
  if (!gq_lane_take(lane, position)) return unknown(id);
  status = verdict(&f, id);
  if (status == GQ_OK) {
    if (f.in_slot) from = lane->arena_base + f.result_slot;
    if (f.size) memcpy(data, from, f.size);
    *size = f.size;
  }
  gq_record_stages(core, lane, position);
  gq_lane_release(lane, position, &f);
  gq_wake_sleepers(&lane->head->for_room);
  finish_taking(core, 1, status == GQ_OK ? f.size : 0);
  return status;
}

gq_status gq_dequeue_result(gq_queue *queue, uint64_t id, void *data, size_t *size, int64_t timeout_ns)
{
  gq_status status = gq_try_dequeue_result(queue, id, data, size);
  gq_core *core;
  gq_waiting w;

  if (status != GQ_AGAIN) return status;
  core = queue->core;
  if (timeout_ns == 0) return gq_fail(GQ_TIMEOUT, "message %#llx has not finished", (unsigned long long)id);
  gq_wait_begin(&w, core, timeout_ns);
  while (status == GQ_AGAIN) {
    const gq_status turn = gq_wait_turn(&w, core, lane_of(core, id), GQ_UNTIL_ENDED);

    status = gq_try_dequeue_result(queue, id, data, size);
    if (status == GQ_AGAIN && turn != GQ_OK) status = turn;
  }
  gq_wait_end(&w, lane_of(core, id));
  return status;
}

/* ------------------------------------------------------------------------------------------- completions */

/* Inline results lie between tags; a poller gets them in one piece, in a buffer of their own that lives until the
 * position is released. */
static uint8_t *unpacked(gq_lane *lane)
{
  uint8_t *buffer = __atomic_load_n(&lane->unpacked, __ATOMIC_ACQUIRE);

  if (buffer) return buffer;
  pthread_mutex_lock(&lane->unpacked_lock);
  if (!lane->unpacked) {
    buffer = aligned_alloc(64, (lane->ring_mask + 1) * lane->unpacked_bytes);
    __atomic_store_n(&lane->unpacked, buffer, __ATOMIC_RELEASE);
  }
  pthread_mutex_unlock(&lane->unpacked_lock);
  return lane->unpacked;
}

/* Describe a taken position; its inline result goes to \p inline_bytes. */
static inline void fill_completion(gq_completion *c, const gq_lane *lane, gq_cells cells, uint64_t position,
                                   uint8_t *inline_bytes)
{
  gq_cell_view view;

  gq_cell_unpack(gq_cells_at(cells, position), cells.units, cells.unit_bytes, gq_tag(position, cells.ring_log2), &view,
                 inline_bytes);
  c->id = gq_id_make(lane->index, position);
  c->status = (gq_status)(view.head[1] >> 8 & 0xff);
  c->attempts = view.head[1] >> 16 & 0xff;
  c->code = (int32_t)view.head[2];
  c->data = inline_bytes;
  c->size = c->status == GQ_OK ? view.head[0] : 0;
  c->key = c->tag = 0;
  if (view.head[1] & GQ_CELL_RECALL) {
    gq_finished f = {.slot = GQ_NO_SLOT, .result_slot = GQ_NO_SLOT};

    gq_lane_recall(lane, position, &f);
    if (f.slot != GQ_NO_SLOT || f.result_slot != GQ_NO_SLOT) gq_lane_note_slots(lane, position);
    c->key = f.key;
    c->tag = f.tag;
    if (c->status == GQ_OK && (view.head[1] & GQ_CELL_SLOT)) c->data = lane->arena_base + f.result_slot;
  }
}

gq_status gq_poll(gq_queue *queue, gq_completion *completions, size_t max, size_t *count)
{
  uint64_t positions[BATCH], bytes = 0;
  uint8_t *buffer;
  gq_core *core;
  gq_lane *lane;
  gq_cells cells;
  size_t n = 0, taken, unpacked_bytes;

  if (!queue || !count || (!completions && max)) return null_argument("gq_poll");
  core = queue->core;
  lane = queue->lane;
  cells = gq_lane_cells(lane, lane->completions);
  buffer = unpacked(lane);
  unpacked_bytes = lane->unpacked_bytes;
  if (!buffer) return gq_fail(GQ_NO_MEMORY, "no memory for completions");
  while (n < max && (taken = gq_lane_take_next(lane, positions, max - n < BATCH ? max - n : BATCH)) > 0)
    for (size_t i = 0; i < taken; i++) {
      gq_completion *c = &completions[n++];

      fill_completion(c, lane, cells, positions[i], buffer + (positions[i] & cells.mask) * unpacked_bytes);
      bytes += c->size;
      if (positions[i] % GQ_SAMPLE == 0) gq_record_stages(core, lane, positions[i]);
    }
  *count = n;
  if (n == 0) return gq_check_now_and_then(core) == GQ_OK ? GQ_AGAIN : GQ_DEVICE_LOST;
  finish_taking(core, n, bytes);
  return GQ_OK;
}

gq_status gq_wait(gq_queue *queue, gq_completion *completions, size_t max, int64_t timeout_ns, size_t *count)
{
  gq_status status = gq_poll(queue, completions, max, count);
  gq_core *core;
  gq_waiting w;

  if (status != GQ_AGAIN) return status;
  core = queue->core;
  if (max == 0) return gq_fail(GQ_INVALID, "gq_wait: max is 0");
  if (timeout_ns == 0) return gq_fail(GQ_TIMEOUT, "nothing has finished");
  gq_wait_begin(&w, core, timeout_ns);
  while (status == GQ_AGAIN) {
    gq_status turn = gq_wait_turn(&w, core, queue->lane, GQ_UNTIL_ENDED);

    if (turn == GQ_OK && gq_is_closed(core, queue->lane) && !gq_lane_is_unfinished(queue->lane))
      turn = gq_fail(GQ_SHUT_DOWN, "the queue is shut down, and nothing is left that could arrive");
    status = gq_poll(queue, completions, max, count);
    if (status == GQ_AGAIN && turn != GQ_OK) status = turn;
  }
  gq_wait_end(&w, queue->lane);
  return status;
}

/* The lane and position of a completion that is held, or NULL. */
static gq_lane *held(gq_queue *queue, const gq_completion *completion, uint64_t *position)
{
  gq_lane *lane = lane_of(queue->core, completion->id);

  *position = gq_id_position(completion->id);
  return lane && gq_lane_is_held(lane, *position) ? lane : NULL;
}

gq_status gq_completion_payload(gq_queue *queue, const gq_completion *completion, void *data, size_t *size)
{
  uint64_t position;
  gq_lane *lane = held(queue, completion, &position);
  const size_t room = size ? *size : 0;
  gq_status status;

  if (!size || (!data && room)) return null_argument("gq_completion_payload");
  if (!lane && completion->status == GQ_DEVICE_LOST) { /* a suspect: nobody takes it, and it has no result to release */
    lane = lane_of(queue->core, completion->id);
    if (lane && gq_lane_standing(lane, position) != GQ_STANDING_LIVE) lane = NULL;
  }
  if (!lane) return unknown(completion->id);
  status = gq_lane_payload(lane, position, data, size);
  if (status == GQ_TOO_SMALL)
    gq_fail(status, "a buffer of %zu bytes is smaller than the payload of %zu", room, *size);
  return status;
}

void gq_release(gq_queue *queue, const gq_completion *completions, size_t count)
{
  const gq_cells own = gq_lane_cells(queue->lane, queue->lane->completions);
  const uint32_t own_index = queue->lane->index;

  for (size_t i = 0; i < count; i++) {
    uint64_t position = gq_id_position(completions[i].id);
    gq_lane *lane;
    gq_finished f;

    /* Most are of this lane and hold nothing but their cells. */
    if (gq_id_lane(completions[i].id) == own_index && gq_cells_release_plain(own, position)) continue;
    lane = held(queue, &completions[i], &position);
    if (!lane) continue; /* released already */
    gq_lane_slots(lane, position, &f);
    gq_lane_release(lane, position, &f);
    if (lane != queue->lane) gq_wake_sleepers(&lane->head->for_room);
  }
  gq_wake_sleepers(&queue->lane->head->for_room);
}

gq_status gq_cancel(gq_queue *queue, uint64_t id)
{
  gq_lane *lane = queue ? lane_of(queue->core, id) : NULL;
  const uint64_t position = gq_id_position(id);

  if (!queue) return null_argument("gq_cancel");
  if (!lane || gq_lane_standing(lane, position) != GQ_STANDING_LIVE) return unknown(id);
  if (!gq_lane_allow_ids(lane))
    return gq_fail(GQ_AGAIN, "message %#llx may be among those just being taken", (unsigned long long)id);
  return gq_lane_cancel(lane, position) ? GQ_OK : gq_fail(GQ_AGAIN, "message %#llx has finished",
                                                         (unsigned long long)id);
}
