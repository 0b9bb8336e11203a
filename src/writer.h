/* SPDX-License-Identifier: Apache-2.0 */
/** \file writer.h
 * Takes completions and prints results. Used by the main thread only. */
#ifndef GPUQUEUE_WRITER_H
#define GPUQUEUE_WRITER_H

#include "output.h"
#include "progress.h"
#include "run.h"

struct writer {
  struct run *run;
  struct output output;
  struct progress *progress;
  gq_output format;
  uint64_t received;        /**< completions */
  uint64_t result_bytes;
  uint8_t *payload;         /**< of the message at hand, when it is printed or kept */
  size_t payload_capacity;
  bool payload_lost;        /**< a payload could not be had */
};

void writer_init(struct writer *writer, struct run *run, struct progress *progress);

/** Print results until there are no more to come. Stops the reader if that cannot go on.
 * \return false if the output failed (writer->output.error; nothing is said about EPIPE) or the device did. */
bool writer_run(struct writer *writer);

/** The device was lost: tell, count and keep the messages that were being handled, as failed ones. Nothing else runs. */
void writer_fail_suspects(struct writer *writer);

/** \return false if the last of the output could not be written; said unless it is EPIPE. */
bool writer_finish(struct writer *writer);

#endif
