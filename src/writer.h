/* SPDX-License-Identifier: Apache-2.0 */
/** \file writer.h
 * Takes completions of items, which are files and dead letters, and prints results. Used by the main thread only. */
#ifndef GPUQUEUE_WRITER_H
#define GPUQUEUE_WRITER_H

#include "buffer.h"
#include "run.h"

struct writer {
  struct run *run;
  struct buffer text;       /**< of one result */
  uint8_t *payload;         /**< of the message at hand, when it is printed or kept */
  size_t payload_capacity;
  bool payload_lost;        /**< a payload could not be had */
};

void writer_init(struct writer *writer, struct run *run);

/** Print results until there are no more to come. Stops the reader if that cannot go on.
 * \return false if the output failed (run->output.error; nothing is said about EPIPE) or the device did. */
bool writer_run(struct writer *writer);

/** The device was lost: tell, count and keep the messages that were being handled, as failed ones. Nothing else runs. */
void writer_fail_suspects(struct writer *writer);

void writer_free(struct writer *writer);

#endif
