/* SPDX-License-Identifier: Apache-2.0 */
/* Closing and ending a queue: what is refused, what is still given, and threads that are inside meanwhile. */
#include "suite.h"

#include <stdatomic.h>

START_TEST(a_closed_queue_refuses_messages_and_keeps_results)
{
  const gq_options options = suite_options("test_sleep");
  gq_queue *queue = suite_open(&options);
  const uint64_t slow = suite_enqueue_sleep(queue, 100000, 0, 0), quick = suite_enqueue_sleep(queue, 0, 0, 0);
  gq_close(queue);
  gq_close(queue);   /* no harm */
  const gq_message message = { .data = "x", .size = 1 };
  uint64_t id = 42;
  size_t done = 9, size = 0;
  gq_queue *lane = NULL;
  assert_status(gq_enqueue(queue, &message, 0, &id), GQ_SHUT_DOWN);
  assert_status(gq_enqueue(queue, &message, GQ_FOREVER, &id), GQ_SHUT_DOWN);
  assert_status(gq_enqueue_batch(queue, &message, 1, 0, &id, &done), GQ_SHUT_DOWN);
  assert_status(gq_open_lane(queue, &lane), GQ_SHUT_DOWN);
  ck_assert_uint_eq(id, 42);
  ck_assert_uint_eq(done, 0);
  assert_status(suite_take(queue, quick), GQ_OK);
  gq_completion completion;
  size_t count;
  assert_status(gq_wait(queue, &completion, 1, GQ_FOREVER, &count), GQ_OK);   /* it can still arrive */
  ck_assert_uint_eq(completion.id, slow);
  gq_release(queue, &completion, 1);
  assert_status(gq_wait(queue, &completion, 1, GQ_FOREVER, &count), GQ_SHUT_DOWN);   /* nothing can any more */
  assert_status(gq_dequeue_result(queue, slow, NULL, &size, GQ_FOREVER), GQ_UNKNOWN_ID);
  suite_close(queue);
}
END_TEST

START_TEST(ending_nothing_is_no_harm)
{
  assert_status(gq_shutdown(NULL, 0), GQ_OK);
}
END_TEST

START_TEST(ending_waits_as_long_as_it_may)
{
  const gq_options options = suite_options("test_sleep");
  gq_queue *queue = suite_open(&options);
  for (int i = 0; i < 3; i++) suite_enqueue_sleep(queue, 100000, 1, 0);
  assert_status(suite_shutdown(queue, SUPPORT_LONG), GQ_OK);
  queue = suite_open(&options);
  for (int i = 0; i < 3; i++) suite_enqueue_sleep(queue, 200000, 1, 0);
  assert_status(suite_shutdown(queue, 0), GQ_TIMEOUT);
  queue = suite_open(&options);
  for (int i = 0; i < 3; i++) suite_enqueue_sleep(queue, 200000, 1, 0);
  assert_status(suite_shutdown(queue, 10 * SUPPORT_MILLISECOND), GQ_TIMEOUT);
}
END_TEST

/* What has not begun is left, however long its chain of keys is. */
START_TEST(ending_gives_up_what_has_not_begun)
{
  const gq_options options = suite_options("test_sleep");
  gq_queue *queue = suite_open(&options);
  for (int i = 0; i < 40; i++) suite_enqueue_sleep(queue, 200000, 1, 0);   /* 8 s in all */
  const int64_t before = support_now_ns();
  assert_status(suite_shutdown(queue, 0), GQ_TIMEOUT);
  ck_assert_int_lt(support_now_ns() - before, 5 * SUPPORT_SECOND);
}
END_TEST

START_TEST(ending_with_unread_results_is_fine)
{
  gq_options options = suite_options("echo");
  options.max_message_bytes = 1 << 20;
  gq_queue *queue = suite_open(&options);
  for (size_t i = 0; i < 8; i++) suite_enqueue_pattern(queue, i % 2 ? 100 : 1 << 20, i);
  suite_close(queue);
}
END_TEST

/* Each makes one call that waits, which the end of the queue must end. */
static gq_queue *ending_queue;
static uint64_t slow_id;
static atomic_int inside;

static void *wait_for_result(void *unused)
{
  (void)unused;
  char data[8];
  size_t size = sizeof data;
  atomic_fetch_add(&inside, 1);
  thread_status(gq_dequeue_result(ending_queue, slow_id, data, &size, GQ_FOREVER), GQ_SHUT_DOWN);
  return NULL;
}

static void *wait_for_completion(void *unused)
{
  (void)unused;
  gq_completion completion;
  size_t count;
  atomic_fetch_add(&inside, 1);
  thread_status(gq_wait(ending_queue, &completion, 1, GQ_FOREVER, &count), GQ_SHUT_DOWN);
  return NULL;
}

static void *wait_for_room(void *unused)
{
  (void)unused;
  const gq_message message = { .data = "x", .size = 1 };
  uint64_t id;
  atomic_fetch_add(&inside, 1);
  thread_status(gq_enqueue(ending_queue, &message, GQ_FOREVER, &id), GQ_SHUT_DOWN);
  return NULL;
}

static void *wait_for_drain(void *unused)
{
  (void)unused;
  atomic_fetch_add(&inside, 1);
  thread_status(gq_drain(ending_queue, GQ_FOREVER), GQ_SHUT_DOWN);
  return NULL;
}

START_TEST(ending_ends_the_waits_under_way)
{
  static void *(*const bodies[])(void *) = { wait_for_result, wait_for_completion, wait_for_room, wait_for_drain };
  gq_options options = suite_options("test_sleep");
  options.capacity = 2;
  for (size_t round = 0; round < (suite_on_cuda() ? 2 : 4); round++) {
    ending_queue = suite_open(&options);
    slow_id = suite_enqueue_sleep(ending_queue, 700000, 1, 0);
    suite_enqueue_sleep(ending_queue, 0, 1, 0);   /* full now, and both stay unfinished for a while */
    atomic_store(&inside, 0);
    for (size_t i = 0; i < SUITE_COUNT(bodies); i++) suite_start(bodies[i], NULL);
    while (atomic_load(&inside) < (int)SUITE_COUNT(bodies)) support_sleep_us(100);
    support_sleep_us(20000);   /* inside the calls, not only before them */
    assert_status(suite_shutdown(ending_queue, round % 2 ? 5 * SUPPORT_MILLISECOND : 0), GQ_TIMEOUT);
    suite_join();
  }
}
END_TEST

START_TEST(closing_ends_the_waits_that_can_never_end)
{
  const gq_options options = suite_options("echo");
  ending_queue = suite_open(&options);
  atomic_store(&inside, 0);
  for (int i = 0; i < 3; i++) suite_start(wait_for_completion, NULL);
  while (atomic_load(&inside) < 3) support_sleep_us(100);
  support_sleep_us(20000);
  gq_close(ending_queue);
  suite_join();
  suite_close(ending_queue);
}
END_TEST

static void *send_and_poll_until_closed(void *queue)
{
  for (;;) {
    const gq_message message = { .data = "abcdefgh", .size = 8 };
    uint64_t id;
    gq_completion completion;
    size_t count;
    gq_status status = gq_enqueue(queue, &message, GQ_FOREVER, &id);
    if (status == GQ_SHUT_DOWN) return NULL;
    if (!thread_status(status, GQ_OK)) return NULL;
    status = gq_wait(queue, &completion, 1, GQ_FOREVER, &count);
    if (status == GQ_SHUT_DOWN) return NULL;
    if (!thread_status(status, GQ_OK)) return NULL;
    gq_release(queue, &completion, 1);
  }
}

START_TEST(closing_lets_busy_threads_leave)
{
  gq_options options = suite_options("echo");
  options.capacity = 4;
  for (int round = 0; round < (suite_on_cuda() ? 3 : 20); round++) {
    gq_queue *queue = suite_open(&options);
    for (int i = 0; i < 4; i++) suite_start(send_and_poll_until_closed, queue);
    support_sleep_us((uint64_t)round * 300);
    gq_close(queue);
    suite_join();
    suite_close(queue);
  }
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST(a_closed_queue_refuses_messages_and_keeps_results),
    SUITE_TEST_ONCE(ending_nothing_is_no_harm),
    SUITE_TEST(ending_waits_as_long_as_it_may),
    SUITE_TEST(ending_gives_up_what_has_not_begun),
    SUITE_TEST(ending_with_unread_results_is_fine),
    SUITE_TEST(ending_ends_the_waits_under_way),
    SUITE_TEST(closing_ends_the_waits_that_can_never_end),
    SUITE_TEST(closing_lets_busy_threads_leave),
  };
  return suite_main("test_ending", tests, SUITE_COUNT(tests));
}
