/* SPDX-License-Identifier: Apache-2.0 */
/** \file trial.h
 * What most points are: a queue is opened, measured and closed. */
#ifndef GPUQUEUE_BENCH_TRIAL_H
#define GPUQUEUE_BENCH_TRIAL_H

#include <stdbool.h>

#include "bench.h"
#include "traffic.h"

struct trial {
  gq_options options;     /**< as session_plan() leaves them, and what the scenario varies */
  struct traffic traffic; /**< \ref lanes is set by trial_run() */
  bool latency;           /**< measure round trips, of contents[0] */
  unsigned latency_threads; /**< so many threads make them, each on a lane of its own */
  bool rate;              /**< measure traffic; if both, each takes half the time */
  bool memory;            /**< say what the queue takes */
};

/** A trial with messages of \p content, on \p lanes lanes. */
void trial_init(struct trial *trial, const struct bench *bench, const struct content *const *content, size_t payload,
                unsigned lanes, uint32_t capacity);

/** Measure, and have the point done, which is no longer the caller's. */
bool trial_run(struct bench *bench, struct trial *trial, struct point *point);

/** The numbers of threads where they are varied: powers of 2, to 4 a core. */
struct list trial_thread_counts(const struct bench *bench);

/** As many threads as are useful where their number is not what is varied: with a consumer each, one a core; at most
 * \p lanes. */
unsigned trial_threads(const struct bench *bench, unsigned lanes);

#endif
