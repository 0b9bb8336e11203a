/* SPDX-License-Identifier: Apache-2.0 */
/** \file timing.h
 * The clock that only goes forward, and waits that have a bound on it. */
#ifndef GPUQUEUE_TIMING_H
#define GPUQUEUE_TIMING_H

#include <pthread.h>
#include <stdint.h>

/** Nanoseconds of a clock that only goes forward. */
int64_t clock_ns(void);

/** A condition for condition_wait(). */
void condition_init(pthread_cond_t *condition);

/** Wait for the condition, \p ns at most; the lock is held. */
void condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t ns);

#endif
