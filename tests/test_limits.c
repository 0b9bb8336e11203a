/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes from nothing to 64 MiB, capacities from 2 to 2^20, and what is too large. */
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB ((size_t)1 << 20)

START_TEST(every_small_size_in_every_cell_size)
{
  static const uint32_t cells[] = { 64, 128, 256, 512 };
  for (size_t c = 0; c < SUITE_COUNT(cells); c++) {
    gq_options options = suite_options("echo");
    options.cell_bytes = cells[c];
    options.max_message_bytes = 1024;
    options.capacity = 3;
    gq_queue *queue = suite_open(&options);
    for (size_t size = 0; size <= cells[c] + 80u; size++)   /* around what fits a cell, wherever that is */
      for (int with_key = 0; with_key < 2; with_key++) {
        unsigned char data[1024];
        const gq_message message = { .data = data, .size = size, .key = with_key ? size + 1 : 0, .tag = with_key };
        uint64_t id;
        support_fill(data, size, size);
        assert_status(gq_enqueue(queue, &message, SUPPORT_LONG, &id), GQ_OK);
        suite_take_pattern(queue, id, size, size);
      }
    suite_close(queue);
  }
}
END_TEST

START_TEST(small_results_of_larger_messages_and_back)
{
  gq_options options = suite_options("sha256");
  options.max_message_bytes = 4096;
  gq_queue *queue = suite_open(&options);
  for (size_t size = 0; size < 600; size += 7) {
    unsigned char data[64];
    size_t got = sizeof data;
    assert_status(gq_dequeue_result(queue, suite_enqueue_pattern(queue, size, 1), data, &got, SUPPORT_LONG), GQ_OK);
    ck_assert_uint_eq(got, 32);
  }
  suite_close(queue);
}
END_TEST

START_TEST(large_sizes)
{
  gq_options options = suite_options("echo");
  options.max_message_bytes = 64 * MIB;
  gq_queue *queue = suite_open(&options);
  for (size_t size = 512; size <= 64 * MIB; size *= support_is_valgrind() || support_is_checked() ? 8 : 2)
    for (int around = -1; around <= 1; around++) {
      const size_t bytes = size + (size_t)around;
      if (bytes > 64 * MIB || (bytes > 8 * MIB && around == 0 && size != 64 * MIB)) continue;
      suite_take_pattern(queue, suite_enqueue_pattern(queue, bytes, bytes), bytes, bytes);
    }
  suite_close(queue);
}
END_TEST

START_TEST(small_messages_pass_a_large_one)
{
  gq_options options = suite_options("echo");
  options.max_message_bytes = 16 * MIB;
  options.workers = 2;
  gq_queue *queue = suite_open(&options);
  for (size_t round = 0; round < 3; round++) {
    const uint64_t large = suite_enqueue_pattern(queue, 16 * MIB, round);
    for (size_t i = 0; i < 100; i++) suite_take_pattern(queue, suite_enqueue_pattern(queue, 50, i), 50, i);
    suite_take_pattern(queue, large, 16 * MIB, round);
  }
  suite_close(queue);
}
END_TEST

START_TEST(a_message_too_large_is_refused)
{
  static const size_t limits[] = { 0, 1, 100, 101, 5000 };
  static unsigned char data[5001];
  for (size_t i = 0; i < SUITE_COUNT(limits); i++) {
    gq_options options = suite_options("echo");
    options.max_message_bytes = limits[i];
    gq_queue *queue = suite_open(&options);
    suite_take_pattern(queue, suite_enqueue_pattern(queue, limits[i], 1), limits[i], 1);
    const gq_message message = { .data = data, .size = limits[i] + 1 };
    uint64_t id = 42;
    char number[32];
    assert_status(gq_enqueue(queue, &message, 0, &id), GQ_TOO_LARGE);
    snprintf(number, sizeof number, "%zu", limits[i]);
    assert_error_says(number);
    snprintf(number, sizeof number, "%zu", limits[i] + 1);
    assert_error_says(number);
    ck_assert_uint_eq(id, 42);
    suite_take_pattern(queue, suite_enqueue_pattern(queue, limits[i], 2), limits[i], 2);
    ck_assert_uint_eq(suite_stats(queue).enqueued, 2);
    suite_close(queue);
  }
}
END_TEST

/* Send \p size bytes with room for \p room and expect \p expected, once by id and once by polling. */
static void expect_end(gq_queue *queue, size_t size, size_t room, gq_status expected)
{
  static unsigned char data[65536];
  const gq_message message = { .data = data, .size = size, .result_bytes = room, .tag = 9 };
  uint64_t id;
  support_fill(data, size, size);
  assert_status(gq_enqueue(queue, &message, SUPPORT_LONG, &id), GQ_OK);
  if (expected == GQ_OK) {
    suite_take_pattern(queue, id, size, size);
  } else {
    assert_status(suite_take(queue, id), expected);
    assert_status(suite_take(queue, id), GQ_UNKNOWN_ID);
  }
  gq_completion completion;
  size_t count;
  assert_status(gq_enqueue(queue, &message, SUPPORT_LONG, &id), GQ_OK);
  assert_status(gq_wait(queue, &completion, 1, SUPPORT_LONG, &count), GQ_OK);
  ck_assert_uint_eq(completion.id, id);
  ck_assert_uint_eq(completion.tag, 9);
  ck_assert_msg(completion.status == expected, "%zu bytes, room for %zu: %s", size, room,
                gq_status_name((int)completion.status));
  gq_release(queue, &completion, 1);
}

START_TEST(a_result_too_large_is_a_dead_letter)
{
  static const size_t limits[] = { 1, 50, 60, 84, 108, 128, 200, 4000 };   /* room in the cell and in a slot */
  uint64_t failed = 0;
  for (size_t i = 0; i < SUITE_COUNT(limits); i++) {
    gq_options options = suite_options("echo");
    options.max_message_bytes = 8000;
    options.max_result_bytes = limits[i];
    options.attempts = 3;   /* trying again would not help */
    gq_queue *queue = suite_open(&options);
    expect_end(queue, limits[i] - 1, 0, GQ_OK);
    expect_end(queue, limits[i], 0, GQ_OK);
    expect_end(queue, limits[i] + 1, 0, GQ_RESULT_TOO_LARGE);
    expect_end(queue, limits[i] + 1000, 0, GQ_RESULT_TOO_LARGE);
    expect_end(queue, limits[i], 0, GQ_OK);
    failed = suite_stats(queue).failed;
    ck_assert_uint_eq(failed, 4);
    ck_assert_uint_eq(suite_stats(queue).dead_lettered, 4);
    ck_assert_uint_eq(suite_stats(queue).completed, 6);
    suite_close(queue);
  }
}
END_TEST

START_TEST(a_message_may_ask_for_room)
{
  gq_options options = suite_options("echo");
  options.max_message_bytes = 8000;
  gq_queue *queue = suite_open(&options);
  expect_end(queue, 2000, 2000, GQ_OK);
  expect_end(queue, 2000, 8000, GQ_OK);
  expect_end(queue, 2000, 1000, GQ_RESULT_TOO_LARGE);   /* the echo is larger than the room that was asked for */
  expect_end(queue, 8000, 7999, GQ_RESULT_TOO_LARGE);
  expect_end(queue, 8000, 8000, GQ_OK);
  unsigned char byte = 1;
  const gq_message message = { .data = &byte, .size = 1, .result_bytes = 8001 };   /* more than max_result_bytes */
  uint64_t id = 42;
  assert_status(gq_enqueue(queue, &message, 0, &id), GQ_INVALID);
  assert_error_says("8001");
  ck_assert_uint_eq(id, 42);
  suite_close(queue);
}
END_TEST

START_TEST(a_handler_that_lies_about_its_result_harms_nobody)
{
  const gq_options options = suite_options("test_grow");   /* says that it wrote one byte more than there is room for */
  gq_queue *queue = suite_open(&options);
  for (size_t i = 0; i < 20; i++) expect_end(queue, i * 100, 0, GQ_RESULT_TOO_LARGE);
  suite_close(queue);
}
END_TEST

START_TEST(the_smallest_capacity_laps_far)
{
  gq_options options = suite_options("echo");
  options.capacity = 2;
  gq_queue *queue = suite_open(&options);
  for (size_t i = 0; i < support_scaled(10000); i++)
    suite_take_pattern(queue, suite_enqueue_pattern(queue, i % 40, i), i % 40, i);
  suite_close(queue);
}
END_TEST

START_TEST(the_largest_capacity_can_be_filled)
{
  const size_t batch = 4096, capacity = support_is_valgrind() ? 4 * batch : (size_t)1 << 20;
  gq_options options = suite_options("echo");
  options.capacity = (uint32_t)capacity;
  options.cell_bytes = 64;
  gq_queue *queue = suite_open(&options);
  static uint32_t values[4096];
  static gq_message messages[4096];
  for (size_t sent = 0; sent < capacity; sent += batch) {
    for (size_t i = 0; i < batch; i++) {
      values[i] = (uint32_t)(sent + i);
      messages[i] = (gq_message){ .data = &values[i], .size = sizeof values[i] };
    }
    size_t done;
    assert_status(gq_enqueue_batch(queue, messages, batch, SUPPORT_LONG, NULL, &done), GQ_OK);
    ck_assert_uint_eq(done, batch);
  }
  const gq_message message = { .data = "x", .size = 1 };
  uint64_t id;
  assert_status(gq_enqueue(queue, &message, 0, &id), GQ_FULL);
  assert_status(gq_drain(queue, SUPPORT_LONG), GQ_OK);
  ck_assert_uint_eq(suite_stats(queue).unread, capacity);
  unsigned char *seen = calloc(capacity, 1);
  static gq_completion completions[4096];
  for (size_t ended = 0, count; ended < capacity; ended += count) {
    assert_status(gq_wait(queue, completions, batch, SUPPORT_LONG, &count), GQ_OK);
    for (size_t i = 0; i < count; i++) {
      uint32_t value;
      ck_assert_uint_eq(completions[i].size, sizeof value);
      memcpy(&value, completions[i].data, sizeof value);
      ck_assert_uint_lt(value, capacity);
      if (seen[value]++) ck_abort_msg("message %u came twice", value);
    }
    gq_release(queue, completions, count);
  }
  free(seen);
  suite_close(queue);
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST(every_small_size_in_every_cell_size),
    SUITE_TEST(small_results_of_larger_messages_and_back),
    SUITE_TEST(large_sizes),
    SUITE_TEST(small_messages_pass_a_large_one),
    SUITE_TEST(a_message_too_large_is_refused),
    SUITE_TEST(a_result_too_large_is_a_dead_letter),
    SUITE_TEST(a_message_may_ask_for_room),
    SUITE_TEST(a_handler_that_lies_about_its_result_harms_nobody),
    SUITE_TEST(the_smallest_capacity_laps_far),
    SUITE_TEST(the_largest_capacity_can_be_filled),
  };
  return suite_main("test_limits", tests, SUITE_COUNT(tests));
}
