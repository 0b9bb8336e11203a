/* SPDX-License-Identifier: Apache-2.0 */
/* Sending: ids, a full queue with and without a timeout, batches, what a message carries. */
#include "suite.h"

#include <stdlib.h>
#include <string.h>

/* Fill the queue. \return how many messages it took; it must be what `capacity` says, or the next power of two. */
static size_t fill(gq_queue *queue, uint64_t *ids, size_t capacity)
{
  size_t count = 0, limit = 2;
  while (limit < capacity) limit *= 2;
  for (;; count++) {
    const gq_message message = { .data = &count, .size = sizeof count };
    uint64_t id = 0;
    const gq_status status = gq_enqueue(queue, &message, 0, &id);
    if (status == GQ_FULL) break;
    assert_status(status, GQ_OK);
    ck_assert_msg(count < limit, "more than %zu messages fit a capacity of %zu", limit, capacity);
    ids[count] = id;
  }
  ck_assert_msg(count >= capacity, "only %zu messages fit a capacity of %zu", count, capacity);
  return count;
}

START_TEST(a_message_comes_back)
{
  const gq_options options = suite_options("echo");
  gq_queue *queue = suite_open(&options);
  suite_take_pattern(queue, suite_enqueue_pattern(queue, 64, 1), 64, 1);
  suite_close(queue);
}
END_TEST

START_TEST(ids_are_distinct_and_never_zero)
{
  enum { MESSAGES = 300 };
  gq_options options = suite_options("echo");
  options.capacity = 4;
  gq_queue *queue = suite_open(&options);
  uint64_t ids[MESSAGES];
  for (size_t i = 0; i < MESSAGES; i++) {
    ids[i] = suite_enqueue_pattern(queue, 8, i);
    suite_take_pattern(queue, ids[i], 8, i);
    for (size_t k = 0; k < i; k++) ck_assert_uint_ne(ids[k], ids[i]);
  }
  suite_close(queue);
}
END_TEST

START_TEST(a_full_queue_refuses_at_once)
{
  static const uint32_t capacities[] = { 2, 3, 64, 1000 };
  for (size_t i = 0; i < SUITE_COUNT(capacities); i++) {
    uint64_t ids[1024], id = 42;
    gq_options options = suite_options("echo");
    options.capacity = capacities[i];
    gq_queue *queue = suite_open(&options);
    const size_t count = fill(queue, ids, capacities[i]);
    const uint64_t rejected = suite_stats(queue).rejected_full;
    ck_assert_uint_ge(rejected, 1);
    const gq_message message = { .data = "x", .size = 1 };
    assert_status(gq_enqueue(queue, &message, 0, &id), GQ_FULL);
    assert_error_says("capacity");
    ck_assert_uint_eq(id, 42);   /* not written */
    ck_assert_uint_eq(suite_stats(queue).rejected_full, rejected + 1);
    ck_assert_uint_eq(suite_stats(queue).enqueued, count);
    for (size_t k = 0; k < count; k++) {   /* what was accepted is all there */
      size_t value = 0, size = sizeof value;
      assert_status(gq_dequeue_result(queue, ids[k], &value, &size, SUPPORT_LONG), GQ_OK);
      ck_assert_uint_eq(value, k);
      ck_assert_uint_eq(size, sizeof value);
    }
    ck_assert_uint_eq(fill(queue, ids, capacities[i]), count);   /* and all the room is back */
    suite_shutdown(queue, 0);
  }
}
END_TEST

START_TEST(a_full_queue_refuses_after_the_timeout)
{
  uint64_t ids[8], id = 42;
  gq_options options = suite_options("echo");
  options.capacity = 2;
  options.timeout_ms = 40;
  gq_queue *queue = suite_open(&options);
  fill(queue, ids, 2);
  const gq_message message = { .data = "x", .size = 1 };
  static const int64_t timeouts[] = { 30 * SUPPORT_MILLISECOND, GQ_DEFAULT_TIMEOUT };
  for (size_t i = 0; i < SUITE_COUNT(timeouts); i++) {
    const int64_t before = support_now_ns();
    assert_status(gq_enqueue(queue, &message, timeouts[i], &id), GQ_FULL);
    const int64_t took = support_now_ns() - before;
    ck_assert_msg(took >= 30 * SUPPORT_MILLISECOND, "gave up after %lld ns", (long long)took);
    ck_assert_msg(took < SUPPORT_LONG, "gave up only after %lld ns", (long long)took);
    ck_assert_uint_eq(id, 42);
  }
  suite_close(queue);
}
END_TEST

static void *enqueue_when_there_is_room(void *argument)
{
  const gq_message message = { .data = "late", .size = 4 };
  uint64_t id;
  char data[4];
  size_t size = sizeof data;
  if (!thread_status(gq_enqueue(argument, &message, GQ_FOREVER, &id), GQ_OK)) return NULL;
  if (!thread_status(gq_dequeue_result(argument, id, data, &size, SUPPORT_LONG), GQ_OK)) return NULL;
  if (size != 4 || memcmp(data, "late", 4)) suite_blame("the late message came back wrong");
  return NULL;
}

START_TEST(room_wakes_those_who_wait_for_it)
{
  enum { WAITERS = 3 };
  uint64_t ids[8];
  gq_options options = suite_options("echo");
  options.capacity = 2;
  gq_queue *queue = suite_open(&options);
  const size_t count = fill(queue, ids, 2);
  for (int i = 0; i < WAITERS; i++) suite_start(enqueue_when_there_is_room, queue);
  support_sleep_us(20000);   /* long enough for them to be asleep */
  ck_assert_uint_eq(suite_stats(queue).enqueued, count);
  for (size_t i = 0; i < count; i++) assert_status(suite_take(queue, ids[i]), GQ_OK);
  suite_join();
  ck_assert_uint_eq(suite_stats(queue).enqueued, count + WAITERS);
  suite_close(queue);
}
END_TEST

START_TEST(room_by_release_wakes_those_who_wait_for_it)
{
  uint64_t ids[8];
  gq_options options = suite_options("echo");
  options.capacity = 2;
  gq_queue *queue = suite_open(&options);
  const size_t count = fill(queue, ids, 2);
  suite_start(enqueue_when_there_is_room, queue);
  support_sleep_us(20000);
  gq_completion completion;
  size_t got;
  assert_status(gq_wait(queue, &completion, 1, SUPPORT_LONG, &got), GQ_OK);
  gq_release(queue, &completion, 1);
  suite_join();
  for (size_t i = 0; i < count; i++)
    if (ids[i] != completion.id) assert_status(suite_take(queue, ids[i]), GQ_OK);
  suite_close(queue);
}
END_TEST

START_TEST(a_batch_is_enqueued_in_order)
{
  enum { MESSAGES = 100 };
  gq_options options = suite_options("echo");
  options.ordered = 1;
  gq_queue *queue = suite_open(&options);
  unsigned char data[MESSAGES][200];
  gq_message messages[MESSAGES] = { 0 };
  uint64_t ids[MESSAGES];
  for (size_t i = 0; i < MESSAGES; i++) {
    support_fill(data[i], sizeof data[i], i);
    messages[i].data = data[i], messages[i].size = i * 2, messages[i].tag = i;   /* inline and not */
  }
  size_t done = 0;
  assert_status(gq_enqueue_batch(queue, messages, MESSAGES, SUPPORT_LONG, ids, &done), GQ_OK);
  ck_assert_uint_eq(done, MESSAGES);
  for (size_t i = 0, got; i < MESSAGES; i++) {
    gq_completion completion;
    assert_status(gq_wait(queue, &completion, 1, SUPPORT_LONG, &got), GQ_OK);
    ck_assert_uint_eq(got, 1);
    ck_assert_uint_eq(completion.tag, i);
    ck_assert_uint_eq(completion.id, ids[i]);
    ck_assert_uint_eq(completion.size, i * 2);
    ck_assert_uint_eq(support_compare(completion.data, i * 2, i), i * 2);
    gq_release(queue, &completion, 1);
  }
  suite_close(queue);
}
END_TEST

START_TEST(a_batch_stops_where_the_queue_is_full)
{
  enum { MESSAGES = 40 };
  gq_options options = suite_options("echo");
  options.capacity = 16;
  gq_queue *queue = suite_open(&options);
  gq_message messages[MESSAGES];
  uint64_t ids[MESSAGES];
  memset(messages, 0, sizeof messages);
  memset(ids, 0, sizeof ids);
  for (size_t i = 0; i < MESSAGES; i++) messages[i].data = "abc", messages[i].size = 3;
  size_t done = 0;
  assert_status(gq_enqueue_batch(queue, messages, MESSAGES, 0, ids, &done), GQ_FULL);
  ck_assert_uint_eq(done, 16);
  ck_assert_uint_eq(suite_stats(queue).enqueued, 16);
  for (size_t i = 0; i < MESSAGES; i++) ck_assert_msg((ids[i] != 0) == (i < done), "id %zu", i);
  for (size_t i = 0; i < done; i++) assert_status(suite_take(queue, ids[i]), GQ_OK);
  done = 99;
  assert_status(gq_enqueue_batch(queue, messages, 0, 0, ids, &done), GQ_OK);
  ck_assert_uint_eq(done, 0);
  assert_status(gq_enqueue_batch(queue, messages, 10, 0, NULL, &done), GQ_OK);   /* ids are not always wanted */
  ck_assert_uint_eq(done, 10);
  suite_close(queue);
}
END_TEST

static void *take_all(void *argument)
{
  gq_completion completions[4];
  for (size_t got, total = 0; total < 1000; total += got) {
    if (!thread_status(gq_wait(argument, completions, 4, SUPPORT_LONG, &got), GQ_OK)) return NULL;
    gq_release(argument, completions, got);
  }
  return NULL;
}

START_TEST(a_batch_larger_than_the_queue_waits_for_room)
{
  gq_options options = suite_options("echo");
  options.capacity = 8;
  gq_queue *queue = suite_open(&options);
  static gq_message messages[1000];
  static uint64_t ids[1000];
  for (size_t i = 0; i < 1000; i++) messages[i].data = "abc", messages[i].size = 3;
  suite_start(take_all, queue);
  size_t done = 0;
  assert_status(gq_enqueue_batch(queue, messages, 1000, SUPPORT_LONG, ids, &done), GQ_OK);
  ck_assert_uint_eq(done, 1000);
  suite_join();
  suite_close(queue);
}
END_TEST

START_TEST(a_batch_stops_at_a_bad_message)
{
  gq_options options = suite_options("echo");
  options.max_message_bytes = 8;
  gq_queue *queue = suite_open(&options);
  gq_message messages[4] = { { .data = "a", .size = 1 }, { .data = "b", .size = 1 },
                             { .data = "too large", .size = 9 }, { .data = "d", .size = 1 } };
  uint64_t ids[4] = { 0 };
  size_t done = 99;
  assert_status(gq_enqueue_batch(queue, messages, 4, 0, ids, &done), GQ_TOO_LARGE);
  ck_assert_uint_eq(done, 2);
  ck_assert_uint_eq(suite_stats(queue).enqueued, 2);
  messages[2].data = NULL, messages[2].size = 3;
  assert_status(gq_enqueue_batch(queue, messages, 4, 0, ids, &done), GQ_INVALID);
  ck_assert_uint_eq(done, 2);
  suite_close(queue);
}
END_TEST

START_TEST(a_message_without_its_data_is_refused)
{
  const gq_options options = suite_options("echo");
  gq_queue *queue = suite_open(&options);
  gq_message message = { .size = 1 };
  uint64_t id = 42;
  assert_status(gq_enqueue(queue, &message, 0, &id), GQ_INVALID);
  assert_error_says("no data");
  ck_assert_uint_eq(id, 42);
  message.size = 0;
  assert_status(gq_enqueue(queue, &message, SUPPORT_LONG, &id), GQ_OK);
  suite_take_pattern(queue, id, 0, 0);
  ck_assert_uint_eq(suite_stats(queue).enqueued, 1);
  suite_close(queue);
}
END_TEST

START_TEST(key_and_tag_come_back)
{
  static const uint64_t values[] = { 0, 1, UINT64_C(1) << 32, UINT64_MAX - 1, UINT64_MAX };
  const gq_options options = suite_options("echo");
  gq_queue *queue = suite_open(&options);
  for (size_t i = 0; i < SUITE_COUNT(values); i++)
    for (size_t k = 0; k < SUITE_COUNT(values); k++) {
      const gq_message message = { .data = "abc", .size = 3, .key = values[i], .tag = values[k] };
      uint64_t id;
      gq_completion completion;
      size_t got;
      assert_status(gq_enqueue(queue, &message, SUPPORT_LONG, &id), GQ_OK);
      assert_status(gq_wait(queue, &completion, 1, SUPPORT_LONG, &got), GQ_OK);
      ck_assert_uint_eq(completion.id, id);
      ck_assert_uint_eq(completion.key, values[i]);
      ck_assert_uint_eq(completion.tag, values[k]);
      ck_assert_int_eq(completion.code, 0);
      ck_assert_uint_eq(completion.attempts, 1);
      gq_release(queue, &completion, 1);
    }
  suite_close(queue);
}
END_TEST

/* What comes back must not depend on what was in the same cell before: zeros are data like any other. */
START_TEST(zeros_and_repeats_are_carried)
{
  gq_options options = suite_options("echo");
  options.capacity = 2;
  gq_queue *queue = suite_open(&options);
  for (size_t lap = 0; lap < support_scaled(4000); lap++) {
    unsigned char data[100], back[100];
    const size_t bytes = lap % (sizeof data + 1);
    memset(data, lap % 3 == 0 ? 0 : lap % 3 == 1 ? 0xff : (int)(lap & 255), sizeof data);
    memset(back, 0x5a, sizeof back);
    size_t size = sizeof back;
    assert_status(gq_dequeue_result(queue, suite_enqueue(queue, data, bytes), back, &size, SUPPORT_LONG), GQ_OK);
    ck_assert_uint_eq(size, bytes);
    ck_assert_int_eq(memcmp(data, back, bytes), 0);
  }
  suite_close(queue);
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST(a_message_comes_back),
    SUITE_TEST(ids_are_distinct_and_never_zero),
    SUITE_TEST(a_full_queue_refuses_at_once),
    SUITE_TEST(a_full_queue_refuses_after_the_timeout),
    SUITE_TEST(room_wakes_those_who_wait_for_it),
    SUITE_TEST(room_by_release_wakes_those_who_wait_for_it),
    SUITE_TEST(a_batch_is_enqueued_in_order),
    SUITE_TEST(a_batch_stops_where_the_queue_is_full),
    SUITE_TEST(a_batch_larger_than_the_queue_waits_for_room),
    SUITE_TEST(a_batch_stops_at_a_bad_message),
    SUITE_TEST(a_message_without_its_data_is_refused),
    SUITE_TEST(key_and_tag_come_back),
    SUITE_TEST(zeros_and_repeats_are_carried),
  };
  return suite_main("test_send", tests, SUITE_COUNT(tests));
}
