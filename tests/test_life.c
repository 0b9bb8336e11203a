/* SPDX-License-Identifier: Apache-2.0 */
/* A queue's life: opening, draining, parking, and many queues one after another and side by side. */
#include "suite.h"

#include <stdatomic.h>
#include <string.h>

START_TEST(a_queue_says_what_runs)
{
  const gq_options options = suite_options("echo");
  gq_queue *queue = suite_open(&options);
  ck_assert_int_eq(gq_running_backend(queue), suite_backend()->value);
  const char *text = gq_describe(queue);
  ck_assert_msg(!strncmp(text, suite_backend()->name, strlen(suite_backend()->name)), "%s", text);
  ck_assert_int_eq(gq_handler_output(queue), GQ_OUTPUT_RAW);
  suite_close(queue);
}
END_TEST

START_TEST(the_output_kind_is_the_handlers)
{
  const gq_handler_info *info;
  for (size_t i = 0; (info = gq_handler_describe(i)); i++) {
    const gq_options options = suite_options(info->name);
    if (!suite_opens_bare(info)) continue;
    gq_queue *queue = suite_open(&options);
    ck_assert_int_eq(gq_handler_output(queue), info->output);
    suite_close(queue);
  }
}
END_TEST

START_TEST(auto_takes_a_backend_and_says_why_not_the_other)
{
  gq_options options = suite_options("echo");
  gq_system_info info = { .size = sizeof info };
  options.backend = GQ_BACKEND_AUTO;
  gq_queue *queue = suite_open(&options);
  assert_status(gq_get_system_info(&info), GQ_OK);
  ck_assert_int_eq(gq_running_backend(queue), info.cuda_usable ? GQ_BACKEND_CUDA : GQ_BACKEND_CPU);
  if (!info.cuda_usable) ck_assert_msg(strstr(gq_describe(queue), "no cuda: "), "%s", gq_describe(queue));
  suite_take_pattern(queue, suite_enqueue_pattern(queue, 8, 1), 8, 1);
  suite_close(queue);
}
END_TEST

START_TEST(no_options_are_the_defaults)
{
  gq_queue *queue = NULL;
  if (suite_on_cuda()) return;   /* they choose the backend by themselves: once is enough */
  assert_status(gq_init(&queue, NULL), GQ_OK);
  suite_take_pattern(queue, suite_enqueue_pattern(queue, 100, 1), 100, 1);
  assert_status(gq_shutdown(queue, SUPPORT_LONG), GQ_OK);
}
END_TEST

/* --------------------------------------------------------------------------------------------------------- draining */

START_TEST(draining_waits_for_all)
{
  gq_options options = suite_options("test_sleep");
  options.timeout_ms = 10000;
  gq_queue *queue = suite_open(&options);
  assert_status(gq_drain(queue, 0), GQ_OK);   /* nothing there */
  uint64_t ids[40];
  for (size_t i = 0; i < 40; i++) ids[i] = suite_enqueue_sleep(queue, 5000, 0, 0);
  assert_status(gq_drain(queue, GQ_DEFAULT_TIMEOUT), GQ_OK);
  for (size_t i = 0; i < 40; i++) {
    unsigned char data[4];
    size_t size = sizeof data;
    assert_status(gq_try_dequeue_result(queue, ids[i], data, &size), GQ_OK);
  }
  suite_close(queue);
}
END_TEST

START_TEST(draining_ends_with_its_timeout)
{
  const gq_options options = suite_options("test_sleep");
  gq_queue *queue = suite_open(&options);
  const uint64_t id = suite_enqueue_sleep(queue, 300000, 0, 0);
  const int64_t before = support_now_ns();
  assert_status(gq_drain(queue, 0), GQ_TIMEOUT);
  assert_status(gq_drain(queue, 20 * SUPPORT_MILLISECOND), GQ_TIMEOUT);
  ck_assert_int_ge(support_now_ns() - before, 20 * SUPPORT_MILLISECOND);
  assert_status(gq_drain(queue, SUPPORT_LONG), GQ_OK);
  assert_status(suite_take(queue, id), GQ_OK);
  suite_close(queue);
}
END_TEST

static atomic_bool stop_sending;

static void *send_until_stopped(void *queue)
{
  for (uint64_t i = 0; !atomic_load(&stop_sending); i++) {
    const gq_message message = { .data = &i, .size = sizeof i };
    uint64_t id, back;
    size_t size = sizeof back;
    if (!thread_status(gq_enqueue(queue, &message, SUPPORT_LONG, &id), GQ_OK)) return NULL;
    if (!thread_status(gq_dequeue_result(queue, id, &back, &size, SUPPORT_LONG), GQ_OK)) return NULL;
    if (back != i) suite_blame("%llu came back as %llu", (unsigned long long)i, (unsigned long long)back);
  }
  return NULL;
}

START_TEST(draining_ends_although_others_go_on_sending)
{
  const gq_options options = suite_options("echo");
  gq_queue *queue = suite_open(&options);
  atomic_store(&stop_sending, false);
  for (int i = 0; i < 2; i++) suite_start(send_until_stopped, queue);
  for (int i = 0; i < 100; i++) {
    const gq_status status = gq_drain(queue, SUPPORT_LONG);
    if (status != GQ_OK) suite_blame("gq_drain gave %s", gq_status_name((int)status));
  }
  atomic_store(&stop_sending, true);
  suite_join();
  suite_close(queue);
}
END_TEST

/* ---------------------------------------------------------------------------------------------------------- parking */

START_TEST(an_idle_queue_parks_and_wakes)
{
  gq_options options = suite_options("echo");
  options.park_us = 200;
  gq_queue *queue = suite_open(&options);
  for (size_t burst = 0; burst < 40; burst++) {
    support_sleep_us(burst % 4 * 1500);   /* some bursts find it parked, some parking */
    for (size_t i = 0; i < 1 + burst % 7; i++)
      suite_take_pattern(queue, suite_enqueue_pattern(queue, 50 + burst, i), 50 + burst, i);
  }
  support_sleep_us(100000);
  const gq_statistics statistics = suite_stats(queue);
  ck_assert_uint_gt(statistics.parks, 0);
  ck_assert_uint_gt(statistics.relaunches, 0);
  ck_assert_msg(statistics.relaunches <= statistics.parks, "%llu relaunches of %llu parks",
                (unsigned long long)statistics.relaunches, (unsigned long long)statistics.parks);
  suite_take_pattern(queue, suite_enqueue_pattern(queue, 50, 1), 50, 1);
  suite_close(queue);
}
END_TEST

START_TEST(a_parked_queue_can_be_drained_and_ended)
{
  gq_options options = suite_options("echo");
  options.park_us = 10;
  gq_queue *queue = suite_open(&options);
  suite_take_pattern(queue, suite_enqueue_pattern(queue, 8, 1), 8, 1);
  support_sleep_us(50000);
  assert_status(gq_drain(queue, SUPPORT_LONG), GQ_OK);
  suite_close(queue);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------ many queues */

START_TEST(queues_one_after_another_leave_nothing_behind)
{
  gq_options options = suite_options("echo");
  options.lanes = 2;
  size_t descriptors = 0, threads = 0;
  const int rounds = suite_on_cuda() ? 4 : 40;
  for (int round = 0; round < rounds; round++) {
    gq_queue *queue = suite_open(&options), *lane = suite_open_lane(queue);
    ck_assert_int_ge(gq_event_fd(round % 2 ? queue : lane), 0);
    suite_take_pattern(queue, suite_enqueue_pattern(lane, 1000, 1), 1000, 1);
    suite_close(queue);
    if (round == 1) {   /* the first may open what stays: a driver, a log */
      descriptors = support_count_entries("/proc/self/fd");
      threads = support_count_entries("/proc/self/task");
    }
  }
  if (support_is_checked()) return;   /* a checker opens files and starts threads with every queue */
  ck_assert_uint_eq(support_count_entries("/proc/self/fd"), descriptors);
  for (int i = 0; i < 100 && support_count_entries("/proc/self/task") > threads; i++) support_sleep_us(10000);
  ck_assert_uint_le(support_count_entries("/proc/self/task"), threads);
}
END_TEST

START_TEST(two_queues_live_side_by_side)
{
  gq_options options = suite_options("echo");
  gq_queue *first = suite_open(&options);
  options.handler = "crc32c";
  gq_queue *second = suite_open(&options);
  for (size_t i = 0; i < 200; i++) {
    const uint64_t a = suite_enqueue_pattern(first, 60, i), b = suite_enqueue(second, "abc", 3);
    unsigned char data[8];
    size_t size = sizeof data;
    assert_status(gq_dequeue_result(second, b, data, &size, SUPPORT_LONG), GQ_OK);
    ck_assert_uint_eq(size, 4);
    ck_assert_int_eq(memcmp(data, "\x36\x4b\x3f\xb7", 4), 0);
    suite_take_pattern(first, a, 60, i);
  }
  suite_close(first);
  assert_status(suite_take(second, suite_enqueue(second, "abc", 3)), GQ_OK);   /* unmoved by the other's end */
  suite_close(second);
}
END_TEST

static void *open_and_end(void *argument)
{
  const gq_options *options = argument;
  for (int i = 0; i < (suite_on_cuda() ? 2 : 10); i++) {
    gq_queue *queue;
    if (!thread_status(gq_init(&queue, options), GQ_OK)) return NULL;
    const gq_message message = { .data = "abc", .size = 3 };
    uint64_t id;
    char data[3];
    size_t size = sizeof data;
    if (thread_status(gq_enqueue(queue, &message, SUPPORT_LONG, &id), GQ_OK))
      thread_status(gq_dequeue_result(queue, id, data, &size, SUPPORT_LONG), GQ_OK);
    thread_status(gq_shutdown(queue, SUPPORT_LONG), GQ_OK);
  }
  return NULL;
}

START_TEST(queues_are_opened_by_many_threads_at_once)
{
  static gq_options options;
  options = suite_options("echo");
  options.workers = 1;
  for (int i = 0; i < 3; i++) suite_start(open_and_end, &options);
  suite_join();
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST(a_queue_says_what_runs),
    SUITE_TEST(the_output_kind_is_the_handlers),
    SUITE_TEST(auto_takes_a_backend_and_says_why_not_the_other),
    SUITE_TEST(no_options_are_the_defaults),
    SUITE_TEST(draining_waits_for_all),
    SUITE_TEST(draining_ends_with_its_timeout),
    SUITE_TEST(draining_ends_although_others_go_on_sending),
    SUITE_TEST(an_idle_queue_parks_and_wakes),
    SUITE_TEST(a_parked_queue_can_be_drained_and_ended),
    SUITE_TEST(queues_one_after_another_leave_nothing_behind),
    SUITE_TEST(two_queues_live_side_by_side),
    SUITE_TEST(queues_are_opened_by_many_threads_at_once),
  };
  return suite_main("test_life", tests, SUITE_COUNT(tests));
}
