/* SPDX-License-Identifier: Apache-2.0 */
/** \file noise.h
 * How much the machine can be trusted: what its clock costs, how still it is, and who else used it meanwhile. */
#ifndef GPUQUEUE_BENCH_NOISE_H
#define GPUQUEUE_BENCH_NOISE_H

#include <stdbool.h>
#include <stdint.h>

/** Of a thread that does nothing but read the clock. */
struct stillness {
  double clock_ns;        /**< what one reading costs */
  double longest_gap_us;  /**< between two readings */
  double lost_share;      /**< time in gaps of more than 5 us, of all time */
};

/** Shares of the CPU time of all cores, from /proc/stat, while something was measured. */
struct disturbance {
  bool known;
  double stolen;          /**< taken by the host of this virtual machine */
  double others;          /**< used by other processes */
};

/** When something begins, for disturbance_since(). */
struct disturbance_mark {
  bool known;
  double total, stolen, busy, own; /**< seconds of CPU time */
};

void stillness_measure(struct stillness *stillness, double seconds);
void disturbance_mark(struct disturbance_mark *mark);
/** What there was since \p mark; if \p disturbance, which begins with zeros, has more already, that stays. */
void disturbance_since(const struct disturbance_mark *mark, struct disturbance *disturbance);

/** CPU time of this process, in seconds. */
double own_cpu_seconds(void);

#endif
