/* SPDX-License-Identifier: Apache-2.0 */
/* Cancelling: a message that was not reached is not run, one that was ends as usual, and either way it ends once. */
#include "suite.h"

#include <stdatomic.h>
#include <string.h>

#define KEY 77

/* A message of the same key behind a slow one has surely not been reached. */
static uint64_t enqueue_behind_slow(gq_queue *queue, uint64_t *slow)
{
  *slow = suite_enqueue_sleep(queue, 300000, KEY, 1);
  return suite_enqueue_sleep(queue, 0, KEY, 2);
}

START_TEST(a_message_not_reached_is_cancelled)
{
  const gq_options options = suite_options("test_sleep");
  gq_queue *queue = suite_open(&options);
  uint64_t slow;
  const uint64_t id = enqueue_behind_slow(queue, &slow);
  assert_status(gq_cancel(queue, id), GQ_OK);
  assert_status(suite_take(queue, id), GQ_CANCELLED);
  assert_status(suite_take(queue, id), GQ_UNKNOWN_ID);
  assert_status(suite_take(queue, slow), GQ_OK);
  const gq_statistics statistics = suite_stats(queue);
  ck_assert_uint_eq(statistics.enqueued, 2);
  ck_assert_uint_eq(statistics.cancelled, 1);
  ck_assert_uint_eq(statistics.completed, 1);
  ck_assert_uint_eq(statistics.failed, 0);
  suite_close(queue);
}
END_TEST

START_TEST(a_cancelled_message_completes_as_such)
{
  const gq_options options = suite_options("test_sleep");
  gq_queue *queue = suite_open(&options);
  uint64_t slow;
  const uint64_t id = enqueue_behind_slow(queue, &slow);
  assert_status(gq_cancel(queue, id), GQ_OK);
  size_t cancelled = 0;
  for (size_t i = 0, count; i < 2; i++) {
    gq_completion completion;
    assert_status(gq_wait(queue, &completion, 1, SUPPORT_LONG, &count), GQ_OK);
    if (completion.id == id) {
      cancelled++;
      ck_assert_int_eq(completion.status, GQ_CANCELLED);
      ck_assert_uint_eq(completion.tag, 2);
      ck_assert_uint_eq(completion.key, KEY);
      ck_assert_uint_eq(completion.attempts, 0);
    }
    gq_release(queue, &completion, 1);
  }
  ck_assert_uint_eq(cancelled, 1);
  suite_close(queue);
}
END_TEST

START_TEST(those_behind_a_cancelled_message_go_on)
{
  const gq_options options = suite_options("test_sleep");
  gq_queue *queue = suite_open(&options);
  uint64_t slow;
  const uint64_t id = enqueue_behind_slow(queue, &slow), next = suite_enqueue_sleep(queue, 0, KEY, 3);
  assert_status(gq_cancel(queue, id), GQ_OK);
  assert_status(suite_take(queue, next), GQ_OK);
  assert_status(suite_take(queue, id), GQ_CANCELLED);
  assert_status(suite_take(queue, slow), GQ_OK);
  suite_close(queue);
}
END_TEST

START_TEST(cancelling_twice_is_no_harm)
{
  const gq_options options = suite_options("test_sleep");
  gq_queue *queue = suite_open(&options);
  uint64_t slow;
  const uint64_t id = enqueue_behind_slow(queue, &slow);
  assert_status(gq_cancel(queue, id), GQ_OK);
  assert_status(gq_cancel(queue, id), GQ_OK);
  assert_status(suite_take(queue, id), GQ_CANCELLED);
  assert_status(gq_cancel(queue, id), GQ_UNKNOWN_ID);
  ck_assert_uint_eq(suite_stats(queue).cancelled, 1);
  suite_close(queue);
}
END_TEST

START_TEST(a_finished_message_cannot_be_cancelled)
{
  const gq_options options = suite_options("echo");
  gq_queue *queue = suite_open(&options);
  const uint64_t id = suite_enqueue_pattern(queue, 200, 5);
  assert_status(gq_drain(queue, SUPPORT_LONG), GQ_OK);
  assert_status(gq_cancel(queue, id), GQ_AGAIN);
  suite_take_pattern(queue, id, 200, 5);
  ck_assert_uint_eq(suite_stats(queue).cancelled, 0);
  suite_close(queue);
}
END_TEST

START_TEST(a_held_completion_cannot_be_cancelled)
{
  const gq_options options = suite_options("echo");
  gq_queue *queue = suite_open(&options);
  const uint64_t id = suite_enqueue_pattern(queue, 8, 5);
  gq_completion completion;
  size_t count;
  assert_status(gq_wait(queue, &completion, 1, SUPPORT_LONG, &count), GQ_OK);
  const gq_status status = gq_cancel(queue, id);
  ck_assert_msg(status == GQ_AGAIN || status == GQ_UNKNOWN_ID, "%s", gq_status_name(status));
  ck_assert_uint_eq(support_compare(completion.data, 8, 5), 8);
  gq_release(queue, &completion, 1);
  suite_close(queue);
}
END_TEST

START_TEST(a_message_that_runs_ends_as_usual)
{
  gq_options options = suite_options("test_sleep");
  options.workers = 1;
  gq_queue *queue = suite_open(&options);
  const uint64_t id = suite_enqueue_sleep(queue, 200000, 0, 0);
  while (suite_stats(queue).in_flight == 0) support_sleep_us(100);
  support_sleep_us(1000);
  assert_status(gq_cancel(queue, id), GQ_OK);
  assert_status(suite_take(queue, id), GQ_OK);
  suite_close(queue);
}
END_TEST

/* More messages than the consumer can have begun: the later half waits, in the lane or wherever the backend keeps what
 * it has fetched. */
static void cancel_those_that_wait(uint32_t scope, size_t half)
{
  gq_options options = suite_options("test_sleep");
  uint64_t ids[600];
  options.scope = scope;
  options.capacity = 1024;
  options.workers = 16;
  options.sms = 2;
  gq_queue *queue = suite_open(&options);
  for (size_t i = 0; i < 2 * half; i++) ids[i] = suite_enqueue_sleep(queue, 20000, 0, i);
  for (size_t i = half; i < 2 * half; i++) assert_status(gq_cancel(queue, ids[i]), GQ_OK);
  for (size_t i = 0; i < 2 * half; i++) assert_status(suite_take(queue, ids[i]), i < half ? GQ_OK : GQ_CANCELLED);
  ck_assert_uint_eq(suite_stats(queue).cancelled, half);
  suite_close(queue);
}

START_TEST(a_message_that_waits_for_a_thread_is_cancelled)
{
  cancel_those_that_wait(GQ_SCOPE_THREAD, 300);
}
END_TEST

START_TEST(a_message_that_waits_for_a_warp_is_cancelled)
{
  cancel_those_that_wait(GQ_SCOPE_WARP, 40);
}
END_TEST

START_TEST(a_message_that_waits_for_a_block_is_cancelled)
{
  cancel_those_that_wait(GQ_SCOPE_BLOCK, 20);
}
END_TEST

START_TEST(large_messages_give_their_memory_back_when_cancelled)
{
  gq_options options = suite_options("test_sleep");
  options.max_message_bytes = 1 << 20;
  options.arena_bytes = 16 << 20;
  gq_queue *queue = suite_open(&options);
  static unsigned char data[1 << 20];
  memset(data, 0, sizeof data);
  for (int round = 0; round < 20; round++) {
    const uint64_t slow = suite_enqueue_sleep(queue, 5000, KEY, 0);
    uint64_t ids[3];
    for (int i = 0; i < 3; i++) {
      const gq_message message = { .data = data, .size = sizeof data, .key = KEY };
      assert_status(gq_enqueue(queue, &message, SUPPORT_LONG, &ids[i]), GQ_OK);
      const gq_status status = gq_cancel(queue, ids[i]);
      ck_assert_msg(status == GQ_OK || status == GQ_AGAIN, "%s", gq_status_name(status));
    }
    assert_status(suite_take(queue, slow), GQ_OK);
    for (int i = 0; i < 3; i++) {
      size_t size = sizeof data;
      const gq_status status = gq_dequeue_result(queue, ids[i], data, &size, SUPPORT_LONG);
      ck_assert_msg(status == GQ_CANCELLED || status == GQ_OK, "%s", gq_status_name(status));
    }
  }
  suite_close(queue);
}
END_TEST

#define RACES 2000
static gq_queue *race_queue;
static _Atomic uint64_t race_ids[RACES];

static void *cancel_them_all(void *unused)
{
  (void)unused;
  for (size_t i = 0; i < RACES; i++) {
    uint64_t id;
    while (!(id = atomic_load(&race_ids[i])))
      if (suite_is_blamed()) return NULL;
    const gq_status status = gq_cancel(race_queue, id);
    if (status != GQ_OK && status != GQ_AGAIN && status != GQ_UNKNOWN_ID)
      suite_blame("gq_cancel gave %s: %s", gq_status_name(status), gq_last_error());
  }
  return NULL;
}

START_TEST(cancelling_races_with_running)
{
  gq_options options = suite_options("echo");
  options.capacity = 8;
  race_queue = suite_open(&options);
  for (size_t i = 0; i < RACES; i++) atomic_store(&race_ids[i], 0);
  suite_start(cancel_them_all, NULL);
  size_t cancelled = 0, completed = 0;
  for (size_t i = 0; i < RACES; i++) {
    const size_t bytes = i % 300;
    const uint64_t id = suite_enqueue_pattern(race_queue, bytes, i);
    atomic_store(&race_ids[i], id);
    unsigned char data[300];
    size_t size = sizeof data;
    const gq_status status = gq_dequeue_result(race_queue, id, data, &size, SUPPORT_LONG);
    if (status != GQ_CANCELLED) {
      if (status != GQ_OK) suite_blame("stop");   /* lets the other thread go before this one fails */
      assert_status(status, GQ_OK);
      ck_assert_uint_eq(size, bytes);
      ck_assert_uint_eq(support_compare(data, bytes, i), bytes);
      completed++;
    } else {
      cancelled++;
    }
  }
  suite_join();
  const gq_statistics statistics = suite_stats(race_queue);
  ck_assert_uint_eq(statistics.completed, completed);
  ck_assert_uint_eq(statistics.cancelled, cancelled);
  suite_close(race_queue);
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST(a_message_not_reached_is_cancelled),
    SUITE_TEST(a_cancelled_message_completes_as_such),
    SUITE_TEST(those_behind_a_cancelled_message_go_on),
    SUITE_TEST(cancelling_twice_is_no_harm),
    SUITE_TEST(a_finished_message_cannot_be_cancelled),
    SUITE_TEST(a_held_completion_cannot_be_cancelled),
    SUITE_TEST(a_message_that_runs_ends_as_usual),
    SUITE_TEST(a_message_that_waits_for_a_thread_is_cancelled),
    SUITE_TEST(a_message_that_waits_for_a_warp_is_cancelled),
    SUITE_TEST(a_message_that_waits_for_a_block_is_cancelled),
    SUITE_TEST(large_messages_give_their_memory_back_when_cancelled),
    SUITE_TEST(cancelling_races_with_running),
  };
  return suite_main("test_cancel", tests, SUITE_COUNT(tests));
}
