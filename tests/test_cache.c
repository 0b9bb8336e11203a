/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of compiled handlers: many writers at once, other people's files, links, and directories that are not there
 * or not to be trusted. */
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cache.h"

static char base[64], directory[96], entry[160];

static void set_up(void)
{
  snprintf(base, sizeof base, "/tmp/gq-cache.XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(base));
  snprintf(directory, sizeof directory, "%s/gpuqueue", base);
  snprintf(entry, sizeof entry, "%s/e.gqh", directory);
  ck_assert_int_eq(setenv("XDG_CACHE_HOME", base, 1), 0);
}

static void tear_down(void)
{
  unlink(directory); /* in case it is a link */
  gq_scratch_remove(directory);
  gq_scratch_remove(base);
}

static gq_cache open_cache(void)
{
  gq_cache cache;

  gq_cache_open(&cache);
  return cache;
}

static size_t entries(void)
{
  return support_count_entries(directory) - 2; /* "." and ".." */
}

/* What the entry holds, "" if there is none. */
static const char *get(const gq_cache *cache)
{
  static char text[64];
  gq_bytes bytes;

  text[0] = '\0';
  if (!gq_cache_get(cache, "e.gqh", 63, &bytes)) return text;
  memcpy(text, bytes.data, bytes.size + 1);
  gq_bytes_free(&bytes);
  return text;
}

START_TEST(what_is_kept_comes_back)
{
  struct stat facts;
  gq_cache cache;

  set_up();
  cache = open_cache();
  ck_assert_str_eq(cache.why_not, "");
  ck_assert_str_eq(get(&cache), "");
  ck_assert(gq_cache_put(&cache, "e.gqh", "first", 5));
  ck_assert_str_eq(get(&cache), "first");
  ck_assert(gq_cache_put(&cache, "e.gqh", "second", 6));
  gq_cache_close(&cache);
  cache = open_cache();
  ck_assert_str_eq(get(&cache), "second");
  ck_assert_int_eq(stat(directory, &facts), 0);
  ck_assert_uint_eq(facts.st_mode & 0777, 0700);
  ck_assert_int_eq(stat(entry, &facts), 0);
  ck_assert_uint_eq(facts.st_mode & 0777, 0600);
  ck_assert_uint_eq(entries(), 1);
  gq_bytes bytes;
  ck_assert_msg(!gq_cache_get(&cache, "e.gqh", 5, &bytes), "an entry that is too large was read");
  gq_cache_close(&cache);
  tear_down();
}
END_TEST

START_TEST(other_peoples_files_are_not_used)
{
  gq_cache cache;

  set_up();
  cache = open_cache();
  ck_assert(gq_cache_put(&cache, "e.gqh", "mine", 4));
  ck_assert_int_eq(chmod(entry, 0620), 0);
  ck_assert_str_eq(get(&cache), "");
  ck_assert_int_eq(chmod(entry, 0602), 0);
  ck_assert_str_eq(get(&cache), "");
  ck_assert_int_eq(chmod(entry, 0644), 0);
  ck_assert_str_eq(get(&cache), "mine");
  if (geteuid() == 0) {
    ck_assert_int_eq(chown(entry, 12345, 12345), 0);
    ck_assert_str_eq(get(&cache), "");
    ck_assert_msg(gq_cache_put(&cache, "e.gqh", "again", 5), "another user's file in an own directory stays");
    ck_assert_str_eq(get(&cache), "again");
  }
  gq_cache_close(&cache);
  tear_down();
}
END_TEST

START_TEST(other_peoples_directories_are_not_used)
{
  gq_cache cache;

  set_up();
  ck_assert_int_eq(mkdir(directory, 0700), 0);
  ck_assert_int_eq(chmod(directory, 0770), 0);
  cache = open_cache();
  ck_assert_int_eq(cache.directory, -1);
  ck_assert_ptr_nonnull(strstr(cache.why_not, "others may write to it"));
  ck_assert(!gq_cache_put(&cache, "e.gqh", "x", 1));
  ck_assert_str_eq(get(&cache), "");
  ck_assert_int_eq(chmod(directory, 0700), 0);
  if (geteuid() == 0) {
    ck_assert_int_eq(chown(directory, 12345, 12345), 0);
    cache = open_cache();
    ck_assert_int_eq(cache.directory, -1);
    ck_assert_ptr_nonnull(strstr(cache.why_not, "belongs to another user"));
  }
  tear_down();
}
END_TEST

START_TEST(links_are_not_followed)
{
  char elsewhere[160], other[96];
  gq_cache cache;
  struct stat facts;
  int fd;

  set_up();
  cache = open_cache();
  snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", directory);
  fd = open(elsewhere, O_WRONLY | O_CREAT, 0600);
  ck_assert_int_eq((int)write(fd, "evil", 4), 4);
  close(fd);
  ck_assert_int_eq(symlink(elsewhere, entry), 0);
  ck_assert_str_eq(get(&cache), "");
  ck_assert(gq_cache_put(&cache, "e.gqh", "mine", 4));
  ck_assert_str_eq(get(&cache), "mine");
  ck_assert_int_eq(lstat(entry, &facts), 0);
  ck_assert(S_ISREG(facts.st_mode));
  ck_assert_int_eq(stat(elsewhere, &facts), 0);
  ck_assert_int_eq((int)facts.st_size, 4);
  unlink(entry);
  ck_assert_int_eq(mkfifo(entry, 0600), 0);
  ck_assert_str_eq(get(&cache), ""); /* and does not wait for a writer */
  gq_cache_close(&cache);
  tear_down();

  set_up();
  snprintf(other, sizeof other, "%s/other", base);
  ck_assert_int_eq(mkdir(other, 0700), 0);
  ck_assert_int_eq(symlink(other, directory), 0);
  cache = open_cache();
  ck_assert_int_eq(cache.directory, -1);
  gq_scratch_remove(other);
  tear_down();
}
END_TEST

START_TEST(a_cache_that_cannot_be_is_no_error)
{
  gq_cache cache;

  ck_assert_int_eq(setenv("XDG_CACHE_HOME", "/proc/nowhere", 1), 0);
  cache = open_cache();
  ck_assert_int_eq(cache.directory, -1);
  ck_assert_str_ne(cache.why_not, "");
  ck_assert(!gq_cache_put(&cache, "e.gqh", "x", 1));
  ck_assert_str_eq(get(&cache), "");
  gq_cache_close(&cache);
  set_up();
  char *home = getenv("HOME") ? strdup(getenv("HOME")) : NULL;
  ck_assert_int_eq(setenv("XDG_CACHE_HOME", "relative/path", 1), 0); /* does not count, says the specification */
  ck_assert_int_eq(setenv("HOME", base, 1), 0);
  cache = open_cache();
  ck_assert_str_eq(cache.why_not, "");
  gq_cache_close(&cache);
  snprintf(directory, sizeof directory, "%s/.cache", base);
  gq_scratch_remove(directory);
  if (home) setenv("HOME", home, 1);
  free(home);
  tear_down();
}
END_TEST

/* Children write different whole texts and read; a text that is mixed or cut is the failure. */
static int write_and_read(int number)
{
  static char text[40000], letter[2];
  gq_cache cache = open_cache();

  letter[0] = (char)('a' + number);
  for (int round = 0; round < 200; round++) {
    const size_t size = 10000 + (size_t)(number * 5000);
    gq_bytes bytes;

    memset(text, letter[0], size);
    if (round % 4 == 0 && !gq_cache_put(&cache, "race.gqh", text, size)) return 2;
    if (!gq_cache_get(&cache, "race.gqh", sizeof text, &bytes)) return 3;
    memset(text, bytes.data[0], bytes.size);
    if (bytes.size != 10000 + (size_t)(bytes.data[0] - 'a') * 5000 || memcmp(text, bytes.data, bytes.size) != 0) return 4;
    gq_bytes_free(&bytes);
  }
  gq_cache_close(&cache);
  return 0;
}

START_TEST(many_processes_write_at_once)
{
  enum { CHILDREN = 6 };
  gq_cache cache;
  pid_t children[CHILDREN];

  set_up();
  for (int i = 0; i < CHILDREN; i++) {
    children[i] = fork();
    if (children[i] == 0) _exit(write_and_read(i));
  }
  for (int i = 0; i < CHILDREN; i++) {
    int status = -1;

    ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
    ck_assert_msg(status == 0, "child %d ended with status %#x", i, (unsigned)status);
  }
  cache = open_cache();
  ck_assert_uint_eq(entries(), 1);
  gq_cache_close(&cache);
  tear_down();
}
END_TEST

START_TEST(it_does_not_grow_without_end)
{
  struct timespec old[2] = {{1, 0}, {1, 0}};
  char name[64];
  gq_cache cache;
  int fd;

  set_up();
  cache = open_cache();
  fd = openat(cache.directory, ".new-1-0", O_WRONLY | O_CREAT, 0600); /* its writer was killed long ago */
  ck_assert_int_eq(futimens(fd, old), 0);
  close(fd);
  ck_assert(gq_cache_put(&cache, "e.gqh", "old", 3));
  ck_assert_int_eq(utimensat(AT_FDCWD, entry, old, 0), 0);
  for (unsigned i = 0; i < GQ_CACHE_ENTRIES; i++) {
    snprintf(name, sizeof name, "%u.gqh", i);
    fd = openat(cache.directory, name, O_WRONLY | O_CREAT, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
  }
  fd = openat(cache.directory, "thesis.txt", O_WRONLY | O_CREAT, 0600); /* older than all, and not the cache's */
  ck_assert_int_eq(futimens(fd, old), 0);
  close(fd);
  ck_assert(gq_cache_put(&cache, "new.gqh", "new", 3));
  ck_assert_uint_eq(entries(), GQ_CACHE_ENTRIES + 1);
  ck_assert_int_eq(faccessat(cache.directory, "thesis.txt", F_OK, 0), 0);
  ck_assert_str_eq(get(&cache), "");
  gq_cache_close(&cache);
  tear_down();
}
END_TEST

int main(void)
{
  const suite_test tests[] = {
    SUITE_TEST_ONCE(what_is_kept_comes_back),
    SUITE_TEST_ONCE(other_peoples_files_are_not_used),
    SUITE_TEST_ONCE(other_peoples_directories_are_not_used),
    SUITE_TEST_ONCE(links_are_not_followed),
    SUITE_TEST_ONCE(a_cache_that_cannot_be_is_no_error),
    SUITE_TEST_ONCE(many_processes_write_at_once),
    SUITE_TEST_ONCE(it_does_not_grow_without_end),
  };

  return suite_main("test_cache", tests, SUITE_COUNT(tests));
}
