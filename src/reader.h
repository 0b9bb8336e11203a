/* SPDX-License-Identifier: Apache-2.0 */
/** \file reader.h
 * The reader thread's parts: one function a framing. Each reads everything there is and returns false if the run
 * is to stop. */
#ifndef GPUQUEUE_READER_H
#define GPUQUEUE_READER_H

#include "input.h"
#include "sender.h"

struct reader {
  struct run *run;
  struct input input;
  struct sender sender;
  uint64_t number;         /**< of the latest message, from 1 on */
  uint64_t largest;        /**< message, in bytes */
  uint8_t *staging;        /**< contents of small files until their batch is flushed */
  size_t staging_capacity, staging_used;
};

/** What is done with each piece of delimited input: \p text[\p size] is writable. */
typedef bool take_piece(struct reader *reader, uint8_t *text, size_t size);

bool read_lines(struct reader *reader, int delimiter);
bool read_len32(struct reader *reader);
bool read_fixed(struct reader *reader, uint64_t record_bytes);
bool read_files(struct reader *reader);
bool read_dead_letters(struct reader *reader);

/** Cut the open file at each \p delimiter; a last piece without one counts.
 * \param limit  pieces larger than this are not held in memory: they are reported as too large */
bool read_delimited(struct reader *reader, int delimiter, uint64_t limit, take_piece *take);

/** Report message \p number as failed. \param name  of its file, or NULL */
void fail_message(struct reader *reader, uint64_t number, const char *name, gq_status status, const char *format, ...)
  __attribute__((format(printf, 5, 6)));

/** The same with the text for a message of \p size bytes. */
void fail_too_large(struct reader *reader, uint64_t number, const char *name, uint64_t size);

#endif
