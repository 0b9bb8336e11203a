/* SPDX-License-Identifier: Apache-2.0 */
#include "lane_path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"

#define PAGE 4096ull

static uint64_t round_up(uint64_t value, uint64_t to)
{
  return (value + to - 1) / to * to;
}

/* ------------------------------------------------------------------------------------------------- layout */

static gq_lane_head layout(const gq_lane_shape *shape)
{
  const uint64_t cells = 1ull << shape->ring_log2;
  gq_lane_head h;
  uint64_t at = PAGE;

  memset(&h, 0, sizeof h);
  h.submissions = at, at += cells * shape->cell_bytes;
  h.completions = at, at += cells * shape->cell_bytes;
  h.endings = at, at += 2 * cells * sizeof(gq_a64);
  h.state = at, at += cells * sizeof(gq_a64);
  h.start_stamps = at, at += gq_samples(cells) * sizeof(gq_stamp);
  h.enqueue_stamps = at, at += gq_samples(cells) * sizeof(gq_a64);
  h.arena = at = round_up(at, PAGE);
  h.arena_bytes = shape->arena_bytes;
  h.total_bytes = round_up(at + shape->arena_bytes, PAGE);
  return h;
}

uint64_t gq_lane_bytes(const gq_lane_shape *shape)
{
  return layout(shape).total_bytes;
}

static gq_status map_memory(gq_lane *lane, uint64_t bytes)
{
  void *memory;

  const int fd = memfd_create("gpuqueue-lane", MFD_CLOEXEC);

  if (fd < 0) return gq_fail(GQ_SYSTEM, "memfd_create for a lane: %s", strerror(errno));
  memory = MAP_FAILED;
  if (ftruncate(fd, (off_t)bytes) == 0)
    memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (memory == MAP_FAILED)
    gq_fail(GQ_NO_MEMORY, "a lane of %llu bytes: %s", (unsigned long long)bytes, strerror(errno));
  close(fd); /* the mapping keeps the memory */
  if (memory == MAP_FAILED) return GQ_NO_MEMORY;
  madvise(memory, bytes, MADV_HUGEPAGE);     /* where shared memory may have them; else no harm */
  madvise(memory, bytes, MADV_DONTFORK);     /* a child must not use a parent's queue */
  lane->head = memory;
  lane->total_bytes = bytes;
  return GQ_OK;
}

static uint64_t plain_below(const gq_lane *lane)
{
  const uint64_t room = gq_inline_bytes(lane->units, lane->unit_bytes, 0);
  uint64_t size = 0;

  while (size <= room && size <= lane->max_message_bytes && gq_lane_result_bound(lane, size) <= room) size++;
  return size;
}

gq_status gq_lane_create(gq_lane *lane, uint32_t index, const gq_lane_shape *shape)
{
  const gq_lane_head h = layout(shape);
  const uint64_t cells = 1ull << shape->ring_log2;
  gq_status status;
  uint8_t *base;

  memset(lane, 0, sizeof *lane);
  status = map_memory(lane, h.total_bytes);
  if (status != GQ_OK) return status;
  if (gq_arena_init(&lane->arena, shape->arena_bytes) != 0) {
    munmap(lane->head, h.total_bytes);
    return gq_fail(GQ_NO_MEMORY, "no memory to keep an arena of %llu bytes", (unsigned long long)shape->arena_bytes);
  }
  *lane->head = h;
  memcpy(lane->head->magic, "gqlane\0\1", 8);
  lane->head->index = index;
  lane->head->capacity = shape->capacity;
  lane->head->ring_log2 = shape->ring_log2;
  lane->head->cell_bytes = shape->cell_bytes;
  lane->head->unit_bytes = shape->unit_bytes;
  base = (uint8_t *)lane->head;
  lane->submissions = (gq_unit *)(void *)(base + h.submissions);
  lane->completions = (gq_unit *)(void *)(base + h.completions);
  lane->endings = (gq_a64 *)(void *)(base + h.endings);
  lane->state = (gq_a64 *)(void *)(base + h.state);
  lane->start_stamps = (gq_stamp *)(void *)(base + h.start_stamps);
  lane->enqueue_stamps = (gq_a64 *)(void *)(base + h.enqueue_stamps);
  lane->arena_base = base + h.arena;
  lane->units = shape->cell_bytes / 16;
  lane->unit_bytes = shape->unit_bytes;
  lane->ring_log2 = shape->ring_log2;
  lane->ring_mask = cells - 1;
  lane->capacity = shape->capacity;
  lane->index = index;
  lane->max_message_bytes = shape->max_message_bytes;
  lane->max_result_bytes = shape->max_result_bytes;
  lane->handler_multiplier = shape->handler_multiplier;
  lane->handler_constant = shape->handler_constant;
  lane->plain_below = plain_below(lane);
  lane->unpacked_bytes = (uint32_t)round_up(gq_inline_bytes(lane->units, lane->unit_bytes, 0), 12) + 4;
  lane->unpacked_bytes = (uint32_t)round_up(lane->unpacked_bytes, 16);
  pthread_mutex_init(&lane->key_lock, NULL);
  pthread_mutex_init(&lane->unpacked_lock, NULL);
  for (uint64_t i = 0; i < cells; i++) gq_st64(&lane->state[i], i, GQ_RELAXED, GQ_SYS);
  return GQ_OK;
}

void gq_lane_destroy(gq_lane *lane)
{
  gq_arena_free_all(&lane->arena);
  free(lane->key_last);
  free(lane->unpacked);
  pthread_mutex_destroy(&lane->key_lock);
  pthread_mutex_destroy(&lane->unpacked_lock);
  munmap(lane->head, lane->total_bytes);
}

/* ------------------------------------------------------------------------------------------------ sending */

uint64_t gq_lane_result_bound(const gq_lane *lane, uint64_t size)
{
  const uint64_t bound = lane->handler_multiplier * size + lane->handler_constant;

  return bound < lane->max_result_bytes ? bound : lane->max_result_bytes;
}

gq_status gq_lane_prepare(gq_lane *lane, const gq_message *message, uint64_t reserved, gq_outgoing *out)
{
  const uint64_t room = message->result_bytes ? message->result_bytes : gq_lane_result_bound(lane, message->size);

  out->message = message;
  out->slot = out->result_slot = GQ_NO_SLOT;
  out->dependency = 0;
  out->room = room > gq_inline_bytes(lane->units, lane->unit_bytes, 0) ? room : 0;
  out->has_ext = message->key || message->tag || out->room;
  if (out->room) {
    out->result_slot = gq_arena_get(&lane->arena, out->room);
    if (out->result_slot == GQ_NO_SLOT) return GQ_FULL;
  }
  if (message->size > gq_inline_bytes(lane->units, lane->unit_bytes, out->has_ext)) {
    out->slot = reserved != GQ_NO_SLOT ? reserved : gq_arena_get(&lane->arena, message->size);
    if (out->slot == GQ_NO_SLOT) {
      if (out->room) gq_arena_put(&lane->arena, out->result_slot);
      return GQ_FULL;
    }
  }
  return GQ_OK;
}

void gq_lane_unprepare(gq_lane *lane, gq_outgoing *out, uint64_t reserved)
{
  if (out->result_slot != GQ_NO_SLOT) gq_arena_put(&lane->arena, out->result_slot);
  if (out->slot != GQ_NO_SLOT && out->slot != reserved) gq_arena_put(&lane->arena, out->slot);
}

/* How many positions from \p q on may be claimed, up to \p max: each once the one a capacity before it is released. */
static size_t claimable(const gq_lane *lane, uint64_t q, size_t max)
{
  const uint64_t mask = lane->ring_mask;
  gq_a64 *const states = lane->state;
  uint64_t old = q - lane->capacity;
  size_t n = 0;

  /* [R1] acquire: the reader of the old message is done with its cells and slots; pairs with gq_lane_release() */
  for (; n < max && gq_ld64(&states[old & mask], GQ_ACQUIRE, GQ_SYS) == old + mask + 1; old++) n++;
  return n;
}

size_t gq_lane_claim(gq_lane *lane, size_t max, uint64_t *first)
{
  uint64_t p = gq_ld64(&lane->head->claimed, GQ_RELAXED, GQ_SYS);

  for (;;) {
    const size_t n = claimable(lane, p, max);

    if (n == 0) {
      const uint64_t now = gq_ld64(&lane->head->claimed, GQ_RELAXED, GQ_SYS);

      if (now == p) return 0;
      p = now;
      continue;
    }
    /* [R2] release: what this thread saw released, whoever sees its claim sees too; acquire: what others saw. Where
     * capacity < N, the old message of a cell was released to another producer than the cell's next one. */
    if (gq_cas64(&lane->head->claimed, &p, p + n, GQ_ACQ_REL)) {
      *first = p;
      return n;
    }
  }
}

static uint32_t key_slot(uint64_t key)
{
  key ^= key >> 30, key *= 0xbf58476d1ce4e5b9ull; /* the finaliser of Steele's SplitMix64 */
  key ^= key >> 27, key *= 0x94d049bb133111ebull;
  return (uint32_t)(key ^ key >> 31) & (GQ_KEY_SLOTS - 1);
}

/* The message before \p position with this key, as a distance; 0 if there is none or it has finished. */
static uint32_t dependency(gq_lane *lane, uint64_t key, uint64_t position)
{
  uint64_t *last = &lane->key_last[key_slot(key)];
  const uint64_t before = *last, d = before - 1;

  *last = position + 1;
  /* A message that is taken or released has finished: nothing to wait for.
   * [K4] acquire: what its handler did comes before this message; pairs with gq_cells_hold(), gq_cells_mark_taken() */
  if (!before || position - d >= lane->capacity ||
      (gq_ld64(&lane->state[d & lane->ring_mask], GQ_ACQUIRE, GQ_SYS) & ~GQ_PINNED) != d) return 0;
  return (uint32_t)(position - d);
}

/* The positions and the places in the keys' chains are taken together, so that chains always point backwards. */
size_t gq_lane_claim_keyed(gq_lane *lane, gq_outgoing *out, size_t max, uint64_t *first)
{
  size_t n = 0;

  pthread_mutex_lock(&lane->key_lock);
  if (!lane->key_last) lane->key_last = calloc(GQ_KEY_SLOTS, sizeof *lane->key_last);
  if (lane->key_last) n = gq_lane_claim(lane, max, first);
  for (size_t i = 0; i < n; i++)
    if (out[i].message->key) out[i].dependency = dependency(lane, out[i].message->key, *first + i);
  pthread_mutex_unlock(&lane->key_lock);
  return n;
}

/* ---------------------------------------------------------------------------------------------- receiving */

void gq_lane_recall(const gq_lane *lane, uint64_t position, gq_finished *finished)
{
  const gq_unit *cell = lane->submissions + (position & lane->ring_mask) * lane->units;
  gq_cell_view view;

  if (!gq_cell_get_fixed(cell, lane->unit_bytes, gq_tag(position, lane->ring_log2), &view)) return;
  if (view.head[1] & GQ_CELL_SLOT) finished->slot = (uint64_t)view.head[2] * GQ_SLOT_BYTES;
  if (!(view.head[1] & GQ_CELL_EXT)) return;
  finished->key = view.ext[GQ_EXT_KEY] | (uint64_t)view.ext[GQ_EXT_KEY + 1] << 32;
  finished->tag = view.ext[GQ_EXT_TAG] | (uint64_t)view.ext[GQ_EXT_TAG + 1] << 32;
  if (view.ext[GQ_EXT_ROOM]) finished->result_slot = (uint64_t)view.ext[GQ_EXT_RESULT_SLOT] * GQ_SLOT_BYTES;
}

gq_status gq_lane_payload(const gq_lane *lane, uint64_t position, void *data, size_t *size)
{
  const gq_unit *cell = lane->submissions + (position & lane->ring_mask) * lane->units;
  const uint32_t tag = gq_tag(position, lane->ring_log2);
  uint8_t inline_bytes[528];
  const uint8_t *from = inline_bytes;
  const size_t room = *size;
  gq_cell_view view;

  if (!gq_cell_get(cell, lane->units, lane->unit_bytes, tag, &view, inline_bytes)) return GQ_UNKNOWN_ID;
  if (view.head[1] & GQ_CELL_SLOT) from = lane->arena_base + (uint64_t)view.head[2] * GQ_SLOT_BYTES;
  *size = view.head[0];
  if (room < *size) return GQ_TOO_SMALL;
  if (*size) memcpy(data, from, *size);
  return GQ_OK;
}

gq_standing gq_lane_standing(const gq_lane *lane, uint64_t position)
{
  uint64_t state;

  /* [R2] acquire: the state read next is of this lap */
  if (position >= gq_ld64(&lane->head->claimed, GQ_ACQUIRE, GQ_SYS)) return GQ_STANDING_UNKNOWN;
  state = gq_ld64(&lane->state[position & lane->ring_mask], GQ_ACQUIRE, GQ_SYS);
  if ((state & ~GQ_PINNED) == position) return GQ_STANDING_LIVE;
  return (state & ~GQ_SLOTTED) == (position | GQ_TAKEN) ? GQ_STANDING_HELD : GQ_STANDING_UNKNOWN;
}

bool gq_lane_is_unfinished(gq_lane *lane)
{
  return gq_entries_polled(gq_ld64(&lane->head->polled, GQ_RELAXED, GQ_SYS)) <
         gq_ld64(&lane->head->claimed, GQ_RELAXED, GQ_SYS);
}

#ifndef GQ_MODEL /* which chooses */
#define TURNS 1000u /* looks at a poller who marks what it took: it needs a microsecond unless it has been stopped */
#endif

bool gq_lane_allow_ids(gq_lane *lane)
{
  gq_a64 *const polled = &lane->head->polled;
  uint64_t word = gq_ld64(polled, GQ_RELAXED, GQ_SYS);

  while (!(word & GQ_BY_ID) && !gq_cas64(polled, &word, word | GQ_BY_ID, GQ_RELAXED)) continue;
  for (uint32_t turn = 0; turn < TURNS; turn++) {
    /* [O2] acquire: a state that does not say it is taken will not be, but by an exchange; pairs with
     * gq_lane_take_next() */
    if (!(gq_ld64(polled, GQ_ACQUIRE, GQ_SYS) & GQ_TAKING)) return true;
    gq_pause();
  }
  return false;
}

bool gq_lane_cancel(gq_lane *lane, uint64_t position)
{
  gq_unit *cell = lane->submissions + (position & lane->ring_mask) * lane->units;
  const uint32_t tag = gq_tag(position, lane->ring_log2);
  bool asked = false;

  gq_cell_view view;

  if (!gq_cells_hold(gq_lane_cells(lane, lane->submissions), position, GQ_PINNED)) return false;
  /* An id may be guessed before its message is published: then there is nothing to mark yet. */
  if (gq_cell_get(cell, lane->units, lane->unit_bytes, tag, &view, NULL) && !gq_lane_is_completed(lane, position)) {
    /* One piece of the head is rewritten with the same tag: the consumer sees it before or after, never torn. */
    gq_head_flag(cell, lane->unit_bytes, tag, GQ_CELL_CANCELLED);
    asked = true;
  }
  /* The submission may be used again: this comes before whatever the next to hold the position writes there. */
  gq_st64(&lane->state[position & lane->ring_mask], position, GQ_RELEASE, GQ_SYS);
  return asked;
}
