/* SPDX-License-Identifier: Apache-2.0 */
/** \file roundtrip.h
 * One message in flight: sent, waited for by its id, compared, and only then the next. */
#ifndef GPUQUEUE_BENCH_ROUNDTRIP_H
#define GPUQUEUE_BENCH_ROUNDTRIP_H

#include <stdbool.h>
#include <stdint.h>

#include <gpuqueue/gpuqueue.h>

struct bench;
struct content;
struct figures;

struct roundtrip {
  const struct content *content;
  gq_queue *const *lanes;
  unsigned threads;         /**< each on a lane of its own, with a message of its own in flight */
  uint64_t keys;            /**< messages have one of so many keys; 0: none has one */
  double seconds;           /**< besides some at the beginning that do not count */
};

bool roundtrip_measure(struct bench *bench, const struct roundtrip *roundtrip, struct figures *figures);

#endif
