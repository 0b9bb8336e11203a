/* SPDX-License-Identifier: Apache-2.0 */
/** \file run.h
 * What the threads of a run share. Two kinds of run:
 *
 * - A stream (stream.h): input that is cut into messages. A reader makes chunks of them, pipelines with a lane each
 *   send them and print their results, the main thread writes these.
 * - Items (reader.h, writer.h): files and dead letters, whose messages have names, sizes or keys of their own. A reader
 *   enqueues them on one lane, the main thread takes completions and prints them.
 *
 * Memory is bounded by the queue's capacity and arena, and by those of chunks and results on their way: who is ahead
 * waits. */
#ifndef GPUQUEUE_RUN_H
#define GPUQUEUE_RUN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "output.h"
#include "records.h"
#include "settings.h"

struct dead_letters;
struct progress;
struct stream;

/** Every wait of the command is cut into slices of this, so that a stop is seen. */
#define WAIT_SLICE_NS ((int64_t)200 * 1000 * 1000)

struct run {
  const struct settings *settings;
  gq_queue *queue;
  struct records *records;           /**< what is remembered of messages in the queue; NULL if nothing has to be */
  struct dead_letters *dead_letters; /**< NULL: not kept */
  struct output output;              /**< where results go; the main thread's */
  gq_output format;                  /**< of results */
  struct progress *progress;         /**< NULL: not shown */
  const struct stream *stream;       /**< NULL: the messages are items */
  unsigned pipelines;                /**< of the stream */
  uint64_t received, result_bytes;   /**< messages finished and, of a stream, written; the main thread's */
  uint64_t input_total;              /**< bytes of input, or files with FRAMING_FILES; 0: not known */
  _Atomic uint64_t input_done;       /**< how much of that was read */
  _Atomic uint64_t sent;             /**< messages enqueued; [R1] */
  _Atomic uint64_t released;         /**< of items: how many of these the writer is done with */
  _Atomic uint64_t failed;           /**< messages that have no result */
  _Atomic uint64_t inputs_failed;    /**< FILEs that could not be read to their end */
  atomic_bool reader_done;           /**< of items: nothing more will be enqueued; [R1] */
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

/** Report a message that was not sent. \param name  of its file, or NULL */
void fail_message(struct run *run, uint64_t number, const char *name, gq_status status, const char *format, ...)
  __attribute__((format(printf, 5, 6)));

/** The same with the text for a message of \p size bytes. */
void fail_too_large(struct run *run, uint64_t number, const char *name, uint64_t size);

/** The queue cannot go on: say why (gq_last_error()) and stop the run. Any thread. */
void report_device_lost(struct run *run, const char *doing);

/** The reader thread of items; \p run is a struct run. */
void *reader_main(void *run);

#endif
