/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TEMPORARY ".new-"
#define SUFFIX ".gqh"     /* of every entry's name: see gq_key_end() */
#define TEMPORARY_SECONDS 3600 /* a temporary file this old has lost its writer */

static void refuse(gq_cache *cache, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void refuse(gq_cache *cache, const char *format, ...)
{
  va_list arguments;

  va_start(arguments, format);
  vsnprintf(cache->why_not, sizeof cache->why_not, format, arguments);
  va_end(arguments);
}

/* Make the directories of `path`, all but its last part as the user's umask says, the last one private. */
static void make_directories(char *path)
{
  for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    mkdir(path, 0777);
    *slash = '/';
  }
  mkdir(path, 0700);
}

void gq_cache_open(gq_cache *cache)
{
  char path[PATH_MAX];
  struct stat facts;
  int fd;

  cache->directory = -1;
  cache->why_not[0] = '\0';
  if (!gq_user_directory("XDG_CACHE_HOME", ".cache", path, sizeof path)) {
    refuse(cache, "neither XDG_CACHE_HOME nor HOME is an absolute path");
    return;
  }
  fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) {
    make_directories(path);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  }
  if (fd < 0) {
    refuse(cache, "%.400s: %s", path, errno == ENOTDIR || errno == ELOOP ? "is not a directory (a link is not followed)"
                                                                          : strerror(errno));
  } else if (fstat(fd, &facts) != 0 || facts.st_uid != geteuid()) {
    refuse(cache, "%.400s: belongs to another user", path);
  } else if (facts.st_mode & (S_IWGRP | S_IWOTH)) {
    refuse(cache, "%.400s: others may write to it (chmod go-w)", path);
  } else {
    cache->directory = fd;
    return;
  }
  if (fd >= 0) close(fd);
}

void gq_cache_close(gq_cache *cache)
{
  if (cache->directory >= 0) close(cache->directory);
  cache->directory = -1;
}

bool gq_cache_get(const gq_cache *cache, const char *name, size_t most, gq_bytes *bytes)
{
  struct stat facts;
  bool have = false;
  int fd;

  if (cache->directory < 0) return false;
  fd = openat(cache->directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return false;
  if (fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_uid == geteuid() &&
      !(facts.st_mode & (S_IWGRP | S_IWOTH)) && (uint64_t)facts.st_size <= most)
    have = gq_read_all(fd, (size_t)facts.st_size, bytes) == 0;
  if (have) futimens(fd, NULL); /* used just now: see sweep() */
  close(fd);
  return have;
}

/* What a directory's entry is to the sweep: the time at which it was last used. */
typedef struct swept { int64_t used; char name[NAME_MAX + 1]; } swept;

static int compare_use(const void *a, const void *b)
{
  const int64_t left = ((const swept *)a)->used, right = ((const swept *)b)->used;

  return left < right ? -1 : left > right;
}

/* Nothing else is ever removed: the directory may be one that the user has for other things, too. */
static bool is_entry(const char *name)
{
  const size_t length = strlen(name), tail = strlen(SUFFIX);

  return length > tail && strcmp(name + length - tail, SUFFIX) == 0;
}

/* Remove temporary files that were left behind, and the oldest entries where there are too many. */
static void sweep(const gq_cache *cache)
{
  const int fd = openat(cache->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *directory = fd < 0 ? NULL : fdopendir(fd);
  const time_t now = time(NULL);
  const struct dirent *entry;
  size_t count = 0, room = 0;
  swept *found = NULL;

  if (!directory) {
    if (fd >= 0) close(fd);
    return;
  }
  while ((entry = readdir(directory)) != NULL) {
    struct stat facts;

    if (fstatat(fd, entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(facts.st_mode)) continue;
    if (strncmp(entry->d_name, TEMPORARY, strlen(TEMPORARY)) == 0) {
      if (now - facts.st_mtim.tv_sec > TEMPORARY_SECONDS) unlinkat(fd, entry->d_name, 0);
      continue;
    }
    if (!is_entry(entry->d_name)) continue;
    if (count == room) {
      swept *more = realloc(found, (room = room ? 2 * room : 64) * sizeof *found);

      if (!more) break;
      found = more;
    }
    found[count].used = (int64_t)facts.st_mtim.tv_sec * 1000000000 + facts.st_mtim.tv_nsec;
    snprintf(found[count++].name, sizeof found->name, "%s", entry->d_name);
  }
  if (count > GQ_CACHE_ENTRIES) {
    qsort(found, count, sizeof *found, compare_use);
    for (size_t i = 0; i < count - GQ_CACHE_ENTRIES; i++) unlinkat(fd, found[i].name, 0);
  }
  free(found);
  closedir(directory);
}

bool gq_cache_put(const gq_cache *cache, const char *name, const void *data, size_t size)
{
  char temporary[64];
  uint64_t number = 0;
  bool done = false;
  int fd;

  if (cache->directory < 0) return false;
  if (getrandom(&number, sizeof number, GRND_NONBLOCK) < 0) number = (uint64_t)time(NULL);
  snprintf(temporary, sizeof temporary, TEMPORARY "%ld-%016llx", (long)getpid(), (unsigned long long)number);
  fd = openat(cache->directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  done = gq_write_all(fd, data, size) == 0 && fsync(fd) == 0;
  if (close(fd) != 0) done = false;
  if (done) done = renameat(cache->directory, temporary, cache->directory, name) == 0;
  if (done) sweep(cache);
  else unlinkat(cache->directory, temporary, 0);
  return done;
}
