/* SPDX-License-Identifier: Apache-2.0 */
/** \file watchdog.h
 * A thread that ends the process when something takes far longer than it can: a bound to every wait. */
#ifndef GPUQUEUE_BENCH_WATCHDOG_H
#define GPUQUEUE_BENCH_WATCHDOG_H

/** Begin to expect that \p what, which is kept, is over in \p seconds. The first call starts the thread. */
void watchdog_expect(const char *what, double seconds);

/** Expect nothing any more. */
void watchdog_rest(void);

#endif
