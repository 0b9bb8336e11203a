/* SPDX-License-Identifier: Apache-2.0 */
/** \file cutter.h
 * The reader of a stream: cuts input into messages and passes them on in chunks, full ones while there is input,
 * smaller ones when there is none at the moment. One function a framing; each reads everything there is and returns
 * false if the run is to stop. */
#ifndef GPUQUEUE_CUTTER_H
#define GPUQUEUE_CUTTER_H

#include "chunk.h"
#include "input.h"

/** Where the time went that the reader did not work, in ns. */
struct cutter_waits {
  int64_t input;             /**< for bytes, read() included */
  int64_t chunks;            /**< for the pipelines to be done with a chunk */
};

struct cutter {
  struct run *run;
  struct chunks *chunks;
  struct input input;
  struct chunk *chunk;       /**< being filled */
  size_t begin, used;        /**< bytes of it: where the next message begins, and all */
  size_t read_most;          /**< bytes a read(), so that little is left over when the chunk has enough records */
  uint32_t most_records;
  uint64_t number;           /**< of the latest message, from 1 on */
  uint64_t largest;          /**< message, in bytes */
  struct cutter_waits waits;
  int64_t begun_ns, ended_ns;
};

bool cut_delimited(struct cutter *cutter, int delimiter);
bool cut_len32(struct cutter *cutter);
bool cut_fixed(struct cutter *cutter, uint64_t record_bytes);

static inline size_t cutter_available(const struct cutter *c) { return c->used - c->begin; }
static inline uint8_t *cutter_bytes(const struct cutter *c) { return c->chunk->data + c->begin; }

/** Offset in the file of cutter_bytes(). */
static inline uint64_t cutter_offset(const struct cutter *c) { return c->input.taken_in - cutter_available(c); }

/** Read some more bytes behind those available, which move. A chunk that is full enough, or would have to wait for
 * input, is passed on first. */
enum fill cutter_fill(struct cutter *cutter);

/** Make \p size bytes available. FILL_END: the file ends before that. */
enum fill cutter_need(struct cutter *cutter, size_t size);

/** cutter_take() for any message: the first of a chunk, the one that fills it, one that is too large. */
bool cutter_take_slowly(struct cutter *cutter, size_t size, size_t more);

/** The next \p size bytes are a message, or too large for one; \p more bytes behind them belong to neither. */
static inline bool cutter_take(struct cutter *c, size_t size, size_t more)
{
  struct chunk *chunk = c->chunk;
  const uint32_t count = chunk->count;

  if (count == 0 || count + 1 >= c->most_records || size > c->largest) return cutter_take_slowly(c, size, more);
  c->number++;
  chunk->records[count] =
    (struct chunk_record){(uint32_t)c->begin, (uint32_t)size, (uint32_t)(c->number - chunk->first_number)};
  chunk->count = count + 1;
  c->begin += size + more;
  return true;
}

/** Drop \p size bytes, available or not. FILL_MORE: done. */
enum fill cutter_skip(struct cutter *cutter, uint64_t size);

void cutter_init(struct cutter *cutter, struct run *run, struct chunks *chunks);
void cutter_free(struct cutter *cutter);

/** The thread; \p cutter is a struct cutter. */
void *cutter_main(void *cutter);

#endif
