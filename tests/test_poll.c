/* SPDX-License-Identifier: Apache-2.0 */
/* Receiving in completion order: what gq_poll() and gq_wait() give, for how long it is held, and the event
 * descriptor that says when. */
#include "suite.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

START_TEST(nothing_there_is_said_so)
{
  gq_options options = suite_options("echo");
  options.timeout_ms = 20;
  gq_queue *queue = suite_open(&options);
  gq_completion completion = { .id = 42 };
  size_t count = 9;
  assert_status(gq_poll(queue, &completion, 1, &count), GQ_AGAIN);
  ck_assert_uint_eq(count, 0);
  ck_assert_uint_eq(completion.id, 42);
  static const int64_t timeouts[] = { 20 * SUPPORT_MILLISECOND, GQ_DEFAULT_TIMEOUT };
  for (size_t i = 0; i < SUITE_COUNT(timeouts); i++) {
    const int64_t before = support_now_ns();
    assert_status(gq_wait(queue, &completion, 1, timeouts[i], &count), GQ_TIMEOUT);
    ck_assert_int_ge(support_now_ns() - before, 20 * SUPPORT_MILLISECOND);
    ck_assert_uint_eq(count, 0);
  }
  assert_status(gq_wait(queue, &completion, 1, 0, &count), GQ_TIMEOUT);
  suite_close(queue);
}
END_TEST

START_TEST(every_completion_is_given_once_and_whole)
{
  enum { MESSAGES = 3000, MOST = 7 };
  gq_options options = suite_options("echo");
  options.capacity = 64;
  gq_queue *queue = suite_open(&options);
  static unsigned char seen[MESSAGES];
  memset(seen, 0, sizeof seen);
  size_t sent = 0, ended = 0;
  while (ended < MESSAGES) {
    unsigned char data[1200];
    const gq_message message = { .data = data, .size = sent % sizeof data, .tag = sent };
    uint64_t id;
    support_fill(data, message.size, sent);
    if (sent < MESSAGES && gq_enqueue(queue, &message, 0, &id) == GQ_OK) {
      sent++;
      continue;
    }
    gq_completion done[MOST];
    size_t count;
    assert_status(gq_wait(queue, done, MOST, SUPPORT_LONG, &count), GQ_OK);
    ck_assert(count >= 1 && count <= MOST);
    for (size_t i = 0; i < count; i++) {
      ck_assert_uint_lt(done[i].tag, sent);
      ck_assert_uint_eq(seen[done[i].tag]++, 0);
      ck_assert_int_eq(done[i].status, GQ_OK);
      ck_assert_uint_eq(done[i].size, done[i].tag % sizeof data);
      ck_assert_uint_eq((uintptr_t)done[i].data % 4, 0);
      ck_assert_uint_eq(support_compare(done[i].data, done[i].size, done[i].tag), done[i].size);
    }
    gq_release(queue, done, count);
    ended += count;
  }
  size_t count;
  gq_completion extra;
  assert_status(gq_poll(queue, &extra, 1, &count), GQ_AGAIN);
  suite_close(queue);
}
END_TEST

/* Send one slow message and then quick ones; \return in which place the slow one came. */
static size_t place_of_slow_message(gq_queue *queue, size_t quick)
{
  suite_enqueue_sleep(queue, 1000000, 0, 1);
  for (size_t i = 0; i < quick; i++) suite_enqueue_sleep(queue, 0, 0, 2 + i);
  size_t place = 0;
  for (size_t ended = 0, count; ended < quick + 1; ended++) {
    gq_completion completion;
    assert_status(gq_wait(queue, &completion, 1, SUPPORT_LONG, &count), GQ_OK);
    if (completion.tag == 1) place = ended;
    gq_release(queue, &completion, 1);
  }
  return place;
}

START_TEST(a_slow_message_blocks_nobody)
{
  gq_options options = suite_options("test_sleep");
  options.workers = 2;
  gq_queue *queue = suite_open(&options);
  ck_assert_uint_eq(place_of_slow_message(queue, 50), 50);
  suite_close(queue);
}
END_TEST

/* The others have gone to sleep by the time that a message comes, and the only one awake is busy for long. */
START_TEST(a_slow_message_blocks_nobody_who_comes_later)
{
  gq_options options = suite_options("test_sleep");
  options.workers = 3;
  options.park_us = 10;
  gq_queue *queue = suite_open(&options);
  const uint64_t slow = suite_enqueue_sleep(queue, 1000000, 0, 0);
  for (int i = 0; i < 10; i++) {
    support_sleep_us(20000);
    assert_status(suite_take(queue, suite_enqueue_sleep(queue, 0, 0, 0)), GQ_OK);
  }
  unsigned char data[4];
  size_t size = sizeof data;
  assert_status(gq_try_dequeue_result(queue, slow, data, &size), GQ_AGAIN);
  assert_status(suite_take(queue, slow), GQ_OK);
  suite_close(queue);
}
END_TEST

START_TEST(the_option_ordered_gives_enqueue_order)
{
  gq_options options = suite_options("test_sleep");
  options.workers = 2;
  options.ordered = 1;
  options.capacity = 16;
  gq_queue *queue = suite_open(&options);
  ck_assert_uint_eq(place_of_slow_message(queue, 10), 0);
  uint64_t next = 0, sent = 0;
  support_random random = { 3 };
  const uint64_t messages = 400;
  while (next < messages) {
    if (sent < messages && sent - next < 10) {
      suite_enqueue_sleep(queue, (uint32_t)support_below(&random, 300), 0, sent);
      sent++;
      continue;
    }
    gq_completion done[3];
    size_t count;
    assert_status(gq_wait(queue, done, 3, SUPPORT_LONG, &count), GQ_OK);
    for (size_t i = 0; i < count; i++) ck_assert_uint_eq(done[i].tag, next++);
    gq_release(queue, done, count);
  }
  suite_close(queue);
}
END_TEST

START_TEST(ordered_completions_skip_what_was_taken_by_id)
{
  gq_options options = suite_options("echo");
  options.ordered = 1;
  gq_queue *queue = suite_open(&options);
  uint64_t ids[6];
  for (size_t i = 0; i < 6; i++) ids[i] = suite_enqueue_pattern(queue, 8, i);
  suite_take_pattern(queue, ids[0], 8, 0);
  suite_take_pattern(queue, ids[3], 8, 3);
  static const size_t expected[] = { 1, 2, 4, 5 };
  for (size_t i = 0, count; i < SUITE_COUNT(expected); i++) {
    gq_completion completion;
    assert_status(gq_wait(queue, &completion, 1, SUPPORT_LONG, &count), GQ_OK);
    ck_assert_uint_eq(completion.id, ids[expected[i]]);
    gq_release(queue, &completion, 1);
  }
  suite_close(queue);
}
END_TEST

/* The last message finishes first and is left alone, while all those before it and after it are taken by id: more
 * than the ring has cells, so whatever remembers the order of completions is lapped. */
START_TEST(a_completion_is_not_lost_behind_those_taken_by_id)
{
  enum { CAPACITY = 256 };
  gq_options options = suite_options("test_sleep");
  options.capacity = CAPACITY;
  options.workers = 2;
  gq_queue *queue = suite_open(&options);
  for (int round = 0; round < 3; round++) {
    uint64_t ids[CAPACITY];
    for (size_t i = 0; i < CAPACITY; i++)   /* one key: the first holds up all but the last */
      ids[i] = suite_enqueue_sleep(queue, i ? 0 : 200000, i < CAPACITY - 1, i);
    for (size_t i = 0; i < CAPACITY - 1; i++) assert_status(suite_take(queue, ids[i]), GQ_OK);
    for (size_t i = 0; i < CAPACITY - 1; i++) {
      const gq_message message = { .data = "\0\0\0\0", .size = 4 };
      uint64_t id;
      assert_status(gq_enqueue(queue, &message, 0, &id), GQ_OK);
      assert_status(suite_take(queue, id), GQ_OK);
    }
    gq_completion completion;
    size_t count;
    assert_status(gq_wait(queue, &completion, 1, 5 * SUPPORT_SECOND, &count), GQ_OK);
    ck_assert_uint_eq(completion.id, ids[CAPACITY - 1]);
    gq_release(queue, &completion, 1);
  }
  suite_close(queue);
}
END_TEST

START_TEST(a_held_completion_keeps_its_place_and_its_data)
{
  enum { HELD = 4 };
  gq_options options = suite_options("echo");
  options.capacity = HELD;
  gq_queue *queue = suite_open(&options);
  gq_completion held[HELD];
  for (size_t i = 0, count; i < HELD; i++) {
    const uint64_t id = suite_enqueue_pattern(queue, 150, i);
    assert_status(gq_wait(queue, &held[i], 1, SUPPORT_LONG, &count), GQ_OK);
    ck_assert_uint_eq(held[i].id, id);
  }
  const gq_message message = { .data = "x", .size = 1 };
  uint64_t id;
  assert_status(gq_enqueue(queue, &message, 0, &id), GQ_FULL);
  static const size_t order[HELD] = { 2, 0, 3, 1 };   /* released out of order, one place each */
  for (size_t i = 0; i < HELD; i++) {
    for (size_t k = i; k < HELD; k++)
      ck_assert_uint_eq(support_compare(held[order[k]].data, 150, order[k]), 150);
    gq_release(queue, &held[order[i]], 1);
  }
  for (size_t i = 0; i < HELD; i++) {
    assert_status(gq_enqueue(queue, &message, 0, &id), GQ_OK);
  }
  assert_status(gq_enqueue(queue, &message, 0, &id), GQ_FULL);
  suite_close(queue);
}
END_TEST

START_TEST(the_payload_can_be_had_back)
{
  static const size_t sizes[] = { 0, 1, 30, 120, 400, 5000 };
  gq_options options = suite_options("crc32c");
  options.max_message_bytes = 5000;
  gq_queue *queue = suite_open(&options);
  for (size_t i = 0; i < SUITE_COUNT(sizes); i++) {
    suite_enqueue_pattern(queue, sizes[i], i);
    gq_completion completion;
    size_t count, size = 5000;
    unsigned char data[5000];
    assert_status(gq_wait(queue, &completion, 1, SUPPORT_LONG, &count), GQ_OK);
    ck_assert_uint_eq(completion.size, 4);
    assert_status(gq_completion_payload(queue, &completion, data, &size), GQ_OK);
    ck_assert_uint_eq(size, sizes[i]);
    ck_assert_uint_eq(support_compare(data, size, i), size);
    if (sizes[i]) {
      size = sizes[i] - 1;
      assert_status(gq_completion_payload(queue, &completion, data, &size), GQ_TOO_SMALL);
      ck_assert_uint_eq(size, sizes[i]);
    }
    gq_release(queue, &completion, 1);
  }
  suite_close(queue);
}
END_TEST

START_TEST(a_dead_letter_keeps_its_payload)
{
  gq_options options = suite_options("test_fail");
  options.attempts = 2;
  gq_queue *queue = suite_open(&options);
  const uint64_t id = suite_enqueue_fail(queue, SUITE_RETRY, 9, 0, 5);
  gq_completion completion;
  size_t count, size = 16;
  unsigned char data[16];
  assert_status(gq_wait(queue, &completion, 1, SUPPORT_LONG, &count), GQ_OK);
  ck_assert_uint_eq(completion.id, id);
  ck_assert_uint_eq(completion.tag, 5);
  ck_assert_int_eq(completion.status, GQ_FAILED);
  ck_assert_int_eq(completion.code, -1);
  ck_assert_uint_eq(completion.attempts, 2);
  assert_status(gq_completion_payload(queue, &completion, data, &size), GQ_OK);
  ck_assert_uint_eq(size, 2);
  ck_assert_uint_eq(data[0], SUITE_RETRY);
  gq_release(queue, &completion, 1);
  suite_close(queue);
}
END_TEST

static void *wait_for_one(void *queue)
{
  gq_completion completion;
  size_t count;
  if (!thread_status(gq_wait(queue, &completion, 1, GQ_FOREVER, &count), GQ_OK)) return NULL;
  gq_release(queue, &completion, 1);
  return NULL;
}

START_TEST(completions_wake_those_who_wait)
{
  const gq_options options = suite_options("echo");
  gq_queue *queue = suite_open(&options);
  for (int i = 0; i < 3; i++) suite_start(wait_for_one, queue);
  support_sleep_us(20000);
  for (size_t i = 0; i < 3; i++) suite_enqueue_pattern(queue, 8, i);
  suite_join();
  suite_close(queue);
}
END_TEST

START_TEST(lanes_have_completions_of_their_own)
{
  gq_options options = suite_options("echo");
  options.lanes = 2;
  gq_queue *queue = suite_open(&options), *lane = suite_open_lane(queue);
  const uint64_t id = suite_enqueue_pattern(lane, 8, 1);
  assert_status(gq_drain(lane, SUPPORT_LONG), GQ_OK);
  gq_completion completion;
  size_t count;
  assert_status(gq_poll(queue, &completion, 1, &count), GQ_AGAIN);
  assert_status(gq_wait(lane, &completion, 1, SUPPORT_LONG, &count), GQ_OK);
  ck_assert_uint_eq(completion.id, id);
  gq_release(lane, &completion, 1);
  suite_close(queue);
}
END_TEST

/* ------------------------------------------------------------------------------------------- the event descriptor */

static bool is_readable(int fd, int timeout_ms)
{
  struct pollfd entry = { .fd = fd, .events = POLLIN };
  int rc;
  do rc = poll(&entry, 1, timeout_ms); while (rc < 0 && errno == EINTR);
  ck_assert_int_ge(rc, 0);
  return rc == 1 && (entry.revents & POLLIN);
}

/* As the header says: read its 8 bytes, then poll until there is nothing. \return how many completions came. */
static size_t empty_descriptor(gq_queue *queue, int fd)
{
  uint64_t value;
  ck_assert_int_eq(read(fd, &value, sizeof value), sizeof value);
  size_t total = 0, count;
  gq_completion done[4];
  while (gq_poll(queue, done, 4, &count) == GQ_OK) {
    gq_release(queue, done, count);
    total += count;
  }
  return total;
}

START_TEST(the_event_descriptor_becomes_readable)
{
  const gq_options options = suite_options("test_sleep");
  gq_queue *queue = suite_open(&options);
  const int fd = gq_event_fd(queue);
  ck_assert_msg(fd >= 0, "%s", gq_last_error());
  ck_assert_int_eq(gq_event_fd(queue), fd);
  ck_assert(!is_readable(fd, 20));
  for (size_t i = 0; i < support_scaled(400) + 20; i++) {
    suite_enqueue_sleep(queue, i % 5 ? 0 : 2000, 0, i);
    if (i % 3 == 0) suite_enqueue_sleep(queue, 0, 0, i);
    for (size_t ended = 0; ended < (i % 3 ? 1 : 2);) {
      ck_assert_msg(is_readable(fd, 20000), "no event for message %zu", i);
      ended += empty_descriptor(queue, fd);
    }
  }
  suite_close(queue);
}
END_TEST

START_TEST(the_event_descriptor_knows_what_came_before_it)
{
  const gq_options options = suite_options("echo");
  gq_queue *queue = suite_open(&options);
  suite_enqueue_pattern(queue, 8, 1);
  assert_status(gq_drain(queue, SUPPORT_LONG), GQ_OK);
  const int fd = gq_event_fd(queue);
  ck_assert_msg(fd >= 0, "%s", gq_last_error());
  ck_assert(is_readable(fd, 20000));
  ck_assert_uint_eq(empty_descriptor(queue, fd), 1);
  suite_close(queue);
}
END_TEST

START_TEST(the_event_descriptor_works_in_epoll)
{
  gq_options options = suite_options("echo");
  options.lanes = 2;
  gq_queue *queues[2] = { suite_open(&options) };
  queues[1] = suite_open_lane(queues[0]);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  ck_assert_int_ge(epoll, 0);
  int fds[2];
  for (int i = 0; i < 2; i++) {
    fds[i] = gq_event_fd(queues[i]);
    ck_assert_msg(fds[i] >= 0, "%s", gq_last_error());
    struct epoll_event event = { .events = EPOLLIN, .data.u32 = (uint32_t)i };
    ck_assert_int_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event), 0);
  }
  ck_assert_int_ne(fds[0], fds[1]);
  for (int round = 0; round < 50; round++) {
    size_t ended = 0;
    suite_enqueue_pattern(queues[round % 2], 8, 1);
    for (int events = 0; ended == 0; events++) {   /* an event with nothing behind it is allowed, no event is not */
      struct epoll_event event;
      ck_assert_int_lt(events, 10);
      ck_assert_msg(epoll_wait(epoll, &event, 1, 20000) == 1, "no event in round %d", round);
      const size_t count = empty_descriptor(queues[event.data.u32], fds[event.data.u32]);
      if (count) ck_assert_uint_eq(event.data.u32, (uint32_t)round % 2);
      ended += count;
    }
    ck_assert_uint_eq(ended, 1);
  }
  close(epoll);
  suite_close(queues[0]);
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST(nothing_there_is_said_so),
    SUITE_TEST(every_completion_is_given_once_and_whole),
    SUITE_TEST(a_slow_message_blocks_nobody),
    SUITE_TEST(a_slow_message_blocks_nobody_who_comes_later),
    SUITE_TEST(the_option_ordered_gives_enqueue_order),
    SUITE_TEST(ordered_completions_skip_what_was_taken_by_id),
    SUITE_TEST(a_completion_is_not_lost_behind_those_taken_by_id),
    SUITE_TEST(a_held_completion_keeps_its_place_and_its_data),
    SUITE_TEST(the_payload_can_be_had_back),
    SUITE_TEST(a_dead_letter_keeps_its_payload),
    SUITE_TEST(completions_wake_those_who_wait),
    SUITE_TEST(lanes_have_completions_of_their_own),
    SUITE_TEST(the_event_descriptor_becomes_readable),
    SUITE_TEST(the_event_descriptor_knows_what_came_before_it),
    SUITE_TEST(the_event_descriptor_works_in_epoll),
  };
  return suite_main("test_poll", tests, SUITE_COUNT(tests));
}
