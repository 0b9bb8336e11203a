/* SPDX-License-Identifier: Apache-2.0 */
/* The counters say what happened, exactly once traffic has stopped. */
#include "suite.h"

#include <stddef.h>
#include <string.h>

START_TEST(counters_begin_at_zero)
{
  const gq_options options = suite_options("echo");
  gq_queue *queue = suite_open(&options);
  const gq_statistics s = suite_stats(queue);
  ck_assert_uint_eq(s.size, sizeof s);
  ck_assert_uint_eq(s.enqueued | s.completed | s.failed | s.cancelled | s.retried | s.dead_lettered, 0);
  ck_assert_uint_eq(s.rejected_full | s.depth | s.in_flight | s.unread | s.bytes_in | s.bytes_out, 0);
  ck_assert_uint_eq(s.total.samples | s.total.max, 0);
  suite_close(queue);
}
END_TEST

START_TEST(messages_and_bytes_are_counted)
{
  enum { MESSAGES = 500 };
  gq_options options = suite_options("sha256");
  options.capacity = 512;
  gq_queue *queue = suite_open(&options);
  uint64_t ids[MESSAGES], bytes = 0;
  for (size_t i = 0; i < MESSAGES; i++) {
    ids[i] = suite_enqueue_pattern(queue, i, i);
    bytes += i;
  }
  assert_status(gq_drain(queue, SUPPORT_LONG), GQ_OK);
  gq_statistics s = suite_stats(queue);
  ck_assert_uint_eq(s.enqueued, MESSAGES);
  ck_assert_uint_eq(s.completed, MESSAGES);
  ck_assert_uint_eq(s.bytes_in, bytes);
  ck_assert_uint_eq(s.bytes_out, 0);   /* none taken yet */
  ck_assert_uint_eq(s.unread, MESSAGES);
  ck_assert_uint_eq(s.depth, 0);
  ck_assert_uint_eq(s.in_flight, 0);
  for (size_t i = 0; i < MESSAGES / 2; i++) assert_status(suite_take(queue, ids[i]), GQ_OK);
  for (size_t taken = MESSAGES / 2, count; taken < MESSAGES; taken += count) {
    gq_completion completions[16];
    assert_status(gq_wait(queue, completions, 16, SUPPORT_LONG, &count), GQ_OK);
    gq_release(queue, completions, count);
  }
  s = suite_stats(queue);
  ck_assert_uint_eq(s.unread, 0);
  ck_assert_uint_eq(s.bytes_out, MESSAGES * 32);
  ck_assert_uint_eq(s.failed | s.cancelled | s.retried | s.dead_lettered, 0);
  suite_close(queue);
}
END_TEST

START_TEST(every_way_of_sending_counts_its_bytes_once)
{
  const gq_options options = suite_options("echo");
  gq_queue *queue = suite_open(&options);
  const gq_message batch[3] = { { .data = "abc", .size = 3 }, { .data = "abcd", .size = 4, .key = 1 }, { .size = 0 } };
  size_t done;
  assert_status(gq_enqueue_batch(queue, batch, 3, SUPPORT_LONG, NULL, &done), GQ_OK);
  gq_reservation reservation;
  assert_status(gq_reserve(queue, 1000, SUPPORT_LONG, &reservation), GQ_OK);
  memset(reservation.data, 0, 900);
  const gq_message message = { .size = 900 };
  uint64_t id;
  assert_status(gq_commit(queue, &reservation, &message, SUPPORT_LONG, &id), GQ_OK);
  assert_status(gq_reserve(queue, 1000, SUPPORT_LONG, &reservation), GQ_OK);
  gq_abort(queue, &reservation);
  assert_status(gq_drain(queue, SUPPORT_LONG), GQ_OK);
  const gq_statistics s = suite_stats(queue);
  ck_assert_uint_eq(s.enqueued, 4);
  ck_assert_uint_eq(s.bytes_in, 907);
  suite_close(queue);
}
END_TEST

enum { EACH = 300, AT_ONCE = 8 };

static void *send_and_take(void *queue)
{
  for (int i = 0; i < EACH; i++) {
    const gq_message message = { .data = "1234567", .size = 7 };
    unsigned char data[7];
    size_t size = sizeof data;
    uint64_t id;
    if (!thread_status(gq_enqueue(queue, &message, SUPPORT_LONG, &id), GQ_OK)) break;
    if (!thread_status(gq_dequeue_result(queue, id, data, &size, SUPPORT_LONG), GQ_OK)) break;
  }
  return NULL;
}

START_TEST(however_many_threads_count_nothing_is_lost)
{
  enum { ROUNDS = 8 };   /* more threads than have counters of their own */
  const gq_options options = suite_options("echo");
  gq_queue *queue = suite_open(&options);
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < AT_ONCE; i++) suite_start(send_and_take, queue);
    suite_join();
  }
  const gq_statistics s = suite_stats(queue);
  ck_assert_uint_eq(s.enqueued, ROUNDS * AT_ONCE * EACH);
  ck_assert_uint_eq(s.bytes_in, ROUNDS * AT_ONCE * EACH * 7);
  ck_assert_uint_eq(s.bytes_out, ROUNDS * AT_ONCE * EACH * 7);
  ck_assert_uint_eq(s.unread, 0);
  suite_close(queue);
}
END_TEST

START_TEST(depth_and_in_flight_tell_what_is_unfinished)
{
  gq_options options = suite_options("test_sleep");
  options.workers = 1;
  gq_queue *queue = suite_open(&options);
  for (int i = 0; i < 5; i++) suite_enqueue_sleep(queue, 100000, 1, 0);
  gq_statistics s = suite_stats(queue);
  ck_assert_uint_eq(s.enqueued, 5);
  ck_assert_msg(s.depth + s.in_flight >= 4 && s.depth + s.in_flight <= 5, "depth %llu, in flight %llu",
                (unsigned long long)s.depth, (unsigned long long)s.in_flight);
  assert_status(gq_drain(queue, SUPPORT_LONG), GQ_OK);
  s = suite_stats(queue);
  ck_assert_uint_eq(s.depth + s.in_flight, 0);
  suite_close(queue);
}
END_TEST

START_TEST(failures_and_retries_are_counted)
{
  gq_options options = suite_options("test_fail");
  options.attempts = 3;
  gq_queue *queue = suite_open(&options);
  for (uint8_t failures = 0; failures < 5; failures++) suite_enqueue_fail(queue, SUITE_RETRY, failures, 0, 0);
  assert_status(gq_drain(queue, SUPPORT_LONG), GQ_OK);
  const gq_statistics s = suite_stats(queue);
  ck_assert_uint_eq(s.enqueued, 5);
  ck_assert_uint_eq(s.completed, 3);
  ck_assert_uint_eq(s.failed, 2);
  ck_assert_uint_eq(s.dead_lettered, 2);
  ck_assert_uint_eq(s.retried, 0 + 1 + 2 + 2 + 2);
  ck_assert_uint_eq(s.unread, 5);
  suite_close(queue);
}
END_TEST

static void assert_percentiles(const gq_latency *l, const char *stage, uint64_t least, uint64_t most)
{
  ck_assert_msg(l->samples > 0, "%s has no samples", stage);
  ck_assert_msg(l->p50 <= l->p90 && l->p90 <= l->p99 && l->p99 <= l->p999 && l->p999 <= l->max,
                "%s: %llu %llu %llu %llu %llu", stage, (unsigned long long)l->p50, (unsigned long long)l->p90,
                (unsigned long long)l->p99, (unsigned long long)l->p999, (unsigned long long)l->max);
  ck_assert_msg(l->max >= least && l->max <= most, "%s: at most %llu ns", stage, (unsigned long long)l->max);
}

/* Bounds that a clock in wrong units or with a wrong origin breaks, and a busy machine does not. */
START_TEST(latencies_are_measured)
{
  enum { MESSAGES = 1280 };
  const gq_options options = suite_options("test_sleep");
  gq_queue *queue = suite_open(&options);
  const int64_t before = support_now_ns();
  for (size_t i = 0; i < MESSAGES; i++) assert_status(suite_take(queue, suite_enqueue_sleep(queue, 200, 0, 0)), GQ_OK);
  const uint64_t took = (uint64_t)(support_now_ns() - before);
  const gq_statistics s = suite_stats(queue);
  ck_assert_uint_eq(s.total.samples, MESSAGES / 256); /* one message in 256 */
  assert_percentiles(&s.wait, "wait", 0, took);
  assert_percentiles(&s.handler, "handler", 190000, took);
  assert_percentiles(&s.deliver, "deliver", 0, took);
  assert_percentiles(&s.total, "total", 190000, took);
  ck_assert_uint_ge(s.total.p50, 190000 / 8 * 7);
  suite_close(queue);
}
END_TEST

START_TEST(lanes_are_counted_together)
{
  gq_options options = suite_options("echo");
  options.lanes = 3;
  gq_queue *queue = suite_open(&options);
  for (size_t i = 0; i < 2; i++) {
    gq_queue *lane = suite_open_lane(queue);
    suite_take_pattern(lane, suite_enqueue_pattern(lane, 10, i), 10, i);
    ck_assert_uint_eq(suite_stats(lane).enqueued, suite_stats(queue).enqueued);
  }
  suite_take_pattern(queue, suite_enqueue_pattern(queue, 10, 1), 10, 1);
  const gq_statistics s = suite_stats(queue);
  ck_assert_uint_eq(s.enqueued, 3);
  ck_assert_uint_eq(s.bytes_in, 30);
  ck_assert_uint_eq(s.bytes_out, 30);
  suite_close(queue);
}
END_TEST

START_TEST(an_older_callers_struct_is_not_overrun)
{
  const gq_options options = suite_options("echo");
  gq_queue *queue = suite_open(&options);
  suite_take_pattern(queue, suite_enqueue_pattern(queue, 10, 1), 10, 1);
  gq_statistics s;
  memset(&s, 0xee, sizeof s);
  s.size = offsetof(gq_statistics, cancelled);
  assert_status(gq_stats(queue, &s), GQ_OK);
  ck_assert_uint_eq(s.enqueued, 1);
  ck_assert_uint_eq(s.completed, 1);
  const unsigned char *rest = (const unsigned char *)&s.cancelled;
  for (size_t i = 0; i < sizeof s - offsetof(gq_statistics, cancelled); i++) ck_assert_uint_eq(rest[i], 0xee);
  s.size = 0;
  assert_status(gq_stats(queue, &s), GQ_INVALID);
  assert_error_says("size");
  suite_close(queue);
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST(counters_begin_at_zero),
    SUITE_TEST(messages_and_bytes_are_counted),
    SUITE_TEST(every_way_of_sending_counts_its_bytes_once),
    SUITE_TEST(however_many_threads_count_nothing_is_lost),
    SUITE_TEST(depth_and_in_flight_tell_what_is_unfinished),
    SUITE_TEST(failures_and_retries_are_counted),
    SUITE_TEST(latencies_are_measured),
    SUITE_TEST(lanes_are_counted_together),
    SUITE_TEST(an_older_callers_struct_is_not_overrun),
  };
  return suite_main("test_stats", tests, SUITE_COUNT(tests));
}
