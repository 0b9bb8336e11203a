/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of one lane with the same key finish in the order in which they were enqueued, retries included, and hold
 * up nobody else. */
#include "suite.h"

#include <string.h>

/* The tag says which message of which key this is, so that the one who polls can tell. */
#define TAG(key, number) ((uint64_t)(key) << 32 | (uint32_t)(number))
#define TAG_KEY(tag) ((size_t)((tag) >> 32))
#define TAG_NUMBER(tag) ((uint32_t)(tag))
#define MOST_KEYS 64

/* Poll \p count completions and check the order of each key. \p number holds, by key, the number expected next. */
static void poll_in_order(gq_queue *queue, size_t messages, uint32_t *number)
{
  for (size_t ended = 0, count; ended < messages; ended += count) {
    gq_completion done[8];
    assert_status(gq_wait(queue, done, 8, SUPPORT_LONG, &count), GQ_OK);
    for (size_t i = 0; i < count; i++) {
      const size_t key = TAG_KEY(done[i].tag);
      ck_assert_uint_lt(key, MOST_KEYS);
      ck_assert_int_eq(done[i].status, GQ_OK);
      ck_assert_msg(TAG_NUMBER(done[i].tag) == number[key], "key %zu: message %u came when %u was due", key,
                    TAG_NUMBER(done[i].tag), number[key]);
      number[key]++;
    }
    gq_release(queue, done, count);
  }
}

START_TEST(the_same_key_finishes_in_order)
{
  gq_options options = suite_options("test_sleep");
  options.workers = 4;
  options.capacity = 128;
  gq_queue *queue = suite_open(&options);
  support_random random = { 5 };
  uint32_t sent[MOST_KEYS] = { 0 }, number[MOST_KEYS] = { 0 };
  for (size_t round = 0; round < support_scaled(80) + 2; round++) {
    for (size_t i = 0; i < 100; i++) {
      const size_t key = 1 + support_below(&random, round % 3 ? 3 : 20);
      suite_enqueue_sleep(queue, (uint32_t)support_below(&random, 40), key, TAG(key, sent[key]++));
    }
    poll_in_order(queue, 100, number);
  }
  suite_close(queue);
}
END_TEST

START_TEST(a_batch_keeps_the_order_of_its_keys)
{
  enum { BATCH = 100, KEYS = 7 };
  gq_options options = suite_options("test_sleep");
  options.workers = 4;
  options.capacity = 64; /* a batch does not fit */
  gq_queue *queue = suite_open(&options);
  support_random random = { 7 };
  uint32_t sent[MOST_KEYS] = { 0 }, number[MOST_KEYS] = { 0 };
  for (size_t round = 0; round < support_scaled(40) + 2; round++) {
    unsigned char data[BATCH][4];
    gq_message messages[BATCH];
    size_t done, all = 0;
    for (size_t i = 0; i < BATCH; i++) {
      const size_t key = 1 + support_below(&random, KEYS);
      memcpy(data[i], (unsigned char[4]){ (unsigned char)support_below(&random, 40), 0, 0, 0 }, 4);
      messages[i] = (gq_message){ .data = data[i], .size = 4, .key = key, .tag = TAG(key, sent[key]++) };
    }
    while (all < BATCH) {
      const gq_status status = gq_enqueue_batch(queue, messages + all, BATCH - all, 0, NULL, &done);
      ck_assert(status == GQ_OK || status == GQ_FULL);
      all += done;
      if (done) poll_in_order(queue, done, number);
    }
  }
  suite_close(queue);
}
END_TEST

START_TEST(retries_keep_the_order)
{
  gq_options options = suite_options("test_fail");
  options.workers = 4;
  options.attempts = 5;
  options.capacity = 64;
  gq_queue *queue = suite_open(&options);
  support_random random = { 6 };
  uint32_t sent[MOST_KEYS] = { 0 }, number[MOST_KEYS] = { 0 };
  for (size_t round = 0; round < support_scaled(100) + 2; round++) {
    for (size_t i = 0; i < 60; i++) {
      const size_t key = 1 + support_below(&random, 4);
      suite_enqueue_fail(queue, SUITE_RETRY, (uint8_t)support_below(&random, 5), key, TAG(key, sent[key]++));
    }
    poll_in_order(queue, 60, number);
  }
  ck_assert_uint_gt(suite_stats(queue).retried, 0);
  suite_close(queue);
}
END_TEST

START_TEST(a_failed_message_lets_the_next_of_its_key_go)
{
  gq_options options = suite_options("test_fail");
  options.attempts = 2;
  gq_queue *queue = suite_open(&options);
  uint64_t ids[30];
  for (size_t i = 0; i < 30; i++) ids[i] = suite_enqueue_fail(queue, i % 2 ? SUITE_RETRY : 3, i % 3 ? 0 : 9, 1, i);
  for (size_t i = 0; i < 30; i++) assert_status(suite_take(queue, ids[i]), i % 3 ? GQ_OK : GQ_FAILED);
  suite_close(queue);
}
END_TEST

START_TEST(another_key_does_not_wait)
{
  gq_options options = suite_options("test_sleep");
  options.workers = 2;
  gq_queue *queue = suite_open(&options);
  const uint64_t slow = suite_enqueue_sleep(queue, 1000000, 1, 0), behind = suite_enqueue_sleep(queue, 0, 1, 0);
  for (uint64_t key = 0; key < 20; key++)   /* key 0 is none */
    if (key != 1) assert_status(suite_take(queue, suite_enqueue_sleep(queue, 0, key, 0)), GQ_OK);
  unsigned char data[4];
  size_t size = sizeof data;
  assert_status(gq_try_dequeue_result(queue, slow, data, &size), GQ_AGAIN);
  assert_status(gq_try_dequeue_result(queue, behind, data, &size), GQ_AGAIN);
  assert_status(suite_take(queue, behind), GQ_OK);
  assert_status(gq_try_dequeue_result(queue, slow, data, &size), GQ_OK);   /* it must be there by now */
  suite_close(queue);
}
END_TEST

START_TEST(one_key_laps_a_tiny_ring)
{
  static const uint32_t capacities[] = { 2, 3, 5 };
  for (size_t i = 0; i < SUITE_COUNT(capacities); i++) {
    gq_options options = suite_options("echo");
    options.capacity = capacities[i];
    gq_queue *queue = suite_open(&options);
    uint32_t sent = 0, number[MOST_KEYS] = { 0 };
    const size_t messages = support_scaled(20000) + 100;
    while (number[1] < messages) {
      const gq_message message = { .data = &sent, .size = sizeof sent, .key = 1, .tag = TAG(1, sent) };
      uint64_t id;
      if (sent < messages && gq_enqueue(queue, &message, 0, &id) == GQ_OK) sent++;
      else poll_in_order(queue, 1, number);
    }
    suite_close(queue);
  }
}
END_TEST

/* ------------------------------------------------------------------------------------------------ large messages */

enum { LARGE_KEYS = 5, LARGE_ROUND = 90, LARGE_MOST = 20000 };

/* What message \p tag holds; those without a key are small. test_sleep takes the time that the first bytes say.
 * \return its size */
static size_t make_large(unsigned char *data, uint64_t tag)
{
  const uint64_t mixed = support_mix(tag, 1, 2);
  const size_t size = TAG_KEY(tag) ? 8192 + mixed % (LARGE_MOST - 8192) : 4 + mixed % 60;
  support_fill(data, size, tag);
  memcpy(data, (unsigned char[4]){ (unsigned char)(mixed >> 32) % 40, 0, 0, 0 }, 4);
  return size;
}

/* \p number: by key, the number expected next. \p came: of this round's messages without a key, whose order nobody
 * promises, those that have come; the first of them is number \p first. */
static void check_large(const gq_completion *done, uint32_t *number, uint32_t first, bool *came)
{
  static unsigned char right[LARGE_MOST];
  const size_t key = TAG_KEY(done->tag);
  const uint32_t n = TAG_NUMBER(done->tag);
  ck_assert_uint_lt(key, LARGE_KEYS);
  ck_assert_int_eq(done->status, GQ_OK);
  if (key) {
    ck_assert_msg(n == number[key], "key %zu: message %u came when %u was due", key, n, number[key]);
    number[key]++;
  } else {
    ck_assert_msg(n - first < LARGE_ROUND && !came[n - first], "message %u without a key came twice", n);
    came[n - first] = true;
  }
  ck_assert_uint_eq(done->size, make_large(right, done->tag));
  ck_assert_int_eq(memcmp(done->data, right, done->size), 0);
}

/* Payloads of 8 KiB and more, with keys, between small ones without. On a GPU they wait for one another in
 * gq_serve_threads() and are run by gq_run_wide(), scope auto, or all of it in gq_serve_group<2> or <3>, scopes warp
 * and block; each fetches the next of its key, whose payload is in a slot, by gq_recall_cells() (cuda/serve.cuh). */
START_TEST(large_messages_of_a_key_finish_in_order)
{
  static const uint32_t scopes[] = { GQ_SCOPE_AUTO, GQ_SCOPE_WARP, GQ_SCOPE_BLOCK };
  static unsigned char data[LARGE_MOST];
  for (size_t s = 0; s < SUITE_COUNT(scopes); s++) {
    gq_options options = suite_options("test_sleep");
    options.scope = scopes[s];
    options.workers = 4;
    options.capacity = 128;
    options.max_message_bytes = LARGE_MOST;
    if (s == 0) options.sms = 2;   /* few warps: several messages of a key come to the same one */
    gq_queue *queue = suite_open(&options);
    support_random random = { 8 + s };
    uint32_t sent[LARGE_KEYS] = { 0 }, number[LARGE_KEYS] = { 0 };
    for (size_t round = 0; round < support_scaled(40) + 2; round++) {
      bool came[LARGE_ROUND] = { false };
      const uint32_t small = sent[0];
      for (size_t i = 0; i < LARGE_ROUND; i++) {
        const size_t key = support_below(&random, round % 2 ? LARGE_KEYS : 2);
        const uint64_t tag = TAG(key, sent[key]++);
        const gq_message message = { .data = data, .size = make_large(data, tag), .key = key, .tag = tag };
        uint64_t id;
        assert_status(gq_enqueue(queue, &message, SUPPORT_LONG, &id), GQ_OK);
      }
      for (size_t ended = 0, count; ended < LARGE_ROUND; ended += count) {
        gq_completion done[8];
        assert_status(gq_wait(queue, done, 8, SUPPORT_LONG, &count), GQ_OK);
        for (size_t i = 0; i < count; i++) check_large(&done[i], number, small, came);
        gq_release(queue, done, count);
      }
    }
    suite_close(queue);
  }
}
END_TEST

/* ------------------------------------------------------------------------------------------------ many producers */

#define PRODUCERS 3
#define PER_PRODUCER 1500
static gq_queue *keyed_queue;

static void *produce_keys(void *argument)
{
  const size_t producer = (size_t)(uintptr_t)argument;
  support_random random = { producer };
  uint32_t sent[4] = { 0 };
  const size_t messages = support_scaled(PER_PRODUCER);
  for (size_t i = 0; i < messages; i++) {
    const size_t which = support_below(&random, 4), key = 1 + producer * 4 + which;
    const unsigned char data[4] = { (unsigned char)support_below(&random, 30) };
    const gq_message message = { .data = data, .size = 4, .key = key, .tag = TAG(key, sent[which]++) };
    uint64_t id;
    if (!thread_status(gq_enqueue(keyed_queue, &message, SUPPORT_LONG, &id), GQ_OK)) return NULL;
  }
  return NULL;
}

START_TEST(each_producers_keys_stay_in_order)
{
  gq_options options = suite_options("test_sleep");
  options.workers = 4;
  options.capacity = 32;
  keyed_queue = suite_open(&options);
  uint32_t number[MOST_KEYS] = { 0 };
  for (size_t i = 0; i < PRODUCERS; i++) suite_start(produce_keys, (void *)(uintptr_t)i);
  poll_in_order(keyed_queue, PRODUCERS * support_scaled(PER_PRODUCER), number);
  suite_join();
  suite_close(keyed_queue);
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST(the_same_key_finishes_in_order),
    SUITE_TEST(a_batch_keeps_the_order_of_its_keys),
    SUITE_TEST(retries_keep_the_order),
    SUITE_TEST(a_failed_message_lets_the_next_of_its_key_go),
    SUITE_TEST(another_key_does_not_wait),
    SUITE_TEST(one_key_laps_a_tiny_ring),
    SUITE_TEST(large_messages_of_a_key_finish_in_order),
    SUITE_TEST(each_producers_keys_stay_in_order),
  };
  return suite_main("test_keys", tests, SUITE_COUNT(tests));
}
