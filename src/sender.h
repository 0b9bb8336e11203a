/* SPDX-License-Identifier: Apache-2.0 */
/** \file sender.h
 * Enqueues messages: small ones by the batch, from memory that stays as it is until the batch is flushed, large
 * ones written in place. Used by the reader thread only. */
#ifndef GPUQUEUE_SENDER_H
#define GPUQUEUE_SENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "run.h"

enum {
  SEND_BATCH = 256,
  /** From this size on a message is read straight into the queue's memory. */
  DIRECT_BYTES = 128 * 1024
};

struct sender {
  struct run *run;
  size_t count;
  gq_message batch[SEND_BATCH];
  uint64_t numbers[SEND_BATCH];
};

void sender_init(struct sender *sender, struct run *run);

/** The functions below return false if the run is to stop. A message that the queue refuses is reported and
 * does not stop it. */

bool sender_flush(struct sender *sender);

/** Add a message to the batch; \p message->data stays the caller's and untouched until sender_flush(). */
static inline bool sender_add(struct sender *sender, const gq_message *message, uint64_t number)
{
  sender->batch[sender->count] = *message;
  sender->numbers[sender->count++] = number;
  return sender->count < SEND_BATCH || sender_flush(sender);
}

/** Reserve room for a message, after everything in the batch.
 * \param refused  out: the queue does not take this message; it was reported */
bool sender_reserve(struct sender *sender, const gq_message *message, uint64_t number, gq_reservation *reservation,
                    bool *refused);

/** Send what was written into the reservation, which is gone afterwards. */
bool sender_commit(struct sender *sender, gq_reservation *reservation, const gq_message *message, uint64_t number);

#endif
