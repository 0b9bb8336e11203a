/* SPDX-License-Identifier: Apache-2.0 */
/* Further lanes of a queue: how many, closed and opened again, ended with their queue. */
#include "suite.h"

START_TEST(lanes_are_given_up_to_their_number)
{
  gq_options options = suite_options("echo");
  options.lanes = 3;
  gq_queue *queue = suite_open(&options), *lanes[2], *more = (gq_queue *)&options;
  for (int i = 0; i < 2; i++) lanes[i] = suite_open_lane(queue);
  assert_status(gq_open_lane(queue, &more), GQ_FULL);
  assert_error_says("3");
  ck_assert_ptr_eq(more, (gq_queue *)&options);
  for (size_t i = 0; i < 2; i++) suite_take_pattern(lanes[i], suite_enqueue_pattern(lanes[i], 100, i), 100, i);
  suite_take_pattern(queue, suite_enqueue_pattern(queue, 100, 3), 100, 3);
  suite_close(queue);
}
END_TEST

START_TEST(a_lane_can_be_closed_and_opened_again)
{
  gq_options options = suite_options("echo");
  options.lanes = 2;
  options.capacity = 8;
  gq_queue *queue = suite_open(&options);
  uint64_t old_id = 0;
  for (size_t i = 0; i < 20; i++) {
    gq_queue *lane = suite_open_lane(queue);
    if (old_id) {   /* what the lane's last user left behind is not its next user's */
      gq_completion completion;
      size_t count, size = 0;
      assert_status(gq_poll(lane, &completion, 1, &count), GQ_AGAIN);
      assert_status(gq_try_dequeue_result(lane, old_id, NULL, &size), GQ_UNKNOWN_ID);
    }
    for (size_t k = 0; k < i; k++) suite_take_pattern(lane, suite_enqueue_pattern(lane, 300, k), 300, k);
    old_id = suite_enqueue_pattern(lane, 300, i);   /* and left unread */
    suite_close(lane);
    suite_take_pattern(queue, suite_enqueue_pattern(queue, 8, i), 8, i);
  }
  suite_close(queue);
}
END_TEST

START_TEST(ending_the_first_handle_ends_all)
{
  gq_options options = suite_options("echo");
  options.lanes = 4;
  gq_queue *queue = suite_open(&options);
  for (size_t i = 0; i < 3; i++) suite_enqueue_pattern(suite_open_lane(queue), 100, i);
  suite_close(queue);
}
END_TEST

START_TEST(closing_one_handle_closes_the_queue)
{
  gq_options options = suite_options("echo");
  options.lanes = 2;
  gq_queue *queue = suite_open(&options), *lane = suite_open_lane(queue);
  gq_close(lane);
  const gq_message message = { .data = "x", .size = 1 };
  uint64_t id;
  assert_status(gq_enqueue(queue, &message, 0, &id), GQ_SHUT_DOWN);
  suite_close(queue);
}
END_TEST

START_TEST(a_lane_given_up_on_can_be_opened_again)
{
  gq_options options = suite_options("test_sleep");
  options.lanes = 2;
  gq_queue *queue = suite_open(&options), *lane = suite_open_lane(queue);
  suite_enqueue_sleep(lane, 100000, 0, 0);
  assert_status(suite_shutdown(lane, 0), GQ_TIMEOUT);
  gq_status status = GQ_FULL;
  for (int i = 0; i < 500 && status == GQ_FULL; i++) {   /* once the message that was given up on has left it */
    support_sleep_us(10000);
    status = gq_open_lane(queue, &lane);
  }
  assert_status(status, GQ_OK);
  gq_completion completion;
  size_t count;
  assert_status(gq_poll(lane, &completion, 1, &count), GQ_AGAIN);
  assert_status(suite_take(lane, suite_enqueue_sleep(lane, 0, 0, 0)), GQ_OK);
  suite_close(queue);
}
END_TEST

static void *wait_on_lane(void *lane)
{
  gq_completion completion;
  size_t count;
  thread_status(gq_wait(lane, &completion, 1, 10 * SUPPORT_SECOND, &count), GQ_SHUT_DOWN);
  return NULL;
}

START_TEST(ending_a_lane_ends_the_waits_on_it)
{
  gq_options options = suite_options("echo");
  options.lanes = 2;
  gq_queue *queue = suite_open(&options), *lane = suite_open_lane(queue);
  suite_start(wait_on_lane, lane);
  support_sleep_us(30000);
  assert_status(suite_shutdown(lane, SUPPORT_LONG), GQ_OK);
  suite_join();
  suite_take_pattern(queue, suite_enqueue_pattern(queue, 8, 1), 8, 1);
  suite_close(queue);
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST(lanes_are_given_up_to_their_number),
    SUITE_TEST(a_lane_can_be_closed_and_opened_again),
    SUITE_TEST(ending_the_first_handle_ends_all),
    SUITE_TEST(a_lane_given_up_on_can_be_opened_again),
    SUITE_TEST(ending_a_lane_ends_the_waits_on_it),
    SUITE_TEST(closing_one_handle_closes_the_queue),
  };
  return suite_main("test_lanes", tests, SUITE_COUNT(tests));
}
