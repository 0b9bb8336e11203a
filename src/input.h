/* SPDX-License-Identifier: Apache-2.0 */
/** \file input.h
 * The bytes of the input FILEs, one file after another, through one buffer or past it. Used by the reader's thread. */
#ifndef GPUQUEUE_INPUT_H
#define GPUQUEUE_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "run.h"

enum { INPUT_BUFFER_BYTES = 1024 * 1024 };

enum fill { FILL_MORE, FILL_END, FILL_STOPPED };

struct input {
  struct run *run;
  char **files;
  size_t file_count, next_file;
  const char *name;        /**< of the open file, for people */
  int fd;                  /**< -1: none is open */
  bool may_block;
  bool broken;             /**< the open file could not be read to its end */
  uint64_t taken_in;       /**< bytes read from the open file */
  uint8_t *buffer;         /**< one byte more than capacity, for a NUL after a text */
  size_t capacity, begin, end;
};

/** \param files  NULL: standard input only */
void input_init(struct input *input, struct run *run, char **files, size_t file_count);
void input_free(struct input *input);

/** Go on to the next file; those that cannot be opened are reported. \return false if there is none. */
bool input_next(struct input *input);

/** Open \p name, "-" being standard input, so that opening never blocks. \return as open(). */
int open_for_reading(const char *name);

static inline size_t input_available(const struct input *input) { return input->end - input->begin; }
static inline uint8_t *input_bytes(const struct input *input) { return input->buffer + input->begin; }

/** Offset in the file of input_bytes(). */
static inline uint64_t input_offset(const struct input *input) { return input->taken_in - input_available(input); }

/** One read() of up to \p size bytes of the open file to \p to, past the buffer. An error is reported and ends the
 * file. \return bytes, 0 at the end of the file, or READ_STOPPED (stop.h) */
ssize_t input_read(struct input *input, void *to, size_t size);

/** Whether a read would not have to wait, or need not within \p wait_ms. */
bool input_is_ready(const struct input *input, int wait_ms);

/** Read some more bytes behind those available, which move; the buffer grows if they fill it. A read error is
 * reported, sets \ref input.broken and ends the file. */
enum fill input_fill(struct input *input);

#endif
