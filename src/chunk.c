/* SPDX-License-Identifier: Apache-2.0 */
#include "chunk.h"

#include "cli.h"
#include "run.h"
#include "stop.h"
#include "timing.h"

#include <stdlib.h>
#include <string.h>

void chunks_init(struct chunks *chunks, const size_t most[CHUNK_KINDS], bool keeps_bytes, bool crowded, uint64_t limit)
{
  memset(chunks, 0, sizeof *chunks);
  pthread_mutex_init(&chunks->lock, NULL);
  condition_init(&chunks->filled);
  condition_init(&chunks->freed);
  chunks->last = &chunks->first;
  memcpy(chunks->most, most, sizeof chunks->most);
  chunks->enough = crowded ? most[CHUNK_OF_MANY] / 8 : SIZE_MAX;
  chunks->keeps_bytes = keeps_bytes;
  chunks->most_bytes = keeps_bytes ? KEPT_BYTES : CHUNKS_BYTES;
  chunks->limit = limit;
}

void chunks_free(struct chunks *chunks)
{
  while (chunks->all) {
    struct chunk *chunk = chunks->all;
    chunks->all = chunk->older;
    if (chunk->kind != CHUNK_SMALL) free(chunk->data);
    free(chunk);
  }
  while (chunks->buffers) {
    struct spare_buffer *buffer = chunks->buffers;
    chunks->buffers = buffer->next;
    free(buffer);
  }
  pthread_cond_destroy(&chunks->filled);
  pthread_cond_destroy(&chunks->freed);
  pthread_mutex_destroy(&chunks->lock);
}

/** Count \p chunk among all; the lock is held. */
static void link_chunk(struct chunks *chunks, struct chunk *chunk)
{
  chunks->made[chunk->kind]++;
  chunk->newer = NULL;
  chunk->older = chunks->all;
  if (chunk->older) chunk->older->newer = chunk;
  chunks->all = chunk;
}

static struct chunk *make_chunk(struct chunks *chunks)
{
  struct chunk *chunk = allocate(sizeof *chunk + CHUNK_RECORDS * sizeof *chunk->records);

  chunk->kind = CHUNK_OF_MANY;
  chunk->capacity = CHUNK_BYTES;
  chunk->data = allocate(chunk->capacity);
  link_chunk(chunks, chunk);
  return chunk;
}

static bool may_make(const struct chunks *chunks, enum chunk_kind kind)
{
  if (chunks->bytes >= chunks->most_bytes) return false;
  if (kind == CHUNK_OF_MANY && chunks->spare) return true;
  /* a reader far ahead would only fill memory that is in no cache any longer when it is sent */
  if (kind == CHUNK_OF_FEW && chunks->waiting >= chunks->most[CHUNK_OF_MANY]) return false;
  return chunks->made[kind] < chunks->most[kind];
}

static bool has_room_for(const struct chunks *chunks, enum chunk_kind kind)
{
  return chunks->sent + 1 < chunks->limit && may_make(chunks, kind);
}

/** Wake the reader if it can go on; the lock is held. Where processors are few it sleeps while pipelines have chunks to go
 * on with, and then makes several: two changes of threads for each would be a twentieth of all work. */
static void wake_if_useful(struct chunks *chunks)
{
  const enum chunk_kind kind = chunks->reader_kind;
  const bool may_sleep_on = !has_room_for(chunks, kind) ||
                            (kind == CHUNK_OF_MANY && chunks->waiting > chunks->enough);

  if (!chunks->reader_waits || (may_sleep_on && !stop_requested())) return;
  chunks->reader_waits = false;
  pthread_cond_signal(&chunks->freed);
}

/** Wait until there may be one more chunk, beside one that may be under way; the lock is held.
 * \return false if the run is to stop. */
static bool wait_for_one(struct chunks *chunks, enum chunk_kind kind, int64_t *waited_ns)
{
  int64_t begun_ns;

  if (stop_requested()) return false;
  if (has_room_for(chunks, kind)) return true;
  begun_ns = clock_ns();
  chunks->reader_kind = kind;
  while (!has_room_for(chunks, kind) && !stop_requested()) {
    chunks->reader_waits = true;
    condition_wait(&chunks->freed, &chunks->lock, WAIT_SLICE_NS);
  }
  chunks->reader_waits = false;
  *waited_ns += clock_ns() - begun_ns;
  return !stop_requested();
}

struct chunk *chunks_get(struct chunks *chunks, int64_t *waited_ns)
{
  struct chunk *chunk = NULL;

  pthread_mutex_lock(&chunks->lock);
  if (wait_for_one(chunks, CHUNK_OF_MANY, waited_ns)) {
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
  chunks->waiting++;
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

/** A chunk with the records of \p chunk and no room for others, and \p more bytes behind them. */
static struct chunk *copy_records(const struct chunk *chunk, enum chunk_kind kind, size_t more)
{
  const size_t records_bytes = chunk->count * sizeof *chunk->records;
  struct chunk *copy = allocate(sizeof *copy + records_bytes + more);

  copy->first_number = chunk->first_number;
  copy->count = chunk->count;
  copy->kind = kind;
  copy->capacity = more;
  copy->data = (uint8_t *)copy->records + records_bytes;
  memcpy(copy->records, chunk->records, records_bytes);
  return copy;
}

bool chunks_send_copy(struct chunks *chunks, const struct chunk *chunk, size_t bytes, int64_t *waited_ns)
{
  struct chunk *copy = copy_records(chunk, CHUNK_SMALL, bytes);
  bool fine;

  memcpy(copy->data, chunk->data, bytes);
  pthread_mutex_lock(&chunks->lock);
  fine = wait_for_one(chunks, CHUNK_SMALL, waited_ns);
  if (fine) {
    link_chunk(chunks, copy);
    send_chunk(chunks, copy);
  }
  pthread_mutex_unlock(&chunks->lock);
  if (!fine) free(copy);
  return fine;
}

/** The lock is held. \return NULL if there is none. */
static uint8_t *take_spare_buffer(struct chunks *chunks)
{
  struct spare_buffer *buffer = chunks->buffers;

  if (!buffer) return NULL;
  chunks->buffers = buffer->next;
  chunks->buffer_count--;
  return (uint8_t *)buffer;
}

bool chunks_send_few(struct chunks *chunks, struct chunk *chunk, size_t bytes, size_t rest, int64_t *waited_ns)
{
  const size_t capacity = rest > CHUNK_BYTES ? rest : CHUNK_BYTES;
  struct chunk *few = copy_records(chunk, CHUNK_OF_FEW, 0);
  uint8_t *buffer = NULL;
  bool fine;

  pthread_mutex_lock(&chunks->lock);
  fine = wait_for_one(chunks, CHUNK_OF_FEW, waited_ns);
  if (fine && capacity == CHUNK_BYTES) buffer = take_spare_buffer(chunks);
  pthread_mutex_unlock(&chunks->lock);
  if (!fine) {
    free(few);
    return false;
  }
  if (!buffer) buffer = allocate(capacity);
  memcpy(buffer, chunk->data + bytes, rest);
  few->data = chunk->data;
  few->capacity = chunk->capacity;
  if (few->capacity > bytes + CHUNK_BYTES) chunk_grow(few, bytes); /* shrinks: it may be long under way */
  chunk->data = buffer;
  chunk->capacity = capacity;
  chunk->count = 0;
  pthread_mutex_lock(&chunks->lock);
  link_chunk(chunks, few);
  send_chunk(chunks, few);
  pthread_mutex_unlock(&chunks->lock);
  return true;
}

void chunks_wake(struct chunks *chunks)
{
  pthread_mutex_lock(&chunks->lock);
  pthread_cond_signal(&chunks->freed);
  pthread_cond_broadcast(&chunks->filled);
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
    chunks->waiting--;
    wake_if_useful(chunks);
  }
  *ended = !chunk && (chunks->ended || stop_requested());
  pthread_mutex_unlock(&chunks->lock);
  return chunk;
}

void chunks_allow(struct chunks *chunks, uint64_t limit)
{
  pthread_mutex_lock(&chunks->lock);
  chunks->limit = limit;
  wake_if_useful(chunks);
  pthread_mutex_unlock(&chunks->lock);
}

/** The lock is held. \return what of it is to be freed, or NULL. */
static uint8_t *take_bytes_back(struct chunks *chunks, struct chunk *chunk)
{
  uint8_t *data = chunk->data;
  struct spare_buffer *buffer = (void *)data;

  chunks->bytes -= chunk->capacity;
  wake_if_useful(chunks);
  if (chunk->capacity == CHUNK_BYTES && chunks->buffer_count < chunks->most[CHUNK_OF_MANY]) {
    buffer->next = chunks->buffers;
    chunks->buffers = buffer;
    chunks->buffer_count++;
    data = NULL;
  }
  chunk->data = NULL;
  chunk->capacity = 0;
  return data;
}

void chunks_all_sent(struct chunks *chunks, struct chunk *chunk)
{
  uint8_t *data;

  if (chunk->kind != CHUNK_OF_FEW || chunks->keeps_bytes) return;
  pthread_mutex_lock(&chunks->lock);
  data = take_bytes_back(chunks, chunk);
  pthread_mutex_unlock(&chunks->lock);
  free(data);
}

/** A chunk that is not used again. */
static void put_an_end_to(struct chunks *chunks, struct chunk *chunk)
{
  uint8_t *data = NULL;

  pthread_mutex_lock(&chunks->lock);
  if (chunk->newer) chunk->newer->older = chunk->older;
  else chunks->all = chunk->older;
  if (chunk->older) chunk->older->newer = chunk->newer;
  if (chunk->kind == CHUNK_OF_FEW && chunk->data) data = take_bytes_back(chunks, chunk);
  chunks->bytes -= chunk->capacity;
  chunks->made[chunk->kind]--;
  wake_if_useful(chunks);
  pthread_mutex_unlock(&chunks->lock);
  free(data);
  free(chunk);
}

void chunks_put_back(struct chunks *chunks, struct chunk *chunk)
{
  const size_t held = chunk->capacity;

  if (chunk->kind != CHUNK_OF_MANY) {
    put_an_end_to(chunks, chunk);
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
  wake_if_useful(chunks);
  pthread_mutex_unlock(&chunks->lock);
}
