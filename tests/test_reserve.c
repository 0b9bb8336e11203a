/* SPDX-License-Identifier: Apache-2.0 */
/* Messages written in place: reserve, commit, abort. */
#include "suite.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((size_t)1 << 20)

static uint64_t commit(gq_queue *queue, gq_reservation *reservation, size_t size)
{
  const gq_message message = { .size = size };
  uint64_t id = 0;
  assert_status(gq_commit(queue, reservation, &message, SUPPORT_LONG, &id), GQ_OK);
  ck_assert_uint_ne(id, 0);
  return id;
}

START_TEST(a_message_written_in_place_comes_back)
{
  static const size_t sizes[] = { 0, 1, 15, 16, 17, 63, 64, 65, 127, 128, 129, 500, 4095, 4096, 4097,
                                  65536, MIB, 4 * MIB };
  gq_options options = suite_options("echo");
  options.max_message_bytes = 4 * MIB;
  gq_queue *queue = suite_open(&options);
  for (size_t i = 0; i < SUITE_COUNT(sizes); i++) {
    gq_reservation reservation;
    assert_status(gq_reserve(queue, sizes[i], SUPPORT_LONG, &reservation), GQ_OK);
    ck_assert_ptr_nonnull(reservation.data);
    ck_assert_uint_eq(reservation.size, sizes[i]);
    ck_assert_uint_eq((uintptr_t)reservation.data % 64, 0);
    support_fill(reservation.data, sizes[i], i);
    suite_take_pattern(queue, commit(queue, &reservation, sizes[i]), sizes[i], i);
  }
  suite_close(queue);
}
END_TEST

START_TEST(less_than_reserved_can_be_sent)
{
  static const size_t sizes[] = { 0, 1, 40, 3000, 99999, 100000 };
  gq_options options = suite_options("echo");
  gq_queue *queue = suite_open(&options);
  for (size_t i = 0; i < SUITE_COUNT(sizes); i++) {
    gq_reservation reservation;
    assert_status(gq_reserve(queue, 100000, SUPPORT_LONG, &reservation), GQ_OK);
    support_fill(reservation.data, 100000, i);
    suite_take_pattern(queue, commit(queue, &reservation, sizes[i]), sizes[i], i);
  }
  suite_close(queue);
}
END_TEST

START_TEST(more_than_reserved_is_refused)
{
  const gq_options options = suite_options("echo");
  gq_queue *queue = suite_open(&options);
  gq_reservation reservation;
  assert_status(gq_reserve(queue, 1000, SUPPORT_LONG, &reservation), GQ_OK);
  const gq_message message = { .size = 1001 };
  uint64_t id = 42;
  assert_status(gq_commit(queue, &reservation, &message, 0, &id), GQ_INVALID);
  assert_error_says("1001");
  assert_error_says("1000");
  ck_assert_uint_eq(id, 42);
  support_fill(reservation.data, 1000, 1);   /* it stayed the caller's */
  suite_take_pattern(queue, commit(queue, &reservation, 1000), 1000, 1);
  suite_close(queue);
}
END_TEST

START_TEST(key_and_tag_go_with_a_commit)
{
  const gq_options options = suite_options("echo");
  gq_queue *queue = suite_open(&options);
  gq_reservation reservation;
  assert_status(gq_reserve(queue, 64, SUPPORT_LONG, &reservation), GQ_OK);
  support_fill(reservation.data, 64, 1);
  const gq_message message = { .size = 64, .key = 5, .tag = 6 };
  uint64_t id;
  assert_status(gq_commit(queue, &reservation, &message, SUPPORT_LONG, &id), GQ_OK);
  gq_completion completion;
  size_t count;
  assert_status(gq_wait(queue, &completion, 1, SUPPORT_LONG, &count), GQ_OK);
  ck_assert_uint_eq(completion.id, id);
  ck_assert_uint_eq(completion.key, 5);
  ck_assert_uint_eq(completion.tag, 6);
  ck_assert_uint_eq(support_compare(completion.data, 64, 1), 64);
  gq_release(queue, &completion, 1);
  suite_close(queue);
}
END_TEST

START_TEST(a_reservation_held_blocks_nobody)
{
  gq_options options = suite_options("echo");
  options.capacity = 4;
  gq_queue *queue = suite_open(&options);
  gq_reservation first, second;
  assert_status(gq_reserve(queue, 100, SUPPORT_LONG, &first), GQ_OK);
  assert_status(gq_reserve(queue, 5000, SUPPORT_LONG, &second), GQ_OK);
  support_fill(first.data, 100, 1);
  support_fill(second.data, 5000, 2);
  for (size_t i = 0; i < 100; i++) {   /* laps of the ring, with payloads in cells and not */
    const size_t size = i % 2 ? 10 : 3000;
    suite_take_pattern(queue, suite_enqueue_pattern(queue, size, i), size, i);
  }
  ck_assert_uint_eq(support_compare(first.data, 100, 1), 100);
  const uint64_t later = commit(queue, &second, 5000), earlier = commit(queue, &first, 100);
  suite_take_pattern(queue, earlier, 100, 1);
  suite_take_pattern(queue, later, 5000, 2);
  suite_close(queue);
}
END_TEST

START_TEST(a_commit_into_a_full_queue_can_be_repeated)
{
  gq_options options = suite_options("echo");
  options.capacity = 2;
  gq_queue *queue = suite_open(&options);
  gq_reservation reservation;
  assert_status(gq_reserve(queue, 64, SUPPORT_LONG, &reservation), GQ_OK);
  support_fill(reservation.data, 64, 7);
  const uint64_t ids[2] = { suite_enqueue_pattern(queue, 8, 1), suite_enqueue_pattern(queue, 8, 2) };
  const gq_message message = { .size = 64 };
  uint64_t id = 42;
  assert_status(gq_commit(queue, &reservation, &message, 0, &id), GQ_FULL);
  assert_status(gq_commit(queue, &reservation, &message, 10 * SUPPORT_MILLISECOND, &id), GQ_FULL);
  ck_assert_uint_eq(id, 42);
  ck_assert_uint_eq(support_compare(reservation.data, 64, 7), 64);
  suite_take_pattern(queue, ids[1], 8, 2);
  suite_take_pattern(queue, ids[0], 8, 1);
  suite_take_pattern(queue, commit(queue, &reservation, 64), 64, 7);
  suite_close(queue);
}
END_TEST

START_TEST(too_large_a_reservation_is_refused)
{
  gq_options options = suite_options("echo");
  options.max_message_bytes = 1000;
  gq_queue *queue = suite_open(&options);
  gq_reservation reservation = { .size = 42 };
  assert_status(gq_reserve(queue, 1001, 0, &reservation), GQ_TOO_LARGE);
  assert_error_says("1001");
  assert_error_says("1000");
  ck_assert_uint_eq(reservation.size, 42);
  assert_status(gq_reserve(queue, SIZE_MAX, 0, &reservation), GQ_TOO_LARGE);
  assert_status(gq_reserve(queue, 1000, 0, &reservation), GQ_OK);
  gq_abort(queue, &reservation);
  suite_close(queue);
}
END_TEST

#define MANY 4096

/* Reserve until there is no room. \return how many reservations that gave. */
static size_t reserve_all(gq_queue *queue, gq_reservation *reservations, size_t size)
{
  for (size_t count = 0; count < MANY; count++) {
    const gq_status status = gq_reserve(queue, size, 0, &reservations[count]);
    if (status == GQ_FULL) return count;
    assert_status(status, GQ_OK);
    memset(reservations[count].data, 0x33, size);
  }
  ck_abort_msg("%d reservations of %zu bytes fit", MANY, size);
}

START_TEST(aborted_memory_comes_back)
{
  static gq_reservation reservations[MANY];
  static const size_t sizes[] = { 64 << 10, 100000, MIB };
  gq_options options = suite_options("echo");
  options.max_message_bytes = MIB;
  options.arena_bytes = 16 * MIB;
  gq_queue *queue = suite_open(&options);
  for (int round = 0; round < 2; round++)
    for (size_t i = 0; i < SUITE_COUNT(sizes); i++) {
      const size_t count = reserve_all(queue, reservations, sizes[i]);
      ck_assert_msg(count * sizes[i] >= 4 * MIB, "only %zu times %zu bytes fit in 16 MiB", count, sizes[i]);
      ck_assert_msg(count * sizes[i] <= 16 * MIB, "%zu times %zu bytes fit in 16 MiB", count, sizes[i]);
      for (size_t k = 0; k < count; k++) gq_abort(queue, &reservations[(k * 7919) % count]);
    }
  suite_close(queue);
}
END_TEST

START_TEST(a_slot_that_is_kept_at_hand_is_not_missing)
{
  enum { ARENA = 256 << 10 };
  static gq_reservation reservations[MANY];
  static const size_t sizes[] = { ARENA / 2, 200, ARENA / 4, 100, 20000 };
  gq_options options = suite_options("echo");
  options.max_message_bytes = ARENA / 2;
  options.arena_bytes = ARENA;
  gq_queue *queue = suite_open(&options);
  for (size_t i = 0; i < SUITE_COUNT(sizes); i++) {
    gq_reservation small;
    assert_status(gq_reserve(queue, 64, 0, &small), GQ_OK);
    support_fill(small.data, 64, i);
    suite_take_pattern(queue, commit(queue, &small, 64), 64, i);   /* went into its cell */
    size_t rounded = 256;
    while (rounded < sizes[i]) rounded *= 2;
    const size_t count = reserve_all(queue, reservations, sizes[i]);
    ck_assert_uint_eq(count, ARENA / rounded);
    for (size_t k = 0; k < count; k++) gq_abort(queue, &reservations[k]);
  }
  suite_close(queue);
}
END_TEST

static gq_reservation given_back;

static void *abort_later(void *queue)
{
  support_sleep_us(30000);
  gq_abort(queue, &given_back);
  return NULL;
}

START_TEST(a_full_arena_refuses_or_waits)
{
  static gq_reservation reservations[MANY];
  gq_options options = suite_options("echo");
  options.max_message_bytes = MIB;
  options.arena_bytes = 16 * MIB;
  gq_queue *queue = suite_open(&options);
  const size_t count = reserve_all(queue, reservations, MIB);
  gq_reservation one;
  const int64_t before = support_now_ns();
  assert_status(gq_reserve(queue, MIB, 30 * SUPPORT_MILLISECOND, &one), GQ_FULL);
  ck_assert_int_ge(support_now_ns() - before, 30 * SUPPORT_MILLISECOND);
  given_back = reservations[0];
  suite_start(abort_later, queue);
  assert_status(gq_reserve(queue, MIB, SUPPORT_LONG, &one), GQ_OK);
  suite_join();
  gq_abort(queue, &one);
  for (size_t i = 1; i < count; i++) gq_abort(queue, &reservations[i]);
  suite_take_pattern(queue, suite_enqueue_pattern(queue, MIB, 5), MIB, 5);
  suite_close(queue);
}
END_TEST

START_TEST(a_forgotten_reservation_ends_with_the_queue)
{
  const gq_options options = suite_options("echo");
  gq_queue *queue = suite_open(&options);
  gq_reservation reservation;
  assert_status(gq_reserve(queue, 1000, SUPPORT_LONG, &reservation), GQ_OK);
  suite_take_pattern(queue, suite_enqueue_pattern(queue, 8, 1), 8, 1);
  assert_status(gq_drain(queue, SUPPORT_LONG), GQ_OK);   /* it is no message yet: nothing to wait for */
  suite_close(queue);
}
END_TEST

START_TEST(a_closed_queue_takes_no_commit)
{
  const gq_options options = suite_options("echo");
  gq_queue *queue = suite_open(&options);
  gq_reservation reservation, another;
  assert_status(gq_reserve(queue, 1000, SUPPORT_LONG, &reservation), GQ_OK);
  gq_close(queue);
  const gq_message message = { .size = 1000 };
  uint64_t id = 42;
  assert_status(gq_commit(queue, &reservation, &message, 0, &id), GQ_SHUT_DOWN);
  assert_status(gq_reserve(queue, 10, 0, &another), GQ_SHUT_DOWN);
  ck_assert_uint_eq(id, 42);
  gq_abort(queue, &reservation);
  suite_close(queue);
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST(a_message_written_in_place_comes_back),
    SUITE_TEST(less_than_reserved_can_be_sent),
    SUITE_TEST(more_than_reserved_is_refused),
    SUITE_TEST(key_and_tag_go_with_a_commit),
    SUITE_TEST(a_reservation_held_blocks_nobody),
    SUITE_TEST(a_commit_into_a_full_queue_can_be_repeated),
    SUITE_TEST(too_large_a_reservation_is_refused),
    SUITE_TEST(aborted_memory_comes_back),
    SUITE_TEST(a_slot_that_is_kept_at_hand_is_not_missing),
    SUITE_TEST(a_full_arena_refuses_or_waits),
    SUITE_TEST(a_forgotten_reservation_ends_with_the_queue),
    SUITE_TEST(a_closed_queue_takes_no_commit),
  };
  return suite_main("test_reserve", tests, SUITE_COUNT(tests));
}
