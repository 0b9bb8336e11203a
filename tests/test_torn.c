/* SPDX-License-Identifier: Apache-2.0 */
/* Cells that are written piece by piece, in every order, over what an earlier lap left there, are accepted when the
 * last piece that they need is there and not before: by the reader itself for both sizes of a unit, and by the
 * consumer of a real queue. test_cells has what may be in a cell; here it is when. */
#include "suite.h"

#include <stdio.h>
#include <string.h>

#include "info.h"
#include "lane_path.h"
#include "queue.h"

#define UNITS_MOST 32u            /* a cell of 512 bytes */
#define PIECES_MOST (2 * UNITS_MOST)
#define ALL_ORDERS_MOST 7u        /* up to so many pieces in every order: 5040 */
#define RANDOM_ORDERS 400u

/* A cell to be written, and its payload. A piece is what one access writes: a unit, or with 8-byte units half of one. */
typedef struct planned {
  gq_unit cell[UNITS_MOST];
  uint32_t units, unit_bytes, pieces, needed; /* needed: so many from the front; the others may never come */
  uint32_t fixed;                             /* pieces of these that are head and extension */
  uint32_t tag, size, flags;
  unsigned char payload[512];
} planned;

static bool has_units_of(uint32_t unit_bytes)
{
#ifdef GQ_NO_UNIT16
  return unit_bytes == 8;
#else
  return unit_bytes == 8 || gq_host_unit_bytes() == 16;
#endif
}

static void plan(planned *p, uint32_t units, uint32_t unit_bytes, uint32_t tag, uint32_t size, uint32_t flags)
{
  gq_cell_view view = { .head = { size, flags, 0 } };
  const uint32_t words_a_piece = unit_bytes == 16 ? 3 : 1;
  memset(p->cell, 0, sizeof p->cell);
  p->units = units, p->unit_bytes = unit_bytes, p->pieces = units * 16 / unit_bytes;
  p->tag = tag, p->size = size, p->flags = flags;
  p->needed = (gq_used_words(size, flags) + words_a_piece - 1) / words_a_piece;
  p->fixed = (GQ_HEAD_WORDS + (flags & GQ_CELL_EXT ? GQ_EXT_WORDS : 0)) / words_a_piece;
  for (size_t i = 0; i < GQ_EXT_WORDS; i++) view.ext[i] = tag * 100 + (uint32_t)i;
  if (flags & GQ_CELL_EXT) view.ext[GQ_EXT_ROOM] = 0;   /* no result slot, should a queue run it */
  view.ext[GQ_EXT_KEY] = view.ext[GQ_EXT_KEY + 1] = 0;
  support_fill(p->payload, size, tag);
  gq_cell_put(p->cell, unit_bytes, tag, &view, p->payload, size);
}

static void write_piece(gq_unit *cell, const planned *p, uint32_t i)
{
  if (p->unit_bytes == 16) {
#ifndef GQ_NO_UNIT16
    gq_unit16_st(&cell[i], p->cell[i]);
#endif
  } else {
    uint64_t piece;
    memcpy(&piece, &p->cell[i / 2].w[i % 2 * 2], sizeof piece);
    gq_unit8_st(&cell[i / 2], i % 2, piece);
  }
}

/* The next permutation in the order of the alphabet; \return false after the last. */
static bool next_order(uint32_t *order, uint32_t n)
{
  uint32_t i = n - 1, k = n - 1;
  while (i > 0 && order[i - 1] >= order[i]) i--;
  if (n < 2 || i == 0) return false;
  while (order[k] <= order[i - 1]) k--;
  const uint32_t pivot = order[k];
  order[k] = order[i - 1], order[i - 1] = pivot;
  for (k = n - 1; i < k; i++, k--) {
    const uint32_t swapped = order[i];
    order[i] = order[k], order[k] = swapped;
  }
  return true;
}

static void shuffle(uint32_t *order, uint32_t n, support_random *random)
{
  for (uint32_t i = n; i > 1; i--) {
    const uint32_t k = (uint32_t)support_below(random, i), swapped = order[k];
    order[k] = order[i - 1], order[i - 1] = swapped;
  }
}

/* ------------------------------------------------------------------------------------------------- the reader itself */

/* Write \p p over \p cell in \p order, looking after each piece. */
static void expect_accepted_when_whole(gq_unit *cell, const planned *p, const uint32_t *order, uint32_t pieces)
{
  unsigned char payload[528];
  gq_cell_view view;
  uint32_t missing = p->needed, missing_fixed = p->fixed;
  for (uint32_t i = 0; i < pieces; i++) {
    const bool accepted = gq_cell_get(cell, p->units, p->unit_bytes, p->tag, &view, payload);
    ck_assert_msg(!accepted || missing == 0, "%u-byte units, message of %u: accepted with %u of %u pieces missing",
                  p->unit_bytes, p->size, missing, p->needed);
    if (!p->flags)   /* as a completion, which has no extension words */
      ck_assert_int_eq(gq_cell_is_whole(cell, p->units, p->unit_bytes, p->tag), accepted);
    ck_assert_int_eq(gq_cell_get_fixed(cell, p->unit_bytes, p->tag, &view), missing_fixed == 0);
    write_piece(cell, p, order[i]);
    if (order[i] < p->needed) missing--;
    if (order[i] < p->fixed) missing_fixed--;
  }
  ck_assert_uint_eq(missing, 0);
  memset(&view, 0, sizeof view);
  ck_assert(gq_cell_get_fixed(cell, p->unit_bytes, p->tag, &view));
  ck_assert_uint_eq(view.head[0], p->size);
  ck_assert_uint_eq(view.head[1], p->flags);
  if (p->flags & GQ_CELL_EXT) ck_assert_uint_eq(view.ext[GQ_EXT_TAG], p->tag * 100 + GQ_EXT_TAG);
  ck_assert(gq_cell_get(cell, p->units, p->unit_bytes, p->tag, &view, payload));
  ck_assert_uint_eq(view.head[0], p->size);
  ck_assert_uint_eq(view.head[1], p->flags);
  if (p->flags & GQ_CELL_EXT) ck_assert_uint_eq(view.ext[GQ_EXT_TAG], p->tag * 100 + GQ_EXT_TAG);
  ck_assert_uint_eq(support_compare(payload, p->size, p->tag), p->size);
  if (p->flags) return;
  memset(payload, 0, sizeof payload);
  gq_cell_unpack(cell, p->units, p->unit_bytes, p->tag, &view, payload);
  ck_assert_uint_eq(view.head[0], p->size);
  ck_assert_uint_eq(support_compare(payload, p->size, p->tag), p->size);
}

/* What an earlier lap may have left: a longer message, a shorter one, one with extension words, nothing. */
static void leave_stale(gq_unit *cell, uint32_t units, uint32_t unit_bytes, uint32_t tag, uint32_t kind)
{
  planned old;
  memset(cell, 0, units * sizeof *cell);
  if (kind == 0) return;
  plan(&old, units, unit_bytes, tag - kind, kind == 1 ? gq_inline_bytes(units, unit_bytes, 0) : 1,
       kind == 2 ? GQ_CELL_EXT : 0);
  memcpy(cell, old.cell, units * sizeof *cell);
}

static size_t try_orders(uint32_t units, uint32_t unit_bytes, uint32_t size, uint32_t flags, support_random *random)
{
  gq_unit cell[UNITS_MOST];
  uint32_t order[PIECES_MOST], tag = 5;
  size_t tried = 0;
  planned p;
  plan(&p, units, unit_bytes, tag, size, flags);
  for (uint32_t stale = 0; stale < 4; stale++) {
    /* In every order those that are needed, where these are few, or all in some orders. */
    const bool all = p.needed <= ALL_ORDERS_MOST;
    const uint32_t n = all ? p.needed : p.pieces;
    for (uint32_t i = 0; i < n; i++) order[i] = i;
    for (uint32_t k = 0; all || k < RANDOM_ORDERS; k++) {
      if (!all) shuffle(order, n, random);
      leave_stale(cell, units, unit_bytes, tag, stale);
      expect_accepted_when_whole(cell, &p, order, n);
      tried++;
      if (all && !next_order(order, n)) break;
    }
  }
  return tried;
}

static void try_sizes(uint32_t unit_bytes)
{
  support_random random = { unit_bytes };
  size_t tried = 0;
  for (uint32_t units = 4; units <= UNITS_MOST; units *= 2) {
    for (uint32_t flags = 0; flags <= GQ_CELL_EXT; flags += GQ_CELL_EXT) {
      if (gq_cell_words(units, unit_bytes) < GQ_HEAD_WORDS + (flags ? GQ_EXT_WORDS : 0)) continue;
      const uint32_t most = gq_inline_bytes(units, unit_bytes, flags), sizes[] = { 0, 1, 4, 13, most / 2, most };
      for (size_t i = 0; i < SUITE_COUNT(sizes); i++)
        if (sizes[i] <= most) tried += try_orders(units, unit_bytes, sizes[i], flags, &random);
    }
  }
  ck_assert_uint_ge(tried, 10000);
}

START_TEST(cells_of_8_byte_units_are_accepted_when_whole)
{
  try_sizes(8);
}
END_TEST

START_TEST(cells_of_16_byte_units_are_accepted_when_whole)
{
  if (has_units_of(16)) try_sizes(16);
  else printf("cells_of_16_byte_units_are_accepted_when_whole: skipped: this CPU stores no 16 bytes in one piece\n");
}
END_TEST

/* ---------------------------------------------------------------------------------------------------- a real queue */

/* Write the message as the lane's next, in \p order, with pauses in which a consumer could take it early. */
static void send_slowly(gq_queue *queue, uint32_t size, const uint32_t *order, uint32_t pieces, uint64_t pause_us)
{
  gq_lane *lane = queue->lane;
  uint64_t position;
  planned p;
  ck_assert_uint_eq(gq_lane_claim(lane, 1, &position), 1);
  gq_unit *cell = lane->submissions + (position & lane->ring_mask) * lane->units;
  plan(&p, lane->units, lane->unit_bytes, gq_tag(position, lane->ring_log2), size, 0);
  uint32_t missing = p.needed;
  for (uint32_t i = 0; i < pieces && missing > 0; i++) {
    write_piece(cell, &p, order[i]);
    if (order[i] < p.needed) missing--;
    gq_wake_consumer(queue->core, lane);
    if (missing == 0) break;   /* those that are left were not needed: they stay as a lap ago */
    support_sleep_us(pause_us);
    ck_assert_msg(!gq_lane_is_completed(lane, position), "message of %u bytes completed with %u of %u pieces missing",
                  size, missing, p.needed);
  }
  suite_take_pattern(queue, gq_id_make(lane->index, position), size, p.tag);
}

static uint32_t pieces_of(const gq_queue *queue)
{
  return queue->lane->units * 16 / queue->lane->unit_bytes;
}

START_TEST(a_queue_takes_a_small_message_when_it_is_whole)
{
  gq_options options = suite_options("echo");
  options.capacity = 4;
  options.cell_bytes = 64;
  gq_queue *queue = suite_open(&options);
  const uint32_t size = queue->lane->unit_bytes == 16 ? 30 : 4;   /* 4 pieces */
  uint64_t sent = 0;
  while (sent <= queue->lane->ring_mask + 24) {   /* into the second lap with every order */
    uint32_t order[] = { 0, 1, 2, 3 };
    do send_slowly(queue, size, order, SUITE_COUNT(order), 1000), sent++;
    while (next_order(order, SUITE_COUNT(order)));
  }
  suite_close(queue);
}
END_TEST

START_TEST(a_queue_takes_a_message_that_fills_its_cell_when_it_is_whole)
{
  static const uint32_t cells[] = { 64, 128, 512 };
  support_random random = { 7 };
  for (size_t c = 0; c < SUITE_COUNT(cells); c++) {
    gq_options options = suite_options("echo");
    options.cell_bytes = cells[c];
    gq_queue *queue = suite_open(&options);
    const uint32_t most = gq_inline_bytes(queue->lane->units, queue->lane->unit_bytes, 0), n = pieces_of(queue);
    uint32_t order[PIECES_MOST];
    for (uint32_t i = 0; i < n; i++) order[i] = i;
    for (uint32_t round = 0; round < 12; round++) {
      shuffle(order, n, &random);
      send_slowly(queue, round % 2 ? most : most / 2, order, n, 1000);
    }
    suite_close(queue);
  }
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST_ONCE(cells_of_8_byte_units_are_accepted_when_whole),
    SUITE_TEST_ONCE(cells_of_16_byte_units_are_accepted_when_whole),
    SUITE_TEST(a_queue_takes_a_small_message_when_it_is_whole),
    SUITE_TEST(a_queue_takes_a_message_that_fills_its_cell_when_it_is_whole),
  };
  return suite_main("test_torn", tests, SUITE_COUNT(tests));
}
