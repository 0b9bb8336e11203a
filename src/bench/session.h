/* SPDX-License-Identifier: Apache-2.0 */
/** \file session.h
 * A queue that is open for one point or several, with its lanes. */
#ifndef GPUQUEUE_BENCH_SESSION_H
#define GPUQUEUE_BENCH_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gpuqueue/gpuqueue.h>

#include "../cells.h"

struct bench;
struct figures;
struct point;

struct session {
  gq_queue **lanes;   /**< handles; the first is the queue's own */
  unsigned lane_count;
  gq_options options; /**< that it was opened with */
};

/** Set what the user did not say for messages of up to \p payload bytes, tags (CELL_TAG_BYTES) counted: sizes, memory,
 * lanes, capacity. */
void session_plan(const struct bench *bench, gq_options *options, size_t payload, unsigned lanes, uint32_t capacity);

/** Open a queue with all the lanes that \p options say. */
bool session_open(struct bench *bench, struct session *session, const gq_options *options);

/** session_plan() and session_open() with the bench's options. */
bool session_start(struct bench *bench, struct session *session, size_t payload, unsigned lanes, uint32_t capacity);
void session_close(struct session *session);

/** \return whether \p status is GQ_OK; if not, it is the bench's failure of \p call. */
bool session_check(struct bench *bench, gq_status status, const char *call);

/** Have \p point say what queue it is of. */
void session_tell(const struct session *session, struct point *point);

/** The memory that the queue takes. */
void session_memory(const struct session *session, struct figures *figures);

#endif
