/* SPDX-License-Identifier: Apache-2.0 */
/** \file openloop.h
 * Messages offered at a fixed rate, whatever becomes of those before. A latency counts from the moment at which the
 * message was to be sent, not from that at which it could be: a queue that stops for a while delays all that was to be
 * sent meanwhile, and each of them counts (otherwise it would be "coordinated omission": Gil Tene, "How NOT to Measure
 * Latency"). */
#ifndef GPUQUEUE_BENCH_OPENLOOP_H
#define GPUQUEUE_BENCH_OPENLOOP_H

#include <stdbool.h>

#include <gpuqueue/gpuqueue.h>

struct bench;
struct content;
struct figures;

bool openloop_measure(struct bench *bench, gq_queue *lane, const struct content *content, double rate, double seconds,
                      struct figures *figures);

#endif
