/* SPDX-License-Identifier: Apache-2.0 */
/* What gpuqueue bench makes of its samples: percentiles are exact, repeats that differ are noticed; and that no wrong
 * result passes for a right one. */
#include "suite.h"

#include <stdlib.h>
#include <string.h>

#include "src/bench/bench.h"
#include "src/bench/content.h"
#include "src/bench/repeats.h"
#include "src/bench/samples.h"

static int by_size(const void *a, const void *b)
{
  const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

  return (x > y) - (x < y);
}

/* Numbers of all sizes, from one bit to 64. */
static uint64_t some_number(uint64_t i)
{
  const uint64_t mixed = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);

  return (mixed ^ mixed >> 29) >> (i % 64);
}

START_TEST(samples_are_sorted_whatever_their_size)
{
  static const size_t counts[] = {0, 1, 2, 255, 256, 257, 100000};

  for (size_t c = 0; c < SUITE_COUNT(counts); c++) {
    const size_t kept = 3; /* which are before the first to be sorted */
    uint64_t *expected = malloc((counts[c] + 1) * sizeof *expected);
    struct samples samples;

    ck_assert_ptr_nonnull(expected);
    samples_init(&samples, counts[c] + kept);
    for (size_t i = 0; i < kept; i++) ck_assert(samples_add(&samples, 1000 - (int64_t)i));
    for (size_t i = 0; i < counts[c]; i++) {
      expected[i] = some_number(i) >> 1;
      ck_assert(samples_add(&samples, (int64_t)expected[i]));
    }
    ck_assert(!samples_add(&samples, 1));
    qsort(expected, counts[c], sizeof *expected, by_size);
    samples_sort(&samples, kept);
    for (size_t i = 0; i < kept; i++) ck_assert_uint_eq(samples.ns[i], 1000 - i);
    for (size_t i = 0; i < counts[c]; i++) ck_assert_uint_eq(samples.ns[kept + i], expected[i]);
    samples_free(&samples);
    free(expected);
  }
}
END_TEST

START_TEST(percentiles_are_samples_and_not_below_their_share)
{
  uint64_t sorted[1000];

  for (size_t i = 0; i < 1000; i++) sorted[i] = i + 1;
  ck_assert_uint_eq(sample_at(sorted, 1000, 0.5), 500);
  ck_assert_uint_eq(sample_at(sorted, 1000, 0.9), 900);
  ck_assert_uint_eq(sample_at(sorted, 1000, 0.99), 990);
  ck_assert_uint_eq(sample_at(sorted, 1000, 0.999), 999);
  ck_assert_uint_eq(sample_at(sorted, 1000, 1), 1000);
  ck_assert_uint_eq(sample_at(sorted, 3, 0.5), 2);
  ck_assert_uint_eq(sample_at(sorted, 1, 0.999), 1);
  ck_assert_uint_eq(sample_at(sorted, 0, 0.5), 0);
}
END_TEST

START_TEST(a_summary_has_the_longest_sample)
{
  struct figures figures = {0};
  struct samples samples;

  samples_init(&samples, 101);
  ck_assert(samples_add(&samples, 5000000)); /* one that took long, before all others */
  for (int i = 0; i < 100; i++) ck_assert(samples_add(&samples, 2000));
  samples_summarise(&samples, &figures);
  ck_assert_uint_eq(figures.samples, 101);
  ck_assert_double_eq(figures.p50_us, 2);
  ck_assert_double_eq(figures.p99_us, 2);
  ck_assert_double_eq(figures.p999_us, 0); /* of 101 it would be the longest under another name */
  ck_assert_double_eq(figures.max_us, 5000);
  samples_free(&samples);
}
END_TEST

START_TEST(a_time_that_went_backwards_counts_as_none)
{
  struct samples samples;

  samples_init(&samples, 1);
  ck_assert(samples_add(&samples, -5));
  ck_assert_uint_eq(samples.ns[0], 0);
  samples_free(&samples);
}
END_TEST

START_TEST(the_larger_spread_of_two_measurements_is_kept)
{
  double calm[] = {100, 101, 99}, wild[] = {150, 50, 100}, one[] = {7}, none[] = {0, 0, 0};
  struct figures figures = {0};

  repeats_spread(one, 1, &figures);
  repeats_spread(none, 3, &figures);
  ck_assert(!figures.spread_known);
  repeats_spread(calm, 3, &figures);
  ck_assert(figures.spread_known);
  ck_assert_double_eq_tol(figures.spread, 0.02, 1e-9);
  repeats_spread(wild, 3, &figures);
  ck_assert_double_eq_tol(figures.spread, 1, 1e-9);
  repeats_spread(calm, 3, &figures);
  ck_assert_double_eq_tol(figures.spread, 1, 1e-9);
}
END_TEST

START_TEST(the_median_of_an_even_count_is_in_the_middle)
{
  double four[] = {4, 1, 3, 2};

  ck_assert_double_eq(median(four, 4), 2.5);
  ck_assert_double_eq(median(four, 3), 2);
}
END_TEST

START_TEST(an_echo_is_known_by_its_words_and_every_other_byte_is_noticed)
{
  enum { VARIETY = 16, WORDS = VARIETY + 20 };
  uint64_t row[WORDS];

  for (size_t i = 0; i < WORDS; i++) row[i] = (i + 1) * CONTENT_ODD;
  for (size_t size = 8; size <= 150; size++) {
    const struct content content = {.size = size, .variety = VARIETY, .bytes = (unsigned char *)row};

    for (size_t i = 0; i < VARIETY; i++) {
      unsigned char copy[160];
      uint64_t place;

      memcpy(copy, content_payload(&content, i), size);
      ck_assert(content_is_echo(&content, copy, size, &place));
      ck_assert_uint_eq(place, i);
      ck_assert(!content_is_echo(&content, copy, size - 1, &place));
      for (size_t k = 0; k < size; k++) {
        copy[k] ^= (unsigned char)(1u << (i + k) % 8);
        ck_assert(!content_is_echo(&content, copy, size, &place));
        copy[k] ^= (unsigned char)(1u << (i + k) % 8);
      }
    }
    /* the message behind the last is none */
    uint64_t place;
    ck_assert(!content_is_echo(&content, row + VARIETY, size, &place));
  }
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST_ONCE(samples_are_sorted_whatever_their_size),
    SUITE_TEST_ONCE(percentiles_are_samples_and_not_below_their_share),
    SUITE_TEST_ONCE(a_summary_has_the_longest_sample),
    SUITE_TEST_ONCE(a_time_that_went_backwards_counts_as_none),
    SUITE_TEST_ONCE(the_larger_spread_of_two_measurements_is_kept),
    SUITE_TEST_ONCE(the_median_of_an_even_count_is_in_the_middle),
    SUITE_TEST_ONCE(an_echo_is_known_by_its_words_and_every_other_byte_is_noticed),
  };
  return suite_main("test_bench", tests, SUITE_COUNT(tests));
}
