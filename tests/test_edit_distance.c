/* SPDX-License-Identifier: Apache-2.0 */
/* edit_distance agrees with the algorithm of the textbooks, for queries on both sides of every block and messages of
 * every size; what is beyond the limit is told as such. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shipped.h"

#define MOST_QUERY 1024

/* Wagner and Fischer, row by row. */
static uint32_t distance_of(const uint8_t *a, size_t n, const uint8_t *b, size_t m)
{
  uint32_t *row = malloc((m + 1) * sizeof *row), result;
  size_t i, j;
  ck_assert_ptr_nonnull(row);
  for (j = 0; j <= m; j++) row[j] = (uint32_t)j;
  for (i = 1; i <= n; i++) {
    uint32_t diagonal = row[0];
    row[0] = (uint32_t)i;
    for (j = 1; j <= m; j++) {
      const uint32_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      const uint32_t shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
      diagonal = row[j];
      row[j] = replaced < shorter ? replaced : shorter;
    }
  }
  result = row[m];
  free(row);
  return result;
}

typedef struct {
  uint8_t query[MOST_QUERY];
  size_t size;
  uint32_t limit;
  shipped test;
} comparison;

/* A query of \p size letters of an alphabet of \p letters, in a queue of its own. */
static void begin(comparison *with, support_random *random, size_t size, unsigned letters, uint32_t limit)
{
  static char query[MOST_QUERY + 16], limit_text[32];
  const char *args[] = { query, limit == UINT32_MAX ? NULL : limit_text, NULL };
  size_t i;
  with->size = size;
  with->limit = limit;
  for (i = 0; i < size; i++) with->query[i] = (uint8_t)('a' + support_below(random, letters));
  snprintf(query, sizeof query, "query=%.*s", (int)size, (const char *)with->query);
  snprintf(limit_text, sizeof limit_text, "limit=%u", limit);
  shipped_open(&with->test, "edit_distance", GQ_SCOPE_AUTO, args);
}

static void send(comparison *with, const uint8_t *data, size_t size)
{
  uint32_t distance = distance_of(data, size, with->query, with->size);
  char text[16];
  snprintf(text, sizeof text, "%u", distance > with->limit ? with->limit + 1 : distance);
  shipped_send_text(&with->test, data, size, text);
}

/* The query with some bytes inserted, deleted and replaced. */
static void send_edited(comparison *with, support_random *random, unsigned edits)
{
  uint8_t data[MOST_QUERY + 64];
  size_t size = with->size;
  memcpy(data, with->query, size);
  for (; edits > 0; edits--) {
    const size_t at = support_below(random, size + 1);
    const uint8_t letter = (uint8_t)('a' + support_below(random, 4));
    switch (support_below(random, 3)) {
    case 0:
      memmove(data + at + 1, data + at, size - at);
      data[at] = letter, size++;
      break;
    case 1:
      if (at < size) memmove(data + at, data + at + 1, size - at - 1), size--;
      break;
    default:
      if (at < size) data[at] = letter;
    }
  }
  send(with, data, size);
}

static void send_random(comparison *with, support_random *random, size_t size)
{
  uint8_t *data = malloc(size + 1);
  size_t i;
  ck_assert_ptr_nonnull(data);
  for (i = 0; i < size; i++) data[i] = (uint8_t)('a' + support_below(random, 4));
  send(with, data, size);
  free(data);
}

static const size_t query_sizes[] = { 1, 2, 63, 64, 65, 127, 128, 129, 640, 1023, 1024 };

START_TEST(distances_are_those_of_the_textbook)
{
  support_random random = { 1 };
  size_t q, size;
  for (q = 0; q < SUITE_COUNT(query_sizes); q++) {
    comparison with;
    unsigned i;
    begin(&with, &random, query_sizes[q], 4, UINT32_MAX);
    for (size = 0; size <= support_scaled(300); size++) send_random(&with, &random, size);
    for (i = 0; i < support_scaled(100); i++) send_edited(&with, &random, i % 20);
    send_random(&with, &random, support_scaled(30000));
    shipped_close(&with.test);
  }
}
END_TEST

START_TEST(an_empty_query_is_as_far_as_the_message_is_long)
{
  static const char *const args[] = { "query=", NULL };
  static uint8_t data[100000];
  shipped test;
  shipped_open(&test, "edit_distance", GQ_SCOPE_AUTO, args);
  shipped_send_text(&test, "", 0, "0");
  shipped_send_text(&test, "a", 1, "1");
  shipped_send_text(&test, data, sizeof data, "100000");
  shipped_close(&test);
}
END_TEST

START_TEST(bytes_of_all_values_count)
{
  static const char *const args[] = { "query=\xff\x01Gr\xc3\xbc\xc3\x9f", "limit=4", NULL };
  shipped test;
  shipped_open(&test, "edit_distance", GQ_SCOPE_AUTO, args);
  shipped_send_text(&test, "\xff\x01Gr\xc3\xbc\xc3\x9f", 8, "0");
  shipped_send_text(&test, "\xff\0Gr\xc3\xbc\xc3\x9f", 8, "1");
  shipped_send_text(&test, "\x7f\x01Gruss", 7, "5");   /* of 5: u for 2 bytes, ss for 2 others, one replaced */
  shipped_close(&test);
}
END_TEST

START_TEST(beyond_the_limit_is_limit_and_one)
{
  static const uint32_t limits[] = { 0, 1, 7, 100 };
  support_random random = { 2 };
  size_t q, l;
  for (q = 0; q < SUITE_COUNT(query_sizes); q += 3)
    for (l = 0; l < SUITE_COUNT(limits); l++) {
      comparison with;
      unsigned i;
      begin(&with, &random, query_sizes[q], 4, limits[l]);
      for (i = 0; i < support_scaled(150); i++) {
        send_edited(&with, &random, i % 12);
        send_random(&with, &random, query_sizes[q] + i - query_sizes[q] % (i + 1));
      }
      shipped_close(&with.test);
    }
}
END_TEST

START_TEST(a_query_that_is_too_long_is_refused)
{
  char query[6 + MOST_QUERY + 2] = "query=";
  memset(query + 6, 'x', MOST_QUERY + 1);
  shipped_refuses_argument("edit_distance", query, 1);
}
END_TEST

int main(void)
{
  static const suite_test tests[] = {
    SUITE_TEST(distances_are_those_of_the_textbook),
    SUITE_TEST(an_empty_query_is_as_far_as_the_message_is_long),
    SUITE_TEST(bytes_of_all_values_count),
    SUITE_TEST(beyond_the_limit_is_limit_and_one),
    SUITE_TEST(a_query_that_is_too_long_is_refused),
  };
  return suite_main("test_edit_distance", tests, SUITE_COUNT(tests));
}
