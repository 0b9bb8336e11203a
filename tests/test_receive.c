/* SPDX-License-Identifier: Apache-2.0 */
/* Receiving by id: order does not matter, each result is given out once, and an id that is not there says so. */
#include "suite.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

START_TEST(a_result_is_not_there_before_its_handler_ended)
{
  const gq_options options = suite_options("test_sleep");
  gq_queue *queue = suite_open(&options);
  const uint64_t id = suite_enqueue_sleep(queue, 100000, 0, 0);
  unsigned char data[4] = { 1, 2, 3, 4 };
  size_t size = sizeof data;
  assert_status(gq_try_dequeue_result(queue, id, data, &size), GQ_AGAIN);
  ck_assert_uint_eq(size, sizeof data);   /* outputs are written only on success */
  ck_assert_uint_eq(data[0], 1);
  gq_status status;
  while ((status = gq_try_dequeue_result(queue, id, data, &size)) == GQ_AGAIN) support_sleep_us(100);
  assert_status(status, GQ_OK);
  ck_assert_uint_eq(size, 4);
  ck_assert_int_eq(memcmp(data, "\xa0\x86\x01\x00", 4), 0);   /* 100000, little-endian */
  suite_close(queue);
}
END_TEST

START_TEST(waiting_for_a_result_ends_with_the_timeout)
{
  gq_options options = suite_options("test_sleep");
  options.timeout_ms = 25;
  gq_queue *queue = suite_open(&options);
  const uint64_t id = suite_enqueue_sleep(queue, 400000, 0, 0);
  static const int64_t timeouts[] = { 20 * SUPPORT_MILLISECOND, GQ_DEFAULT_TIMEOUT };
  for (size_t i = 0; i < SUITE_COUNT(timeouts); i++) {
    unsigned char data[8];
    size_t size = sizeof data;
    const int64_t before = support_now_ns();
    assert_status(gq_dequeue_result(queue, id, data, &size, timeouts[i]), GQ_TIMEOUT);
    ck_assert_int_ge(support_now_ns() - before, 20 * SUPPORT_MILLISECOND);
  }
  size_t size = 0;
  assert_status(gq_dequeue_result(queue, id, NULL, &size, 0), GQ_TIMEOUT);
  assert_status(suite_take(queue, id), GQ_OK);   /* the result was not lost by that */
  suite_close(queue);
}
END_TEST

START_TEST(results_can_be_taken_in_any_order)
{
  enum { MESSAGES = 500 };
  gq_options options = suite_options("echo");
  options.capacity = 512;
  gq_queue *queue = suite_open(&options);
  support_random random = { 7 };
  for (int round = 0; round < 4; round++) {
    uint64_t ids[MESSAGES];
    size_t order[MESSAGES];
    for (size_t i = 0; i < MESSAGES; i++) {
      ids[i] = suite_enqueue_pattern(queue, i % 300, i + 1);
      order[i] = i;
    }
    for (size_t i = MESSAGES - 1; i && round; i--) {   /* first round backwards, then shuffled */
      const size_t k = support_below(&random, i + 1), swapped = order[i];
      order[i] = order[k], order[k] = swapped;
    }
    for (size_t i = 0; i < MESSAGES; i++) {
      const size_t k = round ? order[i] : MESSAGES - 1 - i;
      suite_take_pattern(queue, ids[k], k % 300, k + 1);
    }
  }
  suite_close(queue);
}
END_TEST

static void assert_unknown(gq_queue *queue, uint64_t id)
{
  unsigned char data[64];
  size_t size = sizeof data;
  assert_status(gq_try_dequeue_result(queue, id, data, &size), GQ_UNKNOWN_ID);
  ck_assert_uint_eq(size, sizeof data);
  assert_status(gq_dequeue_result(queue, id, data, &size, SUPPORT_LONG), GQ_UNKNOWN_ID);   /* at once */
  assert_status(gq_cancel(queue, id), GQ_UNKNOWN_ID);
}

START_TEST(ids_that_were_never_given_are_unknown)
{
  gq_options options = suite_options("echo");
  options.capacity = 16;
  gq_queue *queue = suite_open(&options);
  support_random random = { 11 };
  assert_unknown(queue, 0);
  assert_unknown(queue, 1);
  assert_unknown(queue, UINT64_MAX);
  const uint64_t first = suite_enqueue_pattern(queue, 8, 1), second = suite_enqueue_pattern(queue, 8, 2);
  const uint64_t step = second - first;
  for (uint64_t ahead = 1; ahead < 100; ahead++) assert_unknown(queue, second + ahead * step);   /* not yet given */
  for (int bit = 0; bit < 64; bit++) {
    const uint64_t id = first ^ (UINT64_C(1) << bit);
    if (id != second) assert_unknown(queue, id);
  }
  for (int i = 0; i < 1000; i++) {
    const uint64_t id = support_next(&random);
    if (id != first && id != second) assert_unknown(queue, id);
  }
  suite_take_pattern(queue, first, 8, 1);   /* none of that touched what is there */
  suite_take_pattern(queue, second, 8, 2);
  suite_close(queue);
}
END_TEST

START_TEST(a_taken_id_is_unknown_also_after_laps)
{
  gq_options options = suite_options("echo");
  options.capacity = 4;
  gq_queue *queue = suite_open(&options);
  const uint64_t id = suite_enqueue_pattern(queue, 8, 1);
  suite_take_pattern(queue, id, 8, 1);
  assert_unknown(queue, id);
  for (size_t i = 0; i < 50; i++) {
    const uint64_t other = suite_enqueue_pattern(queue, 8, i);
    assert_unknown(queue, id);
    suite_take_pattern(queue, other, 8, i);
    assert_unknown(queue, id);
  }
  suite_close(queue);
}
END_TEST

START_TEST(a_polled_id_is_unknown)
{
  const gq_options options = suite_options("echo");
  gq_queue *queue = suite_open(&options);
  const uint64_t id = suite_enqueue_pattern(queue, 8, 1);
  gq_completion completion;
  size_t got;
  assert_status(gq_wait(queue, &completion, 1, SUPPORT_LONG, &got), GQ_OK);
  ck_assert_uint_eq(completion.id, id);
  assert_unknown(queue, id);   /* it is given out, though not yet released */
  ck_assert_uint_eq(support_compare(completion.data, 8, 1), 8);
  gq_release(queue, &completion, 1);
  assert_unknown(queue, id);
  suite_close(queue);
}
END_TEST

START_TEST(a_result_that_does_not_fit_stays)
{
  static const size_t sizes[] = { 1, 40, 300, 70000 };
  gq_options options = suite_options("echo");
  options.max_message_bytes = 100000;
  gq_queue *queue = suite_open(&options);
  for (size_t i = 0; i < SUITE_COUNT(sizes); i++) {
    const uint64_t id = suite_enqueue_pattern(queue, sizes[i], i);
    size_t size = 0;
    assert_status(gq_dequeue_result(queue, id, NULL, &size, SUPPORT_LONG), GQ_TOO_SMALL);
    ck_assert_uint_eq(size, sizes[i]);
    size = sizes[i] - 1;
    unsigned char *shorter = malloc(size + 1);
    memset(shorter, 0x5a, size + 1);
    assert_status(gq_try_dequeue_result(queue, id, shorter, &size), GQ_TOO_SMALL);
    ck_assert_uint_eq(size, sizes[i]);
    ck_assert_uint_eq(shorter[0], 0x5a);
    free(shorter);
    suite_take_pattern(queue, id, sizes[i], i);
    assert_unknown(queue, id);
  }
  suite_close(queue);
}
END_TEST

/* Looped: a code of the handler's own is final; one that asks for a retry gets all attempts. */
static const struct {
  uint8_t sent;
  int32_t code;
  uint32_t attempts;
  const char *says;
} failures_of[] = { { 77, 77, 1, "the handler returned 77 (1 attempt)" },
                    { SUITE_RETRY, -1, 3, "the handler returned GQ_RETRY (3 attempts)" } };

START_TEST(a_failed_message_says_why_once)
{
  for (size_t i = 0; i < SUITE_COUNT(failures_of); i++) {
    gq_options options = suite_options("test_fail");
    options.attempts = 3;
    gq_queue *queue = suite_open(&options);
    const uint64_t id = suite_enqueue_fail(queue, failures_of[i].sent, 200, 0, 0);
    unsigned char data[8];
    size_t size = sizeof data;
    assert_status(gq_dequeue_result(queue, id, data, &size, SUPPORT_LONG), GQ_FAILED);
    assert_error_says(failures_of[i].says);
    int32_t code = 0;
    uint32_t attempts = 0;
    gq_last_failure(&code, &attempts);
    gq_last_failure(NULL, NULL);   /* no harm */
    ck_assert_int_eq(code, failures_of[i].code);
    ck_assert_uint_eq(attempts, failures_of[i].attempts);
    assert_unknown(queue, id);
    suite_close(queue);
  }
}
END_TEST

START_TEST(retries_end_in_success_when_the_handler_does)
{
  gq_options options = suite_options("test_fail");
  options.attempts = 4;
  gq_queue *queue = suite_open(&options);
  for (uint8_t failures = 0; failures < 6; failures++) {
    const uint64_t id = suite_enqueue_fail(queue, SUITE_RETRY, failures, 0, failures);
    gq_completion completion;
    size_t got;
    assert_status(gq_wait(queue, &completion, 1, SUPPORT_LONG, &got), GQ_OK);
    ck_assert_uint_eq(completion.id, id);
    ck_assert_int_eq(completion.status, failures < 4 ? GQ_OK : GQ_FAILED);
    ck_assert_uint_eq(completion.attempts, failures < 4 ? failures + 1u : 4u);
    ck_assert_int_eq(completion.code, failures < 4 ? 0 : -1);
    if (failures < 4) {
      ck_assert_uint_eq(completion.size, 2);
      ck_assert_int_eq(((const unsigned char *)completion.data)[1], failures);
    }
    gq_release(queue, &completion, 1);
  }
  ck_assert_uint_eq(suite_stats(queue).retried, 0 + 1 + 2 + 3 + 3 + 3);
  suite_close(queue);
}
END_TEST

static gq_queue *shared_queue;
static uint64_t shared_id;
static atomic_int takers, refused;

static void *take_the_same_id(void *wait)
{
  unsigned char data[8];
  size_t size = sizeof data;
  gq_status status;
  if (wait) status = gq_dequeue_result(shared_queue, shared_id, data, &size, SUPPORT_LONG);
  else while ((status = gq_try_dequeue_result(shared_queue, shared_id, data, &size)) == GQ_AGAIN) continue;
  if (status == GQ_OK) atomic_fetch_add(&takers, 1);
  else if (thread_status(status, GQ_UNKNOWN_ID)) atomic_fetch_add(&refused, 1);
  return NULL;
}

START_TEST(a_result_is_given_to_one_of_many)
{
  enum { THREADS = 4 };
  const gq_options options = suite_options("test_sleep");
  shared_queue = suite_open(&options);
  for (int round = 0; round < 20; round++) {
    atomic_store(&takers, 0), atomic_store(&refused, 0);
    shared_id = suite_enqueue_sleep(shared_queue, 2000, 0, 0);
    for (int i = 0; i < THREADS; i++) suite_start(take_the_same_id, i % 2 ? &takers : NULL);
    suite_join();
    ck_assert_int_eq(atomic_load(&takers), 1);
    ck_assert_int_eq(atomic_load(&refused), THREADS - 1);
  }
  suite_close(shared_queue);
}
END_TEST

START_TEST(an_id_is_good_on_every_handle_of_its_queue)
{
  gq_options options = suite_options("echo");
  options.lanes = 3;
  gq_queue *lanes[3] = { suite_open(&options) };
  lanes[1] = suite_open_lane(lanes[0]);
  lanes[2] = suite_open_lane(lanes[0]);
  for (size_t i = 0; i < 60; i++) {
    const uint64_t id = suite_enqueue_pattern(lanes[i % 3], 100 + i, i);
    suite_take_pattern(lanes[(i / 3) % 3], id, 100 + i, i);
    assert_unknown(lanes[i % 3], id);
  }
  suite_close(lanes[0]);
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST(a_result_is_not_there_before_its_handler_ended),
    SUITE_TEST(waiting_for_a_result_ends_with_the_timeout),
    SUITE_TEST(results_can_be_taken_in_any_order),
    SUITE_TEST(ids_that_were_never_given_are_unknown),
    SUITE_TEST(a_taken_id_is_unknown_also_after_laps),
    SUITE_TEST(a_polled_id_is_unknown),
    SUITE_TEST(a_result_that_does_not_fit_stays),
    SUITE_TEST(a_failed_message_says_why_once),
    SUITE_TEST(retries_end_in_success_when_the_handler_does),
    SUITE_TEST(a_result_is_given_to_one_of_many),
    SUITE_TEST(an_id_is_good_on_every_handle_of_its_queue),
  };
  return suite_main("test_receive", tests, SUITE_COUNT(tests));
}
