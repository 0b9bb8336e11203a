/* SPDX-License-Identifier: Apache-2.0 */
#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../cli.h"

/* As large as an unprivileged process may have it: more than the batches of any point. */
#define PIPE_BYTES ((size_t)1 << 20)
#define RING_BYTES ((size_t)4 << 20)
enum { RING_MESSAGES = 4096 };
/* What the kernel counts for a small message in a socket, beside its bytes. */
#define SOCKET_OVERHEAD ((size_t)1024)

/* -------------------------------------------------------------------------------- a ring, a mutex, two conditions */

struct ring {
  pthread_mutex_t lock;
  pthread_cond_t filled, emptied;
  unsigned char *bytes;
  size_t head, tail;      /* messages ever put in and taken out */
  bool finished;
};

static bool ring_open(struct channel *channel, size_t batch)
{
  struct ring *ring = allocate(sizeof *ring);

  channel->room = RING_BYTES / channel->size < RING_MESSAGES ? RING_BYTES / channel->size : RING_MESSAGES;
  if (channel->room < 2 * batch) channel->room = 2 * batch;
  memset(ring, 0, sizeof *ring);
  ring->bytes = allocate(channel->room * channel->size);
  memset(ring->bytes, 0, channel->room * channel->size);
  pthread_mutex_init(&ring->lock, NULL);
  pthread_cond_init(&ring->filled, NULL);
  pthread_cond_init(&ring->emptied, NULL);
  channel->ring = ring;
  return true;
}

static bool ring_send(struct channel *channel, const void *const *messages, size_t count)
{
  struct ring *ring = channel->ring;
  size_t i = 0;

  pthread_mutex_lock(&ring->lock);
  while (i < count) {
    while (ring->head - ring->tail == channel->room) pthread_cond_wait(&ring->emptied, &ring->lock);
    for (; i < count && ring->head - ring->tail < channel->room; i++, ring->head++)
      memcpy(ring->bytes + ring->head % channel->room * channel->size, messages[i], channel->size);
    pthread_cond_signal(&ring->filled);
  }
  pthread_mutex_unlock(&ring->lock);
  return true;
}

static size_t ring_receive(struct channel *channel, void *messages, size_t count)
{
  struct ring *ring = channel->ring;
  unsigned char *to = messages;
  size_t n = 0;

  pthread_mutex_lock(&ring->lock);
  while (ring->head == ring->tail && !ring->finished) pthread_cond_wait(&ring->filled, &ring->lock);
  for (; n < count && ring->tail < ring->head; n++, ring->tail++)
    memcpy(to + n * channel->size, ring->bytes + ring->tail % channel->room * channel->size, channel->size);
  pthread_cond_signal(&ring->emptied);
  pthread_mutex_unlock(&ring->lock);
  errno = 0;
  return n;
}

static void ring_finish(struct channel *channel)
{
  pthread_mutex_lock(&channel->ring->lock);
  channel->ring->finished = true;
  pthread_cond_signal(&channel->ring->filled);
  pthread_mutex_unlock(&channel->ring->lock);
}

static void ring_close(struct channel *channel)
{
  pthread_cond_destroy(&channel->ring->emptied);
  pthread_cond_destroy(&channel->ring->filled);
  pthread_mutex_destroy(&channel->ring->lock);
  free(channel->ring->bytes);
  free(channel->ring);
}

/* ------------------------------------------------------------------------------------------ through the kernel */

static void stream_buffer(struct channel *channel, size_t batch)
{
  channel->buffer_messages = batch;
  channel->buffer = allocate(batch * channel->size);
}

static bool pipe_open(struct channel *channel, size_t batch)
{
  int ends[2], bytes;

  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  bytes = fcntl(ends[1], F_SETPIPE_SZ, (int)PIPE_BYTES);
  if (bytes < 0) bytes = fcntl(ends[1], F_GETPIPE_SZ); /* the user's pipes have taken all that one may have */
  channel->from = ends[0];
  channel->to = ends[1];
  channel->room = bytes > 0 ? (size_t)bytes / channel->size : 1;
  stream_buffer(channel, batch);
  return true;
}

static bool socket_open(struct channel *channel, size_t batch)
{
  int ends[2], bytes = (int)PIPE_BYTES;
  socklen_t length = sizeof bytes;

  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return false;
  setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes); /* the kernel's limit is taken, if that is less */
  if (getsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &bytes, &length) != 0) bytes = 65536;
  channel->from = ends[0];
  channel->to = ends[1];
  channel->room = (size_t)bytes / (channel->size + SOCKET_OVERHEAD);
  stream_buffer(channel, batch);
  return true;
}

/** Whether messages lie one behind the other, as those of who answers do. */
static bool are_in_a_row(const void *const *messages, size_t count, size_t size)
{
  const unsigned char *first = messages[0];
  size_t i;

  for (i = 1; i < count; i++)
    if (messages[i] != first + i * size) return false;
  return true;
}

static bool stream_send(struct channel *channel, const void *const *messages, size_t count)
{
  const bool in_a_row = are_in_a_row(messages, count, channel->size);
  const unsigned char *at = in_a_row ? messages[0] : channel->buffer;
  size_t left = count * channel->size, i;

  for (i = 0; !in_a_row && i < count; i++)
    memcpy(channel->buffer + i * channel->size, messages[i], channel->size);
  while (left > 0) {
    const ssize_t written = write(channel->to, at, left);

    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    at += written;
    left -= (size_t)written;
  }
  return true;
}

static size_t stream_receive(struct channel *channel, void *messages, size_t count)
{
  unsigned char *to = messages;
  size_t had = 0;

  do {
    /* Whatever there is; then what completes the last message. */
    const size_t wanted = had ? channel->size - had % channel->size : count * channel->size;
    const ssize_t got = read(channel->from, to + had, wanted);

    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      if (got == 0) errno = had ? EIO : 0; /* ended within a message: cannot be */
      return 0;
    }
    had += (size_t)got;
  } while (had % channel->size);
  return had / channel->size;
}

static void stream_finish(struct channel *channel)
{
  close(channel->to);
  channel->to = -1;
}

static void stream_close(struct channel *channel)
{
  if (channel->to >= 0) close(channel->to);
  close(channel->from);
  free(channel->buffer);
}

const struct channel_kind channel_kinds[] = {
  {"mutex", "a ring between threads, with a mutex and conditions", ring_open, ring_send, ring_receive, ring_finish,
   ring_close},
  {"pipe", "a pipe between threads", pipe_open, stream_send, stream_receive, stream_finish, stream_close},
  {"socket", "a socket pair between threads", socket_open, stream_send, stream_receive, stream_finish, stream_close},
  {NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
