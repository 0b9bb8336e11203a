/* SPDX-License-Identifier: Apache-2.0 */
/** \file run.h
 * What the two threads of a run share: the reader, which cuts input into messages and enqueues them, and the
 * writer (the main thread), which takes completions and prints them. Memory is bounded by the queue's capacity
 * and arena: the reader waits when the queue is full. */
#ifndef GPUQUEUE_RUN_H
#define GPUQUEUE_RUN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "records.h"
#include "settings.h"

struct dead_letters;
struct output;

/** Every wait of the command is cut into slices of this, so that a stop is seen. */
#define WAIT_SLICE_NS ((int64_t)200 * 1000 * 1000)

struct run {
  const struct settings *settings;
  gq_queue *queue;
  struct records *records;           /**< what is remembered of messages in the queue; NULL if nothing has to be */
  struct dead_letters *dead_letters; /**< NULL: not kept */
  const struct output *output;       /**< where results go */
  uint64_t input_total;              /**< bytes of input, or files with FRAMING_FILES; 0: not known */
  _Atomic uint64_t input_done;       /**< how much of that was read */
  _Atomic uint64_t sent;             /**< messages enqueued; [R1] */
  _Atomic uint64_t released;         /**< of these, how many the writer is done with */
  _Atomic uint64_t failed;           /**< messages that have no result */
  _Atomic uint64_t inputs_failed;    /**< FILEs that could not be read to their end */
  atomic_bool reader_done;           /**< nothing more will be enqueued; [R1] */
  atomic_bool writer_done;           /**< nobody waits for results any longer */
  atomic_bool device_lost;           /**< the run cannot go on: end with EXIT_SYSTEM */
};

/** A message that ends without a result. */
struct failure {
  uint64_t number;                   /**< its place in the input, from 1 on */
  const char *name;                  /**< of its file, or NULL */
  const char *reason;
  gq_status status;
  int32_t code;
  uint32_t attempts;
  uint64_t id, key, tag;             /**< 0 for a message that was never enqueued */
  const void *payload;               /**< NULL: not to be had */
  size_t size;
};

/** Tell the user, count it, and keep it as a dead letter. Any thread. */
void report_failure(struct run *run, const struct failure *failure);

/** The queue cannot go on: say why (gq_last_error()) and stop the run. Any thread. */
void report_device_lost(struct run *run, const char *doing);

/** The reader thread; \p run is a struct run. */
void *reader_main(void *run);

#endif
