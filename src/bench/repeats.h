/* SPDX-License-Identifier: Apache-2.0 */
/** \file repeats.h
 * A point is measured several times; how far the repeats are apart says what its figure is worth. */
#ifndef GPUQUEUE_BENCH_REPEATS_H
#define GPUQUEUE_BENCH_REPEATS_H

#include <stddef.h>

struct figures;

double median(double *values, size_t count);

/** Put the repeats' spread into \p figures, unless it has a larger one of another measurement. Sorts \p values. */
void repeats_spread(double *values, size_t count, struct figures *figures);

#endif
