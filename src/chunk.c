/* SPDX-License-Identifier: Apache-2.0 */
#include "chunk.h"

#include "cli.h"
#include "run.h"
#include "stop.h"
#include "timing.h"

#include <stdlib.h>
#include <string.h>

void chunks_init(struct chunks *chunks, size_t most, size_t most_small, uint64_t limit)
{
  memset(chunks, 0, sizeof *chunks);
  pthread_mutex_init(&chunks->lock, NULL);
  condition_init(&chunks->filled);
  condition_init(&chunks->freed);
  chunks->last = &chunks->first;
  chunks->most = most;
  chunks->most_small = most_small;
  chunks->limit = limit;
}

void chunks_free(struct chunks *chunks)
{
  while (chunks->all) {
    struct chunk *chunk = chunks->all;
    chunks->all = chunk->older;
    if (!chunk->is_small) free(chunk->data);
    free(chunk);
  }
  pthread_cond_destroy(&chunks->filled);
  pthread_cond_destroy(&chunks->freed);
  pthread_mutex_destroy(&chunks->lock);
}

/** Count \p chunk among all; the lock is held. */
static void link_chunk(struct chunks *chunks, struct chunk *chunk)
{
  chunk->newer = NULL;
  chunk->older = chunks->all;
  if (chunk->older) chunk->older->newer = chunk;
  chunks->all = chunk;
}

static struct chunk *make_chunk(struct chunks *chunks)
{
  struct chunk *chunk = allocate(sizeof *chunk + CHUNK_RECORDS * sizeof *chunk->records);

  chunk->is_small = false;
  chunk->capacity = CHUNK_BYTES;
  chunk->data = allocate(chunk->capacity);
  chunks->made++;
  link_chunk(chunks, chunk);
  return chunk;
}

static bool may_make_one(const struct chunks *chunks)
{
  return chunks->bytes < CHUNKS_BYTES && (chunks->spare || chunks->made < chunks->most);
}

static bool may_make_small_one(const struct chunks *chunks)
{
  return chunks->bytes < CHUNKS_BYTES && chunks->made_small < chunks->most_small;
}

/** Wait until there may be one more chunk, beside one that may be under way; the lock is held.
 * \return false if the run is to stop. */
static bool wait_for_one(struct chunks *chunks, bool (*may_make)(const struct chunks *), int64_t *waited_ns)
{
  int64_t begun_ns;

  if (stop_requested()) return false;
  if (chunks->sent + 1 < chunks->limit && may_make(chunks)) return true;
  begun_ns = clock_ns();
  while (!(chunks->sent + 1 < chunks->limit && may_make(chunks)) && !stop_requested())
    condition_wait(&chunks->freed, &chunks->lock, WAIT_SLICE_NS);
  *waited_ns += clock_ns() - begun_ns;
  return !stop_requested();
}

struct chunk *chunks_get(struct chunks *chunks, int64_t *waited_ns)
{
  struct chunk *chunk = NULL;

  pthread_mutex_lock(&chunks->lock);
  if (wait_for_one(chunks, may_make_one, waited_ns)) {
    chunk = chunks->spare;
    if (chunk) chunks->spare = chunk->next;
    else chunk = make_chunk(chunks);
    chunk->count = 0;
  }
  pthread_mutex_unlock(&chunks->lock);
  return chunk;
}

void chunk_grow(struct chunk *chunk, size_t capacity)
{
  chunk->data = reallocate(chunk->data, capacity);
  chunk->capacity = capacity;
}

/** The lock is held. */
static void send_chunk(struct chunks *chunks, struct chunk *chunk)
{
  chunk->sequence = chunks->sent++;
  chunk->left = chunk->count;
  chunk->next = NULL;
  chunks->bytes += chunk->capacity;
  *chunks->last = chunk;
  chunks->last = &chunk->next;
  if (chunks->hungry) pthread_cond_signal(&chunks->filled);
}

void chunks_send(struct chunks *chunks, struct chunk *chunk)
{
  pthread_mutex_lock(&chunks->lock);
  send_chunk(chunks, chunk);
  pthread_mutex_unlock(&chunks->lock);
}

bool chunks_send_copy(struct chunks *chunks, const struct chunk *chunk, size_t bytes, int64_t *waited_ns)
{
  const size_t records_bytes = chunk->count * sizeof *chunk->records;
  struct chunk *copy = allocate(sizeof *copy + records_bytes + bytes);
  bool fine;

  copy->first_number = chunk->first_number;
  copy->count = chunk->count;
  copy->is_small = true;
  copy->capacity = bytes;
  copy->data = (uint8_t *)copy->records + records_bytes;
  memcpy(copy->records, chunk->records, records_bytes);
  memcpy(copy->data, chunk->data, bytes);
  pthread_mutex_lock(&chunks->lock);
  fine = wait_for_one(chunks, may_make_small_one, waited_ns);
  if (fine) {
    chunks->made_small++;
    link_chunk(chunks, copy);
    send_chunk(chunks, copy);
  }
  pthread_mutex_unlock(&chunks->lock);
  if (!fine) free(copy);
  return fine;
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

static void put_back_small(struct chunks *chunks, struct chunk *chunk)
{
  pthread_mutex_lock(&chunks->lock);
  if (chunk->newer) chunk->newer->older = chunk->older;
  else chunks->all = chunk->older;
  if (chunk->older) chunk->older->newer = chunk->newer;
  chunks->bytes -= chunk->capacity;
  chunks->made_small--;
  pthread_cond_signal(&chunks->freed);
  pthread_mutex_unlock(&chunks->lock);
  free(chunk);
}

void chunks_put_back(struct chunks *chunks, struct chunk *chunk)
{
  const size_t held = chunk->capacity;

  if (chunk->is_small) {
    put_back_small(chunks, chunk);
    return;
  }
  if (held > CHUNK_BYTES) { /* large messages are the exception: their memory is not kept */
    free(chunk->data);
    chunk->data = allocate(CHUNK_BYTES);
    chunk->capacity = CHUNK_BYTES;
  }
  pthread_mutex_lock(&chunks->lock);
  chunks->bytes -= held;
  chunk->next = chunks->spare;
  chunks->spare = chunk;
  pthread_cond_signal(&chunks->freed);
  pthread_mutex_unlock(&chunks->lock);
}
