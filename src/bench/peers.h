/* SPDX-License-Identifier: Apache-2.0 */
/** \file peers.h
 * The baselines, measured as the queue is: sent to a thread that copies each message, as the handler echo does, and
 * sends it back; every one that comes back is compared. */
#ifndef GPUQUEUE_BENCH_PEERS_H
#define GPUQUEUE_BENCH_PEERS_H

#include <stdbool.h>
#include <stddef.h>

struct bench;
struct content;
struct point;

/** Points for round trips with one message in flight, by each kind of channel; none if the queues run on a GPU, or if
 * the messages would take much memory. */
bool peers_latency(struct bench *bench, const char *scenario, const struct content *content);

/** Points for as many messages as go through.
 * \param handler  NULL, or in a scenario of several handlers the one with which they are to be compared */
bool peers_rate(struct bench *bench, const char *scenario, const char *handler, const struct content *content,
                unsigned threads, bool separate, unsigned batch);

/** The same of what a GPU can do without a queue, if the bench's queues run on one. Bandwidth: what its link can carry,
 * whatever the messages. Not while a queue is open. */
bool cuda_peers_latency(struct bench *bench, const char *scenario, const struct content *content);
bool cuda_peers_rate(struct bench *bench, const char *scenario, const struct content *content, unsigned threads);
bool cuda_peers_bandwidth(struct bench *bench, const char *scenario, size_t payload);

/** The name and the summary of row \p index of them, or false past the end. */
bool cuda_peers_describe(size_t index, const char **name, const char **summary);

/** Parameters of a point of rate: the same names and order for queue and peers. */
void point_rate_parameters(struct point *point, size_t payload, unsigned threads, bool separate, const char *calls,
                           unsigned batch);

#endif
