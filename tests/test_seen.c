/* SPDX-License-Identifier: Apache-2.0 */
/* seen forgets nothing, is wrong about new messages as rarely as its theory says, and goes on from a saved state. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "shipped.h"

/* Message \p n, of a size from 0 to \p most, different from every other but those of the few smallest sizes. */
static size_t message(uint64_t n, size_t most, unsigned char *data)
{
  const size_t size = 8 + n % (most - 7);
  support_fill(data, size, n);
  memcpy(data, &n, 8);
  return size;
}

/* Send messages \p first to \p end - 1, many under way at once. \return how many were told to be there before. */
static size_t count_seen(gq_queue *queue, uint64_t first, uint64_t end, size_t most)
{
  enum { UNDER_WAY = 256 };
  uint64_t ids[UNDER_WAY], begun = first, ended = first;
  size_t seen = 0;
  while (ended < end) {
    char answer = 0;
    size_t size = 1;
    for (; begun < end && begun - ended < UNDER_WAY; begun++) {
      unsigned char data[512];
      ids[begun % UNDER_WAY] = suite_enqueue(queue, data, message(begun, most, data));
    }
    assert_status(gq_dequeue_result(queue, ids[ended++ % UNDER_WAY], &answer, &size, SUPPORT_LONG), GQ_OK);
    ck_assert(size == 1 && (answer == '0' || answer == '1'));
    seen += answer == '1';
  }
  return seen;
}

START_TEST(what_was_there_is_known_and_what_is_new_is_new)
{
  const uint64_t count = support_scaled(20000);
  gq_options options = suite_options("seen");
  gq_queue *queue = suite_open(&options);
  /* With 7 hashes, 20000 messages fill a sixtieth of the 8 Mi bits: 1 of 10^12 new ones is mistaken. */
  ck_assert_uint_eq(count_seen(queue, 0, count, 400), 0);
  ck_assert_uint_eq(count_seen(queue, 0, count, 400), count);
  ck_assert_uint_eq(count_seen(queue, count, 2 * count, 400), 0);
  ck_assert_uint_eq(count_seen(queue, 0, 2 * count, 400), 2 * count);
  suite_close(queue);
}
END_TEST

START_TEST(every_size_is_a_message_of_its_own)
{
  static unsigned char zeros[70000];
  static const size_t large[] = { 4096, 65535, 65536, 70000 };
  shipped test;
  size_t i, turn;
  shipped_open(&test, "seen", GQ_SCOPE_AUTO, NULL);
  for (turn = 0; turn < 2; turn++) {
    for (i = 0; i <= 600; i++) shipped_send_text(&test, zeros, i, turn ? "1" : "0");
    for (i = 0; i < SUITE_COUNT(large); i++) shipped_send_text(&test, zeros, large[i], turn ? "1" : "0");
    shipped_check(&test);
  }
  shipped_close(&test);
}
END_TEST

START_TEST(a_full_filter_errs_as_often_as_its_theory_says)
{
  static const struct { const char *arg; double hashes; } cases[] = { { "hashes=1", 1 }, { "hashes=4", 4 } };
  const double bits = 8.0 * 1048576;
  const uint64_t count = support_scaled(400000);
  size_t c;
  for (c = 0; c < SUITE_COUNT(cases); c++) {
    const char *const args[] = { cases[c].arg, NULL };
    gq_options options = suite_options("seen");
    double expected = 0, got;
    uint64_t n;
    gq_queue *queue;
    options.args = args;
    queue = suite_open(&options);
    got = (double)count_seen(queue, 0, count, 16);
    for (n = 0; n < count; n++) expected += pow(1 - exp(-cases[c].hashes * (double)n / bits), cases[c].hashes);
    /* Six standard deviations; the generator has a fixed seed, but the order in which messages run has none. */
    ck_assert_msg(fabs(got - expected) <= 6 * sqrt(expected) + 3, "%s: %.0f instead of %.1f", cases[c].arg, got,
                  expected);
    suite_close(queue);
  }
}
END_TEST

START_TEST(a_number_of_hashes_out_of_range_is_refused)
{
  shipped_refuses_argument("seen", "hashes=0", 1);
  shipped_refuses_argument("seen", "hashes=33", 1);
  shipped_refuses_argument("seen", "hashes=4294967297", 1);
}
END_TEST

/* With one key, one is handled after the other: exactly the first is new. */
START_TEST(equal_messages_with_a_key_are_told_apart)
{
  gq_options options = suite_options("seen");
  gq_queue *queue = suite_open(&options);
  uint64_t ids[200];
  size_t i, fresh = 0;
  for (i = 0; i < SUITE_COUNT(ids); i++) {
    const gq_message message = { .data = "same", .size = 4, .key = 7 };
    assert_status(gq_enqueue(queue, &message, SUPPORT_LONG, &ids[i]), GQ_OK);
  }
  for (i = 0; i < SUITE_COUNT(ids); i++) {
    char answer = 0;
    size_t size = 1;
    assert_status(gq_dequeue_result(queue, ids[i], &answer, &size, SUPPORT_LONG), GQ_OK);
    ck_assert_int_eq(answer, i ? '1' : '0');
    fresh += answer == '0';
  }
  ck_assert_uint_eq(fresh, 1);
  suite_close(queue);
}
END_TEST

int main(void)
{
  static const suite_test tests[] = {
    SUITE_TEST(what_was_there_is_known_and_what_is_new_is_new),
    SUITE_TEST(every_size_is_a_message_of_its_own),
    SUITE_TEST(a_full_filter_errs_as_often_as_its_theory_says),
    SUITE_TEST(a_number_of_hashes_out_of_range_is_refused),
    SUITE_TEST(equal_messages_with_a_key_are_told_apart),
  };
  return suite_main("test_seen", tests, SUITE_COUNT(tests));
}
