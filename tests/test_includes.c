/* SPDX-License-Identifier: Apache-2.0 */
/* Which files count as included: the cache's key changes with each of them, wherever it is named. */
#include "suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/compile.h"

static char base[64];

static void set_up(void)
{
  snprintf(base, sizeof base, "/tmp/gq-includes.XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(base));
}

static void tear_down(void)
{
  gq_scratch_remove(base);
}

static const char *path_of(const char *name)
{
  static char path[192];

  snprintf(path, sizeof path, "%s/%s", base, name);
  return path;
}

static void write_text(const char *name, const char *text)
{
  FILE *file = fopen(path_of(name), "w");

  ck_assert_ptr_nonnull(file);
  ck_assert_int_ge(fputs(text, file), 0);
  ck_assert_int_eq(fclose(file), 0);
}

static gq_status add(const char *text, const char *flags, uint8_t digest[GQ_DIGEST_BYTES])
{
  const gq_source source = {text, "my.c", base, flags, NULL};
  char **words;
  gq_status status;
  gq_digest d;

  assert_status(gq_split_flags(flags, &words), GQ_OK);
  gq_digest_begin(&d);
  status = gq_key_add_source(&d, &source, words);
  gq_digest_end(&d, digest);
  free(words);
  return status;
}

/* A change of the file must change the key of a source with that text and those flags, in which %s is the directory. */
static void expect_counts(const char *file, const char *text, const char *flags)
{
  uint8_t before[GQ_DIGEST_BYTES], same[GQ_DIGEST_BYTES], after[GQ_DIGEST_BYTES];
  char all_flags[256];

  snprintf(all_flags, sizeof all_flags, flags, base);
  write_text(file, "int a;\n");
  assert_status(add(text, all_flags, before), GQ_OK);
  assert_status(add(text, all_flags, same), GQ_OK);
  ck_assert_msg(memcmp(before, same, sizeof before) == 0, "%s: the key is not always the same", flags);
  write_text(file, "int b;\n");
  assert_status(add(text, all_flags, after), GQ_OK);
  ck_assert_msg(memcmp(before, after, sizeof before) != 0, "a change of %s is not noticed with '%s' and flags '%s'",
                file, text, flags);
}

START_TEST(every_way_to_include_counts)
{
  set_up();
  ck_assert_int_eq(mkdir(path_of("d"), 0700), 0);
  expect_counts("a.h", "#include \"a.h\"\n", "");
  expect_counts("a.h", "  # include <a.h>\n", "-I%s");
  expect_counts("a.h", "#include <a.h>\n", "-I %s");
  expect_counts("a.h", "#include <a.h>\n", "-isystem %s");
  expect_counts("a.h", "#include <a.h>\n", "-isystem%s");
  expect_counts("a.h", "#include \"a.h\"\n", "-iquote %s");
  expect_counts("a.h", "#include <a.h>\n", "-idirafter %s");
  expect_counts("a.h", "", "-include %s/a.h");
  expect_counts("a.h", "", "-imacros %s/a.h");
  expect_counts("flags", "", "@%s/flags");
  expect_counts("d/a.h", "#include <a.h>\n", "-Inone -I%s/d -include");
  tear_down();
}
END_TEST

/* A compiler looks for what a file includes where the link to it lies. */
START_TEST(links_are_looked_at_where_they_lie)
{
  set_up();
  ck_assert_int_eq(mkdir(path_of("d"), 0700), 0);
  write_text("d/a.h", "#include \"b.h\"\n");
  ck_assert_int_eq(symlink("d/a.h", path_of("a.h")), 0);
  expect_counts("b.h", "#include \"a.h\"\n", "");
  expect_counts("d/b.h", "#include \"d/a.h\"\n", "");
  tear_down();
}
END_TEST

START_TEST(files_that_include_each_other_come_to_an_end)
{
  uint8_t digest[GQ_DIGEST_BYTES];

  set_up();
  ck_assert_int_eq(mkdir(path_of("d"), 0700), 0);
  write_text("a.h", "#include \"d/b.h\"\n");
  write_text("d/b.h", "#include \"../d/../a.h\"\n");
  assert_status(add("#include \"a.h\"\n", "", digest), GQ_OK);
  tear_down();
}
END_TEST

/* A compiler would wait for, or read, such a file for ever. */
START_TEST(devices_and_pipes_are_refused)
{
  uint8_t digest[GQ_DIGEST_BYTES];

  set_up();
  ck_assert_int_eq(mkfifo(path_of("pipe.h"), 0600), 0);
  assert_status(add("#include \"pipe.h\"\n", "", digest), GQ_BAD_HANDLER);
  assert_error_says("pipe.h, which is a device or pipe");
  write_text("a.h", "#include \"zero.h\"\n");
  ck_assert_int_eq(symlink("/dev/zero", path_of("zero.h")), 0);
  assert_status(add("#include \"a.h\"\n", "", digest), GQ_BAD_HANDLER);
  assert_error_says("zero.h, which is a device or pipe");
  assert_status(add("#include \"/dev/zero\"\n", "", digest), GQ_BAD_HANDLER);
  assert_status(add("#include \".\"\n", "", digest), GQ_OK); /* directories are passed over, as compilers do */
  tear_down();
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST_ONCE(every_way_to_include_counts),
    SUITE_TEST_ONCE(links_are_looked_at_where_they_lie),
    SUITE_TEST_ONCE(files_that_include_each_other_come_to_an_end),
    SUITE_TEST_ONCE(devices_and_pipes_are_refused),
  };

  return suite_main("test_includes", tests, SUITE_COUNT(tests));
}
