/* SPDX-License-Identifier: Apache-2.0 */
/* match agrees with the C library's regexec() on random patterns of its subset, and refuses the others. */
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Compiled here for the host as well, for more patterns than it is worth opening queues for. */
#define GQ_BUILTIN
#include "../cuda/handlers/match.h"
#include "shipped.h"

#define MOST_PATTERN 400

/* ------------------------------------------------------------------------------------- random patterns and texts */

static void append(char *pattern, const char *text)
{
  ck_assert_uint_lt(strlen(pattern) + strlen(text), MOST_PATTERN);
  strcat(pattern, text);
}

static void append_random(support_random *random, char *pattern, unsigned depth)
{
  static const char *const places[] = { "a", "b", "c", "a", "b", ".", "[ab]", "[^a]", "[b-d]", "\\." };
  static const char *const repeats[] = { "*", "+", "?" };
  switch (depth ? support_below(random, 8) : 0) {
  case 0: case 1:
    append(pattern, places[support_below(random, SUITE_COUNT(places))]);
    break;
  case 2: case 3: case 4:
    append_random(random, pattern, depth - 1);
    append_random(random, pattern, depth - 1);
    break;
  case 5:
    append(pattern, "(");
    append_random(random, pattern, depth - 1);
    append(pattern, "|");
    append_random(random, pattern, depth - 1);
    append(pattern, ")");
    break;
  default:
    append(pattern, "(");
    append_random(random, pattern, depth - 1);
    append(pattern, ")");
    append(pattern, repeats[support_below(random, 3)]);
  }
}

/* Anchors only around an alternative: in the middle, glibc 2.36 finds '.^[ab]' where there is nothing to find. */
static void append_anchored(support_random *random, char *pattern)
{
  unsigned more = (unsigned)support_below(random, 3);
  do {
    if (support_below(random, 4) == 0) append(pattern, "^");
    append_random(random, pattern, (unsigned)support_below(random, 5));
    if (support_below(random, 4) == 0) append(pattern, "$");
    if (more) append(pattern, "|");
  } while (more--);
}

static size_t random_text(support_random *random, char *text, size_t most)
{
  const size_t size = support_below(random, most + 1);
  size_t i;
  for (i = 0; i < size; i++) text[i] = "abcdABC.\nx"[support_below(random, 10)];
  text[size] = 0;
  return size;
}

/* ------------------------------------------------------------------------------------------- the handler itself */

static match_tables tables;

/* \return what init returns. */
static int32_t compile(const char *pattern, int fixed, int ignore_case)
{
  const match_args args = { .pattern = { (const uint8_t *)pattern, strlen(pattern) }, .fixed = (uint64_t)fixed,
                            .ignore_case = (uint64_t)ignore_case };
  const gq_context ctx = { .ranks = 1, .scope = 1, .args = &args, .state = (uint8_t *)&tables,
                           .state_bytes = sizeof tables };
  memset(&tables, 0, sizeof tables);
  return gq_handler_init_match(&ctx);
}

static int matches(const char *text, size_t size)
{
  _Alignas(16) static uint8_t data[128];
  uint8_t out[1] = { 0 };
  const gq_context ctx = { .ranks = 1, .scope = 1, .state = (uint8_t *)&tables, .state_bytes = sizeof tables };
  const gq_msg msg = { .data = data, .size = (uint32_t)size, .attempt = 1 };
  gq_reply reply = { .data = out, .capacity = 1 };
  ck_assert_uint_le(size, sizeof data);
  memset(data, 'a', sizeof data);
  memcpy(data, text, size);
  ck_assert_int_eq(gq_handler_match(&msg, &reply, &ctx), 0);
  ck_assert_uint_eq(reply.size, 1);
  ck_assert(out[0] == '0' || out[0] == '1');
  return out[0] == '1';
}

START_TEST(random_patterns_are_found_where_regexec_finds_them)
{
  support_random random = { 3 };
  size_t n, found = 0, compared = 0;
  for (n = 0; n < support_scaled(20000); n++) {
    char pattern[MOST_PATTERN] = "", text[65];
    const int ignore_case = (int)support_below(&random, 2);
    regex_t regex;
    int32_t code;
    unsigned i;
    append_anchored(&random, pattern);
    code = compile(pattern, 0, ignore_case);
    if (code == 1) continue;   /* too many places */
    ck_assert_msg(code == 0, "'%s' gave code %d", pattern, code);
    ck_assert_int_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB | (ignore_case ? REG_ICASE : 0)), 0);
    for (i = 0; i < 8; i++, compared++) {
      const size_t size = random_text(&random, text, 1u << i % 7);
      const int expected = regexec(&regex, text, 0, NULL, 0) == 0;
      ck_assert_msg(matches(text, size) == expected, "'%s' in '%s': not %d (ignore_case %d)", pattern, text, expected,
                    ignore_case);
      found += (size_t)expected;
    }
    regfree(&regex);
  }
  ck_assert_uint_gt(found, compared / 10);   /* it was not all one answer */
  ck_assert_uint_lt(found, compared - compared / 10);
}
END_TEST

START_TEST(anchors_may_stand_anywhere)
{
  static const struct { const char *pattern, *text; int found; } cases[] = {
    { "(^a|b)c", "ac", 1 }, { "(^a|b)c", "xac", 0 }, { "(^a|b)c", "xbc", 1 }, { "a(b$|c)", "xab", 1 },
    { "a(b$|c)", "abx", 0 }, { "a(b$|c)", "acx", 1 }, { "^^a", "a", 1 }, { "a$$", "a", 1 }, { "^^a", "ba", 0 },
    { "(^a)*b", "ab", 1 }, { "(^a)+b", "cab", 0 }, { "a^b", "ab", 0 }, { "a$b", "ab", 0 }, { "$^", "", 1 },
    { "^$", "", 1 }, { "^$", "a", 0 }, { "$", "a", 1 }, { "^", "", 1 }, { "$a", "a", 0 }, { "a^", "a", 0 },
    { "(^|x)a", "a", 1 }, { "(^|x)a", "ba", 0 }, { "(^|x)a", "bxa", 1 }, { "a(x|$)", "ba", 1 }, { "a(x|$)", "ab", 0 },
    { "x*$", "abc", 1 }, { "^x*$", "xxx", 1 }, { "^x*$", "xyx", 0 }, { "^a|b$", "cb", 1 }, { "^a|b$", "ca", 0 },
    { ".^[ab][^a]", "x\n.BdB\nbca", 0 }, { "^b", "a\nb", 0 }, { "a$", "a\n", 0 },
  };
  size_t i;
  for (i = 0; i < SUITE_COUNT(cases); i++) {
    ck_assert_int_eq(compile(cases[i].pattern, 0, 0), 0);
    ck_assert_msg(matches(cases[i].text, strlen(cases[i].text)) == cases[i].found, "'%s' in '%s': not %d",
                  cases[i].pattern, cases[i].text, cases[i].found);
  }
}
END_TEST

START_TEST(what_is_not_in_the_subset_is_refused)
{
  static const struct { const char *pattern; int32_t code; } cases[] = {
    { "(", 2 }, { ")", 2 }, { "a)", 2 }, { "((a)", 2 }, { "*", 4 }, { "a|*", 4 }, { "(*a)", 4 }, { "(+", 4 },
    { "^*", 4 }, { "$?", 4 }, { "[", 5 }, { "[a", 5 }, { "[]", 5 }, { "[^]", 5 }, { "[z-a]", 5 }, { "[[:alpha:]]", 5 },
    { "[[=a=]]", 5 }, { "\\", 6 }, { "a\\", 6 }, { "\\d", 6 }, { "\\<a", 6 }, { "a{2}", 7 }, { "}", 7 },
    { "((((((((((((((((a))))))))))))))))", 0 }, { "(((((((((((((((((a)))))))))))))))))", 3 },
    { "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl", 0 },
    { "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklm", 1 },
    { "", 0 }, { "()", 0 }, { "a||b", 0 }, { "a**", 0 }, { "[]a]", 0 }, { "[^]a]", 0 }, { "[a-]", 0 }, { "]", 0 },
    { "\\{2\\}\\\\\\-\\/", 0 },
  };
  size_t i;
  for (i = 0; i < SUITE_COUNT(cases); i++) {
    const int32_t code = compile(cases[i].pattern, 0, 0);
    ck_assert_msg(code == cases[i].code, "'%s' gave code %d, not %d", cases[i].pattern, code, cases[i].code);
  }
}
END_TEST

START_TEST(any_bytes_are_a_pattern_or_a_code)
{
  support_random random = { 4 };
  size_t n;
  for (n = 0; n < support_scaled(100000); n++) {
    static const char bytes[] = "ab(((|)))[[]]^-*+?.\\${}:=\xff";
    char pattern[48];
    size_t size = support_below(&random, sizeof pattern), i;
    int32_t code;
    for (i = 0; i < size; i++) pattern[i] = bytes[support_below(&random, sizeof bytes - 1)];
    pattern[size] = 0;
    code = compile(pattern, 0, (int)support_below(&random, 2));
    ck_assert_msg(code >= 0 && code <= 7, "'%s' gave code %d", pattern, code);
    if (code == 0) matches("ab(", 3);
  }
}
END_TEST

/* ------------------------------------------------------------------------------------------------ through a queue */

static const struct { const char *pattern; int ignore_case; } patterns[] = {
  { "^(GET|POST) .* 5[0-9]+$", 0 }, { "a(b|c)*d", 0 }, { "^$", 0 }, { "", 0 }, { "hello", 1 },
  { "(ab|cd)+x?[^a-z]|..........................................$", 0 },   /* more than 40 places */
};

START_TEST(messages_of_every_size_are_matched)
{
  support_random random = { 5 };
  size_t p, i;
  for (p = 0; p < SUITE_COUNT(patterns); p++) {
    static const char *const lines[] = { "GET / 503", "POST /a b 59", "POST 5", "xGET / 500", "abcbcd", "ad", "HeLLo",
                                         "hell", "help" };
    char pattern[128], *text = malloc(100001);
    const char *const args[] = { pattern, patterns[p].ignore_case ? "ignore_case=1" : "ignore_case=0", NULL };
    regex_t regex;
    shipped test;
    ck_assert_ptr_nonnull(text);
    snprintf(pattern, sizeof pattern, "pattern=%s", patterns[p].pattern);
    ck_assert_int_eq(regcomp(&regex, patterns[p].pattern, REG_EXTENDED | REG_NOSUB |
                                                          (patterns[p].ignore_case ? REG_ICASE : 0)), 0);
    shipped_open(&test, "match", GQ_SCOPE_AUTO, args);
    for (i = 0; i < SUITE_COUNT(lines); i++)
      shipped_send_text(&test, lines[i], strlen(lines[i]), regexec(&regex, lines[i], 0, NULL, 0) ? "0" : "1");
    for (i = 0; i < 1000; i++) {
      const size_t size = random_text(&random, text, i < 500 ? 20 : 500);
      shipped_send_text(&test, text, size, regexec(&regex, text, 0, NULL, 0) ? "0" : "1");
    }
    memset(text, 'a', 100000);
    memcpy(text + 99980, "GET / 5acdhello: 500", 20), text[100000] = 0;
    shipped_send_text(&test, text, 100000, regexec(&regex, text, 0, NULL, 0) ? "0" : "1");
    shipped_close(&test);
    regfree(&regex);
    free(text);
  }
}
END_TEST

START_TEST(a_fixed_pattern_is_taken_as_it_is)
{
  static const char *const args[] = { "pattern=a.(b*", "fixed=1", NULL };
  shipped test;
  shipped_open(&test, "match", GQ_SCOPE_AUTO, args);
  shipped_send_text(&test, "xa.(b*y", 7, "1");
  shipped_send_text(&test, "xax(b*y", 7, "0");
  shipped_send_text(&test, "a\0.(b*", 6, "0");
  shipped_send_text(&test, "\0\xff" "a.(b*", 7, "1");
  shipped_send_text(&test, "a.(b", 4, "0");
  shipped_close(&test);
}
END_TEST

START_TEST(a_bad_pattern_opens_no_queue)
{
  shipped_refuses_argument("match", "pattern=(a", 2);
  shipped_refuses_argument("match", "pattern=[z-a]", 5);
}
END_TEST

int main(void)
{
  static const suite_test tests[] = {
    SUITE_TEST_ONCE(random_patterns_are_found_where_regexec_finds_them),
    SUITE_TEST_ONCE(anchors_may_stand_anywhere),
    SUITE_TEST_ONCE(what_is_not_in_the_subset_is_refused),
    SUITE_TEST_ONCE(any_bytes_are_a_pattern_or_a_code),
    SUITE_TEST(messages_of_every_size_are_matched),
    SUITE_TEST(a_fixed_pattern_is_taken_as_it_is),
    SUITE_TEST(a_bad_pattern_opens_no_queue),
  };
  return suite_main("test_match", tests, SUITE_COUNT(tests));
}
