/* SPDX-License-Identifier: Apache-2.0 */
/** \file flow.h
 * The messages of one lane: sent by one thread, taken and verified by the same or another one. */
#ifndef GPUQUEUE_BENCH_FLOW_H
#define GPUQUEUE_BENCH_FLOW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "samples.h"
#include "traffic.h"

enum { BATCH_MAX = 4096 };

/** The first thing that went wrong in any thread; the others stop. */
struct trouble {
  atomic_int status;          /**< an exit status; 0: nothing went wrong */
  atomic_bool told;
  char text[512];
};

/* What a thread writes for each message has lines of its own, for otherwise the bench would measure their way between
 * the sender's cache and the receiver's. */
#define FLOW_LINE _Alignas(128)

struct flow {
  FLOW_LINE const struct traffic *traffic;
  struct trouble *trouble;
  gq_queue *lane;
  unsigned index;
  bool tagged;                /**< messages carry their number as tag, from 1 on */
  uint64_t start;             /**< message 0 has the content of this number: lanes differ */
  _Atomic uint64_t total;     /**< how many there will be; UINT64_MAX: not yet known. Set before the last is sent */
  uint8_t *ledger;            /**< by content: how often it came, modulo 256 */
  uint32_t ledger_mask;
  struct samples *samples;    /**< latencies are kept here; NULL: not at all */
  int64_t begin;              /**< with samples: when message 0 was to be sent, and each a pause after the one before */
  double pause_ns;
  uint64_t *latest;           /**< by key, the latest message taken; NULL without keys */
  FLOW_LINE uint64_t next;    /**< the sender's */
  FLOW_LINE uint64_t received, bytes_out; /**< the receiver's */
};

void flow_init(struct flow *flow, const struct traffic *traffic, unsigned index, struct trouble *trouble);
void flow_free(struct flow *flow);

/** Begin anew with message 0. */
void flow_reset(struct flow *flow);

/** Send up to \p count messages of those that are left of the total. \return how many were sent; 0 also in trouble. */
size_t flow_send(struct flow *flow, size_t count, int64_t timeout_ns);

/** Take and verify up to \p count results. \return how many there were; 0 also in trouble. */
size_t flow_receive(struct flow *flow, size_t count, int64_t timeout_ns);

/** How long nothing may come back, before something must be wrong: large messages take their time. */
int64_t flow_patience_ns(const struct flow *flow);

/** Whether every message came as often as it was sent: to be asked when all were received. */
bool flow_is_complete(const struct flow *flow);

/** Payload bytes of messages 0 to \p count - 1. */
uint64_t flow_bytes_in(const struct flow *flow, uint64_t count);

/** What is said of a message that ended in GQ_RESULT_TOO_LARGE; with its size. */
#define TOO_LARGE_FORMAT \
  "the result of a message of %zu bytes is larger than --max-result-bytes, or the handler's declaration, lets it be"

/** Say what went wrong, if nothing did before. Any thread. */
void trouble_tell(struct trouble *trouble, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
