/* SPDX-License-Identifier: Apache-2.0 */
/** \file traffic.h
 * The messages of the stress tests: each follows from (seed, producer, number), so that whoever receives it can tell
 * every byte, and a ledger says what became of it. */
#ifndef TESTS_TRAFFIC_H
#define TESTS_TRAFFIC_H

#include <stdatomic.h>
#include "support.h"

#define TRAFFIC_PRODUCERS 16
#define TRAFFIC_MOST_MESSAGES (UINT64_C(1) << 24)   /* per producer, for the ledger's sake */

/** What kind of messages a stress test sends. */
typedef struct traffic_kind {
  uint64_t max_message_bytes;
  unsigned large_percent;     /**< messages of up to max_message_bytes; the others are around a cell's size */
  unsigned keys;              /**< keys of each producer; 0: none */
  unsigned attempts;          /**< with the handler test_fail: the queue's `attempts`; 0: the handler is echo */
} traffic_kind;

typedef struct traffic {
  const traffic_kind *kind;
  uint64_t seed;
  unsigned producers;
  _Atomic uint8_t *fate[TRAFFIC_PRODUCERS];     /**< by number: see traffic.c */
  _Atomic uint64_t sent[TRAFFIC_PRODUCERS];     /**< numbers accepted by the queue are below this */
  _Atomic uint64_t bytes, ended, completed, failed, cancelled;
} traffic;

/** One message. */
typedef struct traffic_message {
  unsigned producer;
  uint64_t number, tag, key, seed;
  size_t size;
  uint8_t code, failures;     /**< for test_fail */
} traffic_message;

/** \return 0, or -1 without memory. */
int traffic_init(traffic *t, const traffic_kind *kind, uint64_t seed, unsigned producers);
void traffic_free(traffic *t);

traffic_message traffic_describe(const traffic *t, unsigned producer, uint64_t number);
/** The message with this tag; a tag that none has gives a producer that is out of range. */
traffic_message traffic_of_tag(const traffic *t, uint64_t tag);
/** Write the payload of \p m. */
void traffic_write(const traffic_message *m, void *data);

/** The queue accepted \p m. */
void traffic_accepted(traffic *t, const traffic_message *m);
/** \p m may end as cancelled from now on. */
void traffic_cancelling(traffic *t, const traffic_message *m);

/** How \p m ended, as its receiver sees it. With GQ_OK \p data has the result.
 * \param code, attempts  with a completion; 0 and 0 where they are not known
 * \return NULL if that is right, else what is wrong. */
const char *traffic_ended(traffic *t, const traffic_message *m, gq_status status, const void *data, size_t size,
                          int32_t code, uint32_t attempts);

/** Whether every accepted message has ended. */
bool traffic_is_over(traffic *t);
/** Check that each accepted message ended once, and that the queue's counters agree. \return NULL or what is wrong. */
const char *traffic_settle(traffic *t, const gq_statistics *statistics);
uint64_t traffic_total(traffic *t);

#endif
