/* SPDX-License-Identifier: Apache-2.0 */
/* A thread may be stopped between claiming its position in a lane and writing its cell, and leaves a hole. Here the
 * holes are where they hurt: at the end of what one warp of a GPU fetches, a chunk (GQ_WINDOWS windows, cuda/device.h),
 * so that the warp cannot go on to its next one. On a GPU the chunks behind are answered meanwhile, by other warps; the
 * CPU backend fetches in order, so there they wait. On both everything is answered once the hole is filled. */
#include "suite.h"

#include <string.h>

#include "cuda/device.h"
#include "lane_path.h"
#include "queue.h"

#define PASSING 3u   /* chunks that pass a hole: there are more warps a lane than that */
#define MOST_SENT 4096u

static uint32_t chunk_cells(const gq_queue *queue)
{
  return GQ_WINDOWS * 32 / queue->lane->units;
}

/* Messages are patterns of SIZE bytes whose first 4 are 0, so that test_sleep takes no time over them. */
#define SIZE 25u
static void fill(unsigned char *data, uint64_t seed)
{
  support_fill(data, SIZE, seed);
  memset(data, 0, 4);
}

static uint64_t claim(gq_queue *queue)
{
  uint64_t position;
  ck_assert_uint_eq(gq_lane_claim(queue->lane, 1, &position), 1);
  return position;
}

/* Fill the hole at a claimed position. */
static void publish_late(gq_queue *queue, uint64_t position)
{
  unsigned char data[SIZE];
  const gq_message message = { .data = data, .size = sizeof data };
  fill(data, gq_id_make(queue->lane->index, position));
  gq_lane_publish_plain(queue->lane, gq_lane_cells(queue->lane, queue->lane->submissions), position, &message,
                        (uint64_t)support_now_ns());
  gq_wake_consumer(queue->core, queue->lane);
}

/* \return the id, which is the seed. */
static uint64_t send(gq_queue *queue)
{
  const uint64_t position = claim(queue);   /* tests send from one thread */
  publish_late(queue, position);
  return gq_id_make(queue->lane->index, position);
}

static void check(const void *data, size_t size, uint64_t id)
{
  unsigned char right[SIZE];
  fill(right, id);
  ck_assert_msg(size == SIZE && memcmp(data, right, SIZE) == 0, "the result of message %llu is wrong",
                (unsigned long long)id);
}

static void take(gq_queue *queue, uint64_t id)
{
  unsigned char data[SIZE];
  size_t size = sizeof data;
  assert_status(gq_dequeue_result(queue, id, data, &size, SUPPORT_LONG), GQ_OK);
  check(data, size, id);
}

/* Send and take until the next position is \p place of its chunk. */
static void go_to(gq_queue *queue, uint32_t place)
{
  uint64_t ids[128];
  size_t sent = 0;
  while (gq_ld64(&queue->lane->head->claimed, GQ_RELAXED, GQ_SYS) % chunk_cells(queue) != place)
    ids[sent++] = send(queue);
  while (sent > 0) take(queue, ids[--sent]);
}

static void go_on(gq_queue *queue)
{
  static uint64_t ids[1000];
  for (size_t i = 0; i < SUITE_COUNT(ids); i++) ids[i] = send(queue);
  for (size_t i = 0; i < SUITE_COUNT(ids); i++) take(queue, ids[i]);
}

static gq_queue *open_queue(const char *handler, uint32_t cell_bytes)
{
  gq_options options = suite_options(handler);
  options.cell_bytes = cell_bytes;
  options.workers = 3;
  return suite_open(&options);
}

/* The last \p missing cells of a chunk come late. Sent behind them meanwhile: \p count messages, all at once or each
 * after the reply to the one before. */
static void leave_hole(gq_queue *queue, uint32_t missing, size_t count, bool at_once)
{
  static uint64_t ids[MOST_SENT], late[128];
  ck_assert(count <= MOST_SENT && missing <= SUITE_COUNT(late));
  go_to(queue, chunk_cells(queue) - missing);
  for (uint32_t i = 0; i < missing; i++) late[i] = claim(queue);
  for (size_t i = 0; i < count; i++) {
    ids[i] = send(queue);
    if (!at_once) take(queue, ids[i]);
  }
  for (size_t i = 0; at_once && suite_on_cuda() && i < count; i++) take(queue, ids[i]);
  support_sleep_us(4000);   /* longer than park_us: the consumer comes back to a chunk of which a part has been taken */
  for (uint32_t i = missing; i-- > 0;) {
    ck_assert(!gq_lane_is_completed(queue->lane, late[i]));
    publish_late(queue, late[i]);
    if (i % 3 == 2) support_sleep_us(100);
  }
  for (uint32_t i = 0; i < missing; i++) take(queue, gq_id_make(queue->lane->index, late[i]));
  for (size_t i = 0; at_once && !suite_on_cuda() && i < count; i++) take(queue, ids[i]);
}

static const struct { const char *handler; uint32_t cell_bytes; } kinds[] = {
  { "echo", 64 }, { "echo", 128 }, { "test_sleep", 64 }, { "test_sleep", 512 },
};

/* The warp that owns the chunk stays at it, in gq_visit_front(), with all but the last bits of its gq_cursor set, until
 * gq_advance() lets it go; the others find their chunks by `seen` of the lane's front (gq_may_poll()), take a look
 * although it is not their turn (gq_await_turn() gives up waiting), and go through gq_push_catch() and, of echo where
 * few come at once, gq_run_catch(). */
START_TEST(the_last_cells_of_a_chunk_may_come_late)
{
  for (size_t k = 0; k < SUITE_COUNT(kinds); k++) {
    gq_queue *queue = open_queue(kinds[k].handler, kinds[k].cell_bytes);
    const size_t passing = PASSING * chunk_cells(queue);
    for (size_t round = 0; round < support_scaled(12) + 2; round++) {
      leave_hole(queue, 1, passing, true);
      leave_hole(queue, 2, passing, true);
      leave_hole(queue, 1, passing / 2, true);
    }
    go_on(queue);
    suite_close(queue);
  }
}
END_TEST

/* The same with one message at a time behind the hole: of echo each is run by the warp that fetched it, gq_run_quick(),
 * which hands on the turn with the last of a chunk. */
START_TEST(single_messages_pass_a_late_cell)
{
  if (!suite_on_cuda()) return;   /* nothing passes on the CPU: see above */
  for (size_t k = 0; k < SUITE_COUNT(kinds); k++) {
    gq_queue *queue = open_queue(kinds[k].handler, kinds[k].cell_bytes);
    for (size_t round = 0; round < support_scaled(12) + 2; round++)
      leave_hole(queue, 1, PASSING * chunk_cells(queue), false);
    go_on(queue);
    suite_close(queue);
  }
}
END_TEST

/* The first cells of a chunk come late, one or all of them. What is behind them in the same chunk, in windows that its
 * warp would come to later, and what is in chunks behind one of which nothing has been seen, is found all the same, if
 * later than otherwise: gq_visit() looks everywhere now and then. */
START_TEST(single_messages_pass_whatever_is_missing)
{
  if (!suite_on_cuda()) return;
  for (size_t k = 0; k < SUITE_COUNT(kinds); k++) {
    gq_queue *queue = open_queue(kinds[k].handler, kinds[k].cell_bytes);
    const uint32_t cells = chunk_cells(queue);
    const uint32_t missing[] = { 1, cells, 2 * cells + 1 };
    for (size_t m = 0; m < SUITE_COUNT(missing); m++) {
      uint64_t late[128];
      ck_assert_uint_le(missing[m], SUITE_COUNT(late));
      go_to(queue, 0);
      for (uint32_t i = 0; i < missing[m]; i++) late[i] = claim(queue);
      for (uint32_t i = 0; i < cells; i++) take(queue, send(queue));
      for (uint32_t i = missing[m]; i-- > 0;) publish_late(queue, late[i]);
      for (uint32_t i = 0; i < missing[m]; i++) take(queue, gq_id_make(queue->lane->index, late[i]));
    }
    go_on(queue);
    suite_close(queue);
  }
}
END_TEST

/* Nothing of a chunk is there, and many are behind it, more than there are warps to fetch them: nobody is promised what
 * passes, but all of it comes with those that were missing. */
START_TEST(a_whole_chunk_may_come_late)
{
  for (size_t k = 0; k < SUITE_COUNT(kinds); k++) {
    gq_queue *queue = open_queue(kinds[k].handler, kinds[k].cell_bytes);
    const uint32_t missing = chunk_cells(queue), behind = 40 * missing;
    static uint64_t late[128], ids[MOST_SENT];
    ck_assert(missing <= SUITE_COUNT(late) && behind <= MOST_SENT);
    go_to(queue, 0);
    for (uint32_t i = 0; i < missing; i++) late[i] = claim(queue);
    for (uint32_t i = 0; i < behind; i++) ids[i] = send(queue);
    support_sleep_us(4000);
    for (uint32_t i = missing; i-- > 0;) publish_late(queue, late[i]);
    for (uint32_t i = behind; i-- > 0;) take(queue, ids[i]);
    for (uint32_t i = 0; i < missing; i++) take(queue, gq_id_make(queue->lane->index, late[i]));
    go_on(queue);
    suite_close(queue);
  }
}
END_TEST

/* Several warps wait at once, each for the end of its own chunk, and are let go last to first. Who polls gets what
 * passed, in the order of completion, and the late ones when they come. */
START_TEST(a_poller_gets_what_passed_and_then_the_late_ones)
{
  for (size_t k = 0; k < SUITE_COUNT(kinds); k++) {
    gq_queue *queue = open_queue(kinds[k].handler, kinds[k].cell_bytes);
    const uint32_t cells = chunk_cells(queue), sent = (PASSING + 1) * cells;
    uint64_t late[PASSING + 1], first = 0;
    uint32_t holes = 0, taken = 0;
    bool came[(PASSING + 1) * 128] = { false };
    gq_completion done[8];
    size_t count;
    ck_assert_uint_le(sent, SUITE_COUNT(came));
    for (uint32_t i = 0; i < sent; i++) {
      if (i % cells == cells - 1) {
        late[holes++] = claim(queue);
        continue;
      }
      const uint64_t id = send(queue);
      if (i == 0) first = gq_id_position(id);
    }
    ck_assert_uint_eq(first % cells, 0);
    if (!suite_on_cuda()) {
      while (holes > 0) publish_late(queue, late[--holes]);
    }
    while (taken < sent) {
      if (holes > 0 && taken == sent - PASSING - 1) {   /* all that passed have come */
        assert_status(gq_wait(queue, done, 1, 5 * SUPPORT_MILLISECOND, &count), GQ_TIMEOUT);
        while (holes > 0) publish_late(queue, late[--holes]);
      }
      assert_status(gq_wait(queue, done, SUITE_COUNT(done), SUPPORT_LONG, &count), GQ_OK);
      for (size_t i = 0; i < count; i++) {
        const uint64_t at = gq_id_position(done[i].id) - first;
        ck_assert_int_eq(done[i].status, GQ_OK);
        ck_assert_msg(at < sent && !came[at], "message %llu came twice", (unsigned long long)done[i].id);
        came[at] = true;
        check(done[i].data, done[i].size, done[i].id);
      }
      gq_release(queue, done, count);
      taken += (uint32_t)count;
    }
    suite_close(queue);
  }
}
END_TEST

/* With the option `ordered` the poller waits for the late one, whatever passed it. */
START_TEST(an_ordered_lane_waits_for_the_late_one)
{
  gq_options options = suite_options("echo");
  options.ordered = 1;
  gq_queue *queue = suite_open(&options);
  const uint32_t cells = chunk_cells(queue), sent = 3 * cells;
  gq_completion done;
  uint64_t late = 0, next = 0;
  size_t count;
  for (uint32_t i = 0; i < sent; i++) {
    if (i == cells - 1) late = claim(queue);
    else send(queue);
  }
  for (uint32_t i = 0; i < sent; i++) {
    if (i == cells - 1) {
      assert_status(gq_wait(queue, &done, 1, 5 * SUPPORT_MILLISECOND, &count), GQ_TIMEOUT);
      publish_late(queue, late);
    }
    assert_status(gq_wait(queue, &done, 1, SUPPORT_LONG, &count), GQ_OK);
    ck_assert_uint_eq(gq_id_position(done.id), next++);
    check(done.data, done.size, done.id);
    gq_release(queue, &done, 1);
  }
  suite_close(queue);
}
END_TEST

/* Where there are fewer warps than lanes each takes turns at several (`several` in gq_ingress()), and the hole of one
 * lane holds up no other, on either backend. */
START_TEST(a_hole_in_one_lane_is_no_other_lanes_concern)
{
  enum { LANES = 24 };
  gq_options options = suite_options("echo");
  options.lanes = LANES;
  options.sms = 2;
  options.workers = 2;
  options.capacity = 256;
  options.max_message_bytes = 1024;
  options.arena_bytes = 1 << 16;
  gq_queue *lanes[LANES] = { suite_open(&options) };
  for (size_t i = 1; i < LANES; i++) lanes[i] = suite_open_lane(lanes[0]);
  for (size_t round = 0; round < 3; round++) {
    uint64_t late[LANES];
    for (size_t i = round; i < LANES; i += 3) {
      go_to(lanes[i], chunk_cells(lanes[i]) - 1);
      late[i] = claim(lanes[i]);
    }
    for (size_t i = 0; i < LANES; i++) {
      if (i % 3 == round) continue;
      uint64_t ids[100];
      for (size_t k = 0; k < SUITE_COUNT(ids); k++) ids[k] = send(lanes[i]);
      for (size_t k = 0; k < SUITE_COUNT(ids); k++) take(lanes[i], ids[k]);
    }
    for (size_t i = round; i < LANES; i += 3) {
      const uint64_t behind = send(lanes[i]);
      publish_late(lanes[i], late[i]);
      take(lanes[i], behind);
      take(lanes[i], gq_id_make(lanes[i]->lane->index, late[i]));
    }
  }
  suite_close(lanes[0]);
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST(the_last_cells_of_a_chunk_may_come_late),
    SUITE_TEST(single_messages_pass_a_late_cell),
    SUITE_TEST(single_messages_pass_whatever_is_missing),
    SUITE_TEST(a_whole_chunk_may_come_late),
    SUITE_TEST(a_poller_gets_what_passed_and_then_the_late_ones),
    SUITE_TEST(an_ordered_lane_waits_for_the_late_one),
    SUITE_TEST(a_hole_in_one_lane_is_no_other_lanes_concern),
  };
  return suite_main("test_late", tests, SUITE_COUNT(tests));
}
