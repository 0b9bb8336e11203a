/* SPDX-License-Identifier: Apache-2.0 */
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"

void gq_bytes_free(gq_bytes *bytes)
{
  free(bytes->data);
  bytes->data = NULL;
  bytes->size = 0;
}

int gq_read_all(int fd, size_t size, gq_bytes *bytes)
{
  uint8_t *data = malloc(size + 1);
  size_t have = 0;

  if (!data) return ENOMEM;
  while (have <= size) { /* one byte more is asked for: a file that grows is noticed */
    const ssize_t got = read(fd, data + have, size + 1 - have);

    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const int error = errno;

      free(data);
      return error;
    }
    if (got == 0) break;
    have += (size_t)got;
  }
  if (have != size) {
    free(data);
    return EAGAIN;
  }
  data[size] = '\0';
  bytes->data = data;
  bytes->size = size;
  return 0;
}

int gq_write_all(int fd, const void *data, size_t size)
{
  const uint8_t *from = data;

  while (size > 0) {
    const ssize_t put = write(fd, from, size);

    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return put < 0 ? errno : ENOSPC;
    from += put;
    size -= (size_t)put;
  }
  return 0;
}

gq_status gq_read_file(const char *path, size_t most, gq_bytes *bytes)
{
  /* not to be held up by a FIFO that nobody writes to */
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  struct stat facts;
  gq_status status = GQ_OK;
  int error;

  if (fd < 0) return gq_fail(GQ_INVALID, "%s: %s", path, strerror(errno));
  if (fstat(fd, &facts) != 0) status = gq_fail(GQ_INVALID, "%s: %s", path, strerror(errno));
  else if (!S_ISREG(facts.st_mode))
    status = gq_fail(GQ_INVALID, "%s: is %s, not a regular file", path,
                     S_ISDIR(facts.st_mode) ? "a directory" : "a device or pipe");
  else if ((uint64_t)facts.st_size > most)
    status = gq_fail(GQ_INVALID, "%s: has %llu bytes; at most %zu are read", path, (unsigned long long)facts.st_size,
                     most);
  else if ((error = gq_read_all(fd, (size_t)facts.st_size, bytes)) != 0)
    status = error == ENOMEM ? gq_fail(GQ_NO_MEMORY, "%s: no memory for its %llu bytes", path,
                                       (unsigned long long)facts.st_size)
                             : gq_fail(GQ_INVALID, "%s: %s", path, error == EAGAIN ? "changed while it was read"
                                                                                    : strerror(error));
  close(fd);
  return status;
}

bool gq_user_directory(const char *variable, const char *fallback, char *path, size_t size)
{
  const char *value = secure_getenv(variable), *home = secure_getenv("HOME");
  struct passwd entry, *found = NULL;
  char text[1024];
  int length;

  if (value && value[0] == '/') {
    length = snprintf(path, size, "%s/gpuqueue", value);
  } else {
    if ((!home || home[0] != '/') && getpwuid_r(getuid(), &entry, text, sizeof text, &found) == 0 && found)
      home = found->pw_dir;
    if (!home || home[0] != '/') return false;
    length = snprintf(path, size, "%s/%s/gpuqueue", home, fallback);
  }
  return length > 0 && (size_t)length < size;
}

gq_status gq_scratch_directory(char *path)
{
  const char *base = secure_getenv("TMPDIR");
  const int length = snprintf(path, PATH_MAX, "%s/gpuqueue.XXXXXX", base && base[0] == '/' ? base : "/tmp");

  if (length >= PATH_MAX) return gq_fail(GQ_SYSTEM, "TMPDIR is longer than a path may be");
  if (mkdtemp(path)) return GQ_OK;
  return gq_fail(GQ_SYSTEM, "no directory for temporary files, %s: %s (TMPDIR says where)", path, strerror(errno));
}

static void remove_all(int parent, const char *name, int depth)
{
  const int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *directory = fd < 0 ? NULL : fdopendir(fd);
  const struct dirent *entry;

  if (!directory) {
    if (fd >= 0) close(fd);
    return;
  }
  while ((entry = readdir(directory)) != NULL) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (unlinkat(fd, entry->d_name, 0) != 0 && depth > 0) remove_all(fd, entry->d_name, depth - 1);
  }
  closedir(directory);
  unlinkat(parent, name, AT_REMOVEDIR);
}

void gq_scratch_remove(const char *path)
{
  remove_all(AT_FDCWD, path, 1);
}
