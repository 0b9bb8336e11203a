/* SPDX-License-Identifier: Apache-2.0 */
/* What every message passes through on its client's side, inline: at tens of nanoseconds a message a call counts. */
#ifndef GQ_LANE_PATH_H
#define GQ_LANE_PATH_H
#include <string.h>

#include "lane.h"

static inline gq_unit *gq_lane_submission(const gq_lane *lane, uint64_t position)
{
  return lane->submissions + (position & lane->ring_mask) * lane->units;
}

static inline gq_unit *gq_lane_completion(const gq_lane *lane, uint64_t position)
{
  return lane->completions + (position & lane->ring_mask) * lane->units;
}

/** One of a lane's two rings, and its states. Loops over many messages have it in a local variable, so that it stays in
 * registers whatever is written meanwhile. */
typedef struct gq_cells {
  gq_unit *first;
  gq_a64 *state;
  uint64_t mask;
  uint32_t units, unit_bytes;
  unsigned ring_log2;
} gq_cells;

static inline gq_cells gq_lane_cells(const gq_lane *lane, gq_unit *first)
{
  const gq_cells cells = {first, lane->state, lane->ring_mask, lane->units, lane->unit_bytes, lane->ring_log2};

  return cells;
}

static inline gq_unit *gq_cells_at(gq_cells cells, uint64_t position)
{
  return cells.first + (position & cells.mask) * cells.units;
}

/* ------------------------------------------------------------------------------------------------ sending */

static inline void gq_lane_stamp(gq_lane *lane, uint64_t position, uint64_t now)
{
  if (position % GQ_SAMPLE == 0)
    gq_st64(&lane->enqueue_stamps[(position & lane->ring_mask) / GQ_SAMPLE], now, GQ_RELAXED, GQ_SYS);
}

/** Publish the prepared message at a claimed position.
 * \param copy  copy the payload into its slot (false: it is there already)
 * \param now   ns of CLOCK_MONOTONIC, used if the position is a sampled one */
static inline void gq_lane_publish(gq_lane *lane, uint64_t position, const gq_outgoing *out, bool copy, uint64_t now)
{
  const gq_message *m = out->message;
  const bool in_slot = out->slot != GQ_NO_SLOT;
  gq_unit *cell = gq_lane_submission(lane, position);
  gq_cell_view view;

  gq_lane_stamp(lane, position, now);
  if (in_slot && copy) memcpy(lane->arena_base + out->slot, m->data, m->size);
  view.head[0] = (uint32_t)m->size;
  view.head[1] = (in_slot ? GQ_CELL_SLOT : 0u) | (out->has_ext ? GQ_CELL_EXT : 0u) | out->dependency << 8;
  view.head[2] = in_slot ? (uint32_t)(out->slot / GQ_SLOT_BYTES) : 0;
  if (out->has_ext) {
    view.ext[GQ_EXT_KEY] = (uint32_t)m->key, view.ext[GQ_EXT_KEY + 1] = (uint32_t)(m->key >> 32);
    view.ext[GQ_EXT_TAG] = (uint32_t)m->tag, view.ext[GQ_EXT_TAG + 1] = (uint32_t)(m->tag >> 32);
    view.ext[GQ_EXT_ROOM] = (uint32_t)out->room;
    view.ext[GQ_EXT_RESULT_SLOT] = out->room ? (uint32_t)(out->result_slot / GQ_SLOT_BYTES) : 0;
  }
  /* [S1] release: licenses the consumer to read the cell, and [S2] the slot it names */
  gq_cell_put(cell, lane->unit_bytes, gq_tag(position, lane->ring_log2), &view, m->data,
              in_slot ? 0 : (uint32_t)m->size);
}

/** Whether \p message needs nothing but its cell: no key, no tag, no slot for it or for its result. It may still be wrong
 * in having no data. */
static inline bool gq_lane_is_plain(const gq_lane *lane, const gq_message *message)
{
  return message->size < lane->plain_below && !(message->key | message->tag | message->result_bytes);
}

/** gq_lane_publish() for a plain message, which needs no preparing. */
static inline void gq_lane_publish_plain(gq_lane *lane, gq_cells cells, uint64_t position, const gq_message *message,
                                         uint64_t now)
{
  const gq_cell_view view = {{(uint32_t)message->size, 0, 0}, {0}};

  if (position % GQ_SAMPLE == 0) gq_lane_stamp(lane, position, now);
  /* [S1] release: licenses the consumer to read the cell */
  gq_cell_put(gq_cells_at(cells, position), cells.unit_bytes, gq_tag(position, cells.ring_log2), &view, message->data,
              (uint32_t)message->size);
}

/* ---------------------------------------------------------------------------------------------- receiving */

/** Read the completion of \p position if it is there. Inline results go to \p payload, which has room for the cell's
 * inline bytes rounded up to 12, and 4 more; or is NULL. */
static inline bool gq_lane_completed(const gq_lane *lane, uint64_t position, gq_finished *finished, void *payload)
{
  const gq_unit *cell = gq_lane_completion(lane, position);
  gq_cell_view view;

  /* [C1] acquire: licenses reading the result, and [C2] the result slot */
  if (!gq_cell_get(cell, lane->units, lane->unit_bytes, gq_tag(position, lane->ring_log2), &view, payload))
    return false;
  finished->size = view.head[0];
  finished->in_slot = view.head[1] & GQ_CELL_SLOT;
  finished->status = view.head[1] >> 8 & 0xff;
  finished->attempts = view.head[1] >> 16 & 0xff;
  finished->code = (int32_t)view.head[2];
  finished->key = finished->tag = 0;
  finished->slot = finished->result_slot = GQ_NO_SLOT;
  if (view.head[1] & GQ_CELL_RECALL) gq_lane_recall(lane, position, finished);
  return true;
}

static inline bool gq_cells_have(gq_cells completions, uint64_t position)
{
  return gq_cell_is_whole(gq_cells_at(completions, position), completions.units, completions.unit_bytes,
                          gq_tag(position, completions.ring_log2));
}

/** Whether the completion of \p position is there. */
static inline bool gq_lane_is_completed(const gq_lane *lane, uint64_t position)
{
  return gq_cells_have(gq_lane_cells(lane, lane->completions), position);
}

/** The slots of \p position, whose completion must be there: what gq_lane_release() needs of \p finished. */
static inline void gq_lane_slots(const gq_lane *lane, uint64_t position, gq_finished *finished)
{
  const gq_unit *cell = gq_lane_completion(lane, position);

  finished->slot = finished->result_slot = GQ_NO_SLOT;
  if (gq_head_flags(cell, lane->unit_bytes) & GQ_CELL_RECALL) gq_lane_recall(lane, position, finished);
}

/** Whether some reader holds \p position. */
static inline bool gq_lane_is_held(const gq_lane *lane, uint64_t position)
{
  /* Relaxed: who asks has the completion from who took it. */
  return (gq_ld64(&lane->state[position & lane->ring_mask], GQ_RELAXED, GQ_SYS) & ~GQ_SLOTTED) == (position | GQ_TAKEN);
}

/** Whether \p position, which has been claimed, has been taken, or released since. */
static inline bool gq_lane_is_over(const gq_lane *lane, uint64_t position)
{
  const uint64_t state = gq_ld64(&lane->state[position & lane->ring_mask], GQ_RELAXED, GQ_SYS) & ~GQ_SLOTTED;

  return state == (position | GQ_TAKEN) || (state & ~(GQ_TAKEN | GQ_PINNED)) > position;
}

/** Whether \p position, whose completion has been read, could still be had. Also tells a position that only has the tag
 * of one, for tags repeat. */
static inline bool gq_lane_is_untaken(const gq_lane *lane, uint64_t position)
{
  /* Relaxed: it comes after the reading of the completion [C1], which is what hangs on it. */
  return (gq_ld64(&lane->state[position & lane->ring_mask], GQ_RELAXED, GQ_SYS) & ~GQ_PINNED) == position;
}

static inline bool gq_cells_hold(gq_cells cells, uint64_t position, uint64_t mark)
{
  gq_a64 *state = &cells.state[position & cells.mask];
  uint64_t expected = position;

  /* [K4] release, as in gq_cells_mark_taken() */
  while (!gq_cas64(state, &expected, position | mark, GQ_ACQ_REL)) {
    if (expected != (position | GQ_PINNED)) return false;
    expected = position; /* gq_lane_cancel() holds it for a few instructions */
    gq_pause();
  }
  return true;
}

/** gq_cells_hold() for who is alone with the completed position. */
static inline bool gq_cells_mark_taken(gq_cells cells, uint64_t position)
{
  gq_a64 *state = &cells.state[position & cells.mask];

  if (gq_ld64(state, GQ_RELAXED, GQ_SYS) != position) return false;
  /* [K4] release: what the handler did comes before what is sent by who sees that the message has finished; pairs with
   * dependency() */
  gq_st64(state, position | GQ_TAKEN, GQ_RELEASE, GQ_SYS);
  return true;
}

/** Take hold of a completed position, after gq_lane_allow_ids(). \return false if somebody else has it or had it. */
static inline bool gq_lane_take(gq_lane *lane, uint64_t position)
{
  return gq_cells_hold(gq_lane_cells(lane, lane->completions), position, GQ_TAKEN);
}

/* Let the cells of a taken position, which has no slots any more, be used again. */
static inline void gq_cells_free(gq_cells cells, uint64_t position)
{
  /* [R1] release: licenses a producer to use the cells again */
  gq_st64(&cells.state[position & cells.mask], position + cells.mask + 1, GQ_RELEASE, GQ_SYS);
}

/** End a taken position: free its slots, let its cells be used again. */
static inline void gq_lane_release(gq_lane *lane, uint64_t position, const gq_finished *finished)
{
  if (finished->slot != GQ_NO_SLOT) gq_arena_put(&lane->arena, finished->slot);
  if (finished->result_slot != GQ_NO_SLOT) gq_arena_put(&lane->arena, finished->result_slot);
  gq_cells_free(gq_lane_cells(lane, lane->completions), position);
}

/** Note that a position, which this thread has just taken, has slots. */
static inline void gq_lane_note_slots(const gq_lane *lane, uint64_t position)
{
  gq_st64(&lane->state[position & lane->ring_mask], position | GQ_TAKEN | GQ_SLOTTED, GQ_RELEASE, GQ_SYS); /* [K4] */
}

/** gq_lane_release() if the position is held and has no slots. \return false if not; then nothing has been done. */
static inline bool gq_cells_release_plain(gq_cells cells, uint64_t position)
{
  if (gq_ld64(&cells.state[position & cells.mask], GQ_RELAXED, GQ_SYS) != (position | GQ_TAKEN)) return false;
  gq_cells_free(cells, position);
  return true;
}

#endif
