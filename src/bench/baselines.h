/* SPDX-License-Identifier: Apache-2.0 */
/** \file baselines.h
 * What a GPU and its driver do without a queue, measured beside it: the limits that the hardware sets, and what a user
 * would write by hand. Every answer is read and compared with what was sent. */
#ifndef GQ_BENCH_BASELINES_H
#define GQ_BENCH_BASELINES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct gq_baseline_result {
  double p50_us, p90_us, p99_us, p999_us, max_us; /* latencies, 0 where it has none */
  double messages_per_s, bytes_in_per_s, bytes_out_per_s; /* bytes of payload; in: towards the GPU */
  uint64_t messages; /* of bandwidth: passes over the memory */
} gq_baseline_result;

typedef struct gq_baseline {
  const char *name;    /* such as "pingpong" */
  const char *summary; /* a line for people */
  enum { GQ_BASELINE_LATENCY, GQ_BASELINE_RATE, GQ_BASELINE_BANDWIDTH } kind;
  bool raw_limit; /* else: what a user would write by hand */
} gq_baseline;

/** Largest payload of the raw limits that exchange cells: what fits a cell of 512 bytes, the largest there is. */
#define GQ_BASELINE_MOST_CELL_PAYLOAD 372u
/** Largest payload of what is written by hand. */
#define GQ_BASELINE_MOST_PAYLOAD (256u << 20)
#define GQ_BASELINE_MOST_THREADS 64u
#define GQ_BASELINE_MOST_SECONDS 3600.0

/** Everything there is; none in a build without GPU code. Static. */
const gq_baseline *gq_cuda_baselines(size_t *count);

/** Measure one. Makes a CUDA context of its own and destroys it: while a kernel of the same process is resident, that
 * waits, so let queues be closed or parked.
 * \param b  one of gq_cuda_baselines()
 * \param payload  bytes of a message: up to GQ_BASELINE_MOST_CELL_PAYLOAD for the raw limits on messages,
 *        GQ_BASELINE_MOST_PAYLOAD by hand; bandwidth ignores it
 * \param threads  1 to GQ_BASELINE_MOST_THREADS. The resident ring has so many lanes, each with one thread that sends
 *        and one that receives; pipelined launches come from so many threads, which also fill in the messages and
 *        compare the answers; the others ignore it
 * \param seconds  how long to measure, more than 0; beyond it comes a second or so for the context
 * \param error  out: on failure the reason, with the CUDA call and its error where it is one
 * \return 0; -1 on failure, and then \p result is not touched.
 * One thread at a time. Ends also if the GPU does not answer: after some 10 seconds more. */
int gq_cuda_baseline_run(const gq_baseline *b, int device, size_t payload, unsigned threads, double seconds,
                         gq_baseline_result *result, char *error, size_t error_size);

#endif
