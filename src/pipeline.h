/* SPDX-License-Identifier: Apache-2.0 */
/** \file pipeline.h
 * A lane of the queue and the thread that uses it: takes chunks, sends their messages, takes the completions and hands
 * over what is to be written. One thread for both directions, because what it does in one is what it would wait for in
 * the other. */
#ifndef GPUQUEUE_PIPELINE_H
#define GPUQUEUE_PIPELINE_H

#include "chunk.h"
#include "outlet.h"
#include "run.h"

enum { SEND_MOST = 64 }; /**< messages a call: few enough for all that is touched to stay in the nearest cache */

/** A message that was sent and has not finished. */
struct pending {
  struct chunk *chunk;
  const struct chunk_record *record;
};

/** Where the time of a stage went that it did not work, in ns. */
struct pipeline_waits {
  int64_t input;                  /**< for chunks */
  int64_t results;                /**< for completions */
  int64_t output;                 /**< for the writer */
};

struct pipeline {
  struct run *run;
  struct chunks *chunks;
  struct outlet *outlet;
  gq_queue *lane;
  pthread_t thread;
  bool hex_lines;                 /**< result_is_hex_line() */
  gq_message messages[SEND_MOST]; /**< to be sent; of each the bytes are set, and the tag where there are tags. All else
                                       stays zero */
  struct pending *pending;        /**< by the number of the message on this lane, from 0 on, modulo mask + 1 */
  uint64_t mask;
  uint64_t first_id;              /**< of message 0; ids of a lane count on from there */
  uint64_t sent, received;
  uint64_t refused_at;            /**< the queue had no room when this many had been received */
  bool has_no_room;
  bool cannot_send;               /**< the queue takes no more; results that are there can still be had */
  bool lost;                      /**< the queue cannot go on */
  bool input_ended;
  struct chunk *chunk;            /**< whose messages are being sent */
  uint32_t next;                  /**< of its records */
  struct piece *piece;            /**< being filled */
  uint64_t piece_chunk;           /**< of what chunk; if in order, of one only */
  int64_t idle_since_ns;          /**< 0: not idle */
  unsigned idle_turns;
  int64_t begun_ns, ended_ns;
  struct pipeline_waits waits;
};

/** \param lane  its own from now on, but for ending it */
void pipeline_init(struct pipeline *pipeline, struct run *run, struct chunks *chunks, struct outlet *outlet,
                   gq_queue *lane);
void pipeline_free(struct pipeline *pipeline);

/** The thread; \p pipeline is a struct pipeline. */
void *pipeline_main(void *pipeline);

/** The device was lost: report \p suspect if this pipeline sent it. The thread has ended. */
bool pipeline_fail_suspect(struct pipeline *pipeline, const gq_completion *suspect);

#endif
