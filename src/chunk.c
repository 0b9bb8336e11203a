/* SPDX-License-Identifier: Apache-2.0 */
#include "chunk.h"

#include "cli.h"
#include "run.h"
#include "stop.h"
#include "timing.h"

#include <stdlib.h>
#include <string.h>

void chunks_init(struct chunks *chunks, size_t most, uint64_t limit)
{
  memset(chunks, 0, sizeof *chunks);
  pthread_mutex_init(&chunks->lock, NULL);
  condition_init(&chunks->filled);
  condition_init(&chunks->freed);
  chunks->last = &chunks->first;
  chunks->most = most;
  chunks->limit = limit;
}

void chunks_free(struct chunks *chunks)
{
  while (chunks->all) {
    struct chunk *chunk = chunks->all;
    chunks->all = chunk->older;
    free(chunk->data);
    free(chunk);
  }
  pthread_cond_destroy(&chunks->filled);
  pthread_cond_destroy(&chunks->freed);
  pthread_mutex_destroy(&chunks->lock);
}

static struct chunk *make_chunk(struct chunks *chunks)
{
  struct chunk *chunk = allocate(sizeof *chunk);

  chunk->capacity = CHUNK_BYTES;
  chunk->data = allocate(chunk->capacity);
  chunk->older = chunks->all;
  chunks->all = chunk;
  chunks->made++;
  chunks->bytes += chunk->capacity;
  return chunk;
}

/** Whether there may be one more; the one that the reader gives away next counts. */
static bool may_have_one(const struct chunks *chunks)
{
  if (chunks->sent + 1 >= chunks->limit) return false;
  return chunks->bytes < CHUNKS_BYTES && (chunks->spare || chunks->made < chunks->most);
}

struct chunk *chunks_get(struct chunks *chunks, int64_t *waited_ns)
{
  struct chunk *chunk = NULL;

  pthread_mutex_lock(&chunks->lock);
  if (!may_have_one(chunks)) {
    const int64_t begun_ns = clock_ns();
    while (!may_have_one(chunks) && !stop_requested())
      condition_wait(&chunks->freed, &chunks->lock, WAIT_SLICE_NS);
    *waited_ns += clock_ns() - begun_ns;
  }
  if (!stop_requested()) {
    chunk = chunks->spare;
    if (chunk) chunks->spare = chunk->next;
    else chunk = make_chunk(chunks);
    chunk->count = 0;
    chunk->next = NULL;
  }
  pthread_mutex_unlock(&chunks->lock);
  return chunk;
}

void chunks_grow(struct chunks *chunks, struct chunk *chunk, size_t capacity)
{
  chunk->data = reallocate(chunk->data, capacity);
  pthread_mutex_lock(&chunks->lock);
  chunks->bytes += capacity - chunk->capacity;
  pthread_mutex_unlock(&chunks->lock);
  chunk->capacity = capacity;
}

void chunks_send(struct chunks *chunks, struct chunk *chunk)
{
  pthread_mutex_lock(&chunks->lock);
  chunk->sequence = chunks->sent++;
  chunk->left = chunk->count;
  chunk->next = NULL;
  *chunks->last = chunk;
  chunks->last = &chunk->next;
  if (chunks->hungry) pthread_cond_signal(&chunks->filled);
  pthread_mutex_unlock(&chunks->lock);
}

void chunks_end(struct chunks *chunks)
{
  pthread_mutex_lock(&chunks->lock);
  chunks->ended = true;
  pthread_cond_broadcast(&chunks->filled);
  pthread_mutex_unlock(&chunks->lock);
}

struct chunk *chunks_take(struct chunks *chunks, int64_t wait_ns, bool *ended)
{
  struct chunk *chunk;

  pthread_mutex_lock(&chunks->lock);
  if (!chunks->first && wait_ns && !chunks->ended && !stop_requested()) {
    __atomic_store_n(&chunks->hungry, chunks->hungry + 1, __ATOMIC_RELAXED);
    condition_wait(&chunks->filled, &chunks->lock, wait_ns);
    __atomic_store_n(&chunks->hungry, chunks->hungry - 1, __ATOMIC_RELAXED);
  }
  /* After a stop nothing more is begun. What was begun is the oldest, so what comes out has no gaps. */
  chunk = stop_requested() ? NULL : chunks->first;
  if (chunk) {
    chunks->first = chunk->next;
    if (!chunks->first) chunks->last = &chunks->first;
  }
  *ended = !chunk && (chunks->ended || stop_requested());
  pthread_mutex_unlock(&chunks->lock);
  return chunk;
}

void chunks_allow(struct chunks *chunks, uint64_t limit)
{
  pthread_mutex_lock(&chunks->lock);
  chunks->limit = limit;
  pthread_cond_signal(&chunks->freed);
  pthread_mutex_unlock(&chunks->lock);
}

void chunks_put_back(struct chunks *chunks, struct chunk *chunk)
{
  if (chunk->capacity > CHUNK_BYTES) { /* large messages are the exception: their memory is not kept */
    free(chunk->data);
    chunk->data = allocate(CHUNK_BYTES);
  }
  pthread_mutex_lock(&chunks->lock);
  chunks->bytes -= chunk->capacity - CHUNK_BYTES;
  chunk->capacity = CHUNK_BYTES;
  chunk->next = chunks->spare;
  chunks->spare = chunk;
  pthread_cond_signal(&chunks->freed);
  pthread_mutex_unlock(&chunks->lock);
}
