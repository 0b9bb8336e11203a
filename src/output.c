/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"

#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIPE_BYTES = 1024 * 1024 }; /* what any user may have, unless the system says otherwise */

void output_init(struct output *output, int fd, const char *name)
{
  output->fd = fd;
  output->name = name;
  output->error = 0;
  output->used = 0;
  output->buffer = allocate(OUTPUT_BUFFER_BYTES);
  output_widen_pipe(fd);
}

void output_widen_pipe(int fd)
{
  const int now = fcntl(fd, F_GETPIPE_SZ);

  if (now >= 0 && now < PIPE_BYTES) fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES); /* refused past a user's share: no harm */
}

static bool write_all(struct output *output, const char *data, size_t size)
{
  while (size > 0) {
    ssize_t written = write(output->fd, data, size);
    if (written >= 0) {
      data += written;
      size -= (size_t)written;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      /* somebody else made the descriptor non-blocking */
      struct pollfd ready = {.fd = output->fd, .events = POLLOUT};
      poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      output->error = errno;
      return false;
    }
  }
  return true;
}

bool output_flush(struct output *output)
{
  const size_t used = output->used;

  if (output->error) return false;
  output->used = 0;
  return write_all(output, output->buffer, used);
}

/** Room for \p size bytes in the buffer, or NULL after an error. */
static char *make_room(struct output *output, size_t size)
{
  if (output->error) return NULL;
  if (OUTPUT_BUFFER_BYTES - output->used < size && !output_flush(output)) return NULL;
  return output->buffer + output->used;
}

bool output_write(struct output *output, const void *data, size_t size)
{
  char *to;

  if (size == 0) return !output->error;
  if (size >= OUTPUT_BUFFER_BYTES / 2) return output_flush(output) && write_all(output, data, size);
  to = make_room(output, size);
  if (!to) return false;
  memcpy(to, data, size);
  output->used += size;
  return true;
}

bool output_base64(struct output *output, const uint8_t *data, size_t size)
{
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

  while (size > 0) {
    const size_t piece = size < 3 ? size : 3;
    const uint32_t bits =
      (uint32_t)data[0] << 16 | (piece > 1 ? (uint32_t)data[1] << 8 : 0) | (piece > 2 ? data[2] : 0);
    char *to = make_room(output, 4);
    if (!to) return false;
    to[0] = digits[bits >> 18];
    to[1] = digits[bits >> 12 & 63];
    to[2] = piece > 1 ? digits[bits >> 6 & 63] : '=';
    to[3] = piece > 2 ? digits[bits & 63] : '=';
    output->used += 4;
    data += piece;
    size -= piece;
  }
  return !output->error;
}

bool output_is_file(const struct output *output, int fd)
{
  struct stat one, other;

  return fstat(fd, &one) == 0 && fstat(output->fd, &other) == 0 && S_ISREG(one.st_mode) &&
         one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

bool output_say_error(const struct output *output)
{
  if (output->error && output->error != EPIPE) complain_about(output->name, "%s", strerror(output->error));
  return !output->error;
}

bool output_close(struct output *output)
{
  bool fine = output_flush(output);

  if (close(output->fd) != 0 && fine && errno != EINTR) {
    output->error = errno;
    fine = false;
  }
  free(output->buffer);
  output->buffer = NULL;
  return fine;
}
