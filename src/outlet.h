/* SPDX-License-Identifier: Apache-2.0 */
/** \file outlet.h
 * Printed results on their way from the pipelines to the writer, which gets them in the order of the input or, with
 * --unordered, as they come. How much may wait here is bounded. */
#ifndef GPUQUEUE_OUTLET_H
#define GPUQUEUE_OUTLET_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

enum {
  PIECE_BYTES = 256 * 1024,          /**< a piece of this size is handed over */
  OUTLET_BYTES = 64 * 1024 * 1024,   /**< beyond this in all, a piece whose turn has not come waits */
  TURN_BYTES = 8 * 1024 * 1024       /**< beyond this, also one whose turn it is */
};

/** Results of some messages, as they are written. */
struct piece {
  struct piece *next;
  struct buffer text;
  uint64_t messages, result_bytes;   /**< what it stands for, failed messages included */
};

/** The pieces of one chunk, if they are written in order. */
struct lineup {
  struct piece *first, **last;
  bool ended;                        /**< there will be no more of them */
};

struct outlet {
  pthread_mutex_t lock;
  pthread_cond_t filled, drained;
  bool ordered, crowded, closed;
  unsigned sources;                  /**< pipelines that may still hand something over */
  bool writer_waits;
  size_t worth_waking;               /**< bytes: with fewer the writer sleeps on; 0 but for a moment after much */
  bool is_bulk;                      /**< crowded, and what the writer took last was much */
  uint64_t turn;                     /**< the chunk whose pieces are written */
  size_t bytes, turn_bytes;          /**< that wait: all, and of the chunk whose turn it is */
  struct lineup *lineups;            /**< by chunk, modulo their number; one if not ordered */
  size_t lineup_count;
  struct piece *spare;
};

/** \param crowded  whether there are more threads than processors, so that it pays to wake them for more at a time
 * \param chunks  how many there may be at once */
void outlet_init(struct outlet *outlet, bool ordered, bool crowded, size_t chunks, unsigned sources);
void outlet_free(struct outlet *outlet);

/** An empty piece to fill. */
struct piece *outlet_get(struct outlet *outlet);

/** Have \p piece again. \return a copy that takes no more memory than it needs. */
struct piece *outlet_copy(struct outlet *outlet, struct piece *piece);

/** Hand over a piece of chunk number \p sequence, which may be NULL, and with \p last the last of it. May wait for the
 * writer. \param waited_ns  how long is added */
void outlet_put(struct outlet *outlet, uint64_t sequence, struct piece *piece, bool last, int64_t *waited_ns);

/** A source has ended. */
void outlet_leave(struct outlet *outlet);

/** The writer gives up: whoever waits for it goes on, and what is handed over is dropped. */
void outlet_close(struct outlet *outlet);

/** The pieces to be written next, or NULL if none came in \p wait_ns.
 * \param ended  out: with NULL, whether there will be no more */
struct piece *outlet_take(struct outlet *outlet, int64_t wait_ns, bool *ended);

/** Have pieces again that were written, a list. */
void outlet_put_back(struct outlet *outlet, struct piece *pieces);

#endif
