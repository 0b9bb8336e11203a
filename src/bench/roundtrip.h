/* SPDX-License-Identifier: Apache-2.0 */
/** \file roundtrip.h
 * One message in flight: sent, waited for by its id, compared, and only then the next. */
#ifndef GPUQUEUE_BENCH_ROUNDTRIP_H
#define GPUQUEUE_BENCH_ROUNDTRIP_H

#include <stdbool.h>

#include <gpuqueue/gpuqueue.h>

struct bench;
struct content;
struct figures;

/** Round trips for about \p seconds, after some that do not count, of \p threads threads, each on its own one of
 * \p lanes and with its own message in flight. */
bool roundtrip_measure(struct bench *bench, gq_queue *const *lanes, unsigned threads, const struct content *content,
                       double seconds, struct figures *figures);

#endif
