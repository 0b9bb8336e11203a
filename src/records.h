/* SPDX-License-Identifier: Apache-2.0 */
/** \file records.h
 * What a completion does not bring back: the number and the file name of messages that are in the queue. The
 * reader adds a record before it enqueues the message, the writer takes it with the completion. The number of
 * records is bounded, so the reader may have to wait. */
#ifndef GPUQUEUE_RECORDS_H
#define GPUQUEUE_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct records;

struct record {
  uint64_t number;
  char *name;       /**< malloc()ed, or NULL */
  bool gone;        /**< taken, or never enqueued */
};

struct records *records_new(size_t capacity);
void records_free(struct records *records);

/** Whether an addition would have to wait. */
bool records_full(struct records *records);

/** Add a record; numbers only grow. \param name  copied; may be NULL
 * \return false if the run was stopped while it waited. */
bool records_add(struct records *records, uint64_t number, const char *name);

/** Take the record of \p number, or the oldest one if it is 0. The name becomes the caller's to free.
 * \return false if there is none. */
bool records_take(struct records *records, uint64_t number, struct record *record);

#endif
