/* SPDX-License-Identifier: Apache-2.0 */
/** \file traffic.h
 * As many messages as go through: producer threads that send without pause, every result read and verified, each
 * exactly once. Lanes are dealt out to the producers in turn. */
#ifndef GPUQUEUE_BENCH_TRAFFIC_H
#define GPUQUEUE_BENCH_TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>

#include <gpuqueue/gpuqueue.h>

struct bench;
struct content;
struct figures;

enum calls { CALLS_BATCH, CALLS_SINGLE, CALLS_RESERVE };

struct traffic {
  const struct content *const *contents; /**< messages are of these in turn; all the same handler's */
  unsigned content_count;
  gq_queue *const *lanes;
  unsigned lane_count;
  unsigned threads;       /**< producers; not more than lanes */
  bool separate;          /**< each producer has a consumer thread at its side; else it reads results itself */
  enum calls calls;
  unsigned batch;         /**< messages a call, sent and taken */
  uint64_t keys;          /**< messages have one of so many keys, and their order is verified; 0: none has one */
  double seconds;
  bool timed;             /**< messages carry their number, so that the latency of each can be known */
};

/** The key of message \p number, of so many: in an order that is not that of the messages, so that those of a key are
 * far apart and near each other. */
static inline uint64_t traffic_key(uint64_t keys, uint64_t number)
{
  return keys ? 1 + (number * UINT64_C(0x9e3779b97f4a7c15) >> 20) % keys : 0;
}

bool traffic_measure(struct bench *bench, const struct traffic *traffic, struct figures *figures);

#endif
