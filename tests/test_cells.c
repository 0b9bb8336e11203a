/* SPDX-License-Identifier: Apache-2.0 */
/* What a client's memory may hold: cells that are written piece by piece in any order are never taken early, and
 * cells whose sizes or offsets lie are refused without harm to others. This test writes cells by itself, so it
 * knows the protocol (lib/protocol.h) and links with the library's inside. */
#include "suite.h"

#include <string.h>

#include "info.h"
#include "lane_path.h"
#include "queue.h"

static uint32_t unit_words(void)
{
  return gq_host_unit_bytes() / 4;
}

/* A submission cell made apart, to be moved into the ring piece by piece. */
typedef struct forged {
  uint64_t position;
  gq_unit cell[32];      /* up to 512 bytes */
} forged;

static forged forge(gq_queue *queue, uint32_t size, uint32_t flags, uint32_t dependency, uint32_t slot,
                    const uint32_t *ext, const void *payload)
{
  gq_lane *lane = queue->lane;
  gq_cell_view view = { .head = { size, flags | dependency << 8, slot } };
  forged f;
  memset(&f, 0, sizeof f);
  ck_assert_uint_eq(gq_lane_claim(lane, 1, &f.position), 1);
  if (ext) memcpy(view.ext, ext, sizeof view.ext);
  gq_cell_put(f.cell, lane->unit_bytes, gq_tag(f.position, lane->ring_log2), &view, payload,
              flags & GQ_CELL_SLOT || !payload ? 0 : size);
  return f;
}

static gq_unit *ring_cell(gq_queue *queue, const forged *f)
{
  return queue->lane->submissions + (f->position & queue->lane->ring_mask) * queue->lane->units;
}

/* Move piece \p i, which is what one access writes. */
static void publish_piece(gq_queue *queue, const forged *f, uint32_t i)
{
  gq_unit *cell = ring_cell(queue, f);
  if (queue->lane->unit_bytes == 16) {
#ifndef GQ_NO_UNIT16
    gq_unit16_st(&cell[i], f->cell[i]);
#endif
  } else {
    uint64_t both;
    memcpy(&both, &f->cell[i / 2].w[i % 2 * 2], sizeof both);
    gq_unit8_st(&cell[i / 2], i % 2, both);
  }
}

/* As a client does, but for waking a consumer that is parked. */
static void publish_unseen(gq_queue *queue, const forged *f)
{
  const uint32_t pieces = queue->lane->units * 4 / unit_words();
  for (uint32_t i = pieces; i-- > 0;) publish_piece(queue, f, i);
}

static uint64_t publish(gq_queue *queue, const forged *f)
{
  publish_unseen(queue, f);
  gq_wake_consumer(queue->core, queue->lane);
  return gq_id_make(queue->lane->index, f->position);
}

/* ------------------------------------------------------------------------------------------------------- torn cells */

/* The next order of \p order, by swaps (Heap 1963); \return false after the last. */
static bool next_order(uint32_t *order, uint32_t *counts, uint32_t n)
{
  for (uint32_t i = 1; i < n; i++) {
    if (counts[i] >= i) {
      counts[i] = 0;
      continue;
    }
    const uint32_t k = i % 2 ? counts[i] : 0, swapped = order[k];
    order[k] = order[i], order[i] = swapped;
    counts[i]++;
    return true;
  }
  return false;
}

static void send_in_order(gq_queue *queue, const uint32_t *order, uint32_t pieces, uint32_t size, uint64_t seed)
{
  unsigned char payload[64], back[64];
  support_fill(payload, size, seed);
  const forged f = forge(queue, size, 0, 0, 0, NULL, payload);
  const uint64_t id = gq_id_make(queue->lane->index, f.position);
  size_t room = sizeof back;
  for (uint32_t i = 0; i < pieces; i++) {
    assert_status(gq_try_dequeue_result(queue, id, back, &room), GQ_AGAIN);
    publish_piece(queue, &f, order[i]);
    gq_wake_consumer(queue->core, queue->lane);
    support_sleep_us(i + 1 < pieces && seed % 16 == 0 ? 300 : 5);   /* a consumer that takes it early has time to */
  }
  suite_take_pattern(queue, id, size, seed);
}

START_TEST(a_torn_cell_is_never_taken)
{
  gq_options options = suite_options("echo");
  options.cell_bytes = 64;
  gq_queue *queue = suite_open(&options);
  const uint32_t words = gq_cell_words(queue->lane->units, queue->lane->unit_bytes);
  const uint32_t size = 4 * (words - GQ_HEAD_WORDS), pieces = queue->lane->units * 4 / unit_words();
  uint32_t order[16], counts[16] = { 0 };
  uint64_t seed = 1;
  size_t orders = 0;
  support_random random = { 5 };
  ck_assert_uint_le(pieces, SUITE_COUNT(order));
  for (uint32_t i = 0; i < pieces; i++) order[i] = i;
  if (pieces > 4) {   /* pieces of 8 bytes: too many orders for all of them */
    for (; orders < 1000; orders++) {
      for (uint32_t i = pieces - 1; i > 0; i--) {
        const uint32_t k = (uint32_t)support_below(&random, i + 1), swapped = order[k];
        order[k] = order[i], order[i] = swapped;
      }
      send_in_order(queue, order, pieces, size, seed++);
    }
  } else {
    for (int lap = 0; lap < 12; lap++) {   /* over what the cells held a lap ago */
      memset(counts, 0, sizeof counts);
      do send_in_order(queue, order, pieces, size, seed++), orders++;
      while (next_order(order, counts, pieces));
    }
  }
  ck_assert_uint_ge(orders, 24);
  suite_close(queue);
}
END_TEST

/* A cell that is complete but for a piece must not hold up its neighbours for good, only until it is there. */
START_TEST(a_late_piece_releases_those_behind_it)
{
  const gq_options options = suite_options("echo");
  gq_queue *queue = suite_open(&options);
  const uint32_t pieces = queue->lane->units * 4 / unit_words();
  unsigned char payload[40];
  uint64_t ids[5];
  support_fill(payload, sizeof payload, 9);
  const forged f = forge(queue, sizeof payload, 0, 0, 0, NULL, payload);
  for (uint32_t i = 1; i < pieces; i++) publish_piece(queue, &f, i);
  for (size_t i = 0; i < 5; i++) ids[i] = suite_enqueue_pattern(queue, 30, i);
  support_sleep_us(20000);
  publish_piece(queue, &f, 0);
  gq_wake_consumer(queue->core, queue->lane);
  suite_take_pattern(queue, gq_id_make(queue->lane->index, f.position), sizeof payload, 9);
  for (size_t i = 0; i < 5; i++) suite_take_pattern(queue, ids[i], 30, i);
  suite_close(queue);
}
END_TEST

/* --------------------------------------------------------------------------------------------------- hostile cells */

/* Wait for the end of a forged message as a hostile client would, without the library's own client half: that would
 * give back slots that were never allocated. */
static gq_status end_forged(gq_queue *queue, const forged *f)
{
  gq_lane *lane = queue->lane;
  const int64_t deadline = support_now_ns() + SUPPORT_LONG;
  gq_finished finished;
  while (!gq_lane_completed(lane, f->position, &finished, NULL)) {
    ck_assert_msg(support_now_ns() < deadline, "the forged message at %llu has no end",
                  (unsigned long long)f->position);
    support_sleep_us(20);
  }
  ck_assert(gq_lane_take(lane, f->position));
  finished.slot = finished.result_slot = GQ_NO_SLOT;
  gq_lane_release(lane, f->position, &finished);
  return (gq_status)finished.status;
}

static void expect_malformed(gq_queue *queue, const forged *f, const char *what)
{
  publish(queue, f);
  const gq_status status = end_forged(queue, f);
  ck_assert_msg(status == GQ_MALFORMED, "%s: %s", what, gq_status_name((int)status));
  suite_take_pattern(queue, suite_enqueue_pattern(queue, 30, 1), 30, 1);
  suite_take_pattern(queue, suite_enqueue_pattern(queue, 3000, 1), 3000, 1);
}

START_TEST(cells_that_lie_are_refused)
{
  gq_options options = suite_options("echo");
  options.max_message_bytes = 5000;
  gq_queue *queue = suite_open(&options);
  const uint32_t slots = (uint32_t)(queue->core->consumption.limits.arena_bytes / GQ_SLOT_BYTES);
  uint64_t expected = 0;
  static const uint32_t too_large[] = { 5001, 1u << 20, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffd };
  for (size_t i = 0; i < SUITE_COUNT(too_large); i++, expected++) {
    const forged f = forge(queue, too_large[i], GQ_CELL_SLOT, 0, 0, NULL, NULL);
    expect_malformed(queue, &f, "larger than max_message_bytes");
  }
  static const uint32_t inline_sizes[] = { 128, 200, 4000 };
  for (size_t i = 0; i < SUITE_COUNT(inline_sizes); i++, expected++) {
    const forged f = forge(queue, inline_sizes[i], 0, 0, 0, NULL, NULL);
    expect_malformed(queue, &f, "larger than its cell");
  }
  const uint32_t outside[] = { slots, slots - 1, slots + 1, 0x7fffffff, 0xffffffff };
  for (size_t i = 0; i < SUITE_COUNT(outside); i++, expected++) {
    const forged f = forge(queue, 4000, GQ_CELL_SLOT, 0, outside[i], NULL, NULL);
    expect_malformed(queue, &f, "payload outside the arena");
  }
  const uint32_t rooms[][2] = { { 5001, 0 }, { 0xffffffff, 0 }, { 1000, slots }, { 4000, slots - 1 },
                                { 1, 0xffffffff }, { 5000, 0xffffffff } };
  for (size_t i = 0; i < SUITE_COUNT(rooms); i++, expected++) {
    uint32_t ext[GQ_EXT_WORDS] = { 0 };
    ext[GQ_EXT_ROOM] = rooms[i][0], ext[GQ_EXT_RESULT_SLOT] = rooms[i][1];
    const forged f = forge(queue, 0, GQ_CELL_EXT, 0, 0, ext, NULL);
    expect_malformed(queue, &f, "result outside the arena");
  }
  ck_assert_uint_eq(suite_stats(queue).failed, expected);
  suite_close(queue);
}
END_TEST

START_TEST(a_dependency_before_the_first_message_is_refused)
{
  const gq_options options = suite_options("echo");
  gq_queue *queue = suite_open(&options);
  const forged f = forge(queue, 0, 0, GQ_MAX_DEPENDENCY, 0, NULL, NULL);
  const uint64_t id = publish(queue, &f);
  assert_status(suite_take(queue, id), GQ_MALFORMED);
  assert_error_says("refused");
  suite_take_pattern(queue, suite_enqueue_pattern(queue, 30, 1), 30, 1);
  suite_close(queue);
}
END_TEST

/* --------------------------------------------------------------------------------------- hostile cells among others */

/* Lies of each kind that one cell can tell. */
enum { LIES = 6 };
static forged forge_lie(gq_queue *queue, uint32_t kind)
{
  const gq_limits *limits = &queue->core->consumption.limits;
  const uint32_t slots = (uint32_t)(limits->arena_bytes / GQ_SLOT_BYTES), most = (uint32_t)limits->max_message_bytes;
  uint32_t ext[GQ_EXT_WORDS] = { 0 };
  switch (kind) {
  case 0: return forge(queue, gq_inline_bytes(limits->units, limits->unit_bytes, 0) + 1, 0, 0, 0, NULL, NULL);
  case 1: return forge(queue, UINT32_MAX, 0, 0, 0, NULL, NULL);
  case 2: return forge(queue, most + 1, GQ_CELL_SLOT, 0, 0, NULL, NULL);
  case 3: return forge(queue, most, GQ_CELL_SLOT, 0, slots - 1, NULL, NULL);
  case 4: return forge(queue, 0, 0, GQ_MAX_DEPENDENCY, 0, NULL, NULL);
  default:
    ext[GQ_EXT_ROOM] = 4, ext[GQ_EXT_RESULT_SLOT] = slots;
    return forge(queue, 0, GQ_CELL_EXT, 0, 0, ext, NULL);
  }
}

/* A message of a burst. */
typedef struct mixed {
  forged f;
  bool lies;
  uint32_t size;     /* of a pattern, if it does not lie */
  uint64_t seed;
} mixed;

/* Wait until nobody looks at the lane: what is written now is found all at once by the first look after the wake-up. */
static void await_parked(gq_queue *queue)
{
  const int64_t deadline = support_now_ns() + SUPPORT_LONG;
  while (!gq_ld32(&queue->lane->head->parked, GQ_ACQUIRE, GQ_SYS)) {
    ck_assert_msg(support_now_ns() < deadline, "an idle queue does not park");
    support_sleep_us(50);
  }
  support_sleep_us(500);   /* the last look before the consumer leaves */
}

enum { BURST = 70 };   /* more than two chunks of the smallest cells */

/* Write \p n messages, of which one in \p lying lies, in any order, and check how each of them ends. */
static void exchange_burst(gq_queue *queue, uint32_t n, uint32_t lying, support_random *random)
{
  static mixed burst[BURST];
  const uint32_t most = gq_inline_bytes(queue->lane->units, queue->lane->unit_bytes, 0);
  uint32_t order[BURST];
  for (uint32_t i = 0; i < n; i++) {
    mixed *m = &burst[i];
    unsigned char payload[512];
    m->lies = support_below(random, lying) == 0;
    m->seed = support_next(random);
    m->size = (uint32_t)support_below(random, most + 1);
    support_fill(payload, m->size, m->seed);
    if (m->size >= 4) memset(payload, 0, 4);   /* test_sleep: at once */
    m->f = m->lies ? forge_lie(queue, (uint32_t)support_below(random, LIES))
                   : forge(queue, m->size, 0, 0, 0, NULL, payload);
    const uint32_t k = (uint32_t)support_below(random, i + 1);
    order[i] = order[k], order[k] = i;
  }
  for (uint32_t i = 0; i < n; i++) publish_unseen(queue, &burst[order[i]].f);
  gq_wake_consumer(queue->core, queue->lane);
  for (uint32_t i = 0; i < n; i++) {
    const mixed *m = &burst[order[i]];
    if (m->lies) {
      const gq_status status = end_forged(queue, &m->f);
      ck_assert_msg(status == GQ_MALFORMED, "a cell that lies ended in %s", gq_status_name((int)status));
      continue;
    }
    unsigned char right[512], got[512];
    size_t size = sizeof got;
    support_fill(right, m->size, m->seed);
    if (m->size >= 4) memset(right, 0, 4);
    assert_status(gq_dequeue_result(queue, gq_id_make(queue->lane->index, m->f.position), got, &size, SUPPORT_LONG),
                  GQ_OK);
    ck_assert_msg(size == m->size && memcmp(got, right, size) == 0, "a message of %u bytes among %u came back wrong",
                  m->size, n);
  }
}

/* Some cells of a look at the lane lie and the others do not. On a GPU a look is that of an ingress warp, which sees 32
 * units at once: 8 cells of 64 bytes, 4, 2 or 1 larger. gq_sort_out() (cuda/ingress.cuh) says which are whole, and has
 * nothing to go by but what they say. Of echo, which is short, up to 4 without slots then go to gq_run_catch() and the
 * others, like all of test_sleep, through gq_push_catch() to gq_work_warp(); gq_serve_threads() has both kinds in one
 * warp. In a burst that fills a window gq_look_everywhere() sees a whole chunk. */
START_TEST(cells_that_lie_do_no_harm_to_those_beside_them)
{
  static const char *const handlers[] = { "echo", "test_sleep" };
  static const uint32_t cells[] = { 64, 128, 256, 512 };
  support_random random = { 17 };
  for (size_t c = 0; c < SUITE_COUNT(cells) * SUITE_COUNT(handlers); c++) {
    gq_options options = suite_options(handlers[c % SUITE_COUNT(handlers)]);
    options.cell_bytes = cells[c / SUITE_COUNT(handlers)];
    options.max_message_bytes = 5000;
    options.park_us = 100;
    options.workers = 3;
    gq_queue *queue = suite_open(&options);
    for (size_t round = 0; round < support_scaled(120) + 4; round++) {
      if (round % 2) await_parked(queue);
      const uint32_t few = 2 + (uint32_t)support_below(&random, 7), many = 1 + (uint32_t)support_below(&random, BURST);
      exchange_burst(queue, round % 4 < 2 ? few : many, 1 + round % 3, &random);   /* every third burst: nothing but */
    }
    ck_assert_uint_gt(suite_stats(queue).failed, 0);
    uint64_t ids[1000];
    static const char on[] = "\0\0\0\0and so on";
    for (size_t i = 0; i < SUITE_COUNT(ids); i++) ids[i] = suite_enqueue(queue, on, 4 + i % 9);
    for (size_t i = 0; i < SUITE_COUNT(ids); i++) {
      char got[sizeof on];
      size_t size = sizeof got;
      assert_status(gq_dequeue_result(queue, ids[i], got, &size, SUPPORT_LONG), GQ_OK);
      ck_assert(size == 4 + i % 9 && memcmp(got, on, size) == 0);
    }
    suite_close(queue);
  }
}
END_TEST

/* One that lies in the middle of a chain of a key passes its turn on: gq_serve_threads() recalls the next. */
START_TEST(a_cell_that_lies_does_not_break_the_chain_of_its_key)
{
  enum { CHAIN = 9 };
  gq_options options = suite_options("echo");
  options.park_us = 100;
  for (uint32_t scope = GQ_SCOPE_THREAD; scope <= GQ_SCOPE_BLOCK; scope++) {
    options.scope = scope;
    gq_queue *queue = suite_open(&options);
    for (uint32_t round = 0; round < 40; round++) {
      forged chain[CHAIN];
      if (round % 2) await_parked(queue);
      for (uint32_t i = 0; i < CHAIN; i++) {
        uint32_t ext[GQ_EXT_WORDS] = { [GQ_EXT_KEY] = 5 };
        unsigned char payload[20];
        support_fill(payload, sizeof payload, i);
        chain[i] = i % 3 == 1 ? forge(queue, UINT32_MAX, GQ_CELL_EXT, i > 0, 0, ext, NULL)
                              : forge(queue, sizeof payload, GQ_CELL_EXT, i > 0, 0, ext, payload);
      }
      for (uint32_t i = CHAIN; i-- > 0;) publish_unseen(queue, &chain[i]);
      gq_wake_consumer(queue->core, queue->lane);
      for (uint32_t i = CHAIN; i-- > 0;) {
        if (i % 3 == 1) ck_assert_int_eq(end_forged(queue, &chain[i]), GQ_MALFORMED);
        else suite_take_pattern(queue, gq_id_make(queue->lane->index, chain[i].position), 20, i);
      }
    }
    suite_close(queue);
  }
}
END_TEST

/* A message that depends on one without a key waits for ever, and serves its sender right. One that depends on what was
 * in that place a lap before finds it waiting there: no reason to wait with it, least of all with a worker in hand. */
START_TEST(a_dependency_on_nothing_holds_up_nobody_else)
{
  gq_options options = suite_options("echo");
  options.lanes = 2;
  options.workers = 1;
  options.capacity = 128;
  for (uint32_t scope = GQ_SCOPE_THREAD; scope <= GQ_SCOPE_BLOCK; scope++) {
    options.scope = scope;
    gq_queue *queue = suite_open(&options), *lane = suite_open_lane(queue);
    const uint32_t ring = (uint32_t)lane->lane->ring_mask + 1;
    for (uint32_t i = 0; i < ring + 5; i++) suite_take_pattern(lane, suite_enqueue_pattern(lane, 30, i), 30, i);
    const forged waits = forge(lane, 0, 0, 3, 0, NULL, NULL);
    publish(lane, &waits);
    support_sleep_us(20000);
    ck_assert(!gq_lane_is_completed(lane->lane, waits.position));
    const forged goes = forge(lane, 0, 0, 4 + ring, 0, NULL, NULL);
    publish(lane, &goes);
    for (size_t i = 0; i < 100; i++) suite_take_pattern(queue, suite_enqueue_pattern(queue, 30, i), 30, i);
    ck_assert_int_eq(end_forged(lane, &goes), GQ_OK);
    assert_status(suite_shutdown(queue, 100 * SUPPORT_MILLISECOND), GQ_TIMEOUT);
  }
}
END_TEST

/* The heads of cells at random: whatever comes of them, the queue goes on and ends. */
START_TEST(random_heads_do_no_harm)
{
  gq_options options = suite_options("echo");
  options.max_message_bytes = 5000;
  gq_queue *queue = suite_open(&options);
  support_random random = { 99 };
  for (size_t i = 0; i < 2000; i++) {
    uint32_t ext[GQ_EXT_WORDS], size = (uint32_t)support_next(&random) >> support_below(&random, 32);
    for (size_t k = 0; k < GQ_EXT_WORDS; k++) ext[k] = (uint32_t)support_next(&random) >> support_below(&random, 32);
    ext[GQ_EXT_KEY] = ext[GQ_EXT_KEY + 1] = 0;
    ext[GQ_EXT_RESULT_SLOT] |= 0x10000;   /* a result goes nowhere where it could overwrite another's */
    const uint32_t slot = 0x10000 | (uint32_t)support_next(&random) >> support_below(&random, 32);
    const uint32_t flags = (uint32_t)support_below(&random, 256) & ~(uint32_t)GQ_CELL_RECALL;
    const forged f = forge(queue, size, flags, 0, slot, ext, NULL);
    forged whole = f;   /* what the head calls inline has to come, or the consumer waits for it */
    const uint32_t tag = gq_tag(f.position, queue->lane->ring_log2);
    for (uint32_t k = 0; k < queue->lane->units; k++) {
      whole.cell[k].w[3] = tag;
      if (queue->lane->unit_bytes == 8) whole.cell[k].w[1] = tag;
    }
    publish(queue, &whole);
    const gq_status status = end_forged(queue, &whole);
    ck_assert_msg(status == GQ_MALFORMED || status == GQ_OK || status == GQ_CANCELLED || status == GQ_RESULT_TOO_LARGE,
                  "head %zu: %s", i, gq_status_name((int)status));
  }
  suite_take_pattern(queue, suite_enqueue_pattern(queue, 30, 1), 30, 1);
  suite_close(queue);
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST(a_torn_cell_is_never_taken),
    SUITE_TEST(a_late_piece_releases_those_behind_it),
    SUITE_TEST(cells_that_lie_are_refused),
    SUITE_TEST(a_dependency_before_the_first_message_is_refused),
    SUITE_TEST(cells_that_lie_do_no_harm_to_those_beside_them),
    SUITE_TEST(a_cell_that_lies_does_not_break_the_chain_of_its_key),
    SUITE_TEST(a_dependency_on_nothing_holds_up_nobody_else),
    SUITE_TEST(random_heads_do_no_harm),
  };
  return suite_main("test_cells", tests, SUITE_COUNT(tests));
}
