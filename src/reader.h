/* SPDX-License-Identifier: Apache-2.0 */
/** \file reader.h
 * Reads items, which are files and dead letters: one function each, which reads everything there is and returns false
 * if the run is to stop. */
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

bool read_files(struct reader *reader);
bool read_dead_letters(struct reader *reader);

/** Cut the open file at each \p delimiter; a last piece without one counts.
 * \param limit  pieces larger than this are not held in memory: they are reported as too large */
bool read_delimited(struct reader *reader, int delimiter, uint64_t limit, take_piece *take);

#endif
