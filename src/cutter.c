/* SPDX-License-Identifier: Apache-2.0 */
/* The reader of a stream, and the framings that have a delimiter. */
#include "cutter.h"

#include "cli.h"
#include "stop.h"
#include "timing.h"

#include <string.h>

enum {
  LEAST_READ = 16 * 1024,
  LEAST_RECORDS = 64,        /* a chunk costs some microseconds of its own */
  PATIENCE_MS = 1            /* for more input, where nobody could do anything with what there is */
};

void cutter_init(struct cutter *c, struct run *run, struct chunks *chunks)
{
  const uint32_t capacity = run->settings->queue.capacity;

  memset(c, 0, sizeof *c);
  c->run = run;
  c->chunks = chunks;
  c->read_most = CHUNK_BYTES;
  c->most_records = capacity < LEAST_RECORDS ? LEAST_RECORDS : capacity < CHUNK_RECORDS ? capacity : CHUNK_RECORDS;
  c->largest = run->settings->queue.max_message_bytes;
  input_init(&c->input, run, run->settings->files, run->settings->file_count);
}

void cutter_free(struct cutter *c)
{
  input_free(&c->input);
}

/** Move the rest to the beginning of the chunk, which holds no messages. */
static void begin_again(struct cutter *c)
{
  memmove(c->chunk->data, cutter_bytes(c), cutter_available(c));
  c->used -= c->begin;
  c->begin = 0;
  c->chunk->count = 0;
}

/** Pass on the messages that were cut; what is behind them moves to a new chunk. */
static bool pass_on(struct cutter *c)
{
  const size_t rest = cutter_available(c);
  struct chunk *chunk = c->chunk;

  if (chunk && chunk->count == 0) {
    begin_again(c);
    return true;
  }
  if (chunk && c->begin <= SMALL_BYTES && chunk->count <= SMALL_RECORDS) {
    if (!chunks_send_copy(c->chunks, chunk, c->begin, &c->waits.chunks)) return false;
    begin_again(c);
    return true;
  }
  if (chunk && chunk->count <= FEW_RECORDS) {
    if (!chunks_send_few(c->chunks, chunk, c->begin, rest, &c->waits.chunks)) return false;
    c->begin = 0;
    c->used = rest;
    return true;
  }
  chunk = chunks_get(c->chunks, &c->waits.chunks);
  if (!chunk) return false;
  if (chunk->capacity < rest) chunk_grow(chunk, rest);
  if (c->chunk) {
    memcpy(chunk->data, cutter_bytes(c), rest);
    chunks_send(c->chunks, c->chunk);
  }
  c->chunk = chunk;
  c->begin = 0;
  c->used = rest;
  return true;
}

enum fill cutter_fill(struct cutter *c)
{
  const bool is_full = c->chunk->capacity - c->used < CHUNK_BYTES / 8;
  int64_t begun_ns;
  size_t room;
  ssize_t got;

  if (is_full && c->chunk->count && c->read_most < CHUNK_BYTES) c->read_most *= 2;
  if (is_full || !input_is_ready(&c->input, chunks_are_wanted(c->chunks) ? 0 : PATIENCE_MS))
    if (!pass_on(c)) return FILL_STOPPED; /* results must not wait for input */
  if (c->used == c->chunk->capacity) chunk_grow(c->chunk, 2 * c->chunk->capacity);
  room = c->chunk->capacity - c->used;
  if (room > c->read_most && c->chunk->capacity == CHUNK_BYTES) room = c->read_most;
  begun_ns = clock_ns();
  got = input_read(&c->input, c->chunk->data + c->used, room);
  c->waits.input += clock_ns() - begun_ns;
  if (got == READ_STOPPED) return FILL_STOPPED;
  c->used += (size_t)got;
  return got ? FILL_MORE : FILL_END;
}

enum fill cutter_need(struct cutter *c, size_t size)
{
  while (cutter_available(c) < size) {
    enum fill fill;

    if (c->chunk->capacity - c->begin < size) {
      if (!pass_on(c)) return FILL_STOPPED;
      if (c->chunk->capacity - c->begin < size) chunk_grow(c->chunk, c->begin + size);
    }
    fill = cutter_fill(c);
    if (fill != FILL_MORE) return fill;
  }
  return FILL_MORE;
}

bool cutter_take_slowly(struct cutter *c, size_t size, size_t more)
{
  struct chunk *chunk = c->chunk;

  c->number++;
  c->begin += size + more;
  if (size > c->largest) {
    fail_too_large(c->run, c->number, NULL, size);
    return true;
  }
  if (chunk->count == 0) chunk->first_number = c->number;
  chunk->records[chunk->count++] = (struct chunk_record){
    (uint32_t)(c->begin - size - more), (uint32_t)size, (uint32_t)(c->number - chunk->first_number)};
  if (chunk->count < c->most_records) return true;
  if (c->read_most > LEAST_READ && cutter_available(c) > c->begin) c->read_most /= 2;
  return pass_on(c);
}

enum fill cutter_skip(struct cutter *c, uint64_t size)
{
  for (;;) {
    const size_t piece = size < cutter_available(c) ? (size_t)size : cutter_available(c);
    enum fill fill;

    c->begin += piece;
    size -= piece;
    if (size == 0) return FILL_MORE;
    c->used = c->begin;
    fill = cutter_fill(c);
    if (fill != FILL_MORE) return fill;
  }
}

/** A message that has no end within the limit: find its end without keeping it. */
static enum fill skip_delimited(struct cutter *c, int delimiter)
{
  uint64_t size = 0;
  enum fill fill;

  for (;;) {
    const uint8_t *found = memchr(cutter_bytes(c), delimiter, cutter_available(c));
    const size_t piece = found ? (size_t)(found - cutter_bytes(c)) : cutter_available(c);

    size += piece;
    fill = cutter_skip(c, piece + (found != NULL));
    if (found || (fill = cutter_fill(c)) != FILL_MORE) break;
  }
  if (fill != FILL_STOPPED) fail_too_large(c->run, ++c->number, NULL, size);
  return fill;
}

static bool cut_delimited_file(struct cutter *c, int delimiter)
{
  size_t searched = 0; /* of the bytes available */

  for (;;) {
    const uint8_t *found;
    enum fill fill;

    while ((found = memchr(cutter_bytes(c) + searched, delimiter, cutter_available(c) - searched)) != NULL) {
      if (!cutter_take(c, (size_t)(found - cutter_bytes(c)), 1)) return false;
      searched = 0;
    }
    searched = cutter_available(c);
    if (searched > c->largest) {
      fill = skip_delimited(c, delimiter);
      searched = 0;
    } else {
      fill = cutter_fill(c);
    }
    if (fill == FILL_STOPPED) return false;
    if (fill == FILL_END) return true;
  }
}

bool cut_delimited(struct cutter *c, int delimiter)
{
  while (input_next(&c->input)) {
    size_t rest;

    if (!cut_delimited_file(c, delimiter)) return false;
    rest = cutter_available(c);
    if (c->input.broken) c->used = c->begin;
    else if (rest && !cutter_take(c, rest, 0)) return false;
  }
  return true;
}

static bool cut_everything(struct cutter *c)
{
  const struct settings *settings = c->run->settings;

  switch (settings->framing) {
  case FRAMING_LINES: return cut_delimited(c, '\n');
  case FRAMING_NUL: return cut_delimited(c, '\0');
  case FRAMING_LEN32: return cut_len32(c);
  case FRAMING_FIXED: return cut_fixed(c, settings->record_bytes);
  default: return false; /* items are not cut */
  }
}

void *cutter_main(void *argument)
{
  struct cutter *c = argument;

  c->begun_ns = clock_ns();
  if (pass_on(c) && cut_everything(c)) pass_on(c);
  c->ended_ns = clock_ns();
  chunks_end(c->chunks);
  return NULL;
}
