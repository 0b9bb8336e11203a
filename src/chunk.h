/* SPDX-License-Identifier: Apache-2.0 */
/** \file chunk.h
 * Pieces of the input that hold whole messages, on their way from the reader to the pipelines. Their number and their
 * size are bounded, so a reader that is ahead has to wait.
 *
 * A chunk of many messages is used again when the last of them has finished, and few such chunks keep a queue busy. Of
 * chunks of few messages, which are large, it takes as many as the queue has room for: such a one has room for its own
 * records only, and gives the bytes back when all of it was sent. */
#ifndef GPUQUEUE_CHUNK_H
#define GPUQUEUE_CHUNK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  CHUNK_BYTES = 256 * 1024,        /**< unless a message is larger: two or three stay in a processor's own cache */
  SMALL_BYTES = 8 * 1024,          /**< with no more than that, and */
  SMALL_RECORDS = 256,             /**< no more of these, a chunk is copied to one of the right size */
  FEW_RECORDS = 1024,              /**< with more, the chunks that a pipeline has fill a lane of the usual capacity */
  CHUNK_RECORDS = 4096,            /**< a stop lets what a pipeline has begun finish, so this is not to be many */
  CHUNKS_BYTES = 64 * 1024 * 1024, /**< with so many held, a further chunk waits */
  KEPT_BYTES = 256 * 1024 * 1024   /**< the same where bytes are kept until their message has finished */
};

enum chunk_kind {
  CHUNK_OF_MANY,
  CHUNK_OF_FEW,                    /**< no more than FEW_RECORDS; not used again, but for its memory */
  CHUNK_SMALL,                     /**< made for what it holds, and not used again */
  CHUNK_KINDS
};

/** A message in its chunk. */
struct chunk_record {
  uint32_t at, size;
  uint32_t number;                 /**< behind \ref chunk.first_number */
};

struct chunk {
  uint64_t sequence;               /**< place among the chunks, from 0 on */
  uint64_t first_number;           /**< messages count from 1 on */
  uint8_t *data;                   /**< NULL once given back */
  size_t capacity;
  uint32_t count;                  /**< records */
  uint32_t left;                   /**< records not yet finished; the pipeline's */
  enum chunk_kind kind;
  struct chunk *next;
  struct chunk *older, *newer;     /**< among all */
  struct chunk_record records[];
};

/** Memory of CHUNK_BYTES that no chunk has. */
struct spare_buffer {
  struct spare_buffer *next;
};

struct chunks {
  pthread_mutex_t lock;
  pthread_cond_t filled, freed;
  struct chunk *first, **last;     /**< sent, oldest first */
  struct chunk *spare, *all;
  struct spare_buffer *buffers;
  size_t buffer_count;
  size_t most[CHUNK_KINDS];        /**< chunks there may be */
  size_t made[CHUNK_KINDS];        /**< chunks there are */
  size_t waiting;                  /**< sent, and not taken yet */
  size_t enough;                   /**< with more than that waiting the reader is left asleep, whatever there is room for;
                                        0 where there are few chunks at all */
  bool keeps_bytes;                /**< they are needed until a message has finished, not only until it was sent */
  size_t bytes, most_bytes;        /**< of those sent and not put back. Not of the one being filled: a message may be
                                        larger than most_bytes, and its chunk would wait for itself */
  unsigned hungry;                 /**< pipelines that wait for one; may be read without the lock, as a hint */
  bool reader_waits;
  enum chunk_kind reader_kind;     /**< for room for one of these */
  uint64_t sent, limit;            /**< chunks; a chunk of number limit may not be sent yet */
  bool ended;
};

/** \param most  of each kind \param keeps_bytes  whether a message's bytes are needed until it has finished
 * \param crowded  see outlet_init() \param limit  see chunks_allow() */
void chunks_init(struct chunks *chunks, const size_t most[CHUNK_KINDS], bool keeps_bytes, bool crowded, uint64_t limit);
void chunks_free(struct chunks *chunks);

/** An empty chunk, for the reader. Waits until there may be one more. \return NULL if the run is to stop.
 * \param waited_ns  how long it took is added */
struct chunk *chunks_get(struct chunks *chunks, int64_t *waited_ns);

/** Make room for \p capacity bytes in \p chunk, which is being filled. */
void chunk_grow(struct chunk *chunk, size_t capacity);

/** Give a copy of \p chunk, which may be small, to the pipelines; its first \p bytes hold its messages. Waits until there
 * may be one more. \return false if the run is to stop.
 * \param waited_ns  how long it took is added */
bool chunks_send_copy(struct chunks *chunks, const struct chunk *chunk, size_t bytes, int64_t *waited_ns);

/** Give the messages of \p chunk, which may be few, to the pipelines, together with its memory. It has other memory and
 * no messages afterwards, and begins with the \p rest bytes that followed the first \p bytes. Waits until there may be
 * one more. \return false if the run is to stop.
 * \param waited_ns  how long it took is added */
bool chunks_send_few(struct chunks *chunks, struct chunk *chunk, size_t bytes, size_t rest, int64_t *waited_ns);

/** Give \p chunk to the pipelines. */
void chunks_send(struct chunks *chunks, struct chunk *chunk);

/** After stop_reading(): who waits here sees it. */
void chunks_wake(struct chunks *chunks);

/** No more will be sent. */
void chunks_end(struct chunks *chunks);

/** The oldest chunk that was sent, for a pipeline.
 * \param wait_ns  how long to wait for one \param ended  out: with NULL, whether there will be no more */
struct chunk *chunks_take(struct chunks *chunks, int64_t wait_ns, bool *ended);

/** From now on chunks of numbers below \p limit may be sent. */
void chunks_allow(struct chunks *chunks, uint64_t limit);

/** Every message of \p chunk was sent, and some have not finished. */
void chunks_all_sent(struct chunks *chunks, struct chunk *chunk);

/** Nobody needs \p chunk any longer. */
void chunks_put_back(struct chunks *chunks, struct chunk *chunk);

/** Whether a chunk sent now would be taken at once. */
static inline bool chunks_are_wanted(const struct chunks *chunks)
{
  return __atomic_load_n(&chunks->hungry, __ATOMIC_RELAXED) > 0;
}

#endif
