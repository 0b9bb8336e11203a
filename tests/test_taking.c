/* SPDX-License-Identifier: Apache-2.0 */
/* Pollers mark what they take without an exchange until somebody comes by an id: what the one finds of the other. */
#include "suite.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lane_path.h"
#include "queue.h"

static uint64_t polled(const gq_queue *queue)
{
  return gq_ld64(&queue->lane->head->polled, GQ_ACQUIRE, GQ_SYS);
}

/* Poll \p messages, or fail the test. */
static void poll_all(gq_queue *queue, size_t messages)
{
  gq_completion done[16];
  for (size_t ended = 0, count; ended < messages; ended += count) {
    assert_status(gq_wait(queue, done, SUITE_COUNT(done), SUPPORT_LONG, &count), GQ_OK);
    gq_release(queue, done, count);
  }
  ck_assert_uint_eq(gq_entries_polled(polled(queue)), gq_ld64(&queue->lane->head->claimed, GQ_RELAXED, GQ_SYS));
}

START_TEST(who_only_polls_stays_alone)
{
  gq_options options = suite_options("echo");
  gq_queue *queue = suite_open(&options);
  for (uint64_t i = 0; i < 40; i++) suite_enqueue_pattern(queue, 8, i);
  poll_all(queue, 40);
  ck_assert_uint_eq(polled(queue) & (GQ_BY_ID | GQ_TAKING), 0);
  suite_take_pattern(queue, suite_enqueue_pattern(queue, 8, 40), 8, 40);
  ck_assert_uint_eq(polled(queue) & (GQ_BY_ID | GQ_TAKING), GQ_BY_ID);
  for (uint64_t i = 0; i < 40; i++) suite_enqueue_pattern(queue, 8, i);
  poll_all(queue, 40);
  suite_close(queue);
}
END_TEST

/* As if a poller had been stopped between claiming and marking what it claimed. */
START_TEST(nobody_hangs_on_a_poller_that_has_stopped)
{
  gq_options options = suite_options("echo");
  gq_queue *queue = suite_open(&options);
  const uint64_t id = suite_enqueue_pattern(queue, 8, 1);
  unsigned char data[8];
  size_t size = sizeof data;
  assert_status(gq_drain(queue, SUPPORT_LONG), GQ_OK);
  gq_add64(&queue->lane->head->polled, GQ_TAKING, GQ_RELAXED);
  assert_status(gq_try_dequeue_result(queue, id, data, &size), GQ_AGAIN);
  assert_status(gq_dequeue_result(queue, id, data, &size, 20000000), GQ_TIMEOUT);
  assert_status(gq_cancel(queue, id), GQ_AGAIN);
  assert_error_says("just being taken");
  gq_completion completion;   /* others poll meanwhile: this thread takes it by an exchange */
  size_t count;
  const uint64_t second = suite_enqueue_pattern(queue, 8, 2);
  for (uint64_t tag = 1; tag <= 2; tag++) {
    assert_status(gq_wait(queue, &completion, 1, SUPPORT_LONG, &count), GQ_OK);
    ck_assert_uint_eq(support_compare(completion.data, 8, tag), 8);
    gq_release(queue, &completion, 1);
  }
  assert_status(gq_try_dequeue_result(queue, second, data, &size), GQ_UNKNOWN_ID);
  const uint64_t third = suite_enqueue_pattern(queue, 8, 3);
  assert_status(gq_drain(queue, SUPPORT_LONG), GQ_OK);
  assert_status(gq_try_dequeue_result(queue, third, data, &size), GQ_AGAIN);
  gq_add64(&queue->lane->head->polled, -GQ_TAKING, GQ_RELEASE);
  suite_take_pattern(queue, third, 8, 3);
  suite_close(queue);
}
END_TEST

START_TEST(the_next_client_of_a_lane_is_alone_too)
{
  gq_options options = suite_options("echo");
  options.lanes = 2;
  gq_queue *queue = suite_open(&options), *lane = suite_open_lane(queue);
  gq_completion done[4];
  size_t count;
  for (uint64_t i = 0; i < 20; i++) suite_enqueue_pattern(lane, 8, i);
  for (size_t held = 0; held < 10; held += count)   /* 10 at least are never released, the others never read */
    assert_status(gq_wait(lane, done, SUITE_COUNT(done), SUPPORT_LONG, &count), GQ_OK);
  assert_status(suite_shutdown(lane, SUPPORT_LONG), GQ_OK);
  lane = suite_open_lane(queue);
  assert_status(gq_poll(lane, done, 1, &count), GQ_AGAIN);
  if (!suite_on_cuda())   /* there an entry of the completion order may come after the lane was closed */
    ck_assert_uint_eq(polled(lane) & (GQ_BY_ID | GQ_TAKING), 0);
  for (uint64_t i = 0; i < 20; i++) suite_enqueue_pattern(lane, 8, i);
  poll_all(lane, 20);
  suite_close(queue);
}
END_TEST

/* ------------------------------------------------------------------------------------------------- all at once */

#define MESSAGES 1000u
#define FRESH_LANES 60u

/* Threads that take the messages of one lane, each in its own way. */
static struct taken {
  gq_queue *queue;
  uint64_t ids[MESSAGES];
  atomic_uint times[MESSAGES], all;
  unsigned first;   /* that is tried by its id */
} taken;

static void count_taken(uint64_t id)
{
  const uint64_t number = id - taken.ids[0];
  if (number >= MESSAGES) suite_blame("a result of message %#llx, which is none", (unsigned long long)id);
  else if (atomic_fetch_add(&taken.times[number], 1)) suite_blame("message %u was given out twice", (unsigned)number);
  atomic_fetch_add(&taken.all, 1);
}

static void *poll_some(void *unused)
{
  (void)unused;
  while (atomic_load(&taken.all) < MESSAGES) {
    gq_completion done[8];
    size_t count;
    const gq_status status = gq_poll(taken.queue, done, SUITE_COUNT(done), &count);
    if (status == GQ_AGAIN) continue;
    if (!thread_status(status, GQ_OK)) break;
    for (size_t i = 0; i < count; i++) {
      const uint64_t number = done[i].id - taken.ids[0];
      if (done[i].status == GQ_OK && support_compare(done[i].data, 8, number) != 8)
        suite_blame("message %u has another's result", (unsigned)number);
      count_taken(done[i].id);
    }
    gq_release(taken.queue, done, count);
  }
  return NULL;
}

static void *come_by_id(void *unused)
{
  (void)unused;
  while (atomic_load(&taken.all) < taken.first) continue;
  for (unsigned n = 0; n < MESSAGES; n++) {
    const unsigned i = (taken.first + n) % MESSAGES;   /* where the pollers are just now */
    unsigned char data[8];
    size_t size = sizeof data;
    gq_status status;
    if (i % 4 == 0) gq_cancel(taken.queue, taken.ids[i]);
    while ((status = gq_try_dequeue_result(taken.queue, taken.ids[i], data, &size)) == GQ_AGAIN) continue;
    if (status == GQ_OK && support_compare(data, 8, i) != 8) suite_blame("id of message %u has another's result", i);
    if (status == GQ_OK || status == GQ_CANCELLED) count_taken(taken.ids[i]);
    else if (status != GQ_UNKNOWN_ID) suite_blame("message %u: %s", i, gq_status_name(status));
  }
  return NULL;
}

START_TEST(ids_that_come_among_pollers_get_what_is_left)
{
  gq_options options = suite_options("echo");
  options.lanes = 1 + FRESH_LANES;   /* it happens once in a lane's life */
  options.capacity = MESSAGES;
  options.max_message_bytes = 64;
  options.arena_bytes = 65536;
  gq_queue *queue = suite_open(&options);
  support_random random = { 11 };
  for (unsigned round = 0; round < FRESH_LANES; round++) {
    unsigned char bytes[MESSAGES][8];
    gq_message messages[MESSAGES];
    size_t sent;
    memset(&taken, 0, sizeof taken);
    taken.queue = suite_open_lane(queue);
    taken.first = (unsigned)support_below(&random, MESSAGES / 2);
    for (unsigned i = 0; i < MESSAGES; i++) {
      support_fill(bytes[i], 8, i);
      messages[i] = (gq_message){ .data = bytes[i], .size = 8 };
    }
    assert_status(gq_enqueue_batch(taken.queue, messages, MESSAGES, SUPPORT_LONG, taken.ids, &sent), GQ_OK);
    if (round % 2) assert_status(gq_drain(taken.queue, SUPPORT_LONG), GQ_OK);
    suite_start(come_by_id, NULL);
    suite_start(poll_some, NULL);
    suite_start(poll_some, NULL);
    suite_join();
    for (unsigned i = 0; i < MESSAGES; i++) ck_assert_uint_eq(atomic_load(&taken.times[i]), 1);
  }
  suite_close(queue);
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST(who_only_polls_stays_alone),
    SUITE_TEST(nobody_hangs_on_a_poller_that_has_stopped),
    SUITE_TEST(the_next_client_of_a_lane_is_alone_too),
    SUITE_TEST(ids_that_come_among_pollers_get_what_is_left),
  };
  return suite_main("test_taking", tests, SUITE_COUNT(tests));
}
