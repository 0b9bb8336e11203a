/* SPDX-License-Identifier: Apache-2.0 */
/** \file output.h
 * A buffered file descriptor that says why a write failed and does not try again after that. */
#ifndef GPUQUEUE_OUTPUT_H
#define GPUQUEUE_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OUTPUT_BUFFER_BYTES = 256 * 1024 };

struct output {
  int fd;
  const char *name;   /**< for complaints; the caller's */
  int error;          /**< errno of the first failure, 0 while all is well */
  size_t used;
  char *buffer;
};

void output_init(struct output *output, int fd, const char *name);

/** Each returns false once a write has failed; output->error says how. */
bool output_write(struct output *output, const void *data, size_t size);
bool output_base64(struct output *output, const uint8_t *data, size_t size);
bool output_flush(struct output *output);

/** If \p fd is a pipe, have it hold more, so that those at its ends are woken less often. */
void output_widen_pipe(int fd);

/** Whether \p fd is the regular file that the output goes to: reading what one writes would never end. */
bool output_is_file(const struct output *output, int fd);

/** Say what a write failed of; EPIPE goes without saying. \return false if one failed. */
bool output_say_error(const struct output *output);

/** Flush, close and free. \return false if something of that or any write before failed. */
bool output_close(struct output *output);

#endif
